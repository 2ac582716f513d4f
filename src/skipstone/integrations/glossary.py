"""The words that findings, repairs and notes use, each in a sentence or two: `skipstone explain broadcasting`."""

import re
import sys
import textwrap
from dataclasses import dataclass

from skipstone.core.pages import main


@dataclass(frozen=True, slots=True)
class Term:
    """A word, other words for it that mean the same here, and what it means."""

    name: str
    also: tuple[str, ...]
    meaning: str


# An entry begins where its line does: the word, others for it in parentheses, its meaning.
_TEXT = """\
skip connection (skip; residual; residual connection): A tensor used again further on, past layers that it did
    not go through: y = x + f(x), or cat([x, f(x)]). The part that passes the layers by is the shortcut, the
    part that goes through them the branch, and where they meet is the merge.
shortcut (identity; identity shortcut): The operand of a merge that passes the layers by: x in x + f(x). It is
    an identity where nothing happens to it, and a projection where a layer changes its channels or its size.
branch: The operand of a merge that goes through the layers: f(x) in x + f(x).
merge (join): Where shortcut and branch become one tensor: an addition, a concatenation or a product.
projection (1x1 convolution; option b; projection shortcut): A 1x1 convolution (or a Linear) on the shortcut
    that gives it the branch's number of channels, and with a stride its size. The ResNet paper calls it option
    B.
zero channels (every nth pixel; option a; zero padding of channels; subsample; parameter-free shortcut): Channels full
    of zeros put behind those of the shortcut until it has as many as the branch, and every second pixel taken where the
    size is halved too. It costs no parameter. The ResNet paper calls it option A.
stream (residual stream): The tensor that blocks add to one after another: x, x + f(x), ... What damages it (a
    norm, a dropout, a ReLU on the sum) damages the signal of all blocks before.
gate: A branch that is multiplied by a factor between 0 and 1 that the network computes, as in
    squeeze-and-excitation.
block: A few layers with one merge at their end, used several times in a row.
stage: The blocks that work at one size of the image; the next stage is smaller and wider.
drop path: In training, the branch of a block is left out for some samples by chance; in evaluation never. Also
    called stochastic depth; `skipstone explain stochastic_depth` has its page.
mask: A tensor of zeros and ones, or of true and false, that says which values stay.
table (position table; position embedding): A weight with a row for each position of a sequence or an image: a
    position embedding.
channels (channel axis; width): The axis of a feature map that counts its different filters: axis 1 in torch's
    (N, C, H, W), the last axis in Keras' (N, H, W, C).
features: The numbers that describe one sample or one token; the axis that a Linear works on, the last one.
places (place; positions; position; spatial size): The pixels of a map, or the steps of a sequence: the axes along
    which a layer does the same everywhere.
samples (batch axis; batch; sample): The members of a batch. They must not influence each other in evaluation;
    the batch axis, first in most tensors, counts them.
axis (dim): A direction of a tensor, counted from 0. torch calls it dim: axis 1 of (2, 3, 32, 32) has 3 entries.
broadcasting: torch adds tensors of different shapes by repeating axes of size 1: (2, 8, 8, 8) + (2, 8, 1, 1).
    Where it is meant it saves memory; where it is an accident, (N, 1) against (N,), no error comes and the
    result is wrong.
legal sizes (legal size): The input sizes at which the network runs without an error and without an accidental
    broadcast. `skipstone sizes` tells all of them.
rounds down (rounds up; ceil_mode): A layer with stride 2 halves a size, and an odd one does not divide: 15
    becomes 7 (rounded down, as AvgPool2d(2, 2) does) or 8 (rounded up, as Conv2d(k3, s2, p1) or ceil_mode=True
    does). Two branches that round differently do not meet.
k3, s2, p1 (kernel; stride; padding; k3; s2; p1): A convolution or pooling in short: kernel 3, stride 2, padding
    1; d2 is dilation 2, g4 are 4 groups.
they part here (ledger): In the list of a shortcut's and a branch's layers, the first one behind which their
    shapes can no longer meet.
NHWC (nchw; channels last): The order batch, height, width, channels, as Keras has it; torch's is
    NCHW: batch, channels, height, width.
in place (out of place; inplace): An operation that overwrites its input instead of making a new tensor: x += y,
    relu_(), ReLU(inplace=True). Where something else still needs the old values, a shortcut or the backward
    pass, it is a fault.
saved for the backward pass (saved tensor): Values that an operation of the forward pass keeps because its
    gradient is computed from them. Overwriting them makes `backward()` raise.
detached (detach): Cut off from the gradient, by `detach()`, `.data` or `torch.no_grad()`: what lies before it
    does not learn from there.
registered (plain list): Known to the network as a part of it. Layers in a plain list are not; an nn.ModuleList
    registers them.
training and evaluation (evaluation; mode; eval; train mode): The two modes of a network, set by `train()` and
    `eval()`: dropout and batch norm behave differently in them.
error, warning, note (error; warning; note; finding): An error: it does not run, or cannot be trained. A
    warning: it runs, and does not do what was meant. A note: worth knowing.
record (recorded; recorded pass): The network's forward pass, run once on tensors without data, every operation
    written down. It costs no memory for weights or activations, and changes nothing in the network.
partial (partial record; stopped at): The record ended before the network did, where the pass needs to know the
    data. What stands before is checked.
data-dependent (took a data-dependent condition as true): Decided by values, as `if x.sum() > 0:` is. A record
    has no values; where it says that one was taken for granted, the other way through the network was not seen.
run (not run): A copy of the network really run, forward and backward, where that is cheap: it shows what only
    real kernels refuse. The summary says whether and at which size (--run, --no-run).
repair: A change that removes the finding. Each was tried on a copy before it is shown: recorded anew, and run
    where that is cheap. --diff shows the change of the source, --fix makes it.
operand (operands): One of the tensors that an operation takes: a + b has two.
root module (root): The module that the program calls itself; the others are called by it.
MACs (multiply-adds; gmacs): Multiply-adds, the unit of what a pass costs: a Linear of 10 to 20 features takes
    200 for each row. GMACs are thousand millions of them.
activation (activations): A tensor between two layers, kept in memory for the backward pass.
resample (interpolate): Give a map another size by interpolation, as `F.interpolate` does.
parameters (weights): The numbers of a network that training changes; a repair says how many it adds.
backward pass (backward): From the loss back to the weights, what each of them adds to it: `loss.backward()`.
baseline: A file of findings that were accepted: only new ones count afterwards.
"""
_ENTRY = re.compile(r"(?P<name>[^(:]+?)(?: \((?P<also>[^)]*)\))?: (?P<meaning>.*)", re.DOTALL)


def _read(text: str) -> tuple[Term, ...]:
    terms = []
    for entry in re.split(r"\n(?=\S)", text.strip()):
        found = _ENTRY.fullmatch(" ".join(entry.split()))
        assert found is not None, entry
        terms.append(
            Term(found["name"], tuple((found["also"] or "").split("; ")) if found["also"] else (), found["meaning"])
        )
    return tuple(terms)


TERMS = _read(_TEXT)


def term(name: str) -> Term | None:
    """The term of that name, however it is written; None where there is none."""
    wanted = _plain(name)
    return next((t for t in TERMS if wanted in map(_plain, (t.name, *t.also))), None)


def names() -> list[str]:
    """Every term's own name, in the order of the text."""
    return [t.name for t in TERMS]


def page(one: Term) -> str:
    """What `skipstone explain` prints."""
    meaning = textwrap.fill(one.meaning, 96, initial_indent="    ", subsequent_indent="    ")
    also = f"\nAlso: {', '.join(one.also)}\n" if one.also else ""
    return f"{one.name}\n\n{meaning}\n{also}"


def pages() -> dict[str, str]:
    """The one page of all terms, in the order of the alphabet."""
    head = "# Glossary\n\nThe words that findings, repairs and notes use. `skipstone explain branch` prints one.\n\n"
    return {"glossary.md": head + "\n".join(map(_row, sorted(TERMS, key=lambda t: t.name.lower())))}


def _row(one: Term) -> str:
    also = f" ({', '.join(one.also)})" if one.also else ""
    return f"**{one.name}**{also}: {one.meaning}\n"


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").replace("_", " ").split())


if __name__ == "__main__":
    sys.exit(main("skipstone.integrations.glossary", sys.argv[1:], pages()))
