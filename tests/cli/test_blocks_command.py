"""`skipstone blocks` lists what the catalogue holds."""

import json

import pytest

from skipstone import blocks
from skipstone.cli import run


def test_json_holds_every_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["blocks", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["version"] == 1
    assert [design["slug"] for design in listed["designs"]] == list(blocks.names())
    rezero = next(design for design in listed["designs"] if design["slug"] == "rezero")
    assert rezero["arxiv"] == "2003.04887"
    assert rezero["skips"] == [{"kind": "identity", "merge": "add", "count": 1}]


def test_text_names_every_design(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["blocks"]) == 0
    text = capsys.readouterr().out
    assert [slug for slug in blocks.names() if slug not in text] == []
    assert f"{len(blocks.names())} designs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_unknown_format_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["blocks", "--format", "xml"]) == 2
