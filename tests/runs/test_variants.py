"""Variants in words: what they mean, and what is wrong with those that mean nothing."""

import subprocess
import sys

import pytest

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import RunSpec
from skipstone.runs.variants import Ablation, NewSkip, Variant, parse_edit, parse_variant


def test_edits():
    assert parse_edit("ablate:all") == Ablation(("all",))
    assert parse_edit(" ablate:2, projection layer1.*") == Ablation((2, "projection", "layer1.*"))
    assert parse_edit("connect:layer1 layer3") == NewSkip("layer1", "layer3")
    assert parse_edit("connect:input fc merge=cat shortcut=projection at_init=plain") == NewSkip(
        "input", "fc", "cat", "projection", "plain"
    )


def test_variants():
    assert parse_variant("as-is") == Variant("as-is")
    assert parse_variant("plain=ablate:all") == Variant("plain", ("ablate:all",))
    assert parse_variant("x=ablate:0; connect:a b merge=mul") == Variant("x", ("ablate:0", "connect:a b merge=mul"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("remove:all", "edit 'remove:all' is not understood; write one of: ablate:WHICH"),
        ("ablate", "edit 'ablate' is not understood"),
        ("ablate:", "edit 'ablate:' is not understood"),
        ("connect:layer1", "edit 'connect:layer1' names 1 modules, expected two: connect:FROM TO"),
        ("connect:a b merge=sum", "merge is 'sum', expected one of add, cat, mul, gate"),
        ("connect:a b merg=add", "unknown setting in edit 'connect:a b merg=add': 'merg'; nearest: merge"),
    ],
)
def test_edits_that_mean_nothing(text, message):
    with pytest.raises(SkipstoneError, match=message):
        parse_edit(text)
    with pytest.raises(SkipstoneError, match=message):
        RunSpec(edits=(text,))
    with pytest.raises(SkipstoneError, match=message):
        parse_variant(f"name={text}")


@pytest.mark.parametrize("text", ["", "=ablate:all", "plain=", "ablate:all"])
def test_variants_that_mean_nothing(text):
    with pytest.raises(SkipstoneError, match="is not understood, expected NAME=EDIT or NAME"):
        parse_variant(text)


def test_specs_of_before_there_were_variants_are_read():
    data = RunSpec().to_dict()
    del data["edits"], data["variant"]
    assert RunSpec.from_dict(data) == RunSpec()
    assert RunSpec.from_dict(RunSpec(edits=("ablate:all",), variant="plain").to_dict()).edits == ("ablate:all",)


def test_parsing_needs_no_torch():
    code = "import sys, skipstone.runs.variants, skipstone.runs.folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
