"""The quiz: 25 kinds of question, drawn anew from a seed. A key is what a run gave, where it can be run.

One function a question: it draws its numbers, runs what it asks about, and names wrong choices that mistakes lead to.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

import torch
from torch import nn
from torch.nn import functional as F

from skipstone.flow.rounding import is_lost


@dataclass(frozen=True, slots=True)
class Question:
    """`key` indexes `choices`; `ran` says whether it is the outcome of a run."""

    text: str
    choices: tuple[str, ...]
    key: int
    why: str
    ran: bool = True


def _ask(draw: Random, text: str, right: object, wrong: Iterable[object], why: str, *, ran: bool = True) -> Question:
    """Four choices at most, shuffled; wrong ones that happen to be right are left out."""
    others = [c for c in dict.fromkeys(map(_said, wrong)) if c != _said(right)][:3]
    choices = [_said(right), *others]
    draw.shuffle(choices)
    return Question(text, tuple(choices), choices.index(_said(right)), why, ran)


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _shape(value: torch.Tensor) -> tuple[int, ...]:
    return tuple(value.shape)


def why_skips(draw: Random) -> Question:
    return _ask(
        draw, "Why do deep networks get skip connections?", "so that each block learns a correction of what it is given, "
        "and gradients also pass beside it", ["to have fewer weights", "to use less memory", "so that no normalisation is "
        "needed"], "x + f(x) costs no weights and saves no memory; f may stay small, and the gradient of x is passed on.",
        ran=False,
    )  # fmt: skip


def same_padding(draw: Random) -> Question:
    k = draw.choice((3, 5, 7, 9))
    right = next(p for p in range(k) if nn.Conv2d(1, 1, k, padding=p)(torch.zeros(1, 1, 20, 20)).shape[-1] == 20)
    return _ask(draw, f"Which padding keeps the size for kernel {k}, stride 1?", right, [right + 1, k, right - 1, 0],
                f"(k - 1) / 2 = {right}.")  # fmt: skip


def size_of_conv(draw: Random) -> Question:
    h, k, s, p = draw.choice((28, 31, 32, 33)), draw.choice((2, 3, 5)), draw.choice((1, 2, 3)), draw.choice((0, 1, 2))
    right = nn.Conv2d(1, 1, k, s, p)(torch.zeros(1, 1, h, h)).shape[-1]
    return _ask(draw, f"A convolution of kernel {k}, stride {s}, padding {p} makes what of size {h}?", right,
                [right + 1, h // s, math.ceil(h / s) + 1, right - 1],
                f"floor(({h} + {2 * p} - {k}) / {s}) + 1 = {right}.")  # fmt: skip


def size_of_pool(draw: Random) -> Question:
    h, times = draw.choice((33, 35, 45, 50)), draw.choice((2, 3))
    right = nn.Sequential(*[nn.MaxPool2d(2)] * times)(torch.zeros(1, 1, h, h)).shape[-1]
    return _ask(draw, f"A map of {h}x{h} goes through {times} poolings of 2x2. What size comes out?", right,
                [right + 1, h // 2, h // (2 * times), right - 1], "each halves and rounds down.")  # fmt: skip


def channel_mismatch(draw: Random) -> Question:
    a, b = draw.sample((16, 32, 64), 2)
    try:
        torch.zeros(2, a, 8, 8) + torch.zeros(2, b, 8, 8)
        right = "it runs"
    except RuntimeError:
        right = "an error: the sizes of axis 1 differ"
    return _ask(draw, f"What does PyTorch say to (2, {a}, 8, 8) + (2, {b}, 8, 8)?", right,
                ["it runs", f"it gives (2, {a + b}, 8, 8)", f"it gives (2, {max(a, b)}, 8, 8), filled up with zeros"],
                "addition goes place by place; only an axis of size 1 is repeated.")  # fmt: skip


def silent_broadcast(draw: Random) -> Question:
    n, c, h = draw.choice((2, 4)), draw.choice((8, 16)), draw.choice((5, 7))
    right = _shape(torch.zeros(n, c, h, h) + torch.zeros(n, 1, h, h))
    return _ask(draw, f"(N, C, H, W) = ({n}, {c}, {h}, {h}) plus ({n}, 1, {h}, {h}): what comes out?", right,
                ["an error", (n, 1, h, h), (n, c + 1, h, h)],
                "an axis of size 1 is repeated without a word: it runs, and is no residual.")  # fmt: skip


def weights_of_1x1(draw: Random) -> Question:
    a, b = draw.choice((16, 32)), draw.choice((64, 128))
    right = sum(p.numel() for p in nn.Conv2d(a, b, 1).parameters())
    return _ask(draw, f"How many parameters has nn.Conv2d({a}, {b}, 1), its bias included?", right,
                [a * b, a + b, 9 * a * b + b], f"{a} x {b} weights and {b} biases.")  # fmt: skip


def macs_of_order(draw: Random) -> Question:
    from skipstone.graphs.costs import cost
    from skipstone.tracing import trace

    a, b, h = 16, draw.choice((32, 64)), draw.choice((16, 32))
    right = cost(trace(nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(a, b, 1)), (1, a, h, h))).macs
    return _ask(draw, f"A 4x4 pooling and then a 1x1 convolution {a} -> {b}, on {h}x{h}: its multiply-adds?", right,
                [a * b * h * h, a * b, a * b * h // 4], f"{a} x {b} at each of {h // 4} x {h // 4} places.")  # fmt: skip


def gradient_of_residual(draw: Random) -> Question:
    a, x0 = draw.choice((0.5, 2.0, 3.0)), draw.choice((1.0, 2.0))
    x = torch.tensor(x0, dtype=torch.float64, requires_grad=True)
    (right,) = torch.autograd.grad(x + a * x**2, x)
    return _ask(draw, f"y = x + f(x), f(x) = {a:g} x^2. What is dy/dx at x = {x0:g}?", float(right),
                [2 * a * x0, 1 + a * x0, a * x0**2 + x0], f"1 + f'(x) = 1 + {2 * a:g} x.")  # fmt: skip


def gradient_through_depth(draw: Random) -> Question:
    w, layers, skip = draw.choice((0.1, 0.5)), draw.choice((10, 20)), draw.choice((0, 1))
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    y = x
    for _ in range(layers):
        y = skip * y + w * y
    (right,) = torch.autograd.grad(y, x)
    layer = f"y <- y + {w:g} y" if skip else f"y <- {w:g} y, no skips"
    return _ask(draw, f"{layers} layers {layer}. How large is the gradient of the last y for the first?", float(right),
                [w**layers, (1 + w) ** layers, w, 1 + layers * w],
                f"a product: with skips (1 + {w:g})^{layers}, without {w:g}^{layers}.")  # fmt: skip


def loss_curves(draw: Random) -> Question:
    seed, skips = draw.randrange(4), draw.sample((True, False), 2)
    a, b = (", ".join(f"{loss:.2f}" for loss in _losses(seed, skip)) for skip in skips)
    return _ask(draw, "Two networks of 20 ReLU layers, no norm, trained alike; one has a skip around each layer. Training loss "
                f"as it goes, A: {a}; B: {b}. Which has the skips?", "A" if skips[0] else "B",
                ["A", "B", "the curves don't tell"],
                "without skips no gradient reaches the first layers, and the loss stands still.")  # fmt: skip


def _losses(seed: int, skip: bool) -> list[float]:
    """Of a network with or without skips, after every eighth of 40 steps."""
    torch.manual_seed(seed)
    layers, head = [nn.Linear(16, 16) for _ in range(20)], nn.Linear(16, 1)
    x = torch.randn(128, 16)
    target = x[:, :1] * x[:, 1:2] + x[:, 2:3]
    weights = [weight for layer in (*layers, head) for weight in layer.parameters()]
    optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9)
    losses = []
    for _ in range(40):
        y = x
        for layer in layers:
            y = y + 0.3 * F.relu(layer(y)) if skip else F.relu(layer(y))
        loss = F.mse_loss(head(y), target / target.std())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses[7::8]


def inplace_identity(draw: Random) -> Question:
    value = -float(draw.choice((1, 2, 3)))
    x = torch.tensor([value])
    branch = nn.ReLU(inplace=True)(x) * 0
    right = float((x + branch)[0])
    return _ask(draw, f"x = {value:g}. y = 0 * relu_(x), with an in-place ReLU; what is x + y?", right,
                [value, -value, "an error"], "the ReLU wrote over x: the identity is relu(x).")  # fmt: skip


def dropout_in_evaluation(draw: Random) -> Question:
    p = draw.choice((0.3, 0.5))
    x = torch.ones(10_000)
    kept = bool(torch.equal(nn.Dropout(p).eval()(x), x))
    as_function = bool(torch.equal(F.dropout(x, p), x))
    right = {(True, False): "nn.Dropout leaves x alone, F.dropout(x, p) drops all the same"}.get(
        (kept, as_function), "?"
    )
    return _ask(draw, f"model.eval() was called. What do nn.Dropout({p}) and F.dropout(x, {p}) do in forward?", right,
                ["both leave x alone", "both drop", "nn.Dropout drops, F.dropout(x, p) leaves x alone"],
                "a function does not know the module's mode: F.dropout(x, p, self.training).")  # fmt: skip


def legal_sizes_of_block(draw: Random) -> Question:
    k, s, p = draw.choice(((2, 2, 2), (3, 2, 2), (4, 2, 3)))
    conv = nn.Conv2d(1, 1, k, s, p)

    def size(h: int) -> int:
        return int(conv(torch.zeros(1, 1, h, 1 + k)).shape[2])

    right = [h for h in range(1, 33) if size(h) == h]
    said = ", ".join(map(str, right)) or "none"
    return _ask(draw, f"x + conv(x), kernel {k}, stride {s}, padding {p}: which sizes from 1 to 32 add equal shapes?", said,
                ["all of them", "the even ones", "32", "none"],
                f"only where floor((h + {2 * p} - {k}) / {s}) + 1 = h.")  # fmt: skip


def channels_of_cat(draw: Random) -> Question:
    a, b = draw.choice((16, 24)), draw.choice((12, 32))
    right = _shape(torch.cat([torch.zeros(2, a, 8, 8), torch.zeros(2, b, 8, 8)], dim=1))
    return _ask(draw, f"torch.cat of (2, {a}, 8, 8) and (2, {b}, 8, 8) along dim=1 gives", right,
                [(2, max(a, b), 8, 8), (4, a, 8, 8), "an error"], "channels add up; the next layer must be told.")  # fmt: skip


def channels_of_dense(draw: Random) -> Question:
    k0, k, layers = draw.choice((16, 24, 64)), draw.choice((12, 32)), draw.choice((4, 6, 12))
    x = torch.zeros(1, k0, 1, 1)
    for _ in range(layers):
        x = torch.cat([x, torch.zeros(1, k, 1, 1)], dim=1)
    return _ask(draw, f"A dense block: {k0} channels in, {layers} layers of growth {k}. How many come out?", x.shape[1],
                [k * layers, k0 + k, k0 * layers], f"{k0} + {layers} x {k}.")  # fmt: skip


def features_for_linear(draw: Random) -> Question:
    times, c = draw.choice((1, 2, 3)), draw.choice((32, 64))
    right = nn.Sequential(*[nn.MaxPool2d(2)] * times)(torch.zeros(1, c, 32, 32)).flatten(1).shape[1]
    return _ask(draw, f"{c} channels of 32x32, {times} pooling(s) of 2x2, flattened: how many features?", right,
                [right // 4, right * 4, c * 8], f"{c} x {32 // 2**times} x {32 // 2**times}.")  # fmt: skip


def lost_update(draw: Random) -> Question:
    dtype, update = draw.choice((("float32", 1e-10), ("bfloat16", 1e-5), ("float32", 1e-7), ("bfloat16", 1e-3)))
    right = "it stays, bit for bit" if is_lost(0.05, update, dtype) else "it moves"
    return _ask(draw, f"A weight of 0.05 in {dtype} and an update of {update:g}. What becomes of the weight?", right,
                ["it moves", "it stays, bit for bit", "it becomes 0", "an underflow error"],
                "it moves if the update is more than half the distance to the next number of that format.")  # fmt: skip


def sgd_and_adam(draw: Random) -> Question:
    gradient = draw.choice((1e-6, 1e-5))
    moved = {}
    for name in ("SGD", "Adam"):
        weight = torch.tensor([0.05], dtype=torch.float32, requires_grad=True)
        weight.grad = torch.full_like(weight, gradient)
        before = weight.detach().clone()
        getattr(torch.optim, name)([weight], lr=1e-4).step()
        moved[name] = bool(weight.detach() != before)
    right = ", ".join(name for name, did in moved.items() if did) or "neither"
    return _ask(draw, f"float32, weight 0.05, gradient {gradient:g}, rate 1e-4: whose first step moves the weight?", right,
                ["SGD", "Adam", "SGD, Adam", "neither"],
                "SGD's update is rate x gradient; Adam divides the gradient by its own size first.")  # fmt: skip


def what_vanishes(draw: Random) -> Question:
    torch.manual_seed(draw.randrange(1000))
    layers = [nn.Linear(32, 32) for _ in range(30)]
    ratios = {}
    for name, skip in (("without skips", 0.0), ("with skips", 1.0)):
        x = torch.randn(16, 32)
        for layer in layers:
            layer.zero_grad()
            x = skip * x + F.relu(layer(x))
        x.square().mean().backward()  # type: ignore[no-untyped-call]
        first, last = (layer.weight.grad for layer in (layers[0], layers[-1]))
        assert first is not None
        assert last is not None
        ratios[name] = float(first.norm() / last.norm())
    right = min(ratios, key=lambda name: ratios[name])
    return _ask(draw, "30 ReLU layers as PyTorch initialises them, no norm: where does the first layer's gradient vanish?",
                right, ["with skips", "in both", "in neither"], f"measured, first over last: {_ratios(ratios)}.")  # fmt: skip


def _ratios(ratios: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1e}" for name, value in ratios.items())


def error_of_snippet(draw: Random) -> Question:
    c = draw.choice((16, 32))
    try:
        nn.Sequential(nn.Conv2d(3, c, 3), nn.Conv2d(3, c, 3))(torch.zeros(1, 3, 8, 8))
        right = "nothing"
    except RuntimeError as error:
        right = str(error).rpartition("expected ")[2]
    return _ask(draw, f"nn.Sequential(nn.Conv2d(3, {c}, 3), nn.Conv2d(3, {c}, 3)) on (1, 3, 8, 8): what happens?",
                f"RuntimeError: expected {right}", ["nothing", f"the second layer takes 3 of the {c} channels",
                "ValueError: kernel too large"], f"the second layer is given {c} channels and takes 3.")  # fmt: skip


def what_ablating_means(draw: Random) -> Question:
    return _ask(
        draw, "A skip is ablated from a trained network, nothing is retrained, and the accuracy falls to chance. What is "
        "shown?", "that these weights rely on the skip; not yet that a network without it trains worse",
        ["that the network can't be trained without the skip", "that the skip did most of the computing",
         "that the skip was wired wrongly"], "the other layers were trained with it; train anew without it to compare.",
        ran=False,
    )  # fmt: skip


def channels_last(draw: Random) -> Question:
    n, h, w, c = 2, draw.choice((28, 30)), draw.choice((20, 24)), draw.choice((16, 64))
    right = _shape(torch.zeros(n, h, w, c).permute(0, 3, 1, 2))
    return _ask(draw, f"Keras has a tensor of shape ({n}, {h}, {w}, {c}). What does PyTorch write?", right,
                [(n, h, w, c), (n, c, w, h), (c, n, h, w)], "the channels second: permute(0, 3, 1, 2).")  # fmt: skip


def overfitting(draw: Random) -> Question:
    turn = draw.randrange(3, 7)
    val = [round(1.0 / (1 + e) + (0.04 * (e - turn) ** 1.5 if e > turn else 0), 2) for e in range(1, 10)]
    right = val.index(min(val)) + 1
    return _ask(draw, f"Training loss falls all the way; validation loss by epoch: {', '.join(map(str, val))}. After which "
                "epoch does the network begin to overfit?", right, [len(val), right + 2, 1],
                f"the validation loss is lowest after epoch {right}.")  # fmt: skip


def zero_branch(draw: Random) -> Question:
    c = draw.choice((4, 8))
    branch = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c))
    nn.init.zeros_(branch[1].weight)  # type: ignore[arg-type]
    x = torch.randn(2, c, 6, 6)
    right = "x" if torch.equal(x + branch(x), x) else "something else"
    return _ask(draw, "A block x + BatchNorm(conv(x)) whose batch norm starts with weight 0: what does it return at first?",
                right, ["zeros", "2x", "conv(x)"], "the branch is zero, so a deep stack of them begins as the identity.")  # fmt: skip


QUESTIONS: tuple[Callable[[Random], Question], ...] = (
    why_skips, same_padding, size_of_conv, size_of_pool, channel_mismatch, silent_broadcast, weights_of_1x1,
    macs_of_order, gradient_of_residual, gradient_through_depth, loss_curves, inplace_identity,
    dropout_in_evaluation, legal_sizes_of_block, channels_of_cat, channels_of_dense, features_for_linear, lost_update,
    sgd_and_adam, what_vanishes, error_of_snippet, what_ablating_means, channels_last, overfitting, zero_branch,
)  # fmt: skip


def quiz(seed: int = 0) -> tuple[Question, ...]:
    """The 25 questions of this seed. Torch's generator is left as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            return tuple(make(Random(f"{seed} {make.__name__}")) for make in QUESTIONS)
    finally:
        torch.set_num_threads(threads)
