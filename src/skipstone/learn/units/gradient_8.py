"""Training moves each weight against its gradient, and the gradient of an early layer is a product over all layers
behind it. Factors below one make it vanish, factors above one make it explode; how fast depends on the initialisation,
the normalisation and the skips.

With PyTorch's own initialisation and no normalisation each ReLU layer shrinks the gradient by about 0.4: after fifty
layers next to nothing is left. Batch norm stops that, but it overdoes it: a plain network with batch norm has a gradient
that grows towards the input, by about 1.2 a layer. Skips carry the gradient past the layers, unchanged.

So "skips cure vanishing gradients" is half of the story: with batch norm nothing vanishes, and skips still help.
Measure before you believe.

And a small gradient is not yet a lost one: a weight moves if its update is more than half the distance to the next
number that its format can hold. What the update is, the optimizer decides: SGD takes rate x gradient, Adam divides the
gradient by its own size first, unless its eps is larger than that.
"""

import math
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from skipstone.learn.asks import Calls, Value
from skipstone.learn.pictures import curves
from skipstone.learn.verdict import Point, in_parts, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers

TITLE = "the vanishing gradient: predict, then measure"
FOUR = (("plain", "none"), ("plain", "batch"), ("residual", "none"), ("residual", "batch"))
DEPTHS = (8, 20, 56)
PREDICTED = Value("predicted")
MEASURED = Calls("first_over_last", tuple((kind, d, norm) for kind, norm in FOUR for d in (8, 20)))
MOVES = Value("moves")
ASKS = (PREDICTED, MEASURED, MOVES)
SECONDS = 20
OPTIMIZERS = ("SGD", "Adam", "Adam with eps 1e-20")
FORMATS = ("float64", "float32", "bfloat16")

STATEMENT = """
1. Predict, for networks of depth 8, 20 and 56, with and without skips, with and without batch norm: is the gradient of
   the first convolution's weight, divided by that of the last one's, below 1/100 ("vanishes"), above 100 ("explodes"),
   or "neither"?
2. Write first_over_last(kind, depth, norm): build bench.network(kind, depth, norm), run bench.batch() through it in
   training mode, cross-entropy, backward, and return the norm of the first convolution's weight gradient over that of
   the last one's. Then correct your predictions by it.
3. A weight is 0.05, its gradient 1e-15, the rate 1e-4. Does one step move it? Fill in True or False, nine times.
"""

STARTER = '''
"""gradient-8: predict, measure, and see which updates get lost."""

from torch import nn
from torch.nn import functional as F

from skipstone.learn import bench

predicted = {  # "vanishes", "explodes" or "neither", for each depth
    ("plain", "none"): {8: None, 20: None, 56: None},
    ("plain", "batch"): {8: None, 20: None, 56: None},
    ("residual", "none"): {8: None, 20: None, 56: None},
    ("residual", "batch"): {8: None, 20: None, 56: None},
}


def first_over_last(kind, depth, norm):
    model = bench.network(kind, depth, norm)
    images, labels = bench.batch()
    return 1.0  # to be written


moves = {
    "SGD": {"float64": None, "float32": None, "bfloat16": None},
    "Adam": {"float64": None, "float32": None, "bfloat16": None},
    "Adam with eps 1e-20": {"float64": None, "float32": None, "bfloat16": None},
}
'''

HINTS = (
    "convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]; after loss.backward(): convs[0].weight.grad.norm().",
    "for depth in (8, 20, 56): print(depth, first_over_last('plain', depth, 'none')), and the three other kinds.",
    "float32 has 24 significant bits: near 0.05 it tells numbers apart that differ by 3.7e-9. SGD's update is 1e-19.",
    "Adam's first update is rate x g / (|g| + eps). With g = 1e-15 and eps = 1e-8 that is 1e-11; with eps = 1e-20, 1e-4.",
)

_LOOP = """    model.train()
    F.cross_entropy(model(images), labels).backward()
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    return float(convs[0].weight.grad.norm() / convs[-1].weight.grad.norm())
"""
SOLUTION = (
    STARTER.replace("    return 1.0  # to be written\n", _LOOP)
    .replace('"none"): {8: None, 20: None, 56: None}', '"none"): {8: "neither", 20: "vanishes", 56: "vanishes"}', 1)
    .replace('"batch"): {8: None, 20: None, 56: None}', '"batch"): {8: "neither", 20: "neither", 56: "explodes"}', 1)
    .replace("{8: None, 20: None, 56: None}", '{8: "neither", 20: "neither", 56: "neither"}')
    .replace("""{"float64": None, "float32": None, "bfloat16": None},
    "Adam": {"float64": None, "float32": None, "bfloat16": None},
    "Adam with eps 1e-20": {"float64": None, "float32": None, "bfloat16": None}""",
             """{"float64": False, "float32": False, "bfloat16": False},
    "Adam": {"float64": True, "float32": False, "bfloat16": False},
    "Adam with eps 1e-20": {"float64": True, "float32": True, "bfloat16": False}""")
    .lstrip("\n")
)  # fmt: skip
_GRADIENT_FLOW = """    import skipstone

    model.train()
    flow = [layer for layer in skipstone.gradient_flow(model, (images, labels)).layers if layer.kind == "conv"]
    return flow[0].grad_norm / flow[-1].grad_norm
"""
_AUTOGRAD = """    import torch

    convs = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    loss = nn.CrossEntropyLoss()(model(images), labels)
    first, last = torch.autograd.grad(loss, (convs[0], convs[-1]))
    return first.norm() / last.norm()
"""
_NAMED = """    loss = F.nll_loss(model(images).log_softmax(1), labels)
    loss.backward()
    norms = [p.grad.square().sum().sqrt().item() for p in model.parameters() if p.ndim == 4]
    return norms[0] / norms[-1]
"""
_HOOKS = """    seen = []
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    for conv in (convs[0], convs[-1]):
        conv.weight.register_hook(lambda g: seen.append(g.norm().item()))
    F.cross_entropy(model(images), labels).backward()
    return seen[1] / seen[0]
"""
RIGHT = {
    "gradient_flow": SOLUTION.replace(_LOOP, _GRADIENT_FLOW),
    "autograd.grad": SOLUTION.replace(_LOOP, _AUTOGRAD),
    "parameters of four axes": SOLUTION.replace(_LOOP, _NAMED),
    "hooks": SOLUTION.replace(_LOOP, _HOOKS),
    "moves by running": SOLUTION[: SOLUTION.index("moves = {")] + '''
import torch

choices = {"SGD": (torch.optim.SGD, {}), "Adam": (torch.optim.Adam, {}), "Adam with eps 1e-20": (torch.optim.Adam, {"eps": 1e-20})}
moves = {}
for name, (make, more) in choices.items():
    moves[name] = {}
    for dtype in ("float64", "float32", "bfloat16"):
        w = torch.tensor([0.05], dtype=getattr(torch, dtype), requires_grad=True)
        before = w.detach().clone()
        w.grad = torch.full_like(w, 1e-15)
        make([w], lr=1e-4, **more).step()
        moves[name][dtype] = bool(before != w)
''',
}  # fmt: skip
WRONG = {
    "batch norm vanishes too": (SOLUTION.replace('"explodes"', '"vanishes"'), "grows towards the input"),
    "plain does not vanish": (SOLUTION.replace('20: "vanishes"', '20: "neither"'), "('plain', 'none') at depth 20 is not 'neither'"),
    "skips vanish": (SOLUTION.replace('56: "neither"', '56: "vanishes"', 1), "('residual', 'none') at depth 56 is not"),
    "last over first": (SOLUTION.replace("convs[0].weight.grad.norm() / convs[-1].weight.grad.norm()",
                                         "convs[-1].weight.grad.norm() / convs[0].weight.grad.norm()"), "the other way round"),
    "in evaluation": (SOLUTION.replace("model.train()", "model.eval()"), "training mode"),
    "the weights' norms": (SOLUTION.replace(".weight.grad.norm()", ".weight.norm()"), "first_over_last('plain', 8, 'none')"),
    "no backward": (SOLUTION.replace(".backward()", ""), "raises AttributeError"),
    "SGD in float64": (SOLUTION.replace('"SGD": {"float64": False', '"SGD": {"float64": True'), "SGD in float64"),
    "Adam always rescues": (SOLUTION.replace('"float64": True, "float32": False', '"float64": True, "float32": True'),
                            "Adam in float32"),
    "bfloat16 is as fine": (SOLUTION.replace('"float32": True, "bfloat16": False', '"float32": True, "bfloat16": True'),
                            "eps 1e-20 in bfloat16"),
}  # fmt: skip


@cache
def ratio(kind: str, depth: int, norm: str) -> float:
    """The measured truth, by `skipstone.gradient_flow`."""
    from skipstone.flow import gradient_flow
    from skipstone.learn import bench

    model = bench.network(kind, depth, norm).train()
    convs = [layer for layer in gradient_flow(model, bench.batch()).layers if layer.kind == "conv"]
    return convs[0].grad_norm / convs[-1].grad_norm


@cache
def moved(optimizer: str, dtype: str) -> bool:
    """Does a step of torch's own optimizer move the weight?"""
    import torch

    weight = torch.tensor([0.05], dtype=getattr(torch, dtype), requires_grad=True)
    before = weight.detach().clone()
    weight.grad = torch.full_like(weight, 1e-15)
    made: torch.optim.Optimizer
    if optimizer == "SGD":
        made = torch.optim.SGD([weight], lr=1e-4)
    else:
        made = torch.optim.Adam([weight], lr=1e-4, eps=1e-20 if "eps" in optimizer else 1e-8)
    made.step()
    return bool(before != weight)


def picture() -> str:
    from skipstone.flow import gradient_flow
    from skipstone.learn import bench

    rows = {}
    for kind, norm in FOUR[:2]:
        model = bench.network(kind, 20, norm).train()
        layers = [layer for layer in gradient_flow(model, bench.batch()).layers if layer.kind == "conv"]
        rows[f"{kind}, {'no' if norm == 'none' else norm} norm"] = [layer.grad_norm for layer in layers]
    return curves(rows, log=True, note="norm of each convolution's gradient at depth 20, first layer on the left:")


def judge(answers: "Answers") -> Iterator[Point]:
    return in_parts(answers, _predictions, _measurements, _moves)


def _predictions(answers: "Answers") -> Iterator[Point]:
    given = answers.value(PREDICTED)
    for key in FOUR:
        line = answers.line(PREDICTED.name, key) or answers.line(PREDICTED.name)
        row = given.get(key) if isinstance(given, dict) else None
        if not isinstance(row, dict) or any(row.get(depth) is None for depth in DEPTHS):
            yield wrong(f"predicted: {key} is not filled in yet", line)
            continue
        found = {depth: ratio(key[0], depth, key[1]) for depth in DEPTHS}
        off = next((depth for depth in DEPTHS if row[depth] != _outcome(found[depth])), None)
        if off is None:
            shown = ", ".join(f"{value:.2g} at {depth}" for depth, value in found.items())
            yield right(f"{key}: measured, first over last is {shown}")
        else:
            grows = "; it grows towards the input" if found[off] > 1e2 else ""
            yield wrong(
                f"predicted: {key} at depth {off} is not {row[off]!r}: measured, first over last is {found[off]:.2g}{grows}",
                line,
            )


def _outcome(ratio: float) -> str:
    return "vanishes" if ratio < 1e-2 else "explodes" if ratio > 1e2 else "neither"


def _measurements(answers: "Answers") -> Point:
    line = answers.line(MEASURED.name)
    results = answers.calls(MEASURED)
    if all(given == 1 for given in results):
        return wrong("first_over_last returns 1 for each network: it is still to be written", line)
    for case, given in zip(MEASURED.cases, results, strict=True):
        kind, depth, norm = case
        assert isinstance(depth, int)
        expected = ratio(str(kind), depth, str(norm))
        number = given[0] if isinstance(given, tuple) and len(given) == 1 else given
        if not isinstance(number, int | float) or isinstance(number, bool):
            return wrong(f"first_over_last{case} returns {given!r}, expected a number", line)
        if math.isclose(number, expected, rel_tol=0.02):
            continue
        why = "look which norm is divided by which"
        if number and math.isclose(1 / number, expected, rel_tol=0.02):
            why = "it is the other way round"
        elif norm == "batch":
            why = "is the network in training mode?"
        return wrong(f"first_over_last{case} is {number:.4g}, measured here {expected:.4g}: {why}", line)
    return right(f"first_over_last measures what gradient_flow measures, on {len(results)} networks")


def _moves(answers: "Answers") -> Iterator[Point]:
    given = answers.value(MOVES)
    for optimizer in OPTIMIZERS:
        row = given.get(optimizer) if isinstance(given, dict) else None
        line = answers.line(MOVES.name, optimizer) or answers.line(MOVES.name)
        if not isinstance(row, dict) or any(row.get(dtype) is None for dtype in FORMATS):
            yield wrong(f"moves: {optimizer} is not filled in yet", line)
            continue
        for dtype in FORMATS:
            if row[dtype] is not moved(optimizer, dtype):
                what = "moves the weight" if moved(optimizer, dtype) else "leaves the weight as it was, bit for bit"
                yield wrong(f"moves: {optimizer} in {dtype} is not {row[dtype]!r}: the step, really made, {what}", line)
                break
        else:
            yield right(f"{optimizer} moves the weight in {', '.join(d for d in FORMATS if row[d]) or 'no format'}")
