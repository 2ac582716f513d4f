"""The contract every design keeps: the table, the records, the pages, and what its example's module must do."""

import copy
import pickle
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import skipstone.blocks
from skipstone import blocks
from skipstone.blocks.pages import pages
from skipstone.core.design import Design
from skipstone.core.errors import UnknownNameError

FOLDER = Path(skipstone.blocks.__file__).parent
DOCS = Path(__file__).parents[2] / "docs" / "designs"
NOT_DESIGNS = {"__init__", "catalogue", "pages"}
SLUGS = blocks.names()
CASES = [pytest.param(slug, dims, id=f"{slug}-{dims}d") for slug in SLUGS for dims in blocks.get(slug).dims]
TWO_D = [slug for slug in SLUGS if 2 in blocks.get(slug).dims]
BLOCK_KINDS = ("identity", "projection", "resample", "norm")


def made(slug: str, dims: int = 2) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model, shape = blocks.module(slug).example(dims)
    return model, torch.randn(shape)


def tensors(output: Tensor | list[Tensor]) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)


def run(model: nn.Module, x: Tensor, seed: int = 1) -> list[Tensor]:
    torch.manual_seed(seed)
    return tensors(model(x))


def test_table_and_folder_agree() -> None:
    assert set(SLUGS) == {file.stem for file in FOLDER.glob("*.py")} - NOT_DESIGNS
    for slug in SLUGS:
        assert blocks.CATALOGUE[slug] == f"skipstone.blocks.{slug}"
        assert blocks.get(slug).slug == slug


def test_every_design_has_a_test_of_its_own() -> None:
    assert [slug for slug in SLUGS if not (Path(__file__).parent / f"test_{slug}.py").exists()] == []


@pytest.mark.parametrize("slug", SLUGS)
def test_record_is_complete(slug: str) -> None:
    design = blocks.get(slug)
    assert isinstance(design, Design)
    for name in ("title", "paper", "equation", "initialisation", "shapes", "fact"):
        assert getattr(design, name).strip(), name
    assert design.arxiv.count(".") == 1
    assert all(part.isdigit() for part in design.arxiv.split("."))
    assert 2012 <= design.year <= 2026
    assert design.year % 100 in (int(design.arxiv[:2]), int(design.arxiv[:2]) + 1)
    assert design.authors
    assert design.dims


@pytest.mark.parametrize("slug", SLUGS)
def test_docstring_follows_the_pattern(slug: str) -> None:
    text = blocks.module(slug).__doc__ or ""
    assert text.splitlines()[0].endswith(".")
    for heading in ("\n    ", "\nShapes: ", "\nInitialisation: ", "\nHow ours differs: "):
        assert heading in text, heading


def test_pages_are_up_to_date() -> None:
    """Run `python -m skipstone.blocks.pages docs/designs` where this fails."""
    want = pages()
    assert {file.name for file in DOCS.iterdir()} == set(want)
    assert [name for name, text in want.items() if (DOCS / name).read_text(encoding="utf-8") != text] == []


def test_a_page_holds_the_record_and_the_docstring() -> None:
    page = blocks.page("rezero")
    assert page.startswith("# ReZero\n")
    assert "https://arxiv.org/abs/2003.04887" in page
    assert "alpha = 0 at the start" in page
    assert "How ours differs" in page


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown design 're-zero'; nearest: rezero"):
        blocks.get("re-zero")


@pytest.mark.parametrize(("slug", "dims"), CASES)
def test_gradient_reaches_the_input_and_every_parameter(slug: str, dims: int) -> None:
    model, x = made(slug, dims)
    x.requires_grad_()
    outputs = run(model, x)
    assert all(y.shape[0] == x.shape[0] and y.isfinite().all() for y in outputs)
    sum(y.square().mean() for y in outputs).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("slug", SLUGS)
def test_copies_and_state_dicts_give_the_same_outputs(slug: str) -> None:
    model, x = made(slug)
    run(model, x)  # moves the batch statistics off their start
    fresh, _ = made(slug)
    torch.manual_seed(7)
    for parameter in fresh.parameters():
        nn.init.normal_(parameter)
    missing = fresh.load_state_dict(model.state_dict())
    assert not missing.missing_keys
    twins = [fresh, copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    want = run(model.eval(), x)
    for twin in twins:
        for got, y in zip(run(twin.eval(), x), want, strict=True):
            assert torch.equal(got, y)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("slug", SLUGS)
def test_half_precision(slug: str, dtype: torch.dtype) -> None:
    model, x = made(slug)
    outputs = run(model.to(dtype), x.to(dtype))
    assert all(y.dtype == dtype and y.isfinite().all() for y in outputs)
    sum(y.float().square().mean() for y in outputs).backward()
    assert all(p.grad is not None and p.grad.dtype == dtype for p in model.parameters())


@pytest.mark.parametrize("slug", SLUGS)
def test_autocast_leaves_parameters_and_their_gradients_in_float32(slug: str) -> None:
    model, x = made(slug)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = run(model, x)
    sum(y.float().square().mean() for y in outputs).backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("slug", TWO_D)
def test_channels_last(slug: str) -> None:
    """The same values in the same format; streams (N, n, C, H, W) have five axes and no such format."""
    model, x = made(slug)
    model.eval()
    want = run(model, x)
    got = run(model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last))
    for one, two in zip(got, want, strict=True):
        torch.testing.assert_close(one, two)
        assert one.is_contiguous(memory_format=torch.channels_last) or slug == "hyper_connections"


@pytest.mark.parametrize("slug", SLUGS)
def test_training_leaves_inputs_alone(slug: str) -> None:
    model, x = made(slug)
    before = x.clone()
    run(model, x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("slug", SLUGS)
def test_our_own_finder_sees_the_declared_skips(slug: str) -> None:
    """Every kind of block skip, and whatever other kinds the design declares."""
    from skipstone.skips import find_skips

    model, x = made(slug)
    declared = Counter({(skip.kind, skip.merge): skip.count for skip in blocks.get(slug).skips})
    kinds = {kind for kind, _ in declared}
    found = Counter(
        (skip.kind, skip.merge) for skip in find_skips(model, x) if skip.kind in kinds or skip.kind in BLOCK_KINDS
    )
    assert found == declared


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("slug", SLUGS)
def test_our_own_checker_finds_nothing(slug: str, training: bool) -> None:
    from skipstone.checks import check

    model, x = made(slug)
    report = check(model.train(training), x)
    assert [finding for finding in report.findings if finding.severity != "note"] == []


@pytest.mark.slow
@pytest.mark.parametrize("slug", SLUGS)
def test_compiles_in_one_graph(slug: str) -> None:
    model, x = made(slug)
    if slug == "stochastic_depth":
        model.per = "sample"  # one draw for the whole batch decides whether the branch runs at all: no one graph
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    sum(y.square().mean() for y in tensors(compiled(x))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    model.eval()
    for got, want in zip(tensors(compiled(x)), tensors(model(x)), strict=True):
        torch.testing.assert_close(got, want)


def test_the_classes_of_all_designs_stand_in_the_package() -> None:
    for slug in SLUGS:
        module = blocks.module(slug)
        own = [
            name
            for name, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
        ]
        parts = {"Pyramid", "Join", "_Columns", "Hierarchy", "StandardisedConv", "GainedReLU", "ShiftedProjection"}
        assert [name for name in own if not hasattr(blocks, name) and name not in parts] == []
