"""The schema that SARIF logs are held against."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def sarif_schema() -> Any:
    return json.loads(Path(__file__).with_name("sarif-2.1.0.schema.json").read_text())
