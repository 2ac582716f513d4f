"""Weights that run and are registered nowhere, and weights that only look so."""

import pytest
import torch
from torch import nn

from skipstone.checks import check
from skipstone.checks.text import finding_text

SHAPE = (4, 8)
SHARED = nn.Linear(8, 8)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return x + self.fc(x)


class Holder(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.blocks = blocks

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks.values() if hasattr(self.blocks, "values") else self.blocks:
            x = block(x)
        return x


class Inside(nn.Module):
    """The holder is a part of a larger network."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Linear(8, 8), Holder([Block(), Block()])

    def forward(self, x):
        return self.body(self.stem(x))


class MadeInForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)

    def forward(self, x):
        return nn.Linear(8, 8)(self.first(x))


class DefaultArgument(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)

    def forward(self, x, block=nn.Linear(8, 8)):  # noqa: B008 - the slip that is looked for
        return block(self.first(x))


class OfTheFile(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)

    def forward(self, x):
        return SHARED(self.first(x))


class ListOfParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.scales = [nn.Parameter(torch.ones(8)) for _ in range(3)]

    def forward(self, x):
        x = self.first(x)
        for scale in self.scales:
            x = x * scale
        return x


class Recurrent(nn.Module):
    """An initial state that requires a gradient, as tutorials write it."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 8)

    def forward(self, x):
        state = torch.zeros(1, 1, 8).requires_grad_(), torch.zeros(1, 1, 8).requires_grad_()
        return self.rnn(x[:, None], state)[0]


class ListOfRegistered(nn.Module):
    """A list beside the registration: a way to loop."""

    def __init__(self):
        super().__init__()
        self.a, self.b = Block(), Block()
        self.order = [self.b, self.a]

    def forward(self, x):
        for block in self.order:
            x = block(x)
        return x


class Teacher(nn.Module):
    """A frozen network that is hidden from the state dict on purpose."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.teacher = [nn.Linear(8, 8)]

    def forward(self, x):
        with torch.no_grad():
            target = self.teacher[0](x)
        return self.first(x) - target


class Hyper(nn.Module):
    """Weights that another layer makes."""

    def __init__(self):
        super().__init__()
        self.make = nn.Linear(8, 64)

    def forward(self, x):
        return nn.functional.linear(x, self.make(x).mean(0).view(8, 8))


FOUND = {
    "list": (lambda: Holder([Block(), Block()]), "", "4 trainable weights of Holder run and are not registered"),
    "list, told by name": (lambda: Holder([Block()]), "", "self.blocks is a plain list; make it an nn.ModuleList"),
    "dict": (lambda: Holder({"a": Block()}), "", "self.blocks is a plain dict; make it an nn.ModuleDict"),
    "tuple": (lambda: Holder((Block(),)), "", "self.blocks is a plain tuple"),
    "inside": (Inside, "body", "4 trainable weights of Holder"),
    "parameters": (ListOfParameters, "", "3 trainable weights of ListOfParameters"),
    "made in forward": (MadeInForward, "", "makes 2 trainable weights anew in each call"),
    "default argument": (DefaultArgument, "", "2 trainable weights of DefaultArgument run and are not registered"),
    "of the file": (OfTheFile, "", "2 trainable weights of OfTheFile run and are not registered"),
}
LEFT_ALONE = {
    "module list": lambda: Holder(nn.ModuleList([Block(), Block()])),
    "module dict": lambda: Holder(nn.ModuleDict({"a": Block()})),
    "initial state": Recurrent,
    "registered beside the list": ListOfRegistered,
    "frozen teacher": Teacher,
    "weights that a layer makes": Hyper,
}


def warned(model, **how):
    return [f for f in check(model, SHAPE, repairs=False, sizes=False, **how).findings if f.rule == "unregistered"]


@pytest.mark.parametrize("name", FOUND)
def test_finds(name):
    build, module, words = FOUND[name]
    (finding,) = warned(build())
    assert finding.module == module
    assert words in finding.message
    assert finding.file == __file__


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_leaves_alone(name):
    assert warned(LEFT_ALONE[name]()) == []
    assert warned(LEFT_ALONE[name](), run=False) == []


def test_the_record_alone_tells_of_layers_in_a_list():
    (finding,) = warned(Inside(), run=False)
    assert (finding.module, finding.message.partition(":")[0]) == (
        "body", "4 trainable weights of Holder run and are not registered",
    )  # fmt: skip


def test_what_the_file_keeps_for_all_gets_no_gradient_from_a_check():
    SHARED.weight.grad = torch.ones(8, 8)
    check(OfTheFile(), SHAPE)
    assert torch.equal(SHARED.weight.grad, torch.ones(8, 8))
    assert SHARED.bias.grad is None


def test_text(golden):
    (finding,) = warned(Holder([Block(), Block()]))
    golden("unregistered.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")
