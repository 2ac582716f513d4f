import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from skipstone.core.codec import RecordError
from skipstone.experiments import read_comparison
from skipstone.experiments.comparing import write_json
from skipstone.report import page, read_records, write_report

SPEC = re.compile(r'<script type="application/json" data-for="([^"]+)">(.*?)</script>', re.DOTALL)
ADDRESS = re.compile(r"""(?:src|href|action|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", re.IGNORECASE)


def without_scripts(html):
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_one_file_with_every_figure_table_and_drawing(folder):
    path = write_report(folder)
    html = path.read_text()
    specs = dict(SPEC.findall(html))
    assert len([name for name in specs if name.startswith("curve")]) == 4
    assert len([name for name in specs if name.startswith("flow")]) == 6
    assert {"accuracy", "gap"} <= specs.keys()
    for spec in specs.values():
        assert json.loads(spec)["$schema"].endswith("vega-lite/v6.json")
    body = without_scripts(html)
    assert body.count('<svg class="sk"') == 4
    assert "98.2 ± 0.2 %" in body
    assert "plain56: 56 layers with weights, no skips" in body
    assert "exactly zero in 28 of 56 layers" in body
    assert "Example &lt;CPU&gt; &amp; Co" in body


def test_every_seed_is_drawn(folder):
    specs = {name: json.loads(spec) for name, spec in SPEC.findall(page(read_records(folder)))}
    rings = specs["accuracy"]["layer"][-1]["data"]["values"]
    assert sorted(ring["value"] for ring in rings if ring["network"] == "plain56") == [0.38, 0.46, 0.51]
    lines = specs["curve1"]["data"]["values"]
    assert {(line["seed"], line["images"]) for line in lines} == {
        (s, i) for s in range(3) for i in ("training", "validation")
    }


def test_the_file_asks_nothing_of_any_network(folder):
    html = page(read_records(folder))
    assert "default-src 'none'" in html
    assert not ADDRESS.search(without_scripts(html))
    assert "sourceMappingURL" not in html
    assert "University of Washington" in html, "the licences travel with the scripts"


def test_a_report_is_written_without_torch(folder):
    code = (
        "import sys; from skipstone.report import write_report; "
        "write_report(sys.argv[1]); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_the_shell_of_skipstone_starts_without_torch():
    code = "import sys; import skipstone.report, skipstone.experiments; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_whatever_a_record_says_is_escaped(folder):
    comparison = read_comparison(folder)
    evil = "</script><script>alert(1)</script>"
    group = replace(comparison.groups[0], label=evil)
    outcome = replace(comparison.outcomes[0], message=evil, status="failed")
    altered = replace(comparison, groups=(group,), differences=(), outcomes=(outcome,), warnings=(evil,))
    write_json(folder / "comparison.json", altered.to_dict())
    html = page(read_records(folder), title=evil)
    assert evil not in html
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in html


def test_a_comparison_in_which_nothing_finished_still_has_a_page(folder):
    comparison = read_comparison(folder)
    write_json(folder / "comparison.json", replace(comparison, groups=(), differences=()).to_dict())
    body = without_scripts(page(read_records(folder)))
    assert "How it was done" in body
    assert "Accuracy after" not in body


def test_a_folder_that_holds_no_comparison_is_named(tmp_path):
    with pytest.raises(RecordError, match=re.escape(str(tmp_path))):
        write_report(tmp_path)


def test_a_record_of_another_version_is_refused(folder):
    path = folder / "comparison.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 99'))
    with pytest.raises(RecordError, match="version is 99"):
        write_report(folder)
