"""Values as people type them: `8`, `0.1`, `(1, 2, 3)`, `B`."""

import ast
from typing import Any


def literal(text: str) -> Any:
    """A Python literal where the text is one, else the text itself. Nothing is evaluated.

    >>> literal("0.1"), literal("B")
    (0.1, 'B')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def split(text: str) -> list[str]:
    """Split at commas outside parentheses: `plain20,net.py:Net(3, 4)` is two networks."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
