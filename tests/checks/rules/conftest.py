"""What every test of a silent rule asks: which errors and warnings does a model give?"""

import re

import pytest
import torch

from skipstone.checks import check
from skipstone.checks.text import finding_text


@pytest.fixture
def found():
    """The errors and warnings for a model class on an input of a shape (or a tensor), in training mode."""

    def run(kind, example, *, training=True):
        torch.manual_seed(0)
        report = check(kind().train(training), example, repairs=False, sizes=False)
        return (*report.errors, *report.warnings)

    return run


@pytest.fixture
def notes():
    """The rules of the notes for a model."""

    def run(model, example):
        return [
            finding
            for finding in check(model, example, repairs=False, sizes=False).findings
            if finding.severity == "note"
        ]

    return run


@pytest.fixture
def text():
    """A finding's printed text without line numbers."""
    return lambda finding: re.sub(r"(\.py):\d+", r"\1", finding_text(finding)) + "\n"
