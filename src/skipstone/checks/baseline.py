"""A baseline file: findings that are known and accepted, so that only new ones count."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

from skipstone.core.codec import RecordError
from skipstone.core.files import write_atomically
from skipstone.core.finding import Finding

_SCHEMA, _VERSION = "skipstone.Baseline", 1
Key = tuple[str, str, str, str]


def _key(finding: Finding) -> Key:
    """No line number: a finding that only moved is still the same."""
    return finding.code, finding.module, PurePath(finding.file or "").name, finding.message


def write_baseline(path: Path, findings: Iterable[Finding]) -> None:
    """Write the findings as accepted. An existing baseline is replaced, whole or not at all."""
    rows = [dict(zip(("code", "module", "file", "message"), _key(finding), strict=True)) for finding in findings]
    text = json.dumps({"schema": _SCHEMA, "version": _VERSION, "findings": rows}, indent=1) + "\n"
    write_atomically(path, text.encode())


def read_baseline(path: Path) -> Counter[Key]:
    """The accepted findings; `RecordError` where the file is no baseline."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"baseline {path} does not exist; write it with --write-baseline") from None
    except json.JSONDecodeError as error:
        raise RecordError(f"baseline {path} is no JSON: {error}") from None
    except UnicodeDecodeError as error:
        raise RecordError(f"baseline {path} is not UTF-8: byte {error.start}") from None
    if not isinstance(data, dict) or (data.get("schema"), data.get("version")) != (_SCHEMA, _VERSION):
        raise RecordError(
            f"{path} is no baseline of this version: its head must be schema {_SCHEMA!r}, version {_VERSION}"
        )
    try:
        return Counter((row["code"], row["module"], row["file"], row["message"]) for row in data["findings"])
    except (KeyError, TypeError) as error:
        raise RecordError(f"baseline {path}: each finding needs code, module, file and message ({error})") from None


def new_findings(findings: Iterable[Finding], accepted: Counter[Key]) -> tuple[Finding, ...]:
    """The findings that the baseline does not hold, each accepted one used up once."""
    left = Counter(accepted)
    new = []
    for finding in findings:
        if left[_key(finding)]:
            left[_key(finding)] -= 1
        else:
            new.append(finding)
    return tuple(new)
