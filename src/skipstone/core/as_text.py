"""How results look at IPython's prompt, which shows no HTML: as the text that they print as, not as their fields."""

from typing import Any


def pretty_as_text(result: object, printer: Any, cycle: bool) -> None:
    """To be a class's own `_repr_pretty_`: IPython takes a dataclass's `__repr__` before a base class's."""
    printer.text(str(result))
