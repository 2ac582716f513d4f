"""A repair that is shown was run, forward and backward, where that is cheap; else it says that it was not."""

import torch
from torch import nn

from skipstone.checks import check

SHAPE = (2, 4, 9, 9)


class Halved(nn.Module):
    """A shortcut of another size than the branch, by which a repair is found."""

    def __init__(self):
        super().__init__()
        self.branch, self.short = nn.Conv2d(4, 4, 3, 2, 1), nn.AvgPool2d(2)

    def forward(self, x):
        return self.branch(x) + self.short(x)


class Unpooled(nn.Module):
    """An unpooled map a row short: fitted to its partner it has the right shape; its indices still point outside."""

    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)

    def forward(self, x):
        y, where = self.pool(self.conv(x))
        return self.unpool(y, where) + x


class Mixed(nn.Module):
    """Behind the merge stands a precision that no record of shapes objects to."""

    def __init__(self):
        super().__init__()
        self.branch, self.short = nn.Conv2d(4, 4, 3, 2, 1), nn.AvgPool2d(2)
        self.head = nn.Linear(5, 2).double()

    def forward(self, x):
        return self.head(self.branch(x) + self.short(x))


def effects(model, **how):
    return [repair.effect for finding in check(model, SHAPE, sizes=False, **how).errors for repair in finding.repairs]


def test_a_repair_that_runs_says_nothing_of_it():
    told = effects(Halved())
    assert told
    assert not any("not run" in effect for effect in told)


class NoKernel(Halved):
    """Behind the merge torch has no kernel, which a record, on tensors without data, does not come to know."""

    def forward(self, x):
        x = super().forward(x)
        if type(x) is torch.Tensor:
            raise RuntimeError("no kernel for this")
        return x


def test_a_repair_that_torch_refuses_is_none():
    assert effects(NoKernel(), run=False)
    assert effects(NoKernel()) == []


def test_what_torch_refuses_behind_a_repair_is_mended_with_it():
    repairs = [repair for finding in check(Mixed(), SHAPE, sizes=False).errors for repair in finding.repairs]
    assert repairs
    for repair in repairs:
        assert "behind it" in repair.effect
        repair.apply(Mixed())(torch.randn(SHAPE)).sum().backward()


def test_what_the_run_never_came_to_gets_no_repair():
    torch.manual_seed(0)
    refused, mismatch = check(Unpooled(), SHAPE, sizes=False).errors
    assert (refused.rule, mismatch.rule) == ("refused-in-run", "spatial-mismatch")
    assert [repair.title for repair in refused.repairs] == ["unpool(..., output_size=[9, 9])"]
    assert not mismatch.repairs
    assert effects(Unpooled(), run=False)


def test_where_no_run_can_be_afforded_the_repair_says_so():
    told = effects(Halved(), budget=1e-9)
    assert told
    assert all(effect.endswith("; not run") for effect in told)


def test_where_no_run_is_wanted_nothing_is_said_of_it():
    assert not any("not run" in effect for effect in effects(Halved(), run=False))


class Upsampled(nn.Module):
    """A transposed convolution with the output padding of a stride that was left out."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(4, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 3, 1, 1, output_padding=1)

    def forward(self, x):
        return self.up(self.down(x)) + x


def test_an_output_padding_gets_its_stride_and_no_size_is_called_legal():
    model, example = Upsampled(), (2, 4, 8, 8)
    report = check(model, example)
    repair = report.errors[0].repairs[0]
    assert "not run" not in repair.effect
    assert repair.apply(model)(torch.randn(example)).shape == torch.Size(example)
    assert not any(finding.sizes for finding in report.errors)
    assert any(finding.sizes for finding in check(model, example, run=False).errors)


def test_what_the_run_alone_told_is_mended_in_a_run_though_another_fault_stands_behind_it():
    """Of two reasons to refuse one layer, the cast mends the one that torch does not tell of."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(4, 4, 1, output_padding=1)

        def forward(self, x):
            return self.up(x.bfloat16()).view(x.shape[0], -1, 2).reshape(x.shape)

    model = Two()
    first = check(model, (2, 4, 6, 6), sizes=False).errors[0]
    assert "output padding must be smaller" in first.message
    for repair in first.repairs:
        again = check(repair.apply(model), (2, 4, 6, 6), sizes=False, repairs=False)
        assert all(error.message != first.message for error in again.errors), repair
