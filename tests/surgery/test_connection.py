"""Connections: bit-equal at zero and then trained, exact shapes, the way back, and what is refused."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skipstone import surgery
from skipstone.core.errors import SkipstoneError
from skipstone.skips import find_skips
from skipstone.surgery import SurgeryError


class Net(nn.Module):
    """Sizes 9 -> 9 -> 5 -> 3, an activation used twice, features and tokens at the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.down = nn.Conv2d(4, 6, 3, 2, 1)
        self.more = nn.Sequential(nn.Conv2d(6, 6, 3, 2, 1), nn.Tanh())
        self.norm = nn.BatchNorm2d(6)
        self.mix = nn.Conv2d(6, 5, 1)
        self.tokens = nn.Linear(5, 7)
        self.wide = nn.Linear(7, 9)
        self.head = nn.Linear(9, 2)

    def forward(self, x):
        x = self.act(self.bn(self.stem(x)))
        x = self.act(self.norm(self.more(self.down(x))))
        x = self.mix(x).flatten(2).transpose(1, 2)
        return self.head(self.wide(self.tokens(x)).mean(1))


SHAPE = (2, 3, 9, 9)
PAIRS = [("stem", "down"), ("down", "more"), ("stem", "norm"), ("input", "norm"), ("tokens", "wide"), ("act@0", "mix"),
         ("bn", "norm"), ("more.0", "mix")]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("merge", ["add", "mul", "gate"])
@pytest.mark.parametrize("ends", PAIRS, ids=str)
def test_at_zero_outputs_are_bit_equal_and_then_it_trains(ends, merge, dtype):
    torch.manual_seed(0)
    model, x = Net().to(dtype), torch.randn(SHAPE, dtype=dtype)
    new = surgery.connect(model, *ends, merge=merge, example=x)
    for mode in (True, False):
        assert torch.equal(new.train(mode)(x), model.train(mode)(x))
    new.train()
    optimizer = torch.optim.SGD(new.parameters(), 0.1)
    added = [name for name in new.state_dict() if "skipstone_skip" in name]
    for _ in range(2):
        optimizer.zero_grad()
        new(x).square().sum().backward()
        optimizer.step()
    assert added
    assert all(new.get_parameter(name).grad.any() for name in added)
    assert new.get_parameter(next(name for name in added if name.endswith("gain"))).item() != 0


def test_tokens_are_concatenated_along_their_features():
    model, x = Net().double().eval(), torch.randn(SHAPE, dtype=torch.float64)
    plan = surgery.plan_connection(model, "tokens", "wide", merge="cat", example=x)
    assert "layers widened: head by 7" in str(plan)
    torch.testing.assert_close(surgery.apply(model, plan.edits)(x), model(x), rtol=0, atol=1e-15)


def test_concatenation_widens_its_readers_and_keeps_the_output():
    torch.manual_seed(0)
    model, x = Net().eval(), torch.randn(SHAPE)
    plan = surgery.plan_connection(model, "stem", "more", merge="cat", example=x)
    assert [type(edit).__name__ for edit in plan.edits] == ["Connect", "WidenInput", "WidenInput"]
    assert "layers widened: norm by 4, mix by 4" in str(plan)
    new = surgery.apply(model, plan.edits)
    assert torch.equal(new(x), model(x))
    new(x).sum().backward()
    assert new.mix.weight.grad[:, 6:].any()
    back = surgery.ablate(new.eval(), lambda skip: "skipstone_skip" in skip.module, x)
    assert list(back.state_dict()) == list(model.state_dict())
    assert torch.equal(back(x), model(x))


@pytest.mark.parametrize("ends", PAIRS, ids=str)
def test_ablation_takes_a_connection_away_again(ends):
    model, x = Net().eval(), torch.randn(SHAPE)
    new = surgery.connect(model, *ends, at_init="plain", example=x)
    assert not torch.equal(new(x), model(x))
    added = [skip for skip in find_skips(new, x) if "skipstone_skip" in skip.module]
    assert len(added) == 1
    back = surgery.ablate(new, added, x)
    assert torch.equal(back(x), model(x))
    assert list(back.state_dict()) == list(model.state_dict())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in back.modules())


def test_plan_says_what_and_offers_alternatives(capsys):
    model = Net()
    plan = surgery.plan_connection(model, "stem", "more", example=SHAPE)
    text = str(plan)
    assert "stem (2, 4, 9, 9) -> more.1 (2, 6, 3, 3)" in text
    assert "shortcut: projection: nn.Conv2d(4, 6, 1, stride=" in text
    assert "option_a" in plan.connections[0].alternatives
    surgery.connect(model, "stem", "more", example=SHAPE)
    assert capsys.readouterr().out == ""  # only commands print
    for name in ("option_a", "resnet_a"):
        other = surgery.plan_connection(model, "stem", "more", shortcut=name, example=SHAPE)
        assert other.connections[0].shortcut == "option_a"
        assert other.cost.num_parameters == 1
    assert plan.cost.num_parameters == 4 * 6 + 1
    new = surgery.apply(model, plan.edits)
    assert sum(p.numel() for p in new.parameters()) - sum(p.numel() for p in model.parameters()) == 4 * 6 + 1


def test_a_source_overwritten_later_is_copied():
    model, x = Net().eval(), torch.randn(SHAPE)
    plan = surgery.plan_connection(model, "bn", "mix", at_init="plain", example=x)
    assert plan.edits[0].clone
    assert "overwritten in place" in str(plan)
    kept = []
    model.bn.register_forward_hook(lambda m, a, out: kept.append(out.clone()))
    new = surgery.apply(model, plan.edits)
    new(x)
    join = new.mix.skipstone_skip
    got = []
    join.register_forward_hook(lambda m, a, out: got.append(a[1]))
    new(x)
    assert torch.equal(got[0], kept[0])


def test_globs_pair_one_to_one():
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(6)))
    plan = surgery.plan_connection(model, "[012]", "[345]", example=(2, 4))
    assert [(c.source, c.target) for c in plan.connections] == [("0", "3"), ("1", "4"), ("2", "5")]
    assert len([s for s in find_skips(surgery.apply(model, plan.edits), (2, 4)) if s.merge == "add"]) == 3


def test_nodes_of_the_record_are_ends_too():
    from skipstone.tracing import trace

    model = Net()
    graph = trace(model, SHAPE)
    call = next(c for c in graph.calls if c.path == "down")
    plan = surgery.plan_connection(model, graph.inputs[0], call.outputs[0], example=SHAPE)
    assert [(c.source, c.target) for c in plan.connections] == [("input", "down")]
    inner = next(n.index for n in graph if n.op == "transpose")
    with pytest.raises(SurgeryError, match="is no module's output"):
        surgery.plan_connection(model, 0, inner, example=SHAPE)


@pytest.mark.parametrize(
    ("source", "target", "options", "text"),
    [
        ("stemm", "down", {}, "unknown module 'stemm'; nearest: stem"),
        ("down", "stem", {}, "would close a loop: down is computed from stem"),
        ("down", "down", {}, "the same tensor"),
        ("more", "more.1", {}, "the same tensor"),
        ("act", "mix", {}, "'act' runs 2 times; say which: act@0 to act@1"),
        ("act@5", "mix", {}, "has the runs 0 to 1"),
        ("stem", "wide", {}, r"tensors of 4 and 3 axes cannot be merged: stem gives \(2, 4, 9, 9\)"),
        ("stem", "input", {}, "cannot end at the model's input"),
        ("stem", "more", {"shortcut": "best"}, "no shortcut 'best' leads from .*; possible: projection"),
        ("stem", "more", {"merge": "plus"}, "merge is 'plus'; one of add, cat, mul, gate"),
        ("stem", "more", {"at_init": "one"}, "at_init is 'one'"),
        ("stem", "more", {"example": None}, "example input None is not understood"),
        ("stem", "head", {"merge": "cat"}, "tensors of 4 and 2 axes"),
        ("stem", "head", {}, "tensors of 4 and 2 axes"),
        ("*", "head", {}, "globs are paired one to one"),
    ],
)
def test_refusals_change_nothing(source, target, options, text):
    model = Net()
    before = {name: dict(m.__dict__) for name, m in model.named_modules()}
    with pytest.raises(SkipstoneError, match=text):
        surgery.connect(model, source, target, **{"example": SHAPE, "copy": False, **options})
    assert {name: dict(m.__dict__) for name, m in model.named_modules()} == before


class Parallel(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.a(x) * self.b(x)


def test_backwards_in_time_is_told_from_a_loop():
    with pytest.raises(SurgeryError, match="would run backwards in time: a runs first"):
        surgery.plan_connection(Parallel(), "b", "a", example=(2, 4))


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.one, self.two, self.three = (nn.Linear(4, 4) for _ in range(3))
        self.reentrant = reentrant

    def part(self, x):
        return self.two(torch.tanh(self.one(x)))

    def forward(self, x):
        return self.three(torch.tanh(checkpoint(self.part, x, use_reentrant=self.reentrant)))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("ends", [("one", "two"), ("one", "three"), ("input", "two")])
def test_checkpointing_is_right_or_refused_loudly(ends, reentrant):
    x = torch.randn(2, 4, requires_grad=True)
    torch.manual_seed(0)
    model = Checkpointed(reentrant)
    new = surgery.connect(model, *ends, at_init="plain", example=(2, 4))
    free = copy.deepcopy(new)
    free.forward = lambda t: free.three(torch.tanh(free.part(t)))
    free(x).sum().backward()
    want = {name: p.grad for name, p in free.named_parameters()}
    if reentrant and ends != ("one", "two"):
        with pytest.raises(SurgeryError, match="checkpointing"):
            new(x).sum().backward()
        return
    new(x).sum().backward()
    for name, parameter in new.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name])


def test_copies_keep_no_tensor():
    model, x = Net(), torch.randn(SHAPE, requires_grad=True)
    new = surgery.connect(model, "stem", "norm", example=x)
    with pytest.raises(RuntimeError):
        new(x[:, :, :1, :1].expand(2, 2, 1, 1))  # stops before the target
    for twin in (copy.deepcopy(new), pickle.loads(pickle.dumps(new))):
        assert torch.equal(twin(x), new(x))


def test_the_source_must_run_first():
    class Choice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x, first=True):
            return self.b(self.a(x) if first else x)

    new = surgery.connect(Choice(), "a", "b", example=(2, 4))
    with pytest.raises(SurgeryError, match="the source did not run before it"):
        new(torch.ones(2, 4), first=False)
