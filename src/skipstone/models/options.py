"""Checking the options of a network: every refusal names the option, the value and what would be right."""

from collections.abc import Collection

from skipstone.core.errors import SkipstoneError


class OptionError(SkipstoneError, ValueError):
    """An option of a network with a value that it cannot have."""


def one_of(option: str, value: object, allowed: Collection[str]) -> None:
    """Refuse a `value` that is not among `allowed`.

    >>> one_of("init", "he", ["he", "torch"])
    """
    if value not in allowed:
        raise OptionError(f"{option}={value!r}: must be one of {', '.join(map(repr, allowed))}")


def at_least(option: str, value: object, least: int) -> None:
    """Refuse anything but an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise OptionError(f"{option}={value!r}: must be an integer of at least {least}")


def probability(option: str, value: object) -> None:
    """Refuse anything but a number in [0, 1)."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1:
        raise OptionError(f"{option}={value!r}: must be a number p with 0 <= p < 1")
