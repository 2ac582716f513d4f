"""The drawing of gradients over depth: what has a logarithm is a line, what has none a gap and a 0 at the foot."""

import math
import re
from xml.etree import ElementTree as ET

from skipstone.runs.flow import FlowRecord, LayerFlow
from skipstone.runs.flow.drawing import Line, flow_svg

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*norms: float):
    return ET.fromstring(flow_svg([("one", [Line("net", norms)])]))


def stretches(root) -> list[int]:
    return [len(line.get("points").split()) for line in root.iter(f"{SVG}polyline")]


def zeros(root) -> list[str]:
    return [text.get("x") for text in root.iter(f"{SVG}text") if text.text == "0"]


def test_a_norm_of_exactly_zero_is_a_gap_with_a_mark():
    root = drawn(1.0, 0.1, 0.0, 0.0, 0.01, 0.1, 1.0)
    assert stretches(root) == [2, 3]
    assert len(zeros(root)) == 1
    assert "exactly zero" in "".join(root.itertext())
    low = max(float(y) for y in re.findall(r",([0-9.]+)", root.find(f".//{SVG}polyline").get("points")))
    assert low < 46 + 240  # nothing is drawn as if it were the least value


def test_a_layer_between_zeros_is_a_dot_and_what_is_not_finite_a_gap_alone():
    root = drawn(0.0, 1.0, 0.0, math.nan, 1.0, 2.0)
    assert stretches(root) == [2, 2]
    assert len(zeros(root)) == 2
    assert "exactly zero" not in "".join(drawn(1.0, 2.0).itertext())


def test_panels_stand_in_rows():
    root = ET.fromstring(flow_svg([(str(k), [Line("a", (1.0, 2.0))]) for k in range(3)], columns=2))
    titles = [(t.get("x"), t.get("y")) for t in root.iter(f"{SVG}text") if t.get("font-weight")]
    assert len({x for x, _ in titles}) == 2
    assert len({y for _, y in titles}) == 2
    width, height = map(float, root.get("viewBox").split()[2:])
    assert all(0 < float(x) < width and 0 < float(y) < height for x, y in titles)


def test_the_mean_over_records_is_geometric_and_zero_where_one_is():
    def record(*norms):
        return FlowRecord(0, 0, tuple(LayerFlow(str(k), "conv", norm, 1.0) for k, norm in enumerate(norms)))

    line = Line.mean("net", [record(1.0, 0.0, math.inf), record(100.0, 1.0, 1.0)])
    assert line.norms[:2] == (10.000000000000002, 0.0)
    assert math.isnan(line.norms[2])
