"""A stand-in for the user's model: the same modules, with fake tensors for its weights.

Nothing of the user's is copied or touched: each module gets a twin of its own class with a copied `__dict__`, so that
a forward that stores things on `self` stores them on the twin. Tied weights stay tied.
"""

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensor, FakeTensorMode

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type, torch.dtype, torch.device, torch.Size)


class FakeClone:
    """Clones one module tree under one fake mode; `names` maps the id of every clone's parameter and buffer to its name."""

    def __init__(self, model: nn.Module, fake: FakeTensorMode) -> None:
        self.fake = fake
        self._memo: dict[int, object] = {}
        self._keep: list[object] = []
        self.model = self._module(model)
        self.paths = {id(module): path for path, module in self.model.named_modules()}
        self.names = {id(tensor): name for name, tensor in self._state()}

    def _state(self) -> Iterator[tuple[str, torch.Tensor]]:
        # Backwards, so that of several names of a tied weight the first one stays.
        named = [*self.model.named_parameters(remove_duplicate=False), *self.model.named_buffers(remove_duplicate=False)]
        yield from reversed(named)

    def tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """The fake twin of a tensor, the same for every ask."""
        if isinstance(tensor, FakeTensor):
            return tensor
        if id(tensor) not in self._memo:
            self._memo[id(tensor)] = fake_tensor(tensor, self.fake)
            self._keep.append(tensor)
        twin = self._memo[id(tensor)]
        assert isinstance(twin, torch.Tensor)
        return twin

    def _module(self, module: nn.Module) -> nn.Module:
        twins: list[tuple[nn.Module, nn.Module]] = []
        for original in module.modules():
            twin = original.__class__.__new__(original.__class__)
            self._memo[id(original)] = twin
            twins.append((original, twin))
        for original, _ in twins:
            for tensor in [*original._parameters.values(), *original._buffers.values()]:
                if tensor is not None:
                    self.tensor(tensor)
        for original, twin in twins:
            twin.__dict__.update({key: self._attribute(value) for key, value in original.__dict__.items()})
        result = self._memo[id(module)]
        assert isinstance(result, nn.Module)
        return result

    def _attribute(self, value: object) -> object:
        if isinstance(value, _PLAIN):
            return value
        if id(value) in self._memo:
            return self._memo[id(value)]
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if type(value) is dict:
            return {key: self._attribute(item) for key, item in value.items()}
        if type(value) in (list, tuple, set):
            return type(value)(map(self._attribute, value))  # type: ignore[call-arg, arg-type]
        try:
            with FakeCopyMode(self.fake):
                return copy.deepcopy(value, self._memo)
        except Exception:  # noqa: BLE001 - an object that cannot be copied (a lock, an open file) is shared instead
            return value


def fake_tensor(tensor: torch.Tensor, fake: FakeTensorMode) -> torch.Tensor:
    """A fake tensor of the same shape, strides, dtype, device and `requires_grad`; a parameter stays a parameter."""
    device = torch.device("cpu") if tensor.device.type == "meta" else tensor.device
    if tensor.layout != torch.strided or type(tensor) not in (torch.Tensor, nn.Parameter, nn.Buffer):
        return fake.from_tensor(tensor, static_shapes=True)
    meta = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    twin = FakeTensor(fake, meta, device)
    twin.requires_grad_(tensor.requires_grad)
    if isinstance(tensor, nn.Parameter):
        twin._is_param = True  # type: ignore[attr-defined]  # what makes isinstance(twin, nn.Parameter) true
    return twin
