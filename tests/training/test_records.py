import json
import math
from dataclasses import fields, replace

import pytest

from skipstone.core.codec import RecordError, decode, encode
from skipstone.core.errors import SkipstoneError
from skipstone.runs.flow import FlowRecord, LayerFlow
from skipstone.runs.records import EpochRecord, Recipe, RunResult, RunSpec, read_run

SPEC = RunSpec(model="net.py:Net(3)", options={"width": 8, "sizes": [1, 2]}, recipe=Recipe(lr=0.05, clip=1.0), epochs=3)
EPOCH = EpochRecord(1, 2.0, 0.25, 2.5, 0.5, 0.1, 0.125, 1.5, 3.25)
FLOW = FlowRecord(0, 0, (LayerFlow("stem", "conv", 1e-30, 2.0, 1.0, 0.5), LayerFlow("fc", "linear", 0.0, 1.0)))
RESULT = RunResult(0.9, 0.3, 0.95, 2, 0.94, None, 0.01, True, 1000, 3, 12.5, "runs/x")


def through_json(data: object) -> object:
    return json.loads(json.dumps(data, allow_nan=False))


@pytest.mark.parametrize("record", [SPEC, EPOCH, FLOW, RESULT], ids=lambda r: type(r).__name__)
def test_round_trip(record):
    assert type(record).from_dict(through_json(record.to_dict())) == record


def test_the_keys_that_readers_rely_on():
    assert {"epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"} <= EPOCH.to_dict().keys()
    assert RESULT.to_dict()["test_accuracy"] == 0.9
    assert SPEC.to_dict()["schema"] == "skipstone.RunSpec"
    assert SPEC.to_dict()["version"] == 1


def test_numbers_that_are_not_finite_are_null_and_come_back_as_nan():
    data = through_json(replace(EPOCH, val_loss=math.inf, train_loss=math.nan).to_dict())
    assert data["val_loss"] is None
    assert math.isnan(EpochRecord.from_dict(data).val_loss)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "spec.json: version is 2; this skipstone reads version 1"),
        ({"schema": "other"}, "spec.json: schema is 'other', expected 'skipstone.RunSpec'"),
        ({"epoch": 1}, "spec.json: unknown key epoch; known: model, options"),
        ({"epochs": "3"}, "spec.json: epochs is '3', expected int"),
        ({"epochs": True}, "spec.json: epochs is True, expected int"),
        ({"recipe": 3}, "spec.json: recipe: expected a JSON object for Recipe, got int"),
        ({"recipe": {"optimizer": "sdg"}}, "spec.json: recipe: optimizer is 'sdg', expected one of 'sgd', 'adamw'"),
        ({"options": []}, r"spec.json: options is \[\], expected an object"),
    ],
)
def test_reading_refuses_and_names_the_key(change, message):
    with pytest.raises(RecordError, match=message):
        RunSpec.from_dict({**SPEC.to_dict(), **change}, "spec.json")


def test_missing_keys_are_named_together():
    with pytest.raises(RecordError, match="x:3: missing keys val_loss, val_accuracy"):
        EpochRecord.from_dict({k: v for k, v in EPOCH.to_dict().items() if not k.startswith("val")}, "x:3")
    with pytest.raises(RecordError, match="expected a JSON object for EpochRecord, got list"):
        EpochRecord.from_dict([])


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(RecordError, match=r"cannot write \{1\} \(set\) as JSON"):
        encode(replace(SPEC, options={"a": {1}}))


def test_a_recipe_may_leave_fields_out():
    assert decode(Recipe, {"lr": 1}) == Recipe(lr=1.0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("lr", 0, "lr is 0, expected a number above 0"),
        ("lr", math.nan, "lr is nan"),
        ("momentum", 1, "momentum is 1, expected at least 0 and below 1"),
        ("momentum", 0, "momentum is 0, expected above 0 with nesterov, or nesterov off"),
        ("weight_decay", -1, "weight_decay is -1"),
        ("weight_decay", float("inf"), "weight_decay is inf"),
        ("warmup", 1, "warmup is 1, expected a share of all steps"),
        ("batch_size", 0, "batch_size is 0, expected at least 1"),
        ("label_smoothing", 1, "label_smoothing is 1"),
        ("clip", 0, "clip is 0, expected a number above 0, or none"),
    ],
)
def test_recipes_refuse_values_that_mean_nothing(field, value, message):
    with pytest.raises(SkipstoneError, match=message):
        Recipe(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("epochs", 0), ("seed", -1), ("val_fraction", 1), ("split_seed", -1)])
def test_specs_refuse_values_that_mean_nothing(field, value):
    with pytest.raises(SkipstoneError, match=f"{field} is {value}, expected"):
        RunSpec(**{field: value})


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_an_unfinished_run_reads_up_to_the_line_a_crash_cut(tmp_path):
    line = json.dumps(EPOCH.to_dict())
    write(tmp_path, spec__json=json.dumps(SPEC.to_dict()), metrics__jsonl=f"{line}\n{line[:20]}")
    record = read_run(tmp_path)
    assert (record.spec, record.epochs, record.flow, record.result) == (SPEC, (EPOCH,), (), None)


def test_a_damaged_line_is_named(tmp_path):
    write(tmp_path, spec__json=json.dumps(SPEC.to_dict()), metrics__jsonl="{}\nx\n")
    with pytest.raises(RecordError, match=r"metrics\.jsonl:1: missing keys epoch, train_loss"):
        read_run(tmp_path)
    write(tmp_path, metrics__jsonl=json.dumps(EPOCH.to_dict()) + "\nx\n")
    with pytest.raises(RecordError, match=r"metrics\.jsonl:2: not JSON"):
        read_run(tmp_path)


def test_no_run_folder(tmp_path):
    with pytest.raises(RecordError, match=r"is no run folder: it has no spec\.json"):
        read_run(tmp_path)
    with pytest.raises(RecordError, match=r"spec\.json: cannot be read as JSON"):
        read_run(write(tmp_path, spec__json="{"))


def test_every_field_of_a_recipe_is_a_flag():
    from skipstone.cli.arguments import RecipeFlags

    assert [f.name for f in fields(RecipeFlags)] == [f.name for f in fields(Recipe)]
