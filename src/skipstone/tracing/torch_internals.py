"""The file that names what torch does not promise; `torch_files` and `startup` beside it have the rest.

Each entry tells in which versions it was seen, as a range of the torch versions looked at (2.6, 2.13 and 2.14), and
what happens without it. "Nothing can be recorded" means just that: importing this file then fails with a sentence,
since a record made without it would be wrong in silence. A test reads the source of every other file for such names.
"""

import copy
import copyreg
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import RLock, get_ident
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError

if TYPE_CHECKING:
    from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
    from torch.nn.modules.conv import _ConvNd

TESTED = ((2, 6), (2, 14))  # the oldest and the newest torch that the whole suite was run with: docs/versions.md

try:
    # 2.6 to 2.14. A tensor without data and the mode that computes shapes alone. Without them nothing can be recorded.
    # 2.6 to 2.14. Symbolic sizes reach the Python kernels, not those that refuse them. Without it nothing can be
    # recorded: a refusal by such a kernel would be told as an illegal size.
    from torch._dispatch.python import enable_python_dispatcher

    # 2.6 to 2.14. Modes and transforms under way where a record is asked for are set aside. Without it nothing can be
    # recorded: another record's mode, or a fake mode of the user's, would see this record's tensors.
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeCopyMode,
        FakeTensor,
        FakeTensorMode,
        UnsupportedFakeTensorException,
        UnsupportedOperatorException,
        unset_fake_temporarily,
    )

    # 2.6 to 2.14. What torch asks of a symbolic size; `sizes.vector` answers. Without it nothing can be recorded.
    from torch.fx.experimental.sym_node import SymNode
    from torch.overrides import _get_current_function_mode_stack, _pop_mode, _push_mode
    from torch.utils._device import DeviceContext

    # 2.6 to 2.14. Sees every operation below autograd. Without it nothing can be recorded.
    from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, _get_current_dispatch_mode

    # 2.6 to 2.14. Containers of tensors, a package's own among them. Without it nothing can be recorded.
    from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten
except ImportError as missing:
    raise SkipstoneError(
        f"torch {torch.__version__} lacks what skipstone records with ({missing}); use torch "
        f"{'.'.join(map(str, TESTED[0]))} to {'.'.join(map(str, TESTED[1]))}"
    ) from missing

__all__ = [
    "FakeTensor",
    "FakeTensorMode",
    "SymNode",
    "TorchDispatchMode",
    "enable_python_dispatcher",
    "tree_flatten",
    "tree_leaves",
    "tree_unflatten",
    "unset_fake_temporarily",
]

# ---- exceptions and log lines of fake tensors

# What an operation raises whose result depends on data that is not there.
DATA_DEPENDENT = (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException)

# 2.6 to 2.14. Torch has the operation and no tensor without data for it. Without it: told as a refusal by torch.
NOT_FAKED = (NotImplementedError, UnsupportedFakeTensorException)

# 2.6 to 2.14. Loggers that complain while a record is made. Without one: its complaints are seen, nothing else.
LOGGERS = ("torch._subclasses.fake_tensor", "torch.fx.experimental.symbolic_shapes", "torch.fx.experimental.recording")

# 2.6. Whose thread listens to its compilers' processes, to the end of the program. Without it: once something was
# compiled in a process, a record there is as one beside a thread that may draw random numbers.
COMPILERS = "torch._inductor"

# ---- fake tensors


class _Answering(FakeTensorMode):  # type: ignore[no-untyped-call]
    """A fake mode that asks `answer` first, which has torch's own way as its first argument."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.answer = answer

    # 2.6 to 2.14. What the cache does not know. Without it: torch answers, more slowly.
    def _dispatch_impl(self, *operation: Any) -> Any:
        return self.answer(super()._dispatch_impl, *operation)


def fake_mode(answer: Callable[..., Any] | None = None, *, cached: bool = True) -> FakeTensorMode:
    """A mode for one record. `answer`: what is asked before torch, see `known_forms`.

    The cache asks sizes for a hash, which would pin symbolic ones: off for those.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True) if answer is None else _Answering(answer)
    if not cached:
        mode.cache_enabled = False  # 2.6 to 2.14. Without it: each pass at many sizes covers fewer of them.
    return mode


def copied(value: object, fake: FakeTensorMode, memo: dict[int, object]) -> object:
    """A deep copy whose tensors are fake ones. May raise whatever the copied objects' own code raises.

    A random generator copies itself: the tensor that its state is handed over in would be a fake one, and restoring
    the state from that ends the interpreter (2.6, 2.8) or raises (2.13, 2.14).
    """
    with _copying:
        own = copyreg.dispatch_table.get(torch.Generator)
        copyreg.dispatch_table[torch.Generator] = _twin
        try:
            with FakeCopyMode(fake):
                return copy.deepcopy(value, memo)
        finally:
            if own is None:
                del copyreg.dispatch_table[torch.Generator]
            else:
                copyreg.dispatch_table[torch.Generator] = own


_copying = RLock()  # the table is the process's


def _twin(generator: torch.Generator) -> tuple[Callable[[], torch.Generator], tuple[()]]:
    return generator.clone_state, ()


def mark_parameter(tensor: torch.Tensor) -> None:
    """Make `isinstance(tensor, nn.Parameter)` true of a fake tensor."""
    tensor._is_param = True  # 2.6 to 2.14. Without it: parameters are told as buffers.


def viewed(tensor: torch.Tensor) -> torch.Tensor | None:
    """The tensor that a view looks at, None where it is no view."""
    return tensor._base if tensor._is_view() else None  # 1.x to 2.14


def version(tensor: torch.Tensor) -> int:
    """How often the tensor's memory was written to; -1 where torch keeps no count."""
    return -1 if tensor.is_inference() else tensor._version  # 1.x to 2.14


def storage_key(tensor: torch.Tensor) -> int:
    """A number of the tensor's storage, as long as the storage lives. Memory without data has no address to go by."""
    return int(tensor.untyped_storage()._cdata)  # 2.0 to 2.14


# ---- modes and transforms of functions

# 2.6 to 2.14. Off with the modes too; the public `DisableTorchFunctionSubclass` leaves them on. Without it nothing can
# be recorded: what the recorder does for itself would be in the record.
no_torch_function = torch._C.DisableTorchFunction


def unwrapped(tensor: torch.Tensor) -> torch.Tensor | None:
    """The tensor that vmap or another transform of functions wrapped, one layer down; None where it is bare."""
    if _is_wrapped is None or _get_unwrapped is None or not _is_wrapped(tensor):
        return None
    return _get_unwrapped(tensor)  # type: ignore[no-any-return]


# 2.0 to 2.14. Without it: what vmap hands out is of unknown origin, and the record says that it lost track.
_functorch = getattr(torch._C, "_functorch", None)
_is_wrapped = getattr(_functorch, "is_functorch_wrapped_tensor", None)
_get_unwrapped = getattr(_functorch, "get_unwrapped", None)


@contextmanager
def bare_surroundings() -> Iterator[None]:
    """Within, no mode and no transform of functions is active but a default device on which a network can run."""
    with ExitStack() as stack:
        if _interpreters() is not None:
            stack.enter_context(temporarily_clear_interpreter_stack())
        if _get_current_dispatch_mode() is not None:
            stack.enter_context(_disable_current_modes())
        if modes := _get_current_function_mode_stack():  # type: ignore[no-untyped-call]
            stack.enter_context(_aside(modes))
        yield


_interpreters = getattr(_functorch, "peek_interpreter_stack", lambda: None)  # 2.0 to 2.14


@contextmanager
def _aside(modes: Sequence[object]) -> Iterator[None]:
    """Take function modes off their stack; a default device other than "meta", where nothing can run, stays."""
    kept = [mode for mode in modes if isinstance(mode, DeviceContext) and mode.device.type != "meta"]
    _exchange(modes, kept)
    try:
        yield
    finally:
        _exchange(kept, modes)


def _exchange(old: Sequence[object], new: Sequence[object]) -> None:
    for _ in old:
        _pop_mode()  # type: ignore[no-untyped-call]
    for mode in new:
        _push_mode(mode)  # type: ignore[no-untyped-call]


@contextmanager
def flex_attention_spelled_out() -> Iterator[None]:
    """Within, this thread's flexible attention is made of the operations it stands for, with gradients on CPUs too.

    2.13 and 2.14. Without it: it stops a record, and a network that runs on a GPU alone is told so.
    """
    flex, dense = (sys.modules.get(f"torch.{name}.flex_attention") for name in ("nn.attention", "_higher_order_ops"))
    here, eager = get_ident(), "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"
    ours = {"flex_attention_hop": getattr(dense, "sdpa_dense", None), "_validate_device": lambda *_: None}
    kept = {name: getattr(flex, name, None) for name in (eager, *ours)}
    if None not in (*ours.values(), *kept.values()):
        vars(flex)[eager] = True
        for name, own in ours.items():
            vars(flex)[name] = lambda *args, own=own, old=kept[name]: (own if get_ident() == here else old)(*args)
    try:
        yield
    finally:
        if flex is not None:
            vars(flex).update({name: old for name, old in kept.items() if old is not None})


# ---- autograd

SAVED = "_saved_"  # 1.9 to 2.14. What an autograd node's saved tensors are named. Without it: no refused backward seen.


def sequence_number(function: Any) -> int:
    """Autograd's functions numbered in the order made; 0 where they are not."""
    return int(function._sequence_nr()) if hasattr(function, "_sequence_nr") else 0  # 2.1 to 2.14


def gradient_shape(function: Any, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the gradient that an autograd function takes."""
    taken = getattr(function, "_input_metadata", None)  # 2.1 to 2.14. Without it: that of what was written.
    return tuple(taken[0].shape) if taken else otherwise


def saving_hooks() -> object:
    """What stands for the hooks that saved tensors pass through now, equal for equal hooks; None where none do."""
    if _top_hooks is not None:
        return _top_hooks(True)
    # Refused while there are hooks. Says whether, not which: nested checkpointing cannot be told from the outer one.
    try:
        with torch.autograd.graph.disable_saved_tensors_hooks(""):
            return None
    except RuntimeError:
        return True


_top_hooks = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)  # 2.7 to 2.14


def in_backward() -> bool:
    """Does the backward pass run this code?"""
    # 1.13 to 2.14. Without it: a skip out of a reentrant checkpoint loses its gradient unsaid.
    return _graph_task is not None and _graph_task() != -1


_graph_task = getattr(torch._C, "_current_graph_task_id", None)


# ---- what shapes alone do not show


class KernelError(RuntimeError):
    """Raised in the kernels' place."""


KernelError.__name__ = KernelError.__qualname__ = "RuntimeError"  # what the user would see of the kernels


def refuse_as_kernels(name: str, result: object) -> None:
    """Raise where a convolution's window is larger than its padded input.

    In 2.6 such a convolution of tensors without data gives an empty map; from 2.13 on torch raises by itself.
    """
    if name not in ("conv1d", "conv2d", "conv3d") or not isinstance(result, torch.Tensor):
        return
    if any(size < 1 for size in result.shape[-int(name[-2]) :]):
        raise KernelError("Kernel size can't be greater than actual input size")


# ---- many tensors at once


def norms(tensors: Sequence[torch.Tensor], dtype: torch.dtype = torch.float64) -> Sequence[torch.Tensor]:
    """The 2-norm of each tensor, () in `dtype`."""
    if _foreach_norm is None:
        return [torch.linalg.vector_norm(tensor, 2, dtype=dtype) for tensor in tensors]
    return _foreach_norm(tensors, 2, dtype=dtype)  # type: ignore[no-any-return]


_foreach_norm = getattr(torch, "_foreach_norm", None)  # 2.1 to 2.14: one pass. Without it: one call a tensor, slower.

# ---- modules

# 1.x to 2.14, the classes that torch's own share. Without them: torch's own by name; another's own kind is not met.
NORMS: "tuple[type[_NormBase], ...]"
BATCH_NORMS: "tuple[type[_BatchNorm], ...]"
CONVS: "tuple[type[_ConvNd], ...]"


def _shared(module: str, name: str, *public: Any) -> tuple[Any, ...]:
    shared = getattr(getattr(nn.modules, module, None), name, None)
    return public if shared is None else (shared,)


_BATCH = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_INSTANCE = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = _shared("batchnorm", "_NormBase", *_BATCH, *_INSTANCE)
BATCH_NORMS = _shared("batchnorm", "_BatchNorm", *_BATCH)
CONVS = _shared("conv", "_ConvNd", *_PLAIN)

Table = dict[str, Any]


def parameters_of(module: nn.Module) -> Table:
    """The module's own table of parameters, to read or to write; None for one that is registered as absent."""
    return module._parameters  # 1.x to 2.14; what `register_parameter` writes to


def buffers_of(module: nn.Module) -> Table:
    return module._buffers  # 1.x to 2.14


def children_of(module: nn.Module) -> Table:
    return module._modules  # 1.x to 2.14


def hooks_of(module: nn.Module) -> tuple[dict[int, Any], dict[int, Any]]:
    """The module's own forward hooks and forward pre-hooks."""
    return module._forward_hooks, module._forward_pre_hooks  # 1.x to 2.14


# Given a size, raises as `batch_norm` does for a batch with one value a channel. 1.x to 2.14. None without it: torch is
# then asked by the call itself.
verify_batch_size: Callable[[Any], object] | None = getattr(nn.functional, "_verify_batch_size", None)

# ---- frames of the stack


def running_module(frame: FrameType) -> nn.Module | None:
    """The module whose call this frame is, None for any other frame."""
    if frame.f_code is not _call_code:
        return None
    module = frame.f_locals.get("self")
    return module if isinstance(module, nn.Module) else None


# 2.0 to 2.14. Without it: a compiled network is recorded as its wrapper, which the compiler then runs.
def compiled_from(module: nn.Module) -> nn.Module | None:
    """The network that `torch.compile` wrapped in this module, None for any other module."""
    inner = getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else None


# 1.9 to 2.14. Without it: a stop is told at the last operation's module; an edit without source may act a level off.
_call_code = getattr(getattr(nn.Module, "_call_impl", None), "__code__", None)

# Functions that ask a symbolic size for "true unless known to be false" or the contrary, and what they take for
# granted. 2.8 to 2.14 (2.6 asks `guard_size_oblivious`, which answers as at the focus). Without them: each pass at many
# sizes covers fewer of them.
GENERAL_ANSWERS: Mapping[str, bool] = {"guard_or_false": False, "guard_or_true": True}

# Functions that decide on broadcasting or memory layout; each checks equality where it took it for granted.
# 2.8 to 2.14. Without one: the same.
SIZE_INDEPENDENT = frozenset(
    ("infer_size", "_broadcast_shapes", "should_expand", "check_contiguous_sizes_strides", "is_contiguous",
     "is_channels_last_contiguous_2d", "is_channels_last_contiguous_3d", "_is_non_overlapping_and_dense_or_false")
)  # fmt: skip

# ---- the compiler


def unfollowed(function: Any) -> Any:
    """A property's function, kept out of compiled graphs where the compiler would run in a circle over it.

    Seen with 2.6, where it takes the reading of `self.__dict__` for the property itself; 2.13 and 2.14 follow it.
    """
    if torch.torch_version.TorchVersion(torch.__version__) >= "2.13":
        return function
    return torch.compiler.disable(function)  # type: ignore[no-untyped-call]


def is_compiled(module: nn.Module) -> bool:
    """Does calling the module run what the compiler made of it (`module.compile()`)?"""
    return getattr(module, "_compiled_call_impl", None) is not None  # 2.2 to 2.14


# ---- sharded parameters


def is_sharded(parameter: torch.Tensor) -> bool:
    """Is it a part of a parameter that other processes hold the rest of (FSDP1's flat one, a DTensor)?"""
    kinds = {base.__name__ for base in type(parameter).__mro__}
    return bool(kinds & {"DTensor", "FlatParameter"}) or hasattr(parameter, "_is_flat_param")  # 2.0 to 2.14
