"""Comments that silence findings on their line: `# skipstone: ignore[SK201, SK202]`, or `# skipstone: ignore`."""

import linecache
import re
from collections.abc import Iterable

from skipstone.checks.codes import BY_CODE
from skipstone.core.errors import UnknownNameError
from skipstone.core.graph import Place

_COMMENT = re.compile(r"#\s*skipstone:\s*ignore(?:\[([^\]]*)\])?")


def silenced(code: str, place: Place | None) -> bool:
    """Does a finding's own line say to ignore it?"""
    if place is None:
        return False
    match = _COMMENT.search(linecache.getline(place.file, place.line))
    if match is None:
        return False
    return match.group(1) is None or code in parse_codes(match.group(1).split(","))


def parse_codes(texts: Iterable[str]) -> set[str]:
    """Codes as typed: `SK101`, or a prefix such as `SK2` for all that begin with it. Unknown ones raise."""
    codes: set[str] = set()
    for text in texts:
        wanted = text.strip().upper()
        matching = {code for code in BY_CODE if code.startswith(wanted)} if wanted else set()
        if not matching:
            raise UnknownNameError("code", text.strip(), BY_CODE)
        codes |= matching
    return codes
