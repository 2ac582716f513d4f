"""The zoo's own program, importable: it lies in tools/, which is no part of the package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools"))
