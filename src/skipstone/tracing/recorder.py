"""The recorder: runs a forward pass on fake tensors and writes down every operation, past failures too.

Three hooks see everything: a `TorchFunctionMode` sees each call of torch by the user's code; a thin `TorchDispatchMode`
below it sees what goes round that (script functions, custom autograd functions, vmap), so that the thread is not lost;
forward hooks on the cloned modules say which module is running.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    UnsupportedOperatorException,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from skipstone.core.graph import Assumption, Failure, ModuleCall, Node, NodeKind, NodeRef, Place, TensorSpec
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.operations import canonical, named_arguments
from skipstone.tracing.position import places
from skipstone.tracing.recovery import Refused, candidates, operands

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError)
_DATA_DEPENDENT = (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException)


def tensors_in(value: object, found: list[torch.Tensor] | None = None, depth: int = 0) -> list[torch.Tensor]:
    """Every tensor in a nest of tuples, lists, dicts and dataclasses, in order."""
    found = [] if found is None else found
    if isinstance(value, torch.Tensor):
        found.append(value)
    elif isinstance(value, tuple | list):
        for item in value:
            tensors_in(item, found, depth + 1)
    elif isinstance(value, Mapping):
        for item in value.values():
            tensors_in(item, found, depth + 1)
    elif depth < 4 and hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            tensors_in(getattr(value, name, None), found, depth + 1)
    return found


class _Assumed(torch.autograd.Function):
    """A tensor of an assumed shape that autograd still sees as made from the operands."""

    @staticmethod
    def forward(ctx, like, shape, *operands):  # type: ignore[no-untyped-def]
        return like.new_empty(shape)

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        raise AssertionError("a recorded pass has no backward")


class Link(TorchDispatchMode):
    """Remembers which tensors came of which, for operations that torch functions do not show."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: dict[int, list[int]] = {}
        self.watching = True
        self._keep: list[object] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if self.watching:
            sources = tensors_in((args, kwargs))
            for tensor in tensors_in(result):
                known = self.parents.setdefault(id(tensor), [])
                known.extend(id(source) for source in sources if source is not tensor)
                self._keep.append((tensor, sources))
        return result


@dataclass
class _Call:
    """A module call under way."""

    index: int
    path: str
    occurrence: int
    parent: int
    first: int
    inputs: tuple[int, ...]


class Recorder(TorchFunctionMode):
    """Writes nodes while a cloned model runs. `choices[n]` picks the n-th failure's assumed shape (default: the first).

    With `out_of_place`, operations asked to work in place through a flag or an augmented assignment leave their input
    alone: what then differs in the record depended on the memory being shared.
    """

    def __init__(self, clone: FakeClone, choices: Sequence[int] = (), *, out_of_place: bool = False) -> None:
        super().__init__()
        self.clone, self.choices, self.out_of_place = clone, choices, out_of_place
        self.nodes: list[Node] = []
        self.calls: list[ModuleCall] = []
        self.assumptions: list[Assumption] = []
        self.options: list[int] = []  # for each failure, how many shapes could have been assumed
        self.link = Link()
        self.grad_fns: dict[object, int] = {}
        self.hooked: set[int] = set()  # nodes whose saved tensors pass through hooks (checkpointing)
        self.used: set[str] = set()
        self._index: dict[int, int] = {}
        self._storages: dict[int, int] = {}
        self._keep: list[object] = []
        self._stack: list[_Call] = []
        self._occurrences: dict[str, int] = {}
        self._reserved = 0
        self._last_path = ""
        self._last_place: Place | None = None

    # ---- modules

    def watch(self, modules: Iterable[nn.Module]) -> None:
        """Follow the calls of the cloned modules."""
        for module in modules:
            module.register_forward_pre_hook(self._enter, with_kwargs=True, prepend=True)
            module.register_forward_hook(self._leave, always_call=True)

    def _enter(self, module: nn.Module, args: object, kwargs: object) -> None:
        path = self.clone.paths.get(id(module), "")
        occurrence = self._occurrences.get(path, 0)
        self._occurrences[path] = occurrence + 1
        inputs = tuple(self._index[id(t)] for t in tensors_in((args, kwargs)) if id(t) in self._index)
        parent = self._stack[-1].index if self._stack else -1
        call = _Call(self._reserved, path, occurrence, parent, len(self.nodes), inputs)
        self._reserved += 1
        self._stack.append(call)

    def _leave(self, module: nn.Module, args: object, output: object) -> None:
        path = self.clone.paths.get(id(module), "")
        while self._stack:
            call = self._stack.pop()
            outputs = tuple(self.look_up(t) for t in tensors_in(output)) if call.path == path else ()
            completed = call.path == path and output is not None
            self._finish(call, outputs, completed)
            if call.path == path:
                return

    def _finish(self, call: _Call, outputs: tuple[int, ...], completed: bool) -> None:
        self.calls.append(
            ModuleCall(
                call.index, call.path, call.occurrence, call.parent, call.first, len(self.nodes), call.inputs,
                outputs, completed,
            )
        )  # fmt: skip

    def finish(self) -> tuple[ModuleCall, ...]:
        """Close what an error left open; the calls in the order they began."""
        while self._stack:
            self._finish(self._stack.pop(), (), False)
        return tuple(sorted(self.calls, key=lambda call: call.index))

    @property
    def path(self) -> str:
        return self._stack[-1].path if self._stack else ""

    # ---- nodes

    def add(self, op: str, kind: NodeKind, inputs: tuple[int, ...], tensor: torch.Tensor, **rest: object) -> int:
        """Write one node and let `tensor` stand for it from now on."""
        node = Node(
            index=len(self.nodes),
            op=op,
            kind=kind,
            inputs=inputs,
            spec=TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")),
            module=self.path,
            call=self._stack[-1].index if self._stack else -1,
            storage=self._storage(tensor),
            requires_grad=tensor.requires_grad,
            **rest,  # type: ignore[arg-type]
        )
        self.nodes.append(node)
        self._index[id(tensor)] = node.index
        self._keep.append(tensor)
        if tensor.grad_fn is not None:
            self.grad_fns[tensor.grad_fn] = node.index
            if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
                self.hooked.add(node.index)
        return node.index

    def _storage(self, tensor: torch.Tensor) -> int:
        if tensor.layout != torch.strided or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            return -1
        storage = tensor.untyped_storage()
        self._keep.append(storage)
        return self._storages.setdefault(storage._cdata, len(self._storages))

    def known(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._index

    def look_up(self, tensor: torch.Tensor) -> int:
        """The node a tensor stands for; a parameter, a constant or a stray one gets its node now."""
        index = self._index.get(id(tensor))
        if index is not None:
            return index
        name = self.clone.names.get(id(tensor))
        if name is not None:
            kind: NodeKind = "parameter" if isinstance(tensor, nn.Parameter) else "buffer"
            self.used.add(name)
            return self.add(kind, kind, (), tensor, name=name)
        ancestors = self._ancestors(tensor)
        if ancestors:
            place, site = places()
            tainted = any(self.nodes[i].tainted for i in ancestors)
            return self.add("opaque", "op", ancestors, tensor, place=place, site=site, tainted=tainted)
        if isinstance(tensor, FakeTensor) and tensor.grad_fn is not None:
            self.assume("lost track of where a tensor came from")
        return self.add("constant", "constant", (), tensor)

    def _ancestors(self, tensor: torch.Tensor) -> tuple[int, ...]:
        """Known nodes behind a tensor that no torch function showed: its base if it is a view, else its parents."""
        base = tensor._base if tensor._is_view() else None
        if base is not None and id(base) in self._index:
            return (self._index[id(base)],)
        seen: set[int] = set()
        found: set[int] = set()
        pending = list(self.link.parents.get(id(tensor), ()))
        while pending:
            key = pending.pop()
            if key in seen:
                continue
            seen.add(key)
            if key in self._index:
                found.add(self._index[key])
            else:
                pending.extend(self.link.parents.get(key, ()))
        return tuple(sorted(found))

    def assume(self, what: str) -> None:
        place, _ = places()
        self.assumptions.append(Assumption(what, self.path, place))

    # ---- operations

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name in ("__get__", "__set__", "__delete__"):
            return self._attribute(func, name, args, kwargs)
        operands = tensors_in((args, kwargs))
        versions = [_version(t) for t in operands]
        place, site = places()
        self._last_path, self._last_place = self.path, place
        args, kwargs, copied = self._without_inplace(name, func, args, kwargs)
        failure: Failure | None = None
        self.link.watching = False
        try:
            result = func(*args, **kwargs)
        except _DATA_DEPENDENT as error:
            result = self._make_up(name, operands, error)
        except REFUSALS as error:
            result, failure = self._recover(canonical(name), func, args, kwargs, operands, error)
        finally:
            self.link.watching = True
        changed = [t for t, v in zip(operands, versions, strict=True) if _version(t) != v and not copied]
        self._write(canonical(name), func, args, kwargs, result, operands, changed, failure, (place, site))
        return result

    def _attribute(self, func, name, args, kwargs):  # type: ignore[no-untyped-def]
        result = func(*args, **kwargs)
        if name == "__get__" and isinstance(result, torch.Tensor) and not self.known(result) and self.known(args[0]):
            source = self._index[id(args[0])]
            op = canonical(getattr(getattr(func, "__self__", None), "__name__", "get"))
            place, site = places()
            tainted = self.nodes[source].tainted
            self.add(op, "op", (source,), result, place=place, site=site, tainted=tainted, arguments={"input": NodeRef(source)})
        return result

    def _without_inplace(self, name, func, args, kwargs):  # type: ignore[no-untyped-def]
        """In an out-of-place pass, give a flagged in-place operation a copy of its input to work on."""
        if not self.out_of_place or not args or not isinstance(args[0], torch.Tensor):
            return args, kwargs, False
        flagged = kwargs.get("inplace") is True or (name in _FLAGGED and any(a is True for a in args[1:]))
        augmented = name.startswith("__i") and name != "__index__"
        if not (flagged or augmented or name in _INPLACE_ACTIVATIONS) or not self.known(args[0]):
            return args, kwargs, False
        self.link.watching = False
        with torch._C.DisableTorchFunction():
            twin = args[0].clone()
        self.link.watching = True
        self._index[id(twin)] = self._index[id(args[0])]
        self._keep.append(twin)
        return (twin, *args[1:]), kwargs, True

    def _write(self, op, func, args, kwargs, result, operands, changed, failure, where):  # type: ignore[no-untyped-def]
        results = tensors_in(result)
        fresh = [t for t in results if not self.known(t) or any(t is c for c in changed)]
        if self.out_of_place:
            fresh = [t for t in results if not any(t is o for o in operands) or any(t is c for c in changed)]
        if failure is not None and not fresh:
            fresh = results
        written = fresh + [t for t in changed if not any(t is f for f in fresh)]
        written = [t for t in written if id(t) not in self.clone.names]
        if not written:
            return
        inputs = tuple(self.look_up(t) for t in operands)
        tainted = any(self.nodes[i].tainted or self.nodes[i].failure for i in inputs)
        arguments = self._refer(named_arguments(op, func, args, kwargs))
        for output, tensor in enumerate(written):
            overwrites = self._index.get(id(tensor)) if any(tensor is c for c in changed) else None
            index = self.add(
                op, "op", inputs, tensor, place=where[0], site=where[1], arguments=arguments, overwrites=overwrites,
                output=output, failure=failure, tainted=tainted,
            )  # fmt: skip
            base = tensor._base if overwrites is not None and tensor._is_view() else None
            if base is not None and id(base) in self._index:
                self._index[id(base)] = index

    def _refer(self, value):  # type: ignore[no-untyped-def]
        if isinstance(value, torch.Tensor):
            return NodeRef(self.look_up(value))
        if isinstance(value, torch.Size):
            return tuple(value)
        if type(value) is dict:
            return {key: self._refer(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return tuple(map(self._refer, value))
        return value

    # ---- going on

    def _make_up(self, name: str, operands: Sequence[torch.Tensor], error: Exception) -> object:
        """A value for what would need data: true, one, everything selected."""
        source = operands[0] if operands else None
        if name == "__bool__":
            self.assume("took a data-dependent condition as true")
            return True
        if name in ("item", "__int__", "__index__", "__float__") and source is not None:
            self.assume("took a data-dependent number as 1")
            return 1.0 if source.dtype.is_floating_point and name in ("item", "__float__") else 1
        if name == "tolist" and source is not None:
            self.assume("took data-dependent numbers as 1")
            return torch.ones(tuple(source.shape), device="meta").numel() * [1]
        if name in ("nonzero", "argwhere") and source is not None:
            self.assume("took a data-dependent mask as all true")
            return source.new_empty((source.numel(), source.dim()), dtype=torch.int64)
        if name in ("__getitem__", "masked_select") and len(operands) > 1 and source is not None:
            self.assume("took a data-dependent mask as all true")
            mask = operands[1]
            kept = source.shape[mask.dim() :] if mask.dtype == torch.bool else source.shape[1:]
            return source.new_empty((mask.numel(), *kept))
        raise error

    def _recover(self, op, func, args, kwargs, operands_, error):  # type: ignore[no-untyped-def]
        if op == "numpy" and operands_:
            import numpy

            self.assume("took a tensor's data as ones")
            return numpy.ones(tuple(operands_[0].shape)), None
        ages = [self.look_up(t) for t in operands_]
        call = Refused(op, func, named_arguments(op, func, args, kwargs), operands_, ages)
        shapes = candidates(call) if operands_ else []
        if not shapes:
            raise error
        number = len(self.options)
        self.options.append(len(shapes))
        choice = self.choices[number] if number < len(self.choices) else 0
        like = operands_[0] if operands_[0].dtype.is_floating_point else operands_[-1]
        with torch._C.DisableTorchFunction():
            result = _Assumed.apply(like, shapes[choice], *operands_)
        text = str(error).strip().split("\n")[0]
        return result, Failure(type(error).__name__, text, operands(call))



_INPLACE_ACTIVATIONS = {"relu_", "celu_", "elu_", "leaky_relu_", "hardtanh_", "rrelu_", "selu_", "threshold_", "sigmoid_",
                        "tanh_", "dropout_", "hardsigmoid_", "hardswish_", "silu_", "mish_"}  # fmt: skip
_FLAGGED = {"relu", "relu6", "celu", "elu", "leaky_relu", "hardtanh", "rrelu", "selu", "threshold", "silu", "mish",
            "hardswish", "hardsigmoid", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
            "feature_alpha_dropout"}  # fmt: skip


def _version(tensor: torch.Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


