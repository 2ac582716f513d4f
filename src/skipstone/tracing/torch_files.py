"""Torch's own files, as frames of the stack name them; torch promises none. Versions as in `torch_internals`."""

import os

import torch
from torch.utils import checkpoint

FOLDER = os.path.dirname(torch.__file__) + os.sep

# From where operators are called that compiled code asks for. 1.13 to 2.14. Without it: an edit of such a call is said
# to be done, and is not.
DISPATCHER = FOLDER + "_ops.py"

# Files through which torch passes a call on: the call site is further out. 2.6 to 2.14. Without one: a call's site is
# told as a line of that file, and of two calls on one line of the user's both may be taken for the same.
RELAYS = tuple(
    FOLDER + name
    for name in (
        "overrides.py functional.py nn/functional.py nn/modules/module.py _tensor.py _jit_internal.py "
        "utils/_contextlib.py"
    ).split()
)

# Where torch's kernels without data check what they were given. 2.6 to 2.14; of an empty map `interpolate`'s hands over
# a size where a truth is due. Without it: that is told in the check's words, as the network's own mistake.
CHECKS = FOLDER + "__init__.py"

# Where torch makes tensors for its own bookkeeping, which are none of the network's: in 2.6, checkpointing saves its
# inputs with an empty one; no longer in 2.13. Without it, such tensors are nodes that lead nowhere.
BOOKKEEPING = FOLDER + "utils/checkpoint.py"
BOOKKEEPER = "torch.utils.checkpoint"
# 2.1 to 2.14. A checkpoint's generator around its call; from 2.14 on it calls another one, which takes the arguments as
# one tuple. Without it: a write over an argument is told by the run alone.
_AROUND = "_checkpoint_without_reentrant_generator"
AROUND_CHECKPOINT = f"{_AROUND}_impl" if hasattr(checkpoint, f"{_AROUND}_impl") else _AROUND
