"""The recorder: runs a forward pass on fake tensors and writes down every operation, past failures too.

A `TorchFunctionMode` sees each call of torch by the user's code; forward hooks on the cloned modules (`calls.Calls`)
say which module is running. Where a tensor comes up that neither saw made (a script function's), the pass is made again
with a thin dispatch mode below (`unseen.Link`), which sees what goes round them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from skipstone.core.graph import Assumption, Failure, ModuleCall, Node, NodeKind, NodeRef, Place, TensorSpec
from skipstone.graphs.operations import canonical, is_augmented, is_inplace, may_flag_inplace, named_arguments
from skipstone.tracing import keras
from skipstone.tracing.assumed import assumed
from skipstone.tracing.blame import pass_on, raise_if_ours
from skipstone.tracing.calls import Calls
from skipstone.tracing.checkpoints import Checkpoints
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.data import Dataless, overwrite
from skipstone.tracing.deadline import demand_time
from skipstone.tracing.devices import at_home
from skipstone.tracing.gradients import grad_fn_of
from skipstone.tracing.guards import REFUSALS, Shapes, guard
from skipstone.tracing.lists import is_over_lists, one_by_one
from skipstone.tracing.memory import Memory
from skipstone.tracing.moves import let_move
from skipstone.tracing.nests import map_tensors, tensors_in
from skipstone.tracing.position import is_augmented_assignment, places
from skipstone.tracing.recovery import Refused, candidates, first_line, gets_several, operands
from skipstone.tracing.refusals import GO_ON, Function, Refusals
from skipstone.tracing.torch_files import BOOKKEEPING
from skipstone.tracing.torch_internals import (
    DATA_DEPENDENT,
    FakeTensor,
    no_torch_function,
    refuse_as_kernels,
    saving_hooks,
    version,
)
from skipstone.tracing.unseen import Link, wrapped
from skipstone.tracing.values import SCALARS, Values, is_count

Args = tuple[Any, ...]
Keywords = Mapping[str, Any]


class Recorder(TorchFunctionMode):
    """Writes nodes while a cloned model runs; `refusals` says what happens where torch refuses an operation.

    With `out_of_place`, a flag or an augmented assignment works on a copy: what then differs depended on the memory.
    Where `lost_thread` is set in the end, another pass with its `link` entered around it tells more.
    """

    def __init__(self, clone: FakeClone, refusals: Refusals = GO_ON, *, out_of_place: bool = False) -> None:
        super().__init__()
        self.clone, self.refusals, self.out_of_place = clone, refusals, out_of_place
        self.lost_thread = False  # did a tensor come up that no operation seen made?
        self.nodes: list[Node] = []
        self.assumptions: list[Assumption] = []
        self.options: list[tuple[int, Place | None]] = []  # for each failure: how many shapes could be meant; its line
        self.link = Link()
        self.grad_fns: dict[object, int] = {}
        self.spans: dict[object, range] = {}  # for a custom autograd function's node, the nodes recorded inside it
        self.hooked: set[int] = set()  # nodes whose saved tensors pass through hooks (checkpointing)
        self.used: set[str] = set()
        self.refusing: Exception | None = None  # torch's error for which no result could be assumed
        self._index: dict[int, int] = {}
        # Installed packages that hold the network's own code.
        self.packages = frozenset(type(module).__module__.partition(".")[0] for module in clone.model.modules())
        self._wrappers: dict[int, int] = {}
        self._memory = Memory()
        self.checkpoints = Checkpoints(self._memory.number, lambda: len(self.nodes))
        self.values = Values(clone.original)
        self._dataless = Dataless(self.values, clone.fake, self.assume, assumed, self._asked)
        self._keep: list[object] = []
        self._calls = Calls(clone.paths, lambda t: self._index.get(id(t)), self.look_up, lambda: len(self.nodes))
        self.last: tuple[str, Place | None] = ("", None)  # the module and the line of the operation at work
        self._questions: Counter[tuple[int, Place | None]] = Counter()

    def watch(self, modules: Iterable[nn.Module]) -> None:
        """Follow the calls of the cloned modules, past the refusals of torch's own among them."""
        modules = list(modules)
        self._calls.watch(modules)
        for module in modules:
            guard(module, self._assume_result)
            let_move(module, self.clone)
            if keras.is_layer(module):
                keras.build_unrecorded(module, partial(self.clone.adopt, module))

    def finish(self) -> tuple[ModuleCall, ...]:
        """Close what an error left open; the calls in the order they began."""
        return self._calls.finish()

    @property
    def path(self) -> str:
        return self._calls.path

    def add(self, op: str, kind: NodeKind, inputs: tuple[int, ...], tensor: torch.Tensor, **rest: object) -> int:
        """Write one node and let `tensor` stand for it from now on."""
        inner = wrapped(tensor)
        node = Node(
            index=len(self.nodes),
            op=op,
            kind=kind,
            inputs=inputs,
            spec=TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")),
            module=self.path,
            call=self._calls.current,
            storage=self._memory.number(tensor),
            requires_grad=tensor.requires_grad or (inner is not None and inner.requires_grad),
            **rest,  # type: ignore[arg-type]
        )
        self.nodes.append(node)
        self._stand(tensor, node.index)
        if inner is not None and id(inner) not in self._index:
            self._wrappers[id(inner)] = node.index  # what vmap hands out in the end
            self._keep.append(inner)
        if (made := grad_fn_of(tensor)) is not None:
            # Without gradients a write leaves the function of what it wrote over.
            self.grad_fns.setdefault(made, node.index)
            if saving_hooks() is not None:
                self.hooked.add(node.index)
        return node.index

    def _stand(self, tensor: torch.Tensor, index: int) -> None:
        self._index[id(tensor)] = index
        self._keep.append(tensor)

    def known(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._index

    def look_up(self, tensor: torch.Tensor) -> int:
        """The node a tensor stands for; a parameter, a constant or a stray one gets its node now."""
        index = self._index.get(id(tensor))
        if index is not None:
            written = self._memory.overwritten(self.nodes[index].storage, index, tensor)
            return index if written is None else self._seen_anew(tensor, index, *written)
        name = self.clone.names.get(id(tensor))
        if name is not None:
            kind: NodeKind = "parameter" if isinstance(tensor, nn.Parameter) else "buffer"
            self.used.add(name)
            return self.add(kind, kind, (), tensor, name=name)
        inner = wrapped(tensor)
        same = self._wrappers.get(id(tensor)) if inner is None else self._index.get(id(inner))
        if same is not None:
            return self._add_derived("alias", (same,), tensor)
        self.lost_thread |= isinstance(tensor, FakeTensor) and self.clone.original(tensor) is None
        ancestors = self.link.ancestors(tensor, lambda key: self._index.get(key, self._wrappers.get(key)))
        if ancestors:
            return self._add_derived("opaque", ancestors, tensor)
        if isinstance(tensor, FakeTensor) and grad_fn_of(tensor) is not None:
            self.assume("lost track of where a tensor came from")
        return self.add("constant", "constant", (), tensor)

    def _seen_anew(self, tensor: torch.Tensor, index: int, writer: int, whole: bool) -> int:
        """A tensor whose memory was written through another one: a view of the writer's result, wholly or in part."""
        if whole and self.nodes[writer].shape == tuple(tensor.shape):
            self._index[id(tensor)] = writer
            return writer
        if whole:
            return self._add_derived("alias", (writer,), tensor)
        return self._add_derived("setitem", (index, writer), tensor, overwrites=index)

    def _add_derived(self, op: str, inputs: tuple[int, ...], tensor: torch.Tensor, **rest: object) -> int:
        place, site = places()
        tainted = any(self.nodes[i].tainted or self.nodes[i].failure for i in inputs)
        return self.add(op, "op", inputs, tensor, place=place, site=site, tainted=tainted, **rest)

    def assume(self, what: str) -> None:
        place, _ = places()
        self.assumptions.append(Assumption(what, self.path, place))

    def _asked(self) -> int:
        """How often the line at work has asked for data in this call of its module, with this time."""
        key = self._calls.current, self.last[1]
        self._questions[key] += 1
        return self._questions[key]

    def __torch_function__(self, func: Function, types: Any, args: Args = (), kwargs: Keywords | None = None) -> Any:
        kwargs = kwargs or {}
        demand_time()
        func = self.refusals.judge(func)
        name = getattr(func, "__name__", str(func))
        if is_over_lists(name, args, kwargs):
            with self:
                return pass_on(one_by_one, (name, args, kwargs))
        if name in ("__get__", "__set__", "__delete__"):
            return self._attribute(func, name, args, kwargs)
        if is_count(name, args) and id(args[0]) in self.clone.names:
            self._follow(func, args, kwargs, args[:1], args[:1], args[:1])
            return args[0]
        staying = at_home(name, func, args, kwargs)
        if staying is not None:
            self.assume("left on its device what was moved to one this machine lacks")
            func, args, kwargs = staying
            name = func.__name__
        if is_inplace(name) or is_augmented(name) or "out" in kwargs:
            args, kwargs = self._without_real(args, kwargs)
        operands = tensors_in((args, kwargs))
        versions = [version(t) for t in operands]
        where = places(packages=self.packages)
        if not operands and where[1] is not None and where[1].file == BOOKKEEPING:
            return pass_on(func, args, kwargs)
        self.last = self.path, where[0]
        args, copied = self._without_inplace(name, args, kwargs)
        failure: Failure | None = None
        self.link.watching = False
        try:
            if name in SCALARS and self.values.can_compute(func, args, kwargs):
                return self.values.compute(func, args, kwargs)
            self.refusals.look_at(name, args, kwargs, self.values.of)
            result = pass_on(func, args, kwargs)
            refuse_as_kernels(name, result)
        except DATA_DEPENDENT as error:
            result = self._dataless.result(func, args, kwargs, error)
        except REFUSALS as error:
            raise_if_ours(error)
            result, failure = self._recover(canonical(name), func, args, kwargs, operands, error)
        finally:
            self.link.watching = True
        changed = [t for t, v in zip(operands, versions, strict=True) if version(t) != v and not copied]
        results = tensors_in(result)
        self._follow(func, args, kwargs, results, changed, operands)
        self._write(name, (func, args, kwargs), results, operands, changed, failure, where)
        return result

    def _without_real(self, args: Args, kwargs: Keywords) -> tuple[Args, Keywords]:
        """A write goes to the twin of a tensor with data: that one is the user's (a global, say)."""

        def twin(tensor: torch.Tensor) -> torch.Tensor:
            real = not isinstance(tensor, FakeTensor) and wrapped(tensor) is None
            return self.clone.tensor(tensor) if real else tensor

        changed: Any = map_tensors((args, dict(kwargs)), twin)
        return changed[0], changed[1]

    def _attribute(self, func: Function, name: str, args: Args, kwargs: Keywords) -> Any:
        if name == "__set__":
            args, kwargs = self._without_real(args, kwargs)
        result = pass_on(func, args, kwargs)
        attribute = getattr(getattr(func, "__self__", None), "__name__", "get")
        if name == "__set__" and attribute == "data" and isinstance(args[1], torch.Tensor):
            self._stand(args[0], self.look_up(args[1]))
        stands = self.known(args[0]) or id(args[0]) in self.clone.names  # a weight has no node before its first use
        if name == "__get__" and isinstance(result, torch.Tensor) and not self.known(result) and stands:
            source = self.look_up(args[0])
            self._add_derived(canonical(attribute), (source,), result, arguments={"input": NodeRef(source)})
            self._follow(func, args, kwargs, [result], [], [])
        return result

    def _without_inplace(self, name: str, args: Args, kwargs: Keywords) -> tuple[Args, bool]:
        """In an out-of-place pass, give a flagged in-place operation a copy of its input to work on."""
        if not self.out_of_place or not args or not isinstance(args[0], torch.Tensor) or not self.known(args[0]):
            return args, False
        augmented = is_augmented(name) or (is_inplace(name) and is_augmented_assignment())
        if not (augmented or may_flag_inplace(name, args, kwargs)):
            return args, False
        index = self.look_up(args[0])
        self.link.watching = False
        with no_torch_function():
            twin = args[0].clone()
        self.values.copy(args[0], twin)
        self.link.watching = True
        self._stand(twin, index)
        return (twin, *args[1:]), True

    def _write(
        self,
        name: str,
        call: tuple[Function, Args, Keywords],
        results: Sequence[torch.Tensor],
        operands: Sequence[torch.Tensor],
        changed: Sequence[torch.Tensor],
        failure: Failure | None,
        where: tuple[Place | None, Place | None],
    ) -> None:
        written = self._written(name, results, operands, changed, failure)
        if not written:
            return
        op = canonical(name)
        inputs = tuple(self.look_up(t) for t in operands)
        tainted = any(self.nodes[i].tainted or self.nodes[i].failure for i in inputs)
        arguments = self._refer(named_arguments(op, *call))
        for output, tensor in enumerate(written):
            overwrites = self._index.get(id(tensor)) if any(tensor is c for c in changed) else None
            index = self.add(
                op, "op", inputs, tensor, place=where[0], site=where[1], arguments=arguments, overwrites=overwrites,
                output=output, failure=failure, tainted=tainted,
            )  # fmt: skip
            if overwrites is not None:
                self._memory.write(self.nodes[index].storage, index, tensor)

    def _written(
        self,
        name: str,
        results: Sequence[torch.Tensor],
        operands: Sequence[torch.Tensor],
        changed: Sequence[torch.Tensor],
        failure: Failure | None,
    ) -> list[torch.Tensor]:
        """The tensors that get a node: results not met before, and operands that were changed."""
        old = operands if self.out_of_place else ()
        fresh = [
            t
            for t in results
            if any(t is c for c in changed)
            or (not any(t is o for o in old) if self.out_of_place else not self.known(t))
        ]
        if failure is not None and not fresh:
            fresh = list(results)
        fresh += [t for t in changed if not any(t is f for f in fresh)]
        # What a norm keeps for itself (running means, a counter) is no part of the pass; a memory written to is.
        is_memory = is_inplace(name) and len(operands) > 1
        return [t for t in fresh if id(t) not in self.clone.names or (is_memory and t is operands[0])]

    def _refer(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return NodeRef(self.look_up(value))
        if isinstance(value, torch.Size):
            return tuple(value)
        if type(value) is dict:
            return {key: self._refer(item) for key, item in value.items()}
        return tuple(map(self._refer, value)) if type(value) in (tuple, list) else value

    def ran_inside(self, result: object, first: int) -> None:
        """A custom autograd function returned: its results have a gradient though they were made without one."""
        for tensor in tensors_in(result):
            if (made := grad_fn_of(tensor)) is None:
                continue
            index = self.look_up(tensor)
            self.nodes[index] = replace(self.nodes[index], requires_grad=True)
            self.grad_fns[made] = index
            self.spans[made] = range(first, len(self.nodes))

    def _follow(self, *operation: Any) -> None:
        """See `Values.follow`: what it computes is no operation of the network's."""
        watching, self.link.watching = self.link.watching, False
        self.values.follow(*operation)
        self.link.watching = watching

    def _recover(
        self, op: str, func: Function, args: Args, kwargs: Keywords, operands_: Sequence[torch.Tensor], error: Exception
    ) -> tuple[Any, Failure | None]:
        if op == "numpy" and operands_:
            return self._dataless.in_numpy(operands_[0]), None
        ages = [self.look_up(t) for t in operands_]
        if op == "embedding" and operands_[0].dtype.is_floating_point and self.nodes[ages[0]].kind == "input":
            self.assume("took a floating-point input as whole numbers, since it indexes an embedding")
            return assumed((*operands_[0].shape, *operands_[1].shape[1:]), operands_[1:]), None
        if not self.refusals.go_on or gets_several(args, error):
            raise error
        call = Refused(op, func, named_arguments(op, func, args, kwargs), operands_, ages)
        shapes = candidates(call) if operands_ else []
        if not shapes:
            self.refusing = error
            raise error
        name = getattr(func, "__name__", "")
        inplace = is_inplace(name) or kwargs.get("inplace") is True
        if inplace:
            own = tuple(operands_[0].shape)
            shapes = [own, *(shape for shape in shapes if shape != own and is_augmented(name))]
        number = len(self.options)
        self.options.append((len(shapes), self.last[1]))
        choice = min(self.refusals.choice(number, self.last[1]), len(shapes) - 1)
        result = assumed(shapes[choice], operands_)
        if inplace and choice == 0 and not self.out_of_place:
            result = overwrite(operands_[0], result)
        return (None if op == "setitem" else result), Failure(type(error).__name__, first_line(error), operands(call))

    def _assume_result(
        self,
        op: str,
        tensors: Sequence[torch.Tensor],
        shapes: Shapes,
        met: tuple[tuple[int, ...], ...],
        error: Exception,
    ) -> object:
        """What a module of torch's own that refused its input goes on with; see `guards`."""
        if not self.refusals.go_on:
            raise error
        self.link.watching = False
        result = assumed(shapes, tensors)
        self.link.watching = True
        self.options.append((1, None))
        failure = Failure(type(error).__name__, first_line(error), met)
        named = dict(zip(("input", "weight"), tensors, strict=False))
        self._write(op, (_no_function, (), named), tensors_in(result), tensors, [], failure, places())
        return result


def _no_function() -> None:
    """Stands for the function of a refusal that no function raised."""
