"""The report as a browser draws it. Needs Chromium; run with -m browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from skipstone.report import write_report

pytestmark = pytest.mark.browser

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--allow-file-access-from-files",
)  # fmt: skip
MEASURE = """<script>addEventListener("load", () => setTimeout(() => {
  const root = document.documentElement;
  root.dataset.overflow = String(root.scrollWidth - root.clientWidth);
  const count = (selector, test) => String([...document.querySelectorAll(selector)].filter(test).length);
  root.dataset.cut = count(".table", (e) => e.scrollWidth > e.clientWidth);
  root.dataset.shown = count(".chart svg.marks path", () => true) > 50 ? count(".chart svg.marks", () => true) : "0";
  root.dataset.blank = count(".chart svg", (e) => e.getBoundingClientRect().width < 200);
}, 8000));</script></body>"""


def opened(folder: Path, tmp_path: Path, width: int, *, dark: bool = False) -> tuple[dict[str, int], str, str]:
    """The measurements that the page leaves on its root element, the DOM, and what Chromium logged."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    report = write_report(folder)
    # The window of a headless Chromium is never narrower than 500 px; a frame can be.
    head, tail = report.read_text().rsplit("</body>", 1)
    report.write_text(head + MEASURE + tail)
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe src="{report.name}" style="width:{width}px;height:9000px;border:0"></iframe>'
        "<script>setTimeout(() => { const root = frames[0].document.documentElement;"
        " document.body.append(root.cloneNode(true)); document.title = JSON.stringify(root.dataset) }, 12000)</script>"
    )
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [CHROMIUM, *FLAGS, *theme, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000",
               "--dump-dom", frame.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    measured = {key: int(value) for key, value in re.findall(r'data-(\w+)="(-?\d+)"', done.stdout)}
    return measured, done.stdout, done.stderr


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_drawn_and_nothing_overflows(folder, tmp_path, width, dark):
    measured, _, log = opened(folder, tmp_path, width, dark=dark)
    assert measured["failed"] == 0
    assert measured["drawn"] == measured["shown"] == 4 + 2 + 6
    assert measured["blank"] == measured["overflow"] == measured["cut"] == 0
    assert "CONSOLE" not in log, log


def test_a_figure_that_cannot_be_drawn_is_seen(folder, tmp_path):
    """The test of the test: a broken specification must show."""
    import skipstone.report.figures as figures

    broken = {"$schema": figures.SCHEMA, "mark": "no such mark"}
    original = figures.dots
    try:
        figures.dots = lambda *args, **kwargs: figures.Figure("broken", broken)
        measured, dom, _ = opened(folder, tmp_path, 1280)
    finally:
        figures.dots = original
    assert measured["failed"] == 2
    assert "This figure could not be drawn" in dom
