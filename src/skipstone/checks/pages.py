"""The page of a finding's code: what `skipstone explain SK102` prints and the documentation shows."""

import inspect
import re
import sys

from skipstone.checks.codes import BY_CODE, BY_RULE, Code
from skipstone.core.errors import UnknownNameError
from skipstone.core.pages import main


def find_code(name: str) -> Code:
    """A code by `SK102`, `sk102` or its rule's name `spatial-mismatch`."""
    code = BY_CODE.get(name.upper()) or BY_RULE.get(name.lower().replace("_", "-"))
    if code is None:
        raise UnknownNameError("code", name, [*BY_CODE, *BY_RULE])
    return code


def page(code: Code) -> str:
    """The code's page: its name and severity, then the rule's own text."""
    return f"{code.code} {code.rule} ({code.severity})\n\n{inspect.getdoc(code.module)}\n"


def pages() -> dict[str, str]:
    """File name -> text: a page a code, and the index."""
    made = {
        f"{code.code}.md": f"# {code.code} {code.rule}\n\nSeverity: {code.severity}.\n\n{_markdown(code)}\n"
        for code in BY_CODE.values()
    }
    rows = "\n".join(f"| [{c.code}]({c.code}.md) | {c.rule} | {c.severity} | {c.summary} |" for c in BY_CODE.values())
    head = (
        "# Findings\n\n1xx: it does not run or cannot be trained. 2xx: it runs and is wrong. 3xx: worth knowing.\n"
        "`skipstone explain SK102` prints a page.\n\n| code | rule | severity | what it finds |\n|-|-|-|-|\n"
    )
    return {"index.md": head + rows + "\n", **made}


def _markdown(code: Code) -> str:
    """The docstring with its headings as headings and their text unindented."""
    lines = []
    for line in (inspect.getdoc(code.module) or "").splitlines():
        heading = re.fullmatch(r"(What it finds|Why it matters|Example|Repair|Effect of the repair|References):", line)
        lines.append(f"\n## {heading.group(1)}\n" if heading else line.removeprefix("    "))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main("skipstone.checks.pages", sys.argv[1:], pages()))
