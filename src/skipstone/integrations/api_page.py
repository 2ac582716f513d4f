"""The page of the public surface, from docstrings: `python -m skipstone.integrations.api_page docs` writes it."""

import inspect
import sys

import skipstone
from skipstone.core.pages import main

_TEXT = """# The public surface

What `import skipstone` gives, made from the docstrings. `skipstone.blocks` and `skipstone.models` have pages of their
own: [designs](designs/index.md), [reference networks](models.md). What a command does, one of these functions does.
"""
_HEADS = {
    "function": "Functions",
    "result": "Results: frozen data, printable; `to_dict()` where there is JSON",
    "error": "Errors: whatever could not be done because of what was given is a `SkipstoneError`",
}


def pages() -> dict[str, str]:
    """File name -> text: the one page."""
    found: dict[str, list[str]] = {kind: [] for kind in _HEADS}
    for name in skipstone._EXPORTS:
        found[_kind(getattr(skipstone, name))].append(_entry(name, getattr(skipstone, name)))
    parts = [_TEXT, *(f"## {head}\n\n{chr(10).join(found[kind])}" for kind, head in _HEADS.items())]
    return {"api.md": "\n".join(parts)}


def _kind(value: object) -> str:
    if not isinstance(value, type):
        return "function"
    return "error" if issubclass(value, Exception) else "result"


def _entry(name: str, value: object) -> str:
    """A heading with the names of the parameters and their defaults, then the docstring as it is."""
    return f"### `{name}{_parameters(value)}`\n\n{_markdown(inspect.getdoc(value) or '')}\n"


def _parameters(value: object) -> str:
    """`(model, example, *, ignore=())`: annotations are left out, whose text differs between versions of Python."""
    if isinstance(value, type):
        return ""
    assert callable(value)
    return str(inspect.Signature(list(map(_plain, inspect.signature(value).parameters.values()))))


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    default = parameter.default
    if inspect.isfunction(default):
        default = _Named(default.__name__)
    return parameter.replace(annotation=parameter.empty, default=default)


class _Named(str):
    """A function as a default, shown by its name and not by where it lies in memory."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _markdown(text: str) -> str:
    """The docstring with `Args:` and `Raises:` as lists."""
    lines, listed = [], False
    for line in text.splitlines():
        if line in ("Args:", "Raises:", "Returns:", "Attributes:"):
            listed = True
            lines.append(f"{line}\n")
        elif listed and line.startswith("    ") and not line.startswith("     "):
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon else f"- {line.strip()}")
        elif listed and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            listed = listed and not line
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main("skipstone.integrations.api_page", sys.argv[1:], pages()))
