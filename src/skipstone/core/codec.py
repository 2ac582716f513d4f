"""Frozen dataclasses to versioned JSON objects and back, with errors that name the key.

An object is written as `{"schema": "skipstone.RunSpec", "version": 1, ...fields}`. Reading refuses another schema,
another version, unknown keys, missing keys and values of the wrong type. A float that is not finite is written as
null, since JSON has no word for it, and read back as NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from skipstone.core.errors import SkipstoneError

Json = dict[str, Any]
T = TypeVar("T")


class RecordError(SkipstoneError, ValueError):
    """A record (a JSON object or file) that is not what skipstone writes."""


def encode(record: object, *, version: int | None = None) -> Json:
    """The JSON object of a dataclass; with `version`, headed by its schema name and that version."""
    head: Json = {} if version is None else {"schema": _schema(type(record)), "version": version}
    return head | {f.name: _plain(getattr(record, f.name)) for f in fields(record)}  # type: ignore[arg-type]


def decode(cls: type[T], data: object, *, version: int | None = None, where: str = "") -> T:
    """The dataclass `cls` written as `data`; `where` (a file name, say) opens the text of a `RecordError`."""
    at = where or cls.__name__
    if not isinstance(data, Mapping):
        raise RecordError(f"{at}: expected a JSON object for {cls.__name__}, got {type(data).__name__}")
    body = dict(data)
    if version is not None:
        schema, found = body.pop("schema", None), body.pop("version", None)
        if schema != _schema(cls):
            raise RecordError(f"{at}: schema is {schema!r}, expected {_schema(cls)!r}")
        if found != version:
            raise RecordError(f"{at}: version is {found!r}; this skipstone reads version {version}")
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(body.keys() - known.keys()):
        raise RecordError(f"{at}: unknown {_keys(unknown)}; known: {', '.join(known)}")
    if missing := [name for name, f in known.items() if name not in body and _required(f)]:
        raise RecordError(f"{at}: missing {_keys(missing)}")
    hints = _hints(cls)  # type: ignore[arg-type]
    return cls(**{name: _typed(hints[name], value, f"{at}: {name}") for name, value in body.items()})


@cache
def _hints(cls: type) -> dict[str, Any]:
    """The types of a record's fields; told once a class, since asking takes longer than reading a record."""
    return get_type_hints(cls)


def _schema(cls: type) -> str:
    return f"skipstone.{cls.__name__}"


def _keys(names: list[str]) -> str:
    return f"key{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _plain(value: object) -> object:
    if is_dataclass(value):
        return encode(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RecordError(f"cannot write {value!r} ({type(value).__name__}) as JSON")


def _typed(hint: Any, value: Any, at: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return value
    if origin in (Union, UnionType):
        return _typed_union(arguments, value, at)
    if origin is Literal:
        if value not in arguments:
            raise RecordError(f"{at} is {value!r}, expected one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise RecordError(f"{at} is {value!r}, expected a list")
        return tuple(_typed(arguments[0], item, f"{at}[{i}]") for i, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise RecordError(f"{at} is {value!r}, expected an object")
        return {key: _typed(arguments[1], item, f"{at}.{key}") for key, item in value.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, value, where=at)
    return _scalar(hint, value, at)


def _typed_union(arguments: tuple[Any, ...], value: Any, at: str) -> Any:
    if value is None and NoneType in arguments:
        return None
    others = [hint for hint in arguments if hint is not NoneType]
    for hint in others[:-1]:
        try:
            return _typed(hint, value, at)
        except RecordError:
            continue
    return _typed(others[-1], value, at)


def _scalar(hint: type, value: Any, at: str) -> Any:
    if hint is float:
        if value is None:
            return math.nan
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise RecordError(f"{at} is {value!r}, expected {hint.__name__}")
