"""A stand-in for the user's model: the same modules, with fake tensors for its weights.

Nothing of the user's is copied or touched: each module gets a twin of its own class with a copied `__dict__`, so that
a forward that stores things on `self` stores them on the twin. Tied weights stay tied. Whatever leads from the model
to something that can be changed leads from the twin to a twin of that: a function's closure and its default arguments
(a hook that collects features, or removes itself), a bound method, a partial function, a weak reference.
"""

import copy
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from skipstone.tracing import keras
from skipstone.tracing.fakes import CPU, fake_tensor, is_mere_shape, own_precision, unsized
from skipstone.tracing.objects import (
    PLAIN,
    NotCopied,
    fill_slots,
    filled,
    is_consumed,
    is_plain_object,
    is_state,
    set_state,
)
from skipstone.tracing.torch_internals import (
    FakeTensor,
    FakeTensorMode,
    buffers_of,
    children_of,
    copied,
    parameters_of,
)


class Clone:
    """Twins of one module tree; `names` gives the name of each twin's parameter and buffer by id, `paths` of modules.

    What a tensor's twin is, a subclass says: a fake one to record with, a real one to run.
    """

    def __init__(self, model: nn.Module) -> None:
        self._memo: dict[int, object] = {}
        self._keep: list[object] = []
        self.model = self._tree(model)
        self.paths = {id(module): path for path, module in keras.named_modules(self.model)}
        self.names: dict[int, str] = {}
        for name, tensor in self._state():
            self._name(tensor, name)

    def modules(self) -> Iterator[nn.Module]:
        """The twins whose calls can be followed: a scripted one's code is out of reach."""
        for _, module in keras.named_modules(self.model):
            if not isinstance(module, torch.jit.ScriptModule):
                yield module

    def _state(self) -> Iterator[tuple[str, torch.Tensor]]:
        # Backwards, so that of several names of a tied weight the first one stays.
        named = [
            *keras.weights(self.model),
            *self.model.named_parameters(remove_duplicate=False),
            *self.model.named_buffers(remove_duplicate=False),
        ]
        yield from reversed(named)

    def _name(self, tensor: torch.Tensor, name: str) -> None:
        # Kept, or what a lazy layer replaces would hand its id, and with it its name, to a tensor made later.
        self.names[id(tensor)] = name
        self._keep.append(tensor)

    def tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """The twin of a tensor, the same for every ask."""
        twin = self._memo.get(id(tensor))
        if twin is None:
            twin = self._remember(tensor, self._twin(tensor))
        assert isinstance(twin, torch.Tensor)
        return twin

    def _twin(self, tensor: torch.Tensor) -> torch.Tensor:
        """A new tensor to stand for one of the model's."""
        raise NotImplementedError

    def _deep_copy(self, value: object) -> object:
        """The twin of an object of no kind known here."""
        return copy.deepcopy(value, self._memo)

    def _leave_unsized(self, twin: nn.Module) -> None:
        """Let a lazy module's twin size parameters and buffers of its own, on its first run."""
        raise NotImplementedError

    def value(self, value: object) -> object:
        """The twin of anything a module may hold; what cannot be copied (a lock, an open file) is shared."""
        kind = type(value)
        if kind in PLAIN:
            return value
        twin = self._memo.get(id(value))
        if twin is not None:
            return twin
        copier = _COPIERS.get(kind)  # first: a weak proxy passes for an instance of its object's class
        if copier is not None:
            return copier(self, value)
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, nn.Module):
            return self._tree(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._remember(value, kind(*map(self.value, value)))
        if keras.is_part(value):
            return self._by_attributes(value)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and 3.13, of itertools
                return self._object(value) if is_plain_object(kind) else self._remember(value, self._deep_copy(value))
        except Exception:  # noqa: BLE001 - copying runs code of the user's that may raise anything
            self._memo.pop(id(value), None)  # half made
            return value if not is_consumed(value) else self._remember(value, NotCopied(kind.__name__))

    def _object(self, value: object) -> object:
        """An object copied as `copy` would, but for what it holds."""
        reduced = value.__reduce_ex__(4)
        if isinstance(reduced, str):
            return value  # stands for a name of its module
        make, args, state, items, pairs = (*reduced, None, None, None)[:5]
        twin = self._remember(value, make(*map(self.value, args)))
        if state is not None:
            set_state(twin, self.value(state))
        for item in items or ():
            twin.append(self.value(item))  # type: ignore[attr-defined]
        for key, item in pairs or ():
            twin[self.value(key)] = self.value(item)  # type: ignore[index]
        return twin

    def _remember(self, original: object, twin: object) -> object:
        self._memo[id(original)] = twin
        self._keep.append(original)  # an id is only as good as the life of its object
        return twin

    def _tree(self, root: nn.Module) -> nn.Module:
        fresh = [module for module in _own_modules(root) if id(module) not in self._memo]
        for module in fresh:
            scripted = isinstance(module, torch.jit.ScriptModule)
            self._remember(module, _script_copy(module) if scripted else object.__new__(module.__class__))
        fresh = [module for module in fresh if not isinstance(module, torch.jit.ScriptModule)]
        for module in fresh:
            for tensor in (*parameters_of(module).values(), *buffers_of(module).values()):
                if tensor is not None and is_lazy(tensor):
                    self._remember(tensor, tensor)
                elif tensor is not None:
                    self.tensor(tensor)
        for module in fresh:
            twin = self._memo[id(module)]
            assert isinstance(twin, nn.Module)
            twin.__dict__.update(
                {
                    key: OrderedDict() if key in _HOOK_TABLES and not value else self.value(value)
                    for key, value in module.__dict__.items()
                }
            )
            fill_slots(twin, module, self.value)
            self._leave_unsized(twin)
        twin = self._memo[id(root)]
        assert isinstance(twin, nn.Module)
        return twin

    def _by_attributes(self, value: object) -> object:
        """A twin of the same class with twins of what the object holds."""
        kind: Any = type(value)
        twin = kind.__new__(kind)
        self._remember(value, twin)
        if isinstance(value, list):
            list.extend(twin, map(self.value, value))
        elif isinstance(value, dict):
            dict.update(twin, {key: self.value(item) for key, item in value.items()})
        vars(twin).update({key: self.value(item) for key, item in vars(value).items()})
        return twin

    def _mapping(self, value: object) -> object:
        assert isinstance(value, dict)
        twin = type(value)()
        self._remember(value, twin)
        twin.update((key, self.value(item)) for key, item in value.items())
        return twin

    def _list(self, value: object) -> object:
        assert isinstance(value, list)
        twin: list[object] = []
        self._remember(value, twin)
        twin.extend(map(self.value, value))
        return twin

    def _collection(self, value: object) -> object:
        assert isinstance(value, tuple | set | frozenset)
        return self._remember(value, type(value)(map(self.value, value)))

    def _function(self, value: object) -> object:
        """A function as it is, unless it closed over something, or has as a default something that can be changed."""
        assert isinstance(value, FunctionType)
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        if not value.__closure__ and not value.__dict__ and not any(map(is_state, defaults)):
            return value
        cells = tuple(map(self._cell, value.__closure__ or ()))
        twin = FunctionType(value.__code__, value.__globals__, value.__name__, None, cells)
        self._remember(value, twin)
        for cell, own in zip(value.__closure__ or (), cells, strict=True):
            if filled(cell) and not filled(own):
                own.cell_contents = self.value(cell.cell_contents)
        twin.__defaults__ = self.value(value.__defaults__)  # type: ignore[assignment]
        twin.__kwdefaults__ = self.value(value.__kwdefaults__)  # type: ignore[assignment]
        twin.__dict__.update({key: self.value(item) for key, item in value.__dict__.items()})
        twin.__qualname__, twin.__module__ = value.__qualname__, value.__module__
        return twin

    def _cell(self, cell: CellType) -> CellType:
        """Functions made together share their cells, and so do their twins."""
        twin = self._memo.get(id(cell)) or self._remember(cell, CellType())
        assert isinstance(twin, CellType)
        return twin

    def _method(self, value: object) -> object:
        assert isinstance(value, MethodType)
        function: Any = self.value(value.__func__)
        return MethodType(function, self.value(value.__self__))

    def _builtin(self, value: object) -> object:
        """A function of C, or a method of C bound to something: `self.push = self.items.append`."""
        assert isinstance(value, BuiltinFunctionType)
        owner = value.__self__
        # Functions of an extension written in C++ are bound to a capsule, which has no attribute of their name.
        bound = not isinstance(owner, ModuleType | type) and hasattr(owner, value.__name__)
        return getattr(self.value(owner), value.__name__) if bound else value

    def _partial(self, value: object) -> object:
        assert isinstance(value, partial)
        arguments = {key: self.value(item) for key, item in value.keywords.items()}
        function: Any = self.value(value.func)
        return self._remember(value, partial(function, *map(self.value, value.args), **arguments))

    def _reference(self, value: object) -> object:
        assert isinstance(value, weakref.ref)
        target = value()
        return value if target is None else self._remember(value, type(value)(self.value(target)))

    def _proxy(self, value: object) -> object:
        target = value.__repr__.__self__  # type: ignore[attr-defined]  # the bound method holds the object itself
        return self._remember(value, weakref.proxy(self.value(target)))

    def _weak_mapping(self, value: object) -> object:
        assert isinstance(value, MutableMapping)
        twin = self._remember(value, type(value)())
        assert isinstance(twin, MutableMapping)
        for key, item in list(value.items()):
            twin[self.value(key)] = self.value(item)
        return twin

    def _weak_set(self, value: object) -> object:
        assert isinstance(value, weakref.WeakSet)
        return self._remember(value, weakref.WeakSet(map(self.value, value)))


class FakeClone(Clone):
    """Twins with fake tensors, under one fake mode: shapes and no data."""

    def __init__(self, model: nn.Module, fake: FakeTensorMode) -> None:
        self.fake = fake
        self._originals: dict[int, torch.Tensor] = {}
        # A weight without a place of its own (on "meta") is taken to be where the others are.
        self._home = next((p.device for p in model.parameters() if not p.is_meta), CPU)
        super().__init__(model)

    def input(self, tensor: torch.Tensor) -> torch.Tensor:
        """A fake input; a mere shape (float32 on the meta device) gets the model's own precision and device."""
        weight = own_precision(self.model) if is_mere_shape(tensor) else None
        if weight is None:
            return fake_tensor(tensor, self.fake)
        meta = torch.empty_strided(tensor.shape, tensor.stride(), dtype=weight.dtype, device="meta")
        return FakeTensor(self.fake, meta, weight.device)

    def original(self, twin: torch.Tensor) -> torch.Tensor | None:
        """The model's own tensor that a fake one stands for, None where it stands for none."""
        return self._originals.get(id(twin))

    def cast(self, twin: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """A twin of another dtype that takes the place, and the name, of one."""
        meta = torch.empty(tuple(twin.shape), dtype=dtype, device="meta")
        cast = fake_tensor(
            nn.Parameter(meta, twin.requires_grad) if isinstance(twin, nn.Parameter) else meta, self.fake
        )
        self._keep += [twin, cast]
        if id(twin) in self.names:
            self.names[id(cast)] = self.names[id(twin)]
        return cast

    def _twin(self, tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, FakeTensor) and tensor.fake_mode is self.fake:
            return tensor
        twin = fake_tensor(tensor, self.fake, self._home)
        self._originals[id(twin)] = tensor
        return twin

    def _deep_copy(self, value: object) -> object:
        return copied(value, self.fake, self._memo)

    def _leave_unsized(self, twin: nn.Module) -> None:
        for table in (parameters_of(twin), buffers_of(twin)):
            for name, tensor in table.items():
                if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
                    table[name] = unsized(tensor, partial(self._sized, twin, table, name))

    def _sized(self, twin: nn.Module, table: dict[str, Any], name: str, meta: torch.Tensor) -> None:
        table[name] = self.adopt(twin, meta, name)

    def adopt(self, module: nn.Module, weight: torch.Tensor, name: str) -> torch.Tensor:
        """The fake twin of a weight that a module's twin has made only now, under its name."""
        twin = fake_tensor(weight, self.fake, self._home)
        path = self.paths.get(id(module), "")
        self._name(twin, f"{path}.{name}" if path else name)
        return twin


_COPIERS: Mapping[type, Callable[[Clone, object], object]] = {
    dict: Clone._mapping,
    OrderedDict: Clone._mapping,
    list: Clone._list,
    tuple: Clone._collection,
    set: Clone._collection,
    frozenset: Clone._collection,
    FunctionType: Clone._function,
    BuiltinFunctionType: Clone._builtin,
    MethodType: Clone._method,
    partial: Clone._partial,
    weakref.ref: Clone._reference,
    weakref.WeakMethod: Clone._reference,
    weakref.ProxyType: Clone._proxy,
    weakref.CallableProxyType: Clone._proxy,
    weakref.WeakKeyDictionary: Clone._weak_mapping,
    weakref.WeakValueDictionary: Clone._weak_mapping,
    weakref.WeakSet: Clone._weak_set,
}
_HOOK_TABLES = frozenset(name for name, table in vars(nn.Module()).items() if type(table) is OrderedDict)


def _script_copy(module: nn.Module) -> nn.Module:
    """A scripted module with data of its own: its compiled code would write to the original's."""
    with torch.no_grad():
        twin = copy.deepcopy(module)
    for own, original in zip(twin.parameters(), module.parameters(), strict=True):
        own.requires_grad_(original.requires_grad)
    return twin


def _own_modules(root: nn.Module) -> Iterator[nn.Module]:
    """The module and all below it, each once, but nothing below a scripted one."""
    seen: set[int] = set()
    pending = [root]
    while pending:
        module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield module
        if not isinstance(module, torch.jit.ScriptModule):
            pending.extend(child for child in children_of(module).values() if child is not None)
