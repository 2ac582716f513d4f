"""The page of a finding's code: what `skipstone explain SK102` prints and the documentation shows."""

import inspect
import re
import sys

from skipstone.checks.codes import BY_CODE, BY_RULE, MODULE_OF
from skipstone.checks.rule import Rule
from skipstone.core.errors import UnknownNameError
from skipstone.core.pages import main


def find_code(name: str) -> Rule:
    """A code by `SK102`, `sk102` or its rule's name `spatial-mismatch`."""
    code = BY_CODE.get(name.upper()) or BY_RULE.get(name.lower().replace("_", "-"))
    if code is None:
        raise UnknownNameError("code", name, [*BY_CODE, *BY_RULE])
    return code


def page(rule: Rule) -> str:
    """The rule's page: its code, name and severity, then its module's own text."""
    return f"{rule.code} {rule.name} ({rule.severity})\n\n{inspect.getdoc(MODULE_OF[rule])}\n"


def pages() -> dict[str, str]:
    """File name -> text: a page a rule, and the index."""
    made = {
        f"{rule.code}.md": f"# {rule.code} {rule.name}\n\nSeverity: {rule.severity}.\n\n{_markdown(rule)}\n"
        for rule in BY_CODE.values()
    }
    rows = "\n".join(f"| [{c.code}]({c.code}.md) | {c.name} | {c.severity} | {c.summary} |" for c in BY_CODE.values())
    head = (
        "# Findings\n\n1xx: it does not run or cannot be trained. 2xx: it runs and is wrong. 3xx: worth knowing.\n"
        "4xx: a real run shows it.\n"
        "`skipstone explain SK102` prints a page.\n\n| code | rule | severity | what it finds |\n|-|-|-|-|\n"
    )
    return {"index.md": head + rows + "\n", **made}


def _markdown(rule: Rule) -> str:
    """The docstring with its headings as headings and their text unindented."""
    lines = []
    for line in (inspect.getdoc(MODULE_OF[rule]) or "").splitlines():
        heading = re.fullmatch(r"(What it finds|Why it matters|Example|Repair|Effect of the repair|References):", line)
        lines.append(f"\n## {heading.group(1)}\n" if heading else line.removeprefix("    "))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main("skipstone.checks.pages", sys.argv[1:], pages()))
