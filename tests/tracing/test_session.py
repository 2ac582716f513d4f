"""One record at a time from any thread and in any surroundings, and nothing of the user's called or changed."""

import logging
import random
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import skipstone
from skipstone.tracing import session, trace

IMAGE = (2, 3, 8, 8)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.conv(x)
        return x + self.conv(self.relu(x))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class Custom(nn.Module):
    def __init__(self, depth: int = 10) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(depth)])

    def forward(self, x):
        for layer in self.layers:
            x = x + Doubled.apply(layer(x))
        return x


class Merging(nn.Module):
    """A low-rank update that `train` takes out of the weights and `eval` puts in, as LoRA has it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.a, self.b = nn.Parameter(torch.randn(2, 8)), nn.Parameter(torch.randn(8, 2))
        self.drop, self.merged = nn.Dropout(0.5), False

    def train(self, mode: bool = True):
        super().train(mode)
        if mode == self.merged:
            self.linear.weight.data += (-1 if mode else 1) * self.b @ self.a
            self.merged = not mode
        return self

    def forward(self, x):
        y = self.linear(x)
        return x + self.drop(y if self.merged else y + (x @ self.a.T) @ self.b.T)


def answers(model: nn.Module) -> tuple[str, str]:
    return str(skipstone.check(model, IMAGE)), skipstone.legal_sizes(model, (2, 3, "h", "h"), h=range(1, 20)).rule


def test_six_threads_get_six_right_answers() -> None:
    model = Residual()
    expected = answers(model)
    apply = torch.autograd.Function.__dict__["apply"]
    given: list[object] = []

    def work() -> None:
        for _ in range(4):
            try:
                given.append(answers(model))
            except Exception as error:  # noqa: BLE001 - told by the assertion below
                given.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [expected] * 24
    assert torch.autograd.Function.__dict__["apply"] is apply
    assert torch.backends.mha.get_fastpath_enabled()
    assert not logging.getLogger("torch._subclasses.fake_tensor").filters


def drawn_beside(work) -> list[float]:
    """What a thread draws, at its own pace, from every process-wide source while `work` runs in this one."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    numbers: list[float] = []
    done = threading.Event()

    def draw() -> None:
        while not done.is_set() or len(numbers) < 300:
            numbers.extend((torch.rand(1).item(), random.random(), float(np.random.rand())))
            time.sleep(0.0005)

    thread = threading.Thread(target=draw)
    thread.start()
    work()
    done.set()
    thread.join()
    return numbers


class Drawing(nn.Module):
    """Draws and seeds, and has a fault whose repairs make new layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(5, 2)

    def forward(self, x):
        torch.manual_seed(0)
        random.seed(0)
        if random.random() < np.random.rand() + 2:
            x = x + torch.rand_like(x)
        x = x + self.conv(x)
        return self.head(x.mean((2, 3)))


def test_another_thread_draws_what_it_would_have_drawn() -> None:
    model = Drawing()

    def work() -> None:
        report = skipstone.check(model, IMAGE)
        assert any(finding.repairs for finding in report.findings)

    alone, beside = drawn_beside(lambda: None), drawn_beside(work)
    shared = min(len(alone), len(beside))
    assert shared >= 300
    assert beside[:shared] == alone[:shared]


def test_beside_other_threads_no_random_state_moves_here_either() -> None:
    model, done = Drawing(), threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    try:
        skipstone.check(model, IMAGE)
    finally:
        done.set()
        thread.join()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


def test_a_training_thread_neither_disturbs_nor_is_disturbed() -> None:
    model, state = Custom(), {"steps": 0}
    expected = str(skipstone.check(model, (2, 8)))
    errors: list[Exception] = []
    done = threading.Event()

    def train() -> None:
        net = Custom(1)
        while not done.is_set():
            try:
                net(torch.randn(4, 8)).sum().backward()
                state["steps"] += 1
            except Exception as error:  # noqa: BLE001 - told by the assertion below
                errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        assert [str(skipstone.check(model, (2, 8))) for _ in range(10)] == [expected] * 10
    finally:
        done.set()
        thread.join()
    assert not errors
    assert state["steps"]


def test_a_check_within_a_forward_hook() -> None:
    """In a real pass, and in a record: there of the twin, with fake weights."""
    inner: list[str] = []
    other = Residual()
    model = nn.Sequential(Residual(), nn.Identity())
    plain = len(trace(model, IMAGE))
    expected = str(skipstone.check(other, IMAGE))
    model[0].register_forward_hook(lambda module, args, output: inner.append(str(skipstone.check(other, IMAGE))))
    graph = trace(model, IMAGE)
    assert graph.stopped is None
    assert len(graph) == plain
    assert inner == []  # the hook's twin filled the list's
    model(torch.randn(IMAGE))
    assert inner == [expected]


def test_a_record_of_the_module_itself_within_its_record() -> None:
    class Own(Residual):
        def forward(self, x):
            assert len(trace(self.conv, IMAGE)) == 4
            return super().forward(x)

    graph = trace(Own(), IMAGE)
    assert graph.stopped is None
    assert [node.op for node in graph if node.kind == "op"] == ["conv2d", "relu", "conv2d", "add"]


LAST: dict[str, object] = {"by": None, "within": False}


class Remembers(Residual):
    """Keeps in the file's own table who ran last, and reads it further on."""

    def forward(self, x):
        LAST["by"] = "this pass"
        y = self.conv(x)
        assert LAST["by"] == "this pass"
        return x + y


def look_again(module, args, output):
    if not LAST["within"]:
        LAST["within"] = True
        skipstone.check(REMEMBERS, IMAGE)


REMEMBERS = Remembers()
REMEMBERS.conv.register_forward_hook(look_again)


def test_what_a_pass_left_in_a_table_stays_while_it_looks_at_its_own_network() -> None:
    graph = trace(REMEMBERS, IMAGE)
    assert graph.stopped is None
    assert LAST == {"by": None, "within": False}


SURROUNDINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "another fake mode": FakeTensorMode,
    "device meta": lambda: torch.device("meta"),
    "device cpu": lambda: torch.device("cpu"),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
@pytest.mark.parametrize("kind", [Residual, Drawing])
def test_the_surroundings_change_no_answer(name: str, kind) -> None:
    model = kind()
    expected = skipstone.check(model, IMAGE), skipstone.legal_sizes(model, (2, 3, "h", "h"), h=range(1, 20)).rule
    with SURROUNDINGS[name]():
        report = skipstone.check(model, IMAGE)
        sizes = skipstone.legal_sizes(model, (2, 3, "h", "h"), h=range(1, 20)).rule
    assert (str(report), sizes) == (str(expected[0]), expected[1])
    assert all(parameter.reached for parameter in report.graph.parameters if parameter.used)
    if name == "autocast":
        assert {node.spec.dtype for node in report.graph if node.op == "conv2d"} == {"bfloat16"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_default_dtype_of_the_user_s(dtype: torch.dtype) -> None:
    model = Residual()
    expected = answers(model)
    torch.set_default_dtype(dtype)
    try:
        assert answers(model) == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_default_device_stays_set() -> None:
    with torch.device("meta"):  # torch 2.6 cannot take `set_default_device` back: whoever asks for the default fails
        skipstone.check(Drawing().to_empty(device="cpu"), IMAGE)
        assert torch.zeros(1).device.type == "meta"
    assert torch.zeros(1).device.type == "cpu"


def test_within_vmap_and_grad() -> None:
    model, seen = Residual(), []
    expected = str(skipstone.check(model, IMAGE))

    def function(x):
        seen.append(str(skipstone.check(model, IMAGE)))
        return (x * x).sum()

    torch.vmap(function)(torch.randn(3, 4))
    torch.func.grad(function)(torch.randn(4))
    assert seen == [expected] * 2


def test_a_model_made_under_another_fake_mode() -> None:
    with FakeTensorMode():
        model = Residual()
    found, expected = (str(skipstone.check(m, IMAGE, run=False)) for m in (model, Residual()))
    assert found == expected


def test_the_mode_is_the_twin_s() -> None:
    """`train` of the user's own runs on the twin: what it merges there stays there."""
    model = Merging().eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = skipstone.check(model, (2, 8))
    assert report.partial is None
    assert model.merged
    assert not model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert "matmul" in {node.op for node in trace(model, (2, 8), mode="train")}
    assert "matmul" not in {node.op for node in trace(model, (2, 8))}


def test_a_mode_of_the_user_s_own_is_kept_by_the_record() -> None:
    class Frozen(Residual):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def train(self, mode: bool = True):
            super().train(mode)
            self.norm.eval()
            return self

    model = Frozen().eval()
    graph = trace(model, IMAGE, mode="train")
    assert graph.modules["conv"].training
    assert not graph.modules["norm"].training
    assert not model.conv.training


def test_a_train_that_cannot_run_without_data_is_told() -> None:
    class Picky(Residual):
        def train(self, mode: bool = True):
            super().train(mode)
            raise KeyError("no data")

    graph = trace(Picky(), IMAGE, mode="eval")
    assert not graph.modules["conv"].training
    assert [assumption.what for assumption in graph.assumptions] == [
        "took train(False), which raises KeyError here, as setting flags alone"
    ]


def _twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


class Hidden(Residual):
    """Hands its input through a script function, and counts its calls where the twin does not reach."""

    calls: list[int] = []  # noqa: RUF012 - shared on purpose

    def __init__(self) -> None:
        super().__init__()
        self.script = torch.jit.script(_twice)

    def forward(self, x):
        self.calls.append(len(self.calls))
        assert self.calls == [0], "the pass before left something behind"
        return x + self.script(self.conv(x))


class Compiled(Residual):
    def __init__(self) -> None:
        super().__init__()
        self.step = torch.compile(self.conv)

    def forward(self, x):
        return x + self.step(x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of torch.jit
@pytest.mark.parametrize(("make", "passes"), [(Residual, [False]), (Hidden, [False, True])])
def test_torchs_insides_are_looked_into_where_the_thread_was_lost(make, passes, monkeypatch) -> None:
    entered = _passes(monkeypatch)
    monkeypatch.setattr(session, "compiles", lambda: False)  # another test may have compiled something
    graph = trace(make(), IMAGE)
    assert entered == passes
    assert graph.stopped is None
    assert not graph.assumptions
    assert [skip.kind for skip in skipstone.find_skips(graph)] == ["identity"]
    assert Hidden.calls == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile, as it imports its parts
def test_what_is_compiled_is_looked_into_at_once(monkeypatch) -> None:
    entered = _passes(monkeypatch)
    assert trace(Compiled(), IMAGE).stopped is None
    assert entered == [True]


def _passes(monkeypatch) -> list[bool]:
    """Of each pass from now on: did it look into torch's operations?"""
    entered: list[bool] = []
    outcome = session._outcome

    def noted(*args, linked):
        entered.append(linked)
        return outcome(*args, linked=linked)

    monkeypatch.setattr(session, "_outcome", noted)
    return entered
