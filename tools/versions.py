"""Run the default tests with the oldest, the pinned and the newest torch, and write the outcome to docs/versions.md.

    python tools/versions.py                  all three, about five minutes each on two cores
    python tools/versions.py newest           one of them; the other rows of the table stay

Each pair gets an environment of its own in `.versions/` (or `--into FOLDER`), made once and brought up to date by every
run. An interpreter is `pythonX.Y` on the path, or pyenv's, or what the variable PYTHON_OLDEST (and so on) names. Torch
comes from where pip looks: for a version without a CPU build there, some gigabytes, which run on a CPU all the same.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "versions.md"
SHOWN = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric")
HEAD = "| pair | Python | " + " | ".join(SHOWN) + " | date | passed | failed |"
_COUNT = re.compile(r"(\d+) (passed|failed|errors?)\b")


@dataclass(frozen=True)
class Pair:
    """An interpreter and what is pinned in its environment."""

    name: str
    python: str
    pins: Mapping[str, str]


def pinned_torch() -> str:
    """The version in constraints.txt."""
    found = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, "constraints.txt pins no torch"
    return found[1]


PAIRS = (
    Pair("oldest", "3.11", {"torch": "2.6.0", "numpy": "1.26.4"}),
    Pair("pinned", "3.11", {"torch": pinned_torch()}),
    Pair("newest", "3.13", {"torch": "2.14.1"}),
)


def interpreter(pair: Pair) -> str:
    """The command of the pair's Python; ends the program where there is none."""
    variable = f"PYTHON_{pair.name.upper()}"
    candidates = [os.environ.get(variable), shutil.which(f"python{pair.python}"), _of_pyenv(pair.python)]
    for candidate in filter(None, candidates):
        if _output([candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]) == pair.python:
            return candidate
    sys.exit(f"{pair.name} wants Python {pair.python}: none on the path or in pyenv; name one by {variable}=...")


def _of_pyenv(python: str) -> str | None:
    latest = _output(["pyenv", "latest", python])
    prefix = _output(["pyenv", "prefix", latest]) if latest else None
    return f"{prefix}/bin/python" if prefix else None


def _output(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment(pair: Pair, folder: Path) -> Path:
    """The pair's Python with the project and what its tests need; `folder` is made or brought up to date."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([interpreter(pair), "-m", "venv", str(folder)], check=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in pair.pins.items()), encoding="utf-8")
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "--upgrade", "pip>=25.1"], check=True)
    what = ["--editable", ".[train]", "--group", "test"]
    subprocess.run([*install, "--constraint", str(constraints), *what], check=True, cwd=ROOT)
    return python


def run_tests(python: Path) -> tuple[int, int]:
    """The default tests: how many passed, how many failed. What pytest prints is shown."""
    command = [str(python), "-m", "pytest", "-q", "-n", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if _COUNT.search(line) else last
    process.wait()
    return counts(last)


def counts(line: str) -> tuple[int, int]:
    """Passed and failed (errors too) from pytest's last line."""
    found = {kind: int(number) for number, kind in _COUNT.findall(line)}
    return found.get("passed", 0), sum(number for kind, number in found.items() if kind != "passed")


def versions(python: Path) -> dict[str, str]:
    """Python's version and those of the packages shown, as they say it themselves in this environment."""
    program = (
        "import platform, sys; from importlib.metadata import version; "
        "print(platform.python_version(), *map(version, sys.argv[1:]))"
    )
    said = subprocess.run([str(python), "-c", program, *SHOWN], capture_output=True, text=True, check=True)
    return dict(zip(("Python", *SHOWN), said.stdout.split(), strict=True))


def with_row(page: str, name: str, cells: Sequence[str]) -> str:
    """The page with the pair's row in place of the one that stood there."""
    row = f"| {name} | " + " | ".join(cells) + " |"
    changed, found = re.subn(rf"^\| {re.escape(name)} \|.*$", lambda _: row, page, flags=re.MULTILINE)
    if found != 1:
        sys.exit(f"{PAGE} has {found} rows for {name}, expected one")
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [pair.name for pair in PAIRS]
    parser.add_argument("pairs", nargs="*", metavar="PAIR", help=f"{', '.join(names)}; all where none is given")
    parser.add_argument("--into", type=Path, default=ROOT / ".versions", help="the folder of the environments")
    options = parser.parse_args()
    if unknown := sorted(set(options.pairs) - set(names)):
        parser.error(f"unknown pair {', '.join(unknown)}, expected {', '.join(names)}")
    worst = 0
    for pair in PAIRS:
        if options.pairs and pair.name not in options.pairs:
            continue
        python = environment(pair, options.into / pair.name)
        passed, failed = run_tests(python)
        worst += failed + (passed == 0)
        cells = [*versions(python).values(), datetime.now(UTC).date().isoformat(), str(passed), str(failed)]
        PAGE.write_text(with_row(PAGE.read_text(encoding="utf-8"), pair.name, cells), encoding="utf-8")
        print(f"{pair.name}: {passed} passed, {failed} failed")
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
