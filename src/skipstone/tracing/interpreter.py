"""What of Python itself the recorder rests on and Python does not promise; each with the versions it was seen in."""

import dis
import opcode
import random
import sys
from types import FrameType
from typing import Any


def hidden_generators() -> list[tuple[Any, Any, Any]]:
    """Modules whose functions draw from one generator of the process: the module, that generator, and a copy of it."""
    python = random.Random()
    python.setstate(random.getstate())
    found: list[tuple[Any, Any, Any]] = [(random, getattr(random, "_inst", None), python)]  # Python 3.11 to 3.14
    if numpy := sys.modules.get("numpy"):
        copied = numpy.random.RandomState()
        copied.set_state(numpy.random.get_state())
        found.append((numpy.random, getattr(numpy.random.mtrand, "_rand", None), copied))  # numpy 1.26 to 2
    return found  # Without one of them: beside other threads, what a network draws from it is missing there.


# Python 3.11 to 3.13 (3.14 puts subscripts behind the augmented assignments). Without it: the numbers since 3.11.
_AUGMENTED = frozenset(
    number for number, (name, _) in enumerate(getattr(opcode, "_nb_ops", ())) if name.startswith("NB_INPLACE")
) or frozenset(range(13, 26))
_BINARY_OP = dis.opmap.get("BINARY_OP")


def raises(frame: FrameType, at: int) -> bool:
    """Does the frame's instruction at this offset stand for `raise`?"""
    return dis.opname[frame.f_code.co_code[at]] == "RAISE_VARARGS"  # Python 3.11 to 3.14


def is_augmented_assignment(frame: FrameType) -> bool:
    """Does the frame stand at `x += y` or its like?"""
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at] == _BINARY_OP and code[at + 1] in _AUGMENTED
