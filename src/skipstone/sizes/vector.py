"""Sizes that stand for many at once: torch's shape code runs once and decides for every size that takes the same path.

A `Sweep` holds the points under study: one value of each free axis at each point. `Sweep.symbol` gives a
`torch.SymInt` whose node carries the axis's value at *every* point; torch's own shape rules then compute on whole
arrays. Where code needs one truth (a branch, a check, an index), the node answers as at the sweep's `focus` point and
crosses out the points that would have answered otherwise. What is left when the pass ends, its `alive` points, took
the same path to the end.

Nothing is simplified or approximated; there are no expressions that could grow.
"""

# Every operand is one of our own nodes; the base class allows any kind.
# mypy: disable-error-code="override,assignment"

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import FrameType
from typing import Any

import numpy as np
import sympy  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray

from skipstone.sizes.layouts import Mask, Value, ordered, packed, plain
from skipstone.tracing.blame import pass_on
from skipstone.tracing.torch_internals import GENERAL_ANSWERS, SIZE_INDEPENDENT, SymNode

_NUMBERS = count()


class Sweep:
    """The points of one symbolic pass, and which of them still share its path.

    `alive` points answered every question as the focus did. `failed` lists, for each check that the focus passed, the
    points that it refuses: there the pass ends with an error. `uncertain` points are alive, but answered some question
    of broadcasting or memory layout otherwise, where torch's own rule for sizes it does not know is to go on as for
    sizes in general and to check equality; where such a check stops them they leave the path and are passed again.
    """

    def __init__(self, symbols: Mapping[str, NDArray[np.int64]], focus: int) -> None:
        self.symbols = dict(symbols)
        self.focus = focus
        count = len(next(iter(symbols.values())))
        self.alive: Mask = np.ones(count, dtype=np.bool_)
        self.uncertain: Mask = np.zeros(count, dtype=np.bool_)
        self.failed: list[Mask] = []

    def symbol(self, name: str) -> torch.SymInt:
        """The axis of this name, at every point."""
        return torch.SymInt(VectorNode(self, self.symbols[name], int))  # type: ignore[no-untyped-call]

    def at_focus(self, value: Value) -> Any:
        return value[self.focus].item() if isinstance(value, np.ndarray) else value

    def settle(self, value: Value) -> Any:
        """The value at the focus; points that differ there leave the path."""
        if not isinstance(value, np.ndarray):
            return value
        answer = value[self.focus]
        if value.dtype == np.bool_:
            np.logical_and(self.alive, value if answer else ~value, out=self.alive)
        else:
            np.logical_and(self.alive, value == answer, out=self.alive)
        return answer.item()

    def check(self, value: Value) -> bool:
        """The truth of a condition without which torch raises; points that fail it, unlike the focus, end here."""
        if isinstance(value, np.ndarray) and value[self.focus]:
            refused = self.alive & ~value & ~self.uncertain
            if refused.any():
                self.failed.append(refused)
        return bool(self.settle(value))

    def lean(self, value: Value, general: bool) -> bool:
        """The truth at the focus of what torch may take to be `general`: points that differ stay, but uncertain."""
        if isinstance(value, np.ndarray) and value[self.focus] == general:
            np.logical_or(self.uncertain, self.alive & (value != general), out=self.uncertain)
            return general
        return bool(self.settle(value))


def value_of(number: object) -> Value | None:
    """A whole number, plain or at every point of a sweep; None for anything else."""
    if isinstance(number, np.ndarray | int):
        return number
    if isinstance(number, torch.SymInt) and isinstance(number.node, VectorNode):
        return number.node.value
    return None


def only_value(size: object) -> int | None:
    """A size that is one number at all points that are alive; None for others."""
    value = value_of(size)
    if isinstance(value, np.ndarray) and isinstance(size, torch.SymInt):
        alive = value[size.node.sweep.alive]
        return int(alive[0]) if len(alive) and (alive == alive[0]).all() else None
    return value if isinstance(value, int) else None


def values_of(size: object, count: int) -> NDArray[np.int64]:
    """A size at every point, for a plain number or a vector size."""
    value = value_of(size)
    if isinstance(value, np.ndarray):
        return value
    assert isinstance(value, int)
    return np.full(count, value, dtype=np.int64)


class VectorNode(SymNode):
    """One number at every point of a sweep. The names of the methods are those torch calls.

    `shape_env` is None, which makes torch ask this node for every decision.
    """

    def __init__(self, sweep: Sweep, value: Value, pytype: type) -> None:
        if (
            isinstance(value, np.ndarray)
            and value.dtype == np.bool_
            and value[0] == value[-1]
            and (value == value[0]).all()
        ):
            value = bool(value[0])
        self.sweep, self.value, self.pytype = sweep, value, pytype
        self.shape_env = None
        self.fx_node = None
        self._symbol: sympy.Expr | None = None
        self.constant = None if isinstance(value, np.ndarray) else value
        self._hint = sweep.at_focus(value)

    # ---- what it is

    @property
    def expr(self) -> Any:
        """For torch code that looks for free symbols, one of its own; nothing is computed with it.

        Doubled, since 2.6 asks the environment, which is not there, about a bare one.
        """
        if self.constant is not None:
            return sympy.sympify(self.constant)
        if self._symbol is None:
            self._symbol = 2 * sympy.Symbol(f"s{next(_NUMBERS)}", integer=True)
        return self._symbol

    @property
    def hint(self) -> Any:
        return self._hint

    def has_hint(self) -> bool:
        return True

    def is_int(self) -> bool:
        return self.pytype is int

    def is_float(self) -> bool:
        return self.pytype is float

    def is_bool(self) -> bool:
        return self.pytype is bool

    def is_nested_int(self) -> bool:
        # Which makes it a key of no cache: what is kept under it would be met again by a number of its value, in a pass
        # of the user's own, long after this one. Code that insists on a key is passed at one size after the other.
        return False

    def is_constant(self) -> bool:
        return self.constant is not None

    def is_symbolic(self) -> bool:
        return True

    def maybe_as_int(self) -> int | None:
        return self.constant if isinstance(self.constant, int) else None

    def maybe_as_float(self) -> float | None:
        return self.constant if isinstance(self.constant, float) else None

    def maybe_as_bool(self) -> bool | None:
        return self.constant if isinstance(self.constant, bool) else None

    def wrap_int(self, num: int) -> "VectorNode":
        return VectorNode(self.sweep, num, int)

    def wrap_float(self, num: float) -> "VectorNode":
        return VectorNode(self.sweep, num, float)

    def wrap_bool(self, num: bool) -> "VectorNode":
        return VectorNode(self.sweep, num, bool)

    def str(self) -> str:
        return f"{self._hint}"

    def __repr__(self) -> str:  # type: ignore[valid-type]  # `str` is a method here
        return f"VectorNode({self._hint})"

    def _graph_repr(self) -> str:  # type: ignore[valid-type]
        return f"{self._hint}"

    # ---- decisions

    def evaluate(self, size_oblivious: bool = False) -> Any:
        return self.sweep.settle(self.value)

    def guard_int(self, file: object, line: int) -> int:
        return int(self.sweep.settle(self.value))

    def guard_float(self, file: object, line: int) -> float:
        return float(self.sweep.settle(self.value))

    def guard_bool(self, file: object, line: int) -> bool:
        if isinstance(self.value, np.ndarray):
            general = _general_answer(sys._getframe(1))
            if general is not None:
                return self.sweep.lean(self.value, general)
        return bool(self.sweep.settle(self.value))

    def expect_true(self, file: object, line: int) -> bool:
        return self.sweep.check(self.value)

    guard_or_false = guard_or_true = guard_size_oblivious = guard_bool

    def statically_known_true(self, file: object, line: int) -> bool:
        return self.constant is True

    # ---- arithmetic

    def _with(self, value: Value, pytype: type) -> "VectorNode":
        return VectorNode(self.sweep, value, pytype)

    def _nonzero(self, divisor: "VectorNode") -> None:
        zero = divisor.value == 0
        if self.sweep.settle(zero if isinstance(zero, np.ndarray) else bool(zero)):
            pass_on(operator.floordiv, (1, 0))  # raises

    def floordiv(self, other: "VectorNode") -> "VectorNode":
        self._nonzero(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._with(plain(np.floor_divide(self.value, other.value)), _common(self, other))

    int_floordiv = floordiv

    def mod(self, other: "VectorNode") -> "VectorNode":
        self._nonzero(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._with(plain(np.mod(self.value, other.value)), _common(self, other))

    def truediv(self, other: "VectorNode") -> "VectorNode":
        self._nonzero(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._with(plain(np.true_divide(self.value, other.value)), float)

    int_truediv = float_truediv = truediv

    def pow(self, other: "VectorNode") -> "VectorNode":
        return self._with(plain(np.asarray(self.value, dtype=np.float64) ** other.value), float)

    float_pow = pow

    def pow_by_natural(self, other: "VectorNode") -> "VectorNode":
        return self._with(plain(np.power(self.value, np.maximum(other.value, 0))), int)

    def sym_float(self) -> "VectorNode":
        value = self.value
        return self._with(value.astype(np.float64) if isinstance(value, np.ndarray) else float(value), float)

    def sym_int(self) -> "VectorNode":
        return self.trunc()

    def floor(self) -> "VectorNode":
        return self._with(_whole(np.floor(self.value)), int)

    def ceil(self) -> "VectorNode":
        return self._with(_whole(np.ceil(self.value)), int)

    def trunc(self) -> "VectorNode":
        return self._with(_whole(np.trunc(self.value)), int)

    def round(self, ndigits: int | None = None) -> "VectorNode":
        if ndigits is None:
            return self._with(_whole(np.round(self.value)), int)
        return self._with(plain(np.round(self.value, ndigits)), self.pytype)

    def is_integer(self) -> "VectorNode":
        return self._with(plain(np.equal(np.floor(self.value), self.value)), bool)

    def sym_not(self) -> "VectorNode":
        return self._with(plain(np.logical_not(self.value)), bool)

    def neg(self) -> "VectorNode":
        return self._with(plain(np.negative(self.value)), self.pytype)

    def abs(self) -> "VectorNode":
        return self._with(plain(np.abs(self.value)), self.pytype)

    def pos(self) -> "VectorNode":
        return self

    def clone(self) -> "VectorNode":
        return self

    def sym_ite(self, then_val: "VectorNode", else_val: "VectorNode") -> "VectorNode":
        return self._with(plain(np.where(self.value, then_val.value, else_val.value)), then_val.pytype)

    def sym_sum(self, args: Sequence["VectorNode"]) -> "VectorNode":
        total: Any = 0
        for node in args:
            total = total + node.value
        return self._with(total, int)

    def sym_sqrt(self) -> "VectorNode":
        return self._with(plain(np.sqrt(self.value)), float)

    def sym_log2(self) -> "VectorNode":
        return self._with(plain(np.log2(self.value)), float)

    # ---- layouts

    def is_contiguous(self, sizes: Any, strides: Any) -> "VectorNode":
        order = tuple(range(len(sizes) - 1, -1, -1))
        return self._with(packed(_raw(sizes), _raw(strides), order), bool)

    def is_channels_last_contiguous_2d(self, sizes: Any, strides: Any) -> "VectorNode":
        return self._layout(len(sizes) == 4 and packed(_raw(sizes), _raw(strides), (1, 3, 2, 0)))

    def is_channels_last_contiguous_3d(self, sizes: Any, strides: Any) -> "VectorNode":
        return self._layout(len(sizes) == 5 and packed(_raw(sizes), _raw(strides), (1, 4, 3, 2, 0)))

    def is_channels_last_strides_2d(self, sizes: Any, strides: Any) -> "VectorNode":
        return self._layout(len(sizes) == 4 and ordered(_raw(sizes), _raw(strides), (1, 3, 2, 0)))

    def is_channels_last_strides_3d(self, sizes: Any, strides: Any) -> "VectorNode":
        return self._layout(len(sizes) == 5 and ordered(_raw(sizes), _raw(strides), (1, 4, 3, 2, 0)))

    def is_non_overlapping_and_dense(self, sizes: Any, strides: Any) -> "VectorNode":
        order = sorted(range(len(sizes)), key=lambda i: (strides[i]._hint, sizes[i]._hint))
        return self._layout(packed(_raw(sizes), _raw(strides), order))

    def is_non_overlapping_and_dense_indicator(self, sizes: Any, strides: Any) -> "VectorNode":
        return self.wrap_int(int(self.is_non_overlapping_and_dense(sizes, strides).hint))

    def _layout(self, value: Value) -> "VectorNode":
        """A question of memory layout is answered as at the focus: maps of one pixel have every layout at once."""
        return self.wrap_bool(self.sweep.lean(value, bool(self.sweep.at_focus(value))))


def _general_answer(frame: FrameType | None) -> bool | None:
    """What `guard_or_false` or `guard_or_true` takes for granted, if one of torch's size-independent rules asks."""
    for _ in range(3):
        if frame is None or frame.f_back is None:
            return None
        name, frame = frame.f_code.co_name, frame.f_back
        if name in GENERAL_ANSWERS:
            return GENERAL_ANSWERS[name] if frame.f_code.co_name in SIZE_INDEPENDENT else None
    return None


def _raw(nodes: Sequence[VectorNode]) -> list[Value]:
    return [node.value for node in nodes]


def _whole(value: Any) -> Value:
    return value.astype(np.int64) if isinstance(value, np.ndarray) else int(value)


def _common(a: VectorNode, b: VectorNode) -> type:
    return float if float in (a.pytype, b.pytype) else int


def _binary(function: Callable[[Any, Any], Any], pytype: type | None) -> Callable[[VectorNode, VectorNode], VectorNode]:
    def method(self: VectorNode, other: VectorNode) -> VectorNode:
        return VectorNode(self.sweep, plain(function(self.value, other.value)), pytype or _common(self, other))

    return method


for _names, _function, _type in (
    (("add",), np.add, None),
    (("sub",), np.subtract, None),
    (("mul",), np.multiply, None),
    (("sym_min",), np.minimum, None),
    (("sym_max",), np.maximum, None),
    (("eq",), np.equal, bool),
    (("ne",), np.not_equal, bool),
    (("lt",), np.less, bool),
    (("le",), np.less_equal, bool),
    (("gt",), np.greater, bool),
    (("ge",), np.greater_equal, bool),
    (("and_", "sym_and"), np.logical_and, bool),
    (("or_", "sym_or"), np.logical_or, bool),
    (("bitwise_and",), np.bitwise_and, None),
    (("bitwise_or",), np.bitwise_or, None),
    (("bitwise_xor",), np.bitwise_xor, None),
    (("lshift",), np.left_shift, None),
    (("rshift",), np.right_shift, None),
):
    for _name in _names:
        setattr(VectorNode, _name, _binary(_function, _type))
