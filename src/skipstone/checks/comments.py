"""Comments that silence findings on their line: `# skipstone: ignore[SK201, SK202]`, or `# skipstone: ignore`."""

import linecache
import re
from collections.abc import Iterable

from skipstone.checks.codes import BY_CODE
from skipstone.core.errors import UnknownNameError
from skipstone.core.graph import Place

_COMMENT = re.compile(r"#\s*skipstone:\s*(.*)")
_IGNORE = re.compile(r"ignore\b\s*(?:\[([^\]]*)\])?(?!\s*:?\s*(\[|SK))")


def silenced(code: str, place: Place | None) -> bool:
    """Does a finding's own line say to ignore it? A comment that can't be read silences nothing, see `unread`."""
    codes, _ = _comment(place)
    return code in codes


def unread(place: Place | None) -> str | None:
    """What is wrong with the comment on a finding's line, with its file and line; None where nothing is."""
    _, problem = _comment(place)
    return f"{place}: {problem}" if problem else None


def _comment(place: Place | None) -> tuple[set[str], str]:
    """The codes that a line's comment silences, and what of it can't be read."""
    match = _COMMENT.search(linecache.getline(place.file, place.line)) if place is not None else None
    if match is None:
        return set(), ""
    ignore = _IGNORE.match(match[1])
    if ignore is None:
        return set(), f"comment {match[0].strip()!r} is not understood; write # skipstone: ignore[SK201]"
    try:
        return set(BY_CODE) if ignore[1] is None else parse_codes(ignore[1].split(",")), ""
    except UnknownNameError as error:
        return set(), f"comment {match[0].strip()!r}: {error}"


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
