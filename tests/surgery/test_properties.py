"""Edited networks are ordinary modules: the eleven things that people do with one."""

import copy
import gc
import io
import pickle
import warnings

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from skipstone import surgery


def ends(model):
    """Two modules to connect, by the network's kind."""
    return {
        "Residual": ("stem", "layer.0"),
        "Loop": ("stem", "layers.2"),
        "Dense": ("stem", "norms.0"),
        "UNet": ("down1", "dec1"),
        "Transformer": ("encoder.layers.0.norm1", "encoder.layers.1"),
    }[type(model).__name__]


@pytest.fixture(params=["ablated", "one ablated", "connected"])
def edited(case, request):
    """(original, edited, input)."""
    model, _, x, _ = case
    if request.param == "connected":
        return model, surgery.connect(model, *ends(model), at_init="plain", example=x), x
    which = "all" if request.param == "ablated" else [min(s.index for s in _skips(model, x))]
    return model, surgery.ablate(model, which, x), x


def _skips(model, x):
    from skipstone.skips import find_skips

    return [skip for skip in find_skips(model, x) if skip.is_block_skip]


def gradients(model, x, run=None):
    model.zero_grad()
    y = model(x) if run is None else run(x)
    y.square().sum().backward()
    return y.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_equal(a, b, **tolerance):
    torch.testing.assert_close(a[0], b[0], **tolerance)
    assert a[1].keys() == b[1].keys()
    for name in a[1]:
        torch.testing.assert_close(a[1][name], b[1][name], **tolerance)


def test_state_dict_keys_are_kept_and_new_ones_prefixed(edited):
    model, new, _ = edited
    added = new.state_dict().keys() - model.state_dict().keys()
    assert model.state_dict().keys() <= new.state_dict().keys()
    assert all("skipstone_skip" in key for key in added)
    new.load_state_dict(new.state_dict())


def test_autograd_and_original_untouched(edited):
    model, new, x = edited
    assert not torch.equal(model.eval()(x), new.eval()(x))
    torch.autograd.gradcheck(lambda t: new(t).sum(), x[:1].clone().requires_grad_(), fast_mode=True)


def test_deepcopy_pickle_and_save(edited):
    _, new, x = edited
    want = gradients(new, x)
    buffer = io.BytesIO()
    torch.save(new, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(new), pickle.loads(pickle.dumps(new)), torch.load(buffer, weights_only=False)):
        twin.load_state_dict(new.state_dict())
        assert_equal(gradients(twin.train(), x), want)
        assert type(twin).__name__ == type(new).__name__
        assert not set(map(id, twin.parameters())) & set(map(id, new.parameters()))


def test_compile_without_graph_breaks(edited):
    _, new, x = edited
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(new, fullgraph=True, backend="aot_eager")
        got = gradients(new, x, compiled)
    assert_equal(got, gradients(new, x))
    torch._dynamo.reset()


def test_export(edited):
    _, new, x = edited
    new.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(new, (x,)).module()
    torch.testing.assert_close(exported(x), new(x))


def test_distributed_data_parallel(edited, tmp_path):
    _, new, x = edited
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        got = in_parallel(copy.deepcopy(new), x)
    finally:
        gc.collect()
        dist.destroy_process_group()
    assert_equal(moved(got), moved(gradients(new, x)))


def in_parallel(model, x):
    """Gradients under distributed data parallel. Nothing of it may outlive the process group: its last reference, held
    by a Reducer, would wait for a thread of gloo's while it holds the interpreter that the thread waits for."""
    parallel = DistributedDataParallel(model, find_unused_parameters=True)
    for _ in range(2):
        got = gradients(parallel.module, x, parallel)
    return got


def moved(outcome):
    """Output and the gradients that are not zero: an unused parameter has none, or zeros under a reducer."""
    return outcome[0], {name: gradient for name, gradient in outcome[1].items() if gradient.any()}


def _rank(rank, store, path, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    model = torch.load(path, weights_only=False)
    parallel = DistributedDataParallel(model)
    x = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)[rank : rank + 1]
    for _ in range(2):
        model.zero_grad()
        parallel(x).square().mean().backward()
    results[rank] = {name: p.grad.tolist() for name, p in model.named_parameters() if p.dim() == 1}
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path):
    """Without batch norm the averaged gradients of two halves are those of the whole batch."""
    from skipstone.models import create

    torch.manual_seed(0)
    model = surgery.ablate(create("fixup20"), "all", (2, 3, 32, 32), parameters="remove")
    used = {name for name, p in gradients(model, torch.randn(2, 3, 32, 32))[1].items() if p is not None}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in used)
    torch.save(model, tmp_path / "model.pt")
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(_rank, (str(tmp_path / "store"), str(tmp_path / "model.pt"), results), nprocs=2)
        first, second = results[0], results[1]
    assert first == second
    x = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    model.zero_grad()
    model(x).square().mean().backward()
    for name, value in first.items():
        torch.testing.assert_close(torch.tensor(value), model.get_parameter(name).grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(edited, reentrant):
    _, new, x = edited
    x = x.clone().requires_grad_()
    want = gradients(new, x)
    assert_equal(gradients(new, x, lambda t: checkpoint(new, t, use_reentrant=reentrant)), want)


def test_training_and_evaluation(edited):
    _, new, x = edited
    new.eval()
    assert not any(module.training for module in new.modules())
    with torch.no_grad():
        without = new(x)
    torch.testing.assert_close(new(x), without)
    new.train()
    assert all(module.training for module in new.modules())


def test_mixed_precision_and_dtypes(edited):
    _, new, x = edited
    single = copy.deepcopy(new).float().eval()
    torch.testing.assert_close(single(x.float()).double(), new.eval()(x), rtol=1e-3, atol=1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = single.train()(x.float())
    y.float().sum().backward()
    assert all(p.dtype == torch.float32 for p in single.parameters())


def test_other_device(edited):
    _, new, x = edited
    moved = copy.deepcopy(new).to("meta")
    assert moved(x.to("meta")).shape == new(x).shape
    assert {p.device.type for p in moved.parameters()} == {"meta"}


def test_edits_in_place_of_a_copy(case):
    model, _, x, _ = case
    want = surgery.ablate(model, "all", x)
    assert surgery.ablate(model, "all", x, copy=False) is model
    torch.testing.assert_close(model.eval()(x), want.eval()(x))
