"""The page of a finding's code: what `skipstone explain SK102` prints and the documentation shows."""

import inspect

from skipstone.checks.codes import BY_CODE, BY_RULE, Code
from skipstone.core.errors import UnknownNameError


def find_code(name: str) -> Code:
    """A code by `SK102`, `sk102` or its rule's name `spatial-mismatch`."""
    code = BY_CODE.get(name.upper()) or BY_RULE.get(name.lower().replace("_", "-"))
    if code is None:
        raise UnknownNameError("code", name, [*BY_CODE, *BY_RULE])
    return code


def page(code: Code) -> str:
    """The code's page: its name and severity, then the rule's own text."""
    return f"{code.code} {code.rule} ({code.severity})\n\n{inspect.getdoc(code.module)}\n"
