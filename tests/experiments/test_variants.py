"""One network with and without its skips, by edits: equal starts, runs that resume, groups that are compared."""

from dataclasses import replace

import pytest
import torch

from skipstone.core.errors import SkipstoneError
from skipstone.experiments import compare, plan
from skipstone.report.words import sentence
from skipstone.runs.records import RunSpec, read_run
from skipstone.runs.variants import Variant
from skipstone.skips import find_skips
from skipstone.training import Silent, build_model, train

SHAPE = (1, 8, 8)
BASE = RunSpec(options={"width": 4, "shortcut": "B"}, epochs=2, device="cpu", flow=False)
PAIR = (Variant("as-is"), Variant("plain", ("ablate:all",)))


def built(*edits: str):
    torch.manual_seed(0)
    return build_model(replace(BASE, model="skipstone:resnet8", edits=edits), SHAPE, 10)


def blocks(model) -> int:
    return sum(skip.is_block_skip for skip in find_skips(model, torch.empty(2, *SHAPE)))


def test_what_variants_have_in_common_starts_equal():
    whole, plain, more = built(), built("ablate:all"), built("connect:stages.0 stages.2")
    assert (blocks(whole), blocks(plain), blocks(more)) == (3, 0, 4)
    ours = whole.state_dict()
    for variant in (plain, more):
        theirs = variant.state_dict()
        shared = ours.keys() & theirs.keys()
        assert len(shared) >= len(ours) - 12
        assert all(torch.equal(ours[key], theirs[key]) for key in shared)
    assert len(plain.state_dict()) < len(ours), "a projection that is gone has no parameters left"


def test_edits_are_carried_out_in_order():
    assert blocks(built("ablate:all", "connect:stages.0 stages.2")) == 1
    with pytest.raises(SkipstoneError, match=r"resnet8: edit 'ablate:9' cannot be carried out: .*9"):
        built("ablate:9")
    with pytest.raises(SkipstoneError, match=r"edit 'connect:stage.0 fc' cannot be carried out: unknown module 'stage"):
        built("connect:stage.0 fc")


def test_variants_are_planned_trained_and_compared(tmp_path):
    specs = plan(["resnet8"], out=tmp_path, base=BASE, seeds=2, variants=PAIR)
    assert [spec.variant for spec in specs] == ["as-is", "as-is", "plain", "plain"]
    assert specs[2].out == str(tmp_path / "runs" / "resnet8-plain_seed0")
    comparison = compare(specs, tmp_path, workers=2)
    assert comparison.complete
    assert [(g.label, g.variant) for g in comparison.groups] == [("resnet8 as-is", "as-is"), ("resnet8 plain", "plain")]
    assert [(d.factor, d.paired) for d in comparison.differences] == [("variant", True)]
    assert comparison.differences[0].p_corrected == comparison.differences[0].test_accuracy.p
    said = sentence(comparison, comparison.differences[0])
    assert ", paired by seed, n = 2 and 2)" in said
    assert comparison.groups[1].num_parameters < comparison.groups[0].num_parameters


def test_an_edited_network_resumes_bit_for_bit(tmp_path):
    class Stop(Silent):
        def finished_epoch(self, record):
            raise KeyboardInterrupt

    spec = replace(BASE, model="skipstone:resnet8", edits=("ablate:0", "connect:stages.0 stages.2"))
    train(replace(spec, out=str(tmp_path / "whole")))
    with pytest.raises(KeyboardInterrupt):
        train(replace(spec, out=str(tmp_path / "cut")), progress=Stop())
    train(replace(spec, out=str(tmp_path / "cut")), resume=True)
    whole, cut = ([replace(e, seconds=0.0) for e in read_run(tmp_path / name).epochs] for name in ("whole", "cut"))
    assert whole == cut
    assert read_run(tmp_path / "whole").environment["notes"] == []
