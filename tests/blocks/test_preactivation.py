"""Pre-activation: nothing stands on the path from block to block."""

import torch

from skipstone.blocks.preactivation import PreActivation, basic_branch, preactivation_block


def test_the_stream_is_the_input_plus_the_sum_of_all_branches() -> None:
    torch.manual_seed(0)
    blocks = [preactivation_block(basic_branch(4, 4), 4, 4).double() for _ in range(8)]
    made: list[torch.Tensor] = []
    for block in blocks:
        block.branch.register_forward_hook(lambda _module, _inputs, output: made.append(output))
    x = y = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    for block in blocks:
        y = block(y)
    total = x
    for branch in made:
        total = total + branch
    assert len(made) == 8
    assert torch.equal(y, total)


def test_an_activation_after_the_sum_breaks_it() -> None:
    block = preactivation_block(basic_branch(4, 4), 4, 4)
    x = torch.randn(2, 4, 5, 5)
    y = torch.relu(block(x))
    assert not torch.equal(y, x + block.branch(block.preactivation(x)))


def test_projections_take_the_activated_input_or_on_request_the_raw_one() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 6)
    block = preactivation_block(basic_branch(4, 8, 2), 4, 8, 2).eval()
    active = block.preactivation(x)
    assert torch.equal(block(x), block.shortcut(active) + block.branch(active))
    raw = PreActivation(block.branch, 4, block.shortcut, activated_shortcut=False).eval()
    assert torch.equal(raw(x), block.shortcut(x) + block.branch(active))
    assert sum(p.numel() for p in raw.parameters()) == sum(p.numel() for p in block.parameters())
    assert not torch.equal(raw(x), block(x))


def test_option_a_takes_the_raw_input() -> None:
    x = torch.randn(2, 4, 6, 6)
    block = preactivation_block(basic_branch(4, 8, 2), 4, 8, 2, shortcut_name="A").eval()
    branch = block.branch(block.preactivation(x))
    assert torch.equal(block(x)[:, :4], x[:, :, ::2, ::2] + branch[:, :4])


def test_no_skip_at_all_leaves_the_parameters_of_option_a() -> None:
    count = [
        sum(p.numel() for p in preactivation_block(basic_branch(4, 8, 2), 4, 8, 2, shortcut_name=name).parameters())
        for name in ("A", "none")
    ]
    assert count[0] == count[1]
