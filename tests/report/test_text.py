from skipstone.core.drawing import Arc, Drawing, Row
from skipstone.report import drawing_text

ROWS = tuple(Row(f"layer{i}", "Conv2d", "conv", (1, 16, 8, 8), 432) for i in range(10))
CROSSING = ((0, 3, "identity"), (3, 6, "projection"), (0, 6, "identity"), (1, 9, "identity"), (6, 9, "identity"))


def drawing(arcs, rows=ROWS):
    return Drawing("net", rows, tuple(Arc(a, b, kind, "add", b - a - 1) for a, b, kind in arcs), 4320)


def test_crossing_arcs_golden():
    assert drawing_text(drawing(CROSSING)) == (
        """\
     layer           output         parameters  skips
 ╭┬─ layer0  Conv2d  (1, 16, 8, 8)         432
╭┼┼─ layer1  Conv2d  (1, 16, 8, 8)         432
│││  layer2  Conv2d  (1, 16, 8, 8)         432
││├▶ layer3  Conv2d  (1, 16, 8, 8)         432  identity add, over 2 layers
│││  layer4  Conv2d  (1, 16, 8, 8)         432
│││  layer5  Conv2d  (1, 16, 8, 8)         432
│╰┼▶ layer6  Conv2d  (1, 16, 8, 8)         432  projection add, over 2 layers; identity add, over 5 layers
│ │  layer7  Conv2d  (1, 16, 8, 8)         432
│ │  layer8  Conv2d  (1, 16, 8, 8)         432
╰─┴▶ layer9  Conv2d  (1, 16, 8, 8)         432  identity add, over 7 layers; identity add, over 2 layers

5 skips: 4 identity add, 1 projection add; 4,320 parameters"""
    )


def test_a_network_without_skips_has_no_margin():
    lines = drawing_text(drawing(())).splitlines()
    assert lines[1] == "layer0  Conv2d  (1, 16, 8, 8)         432"
    assert lines[-1] == "no skips; 4,320 parameters"


def test_arcs_beyond_the_last_lane_are_named():
    rows = tuple(Row(f"layer{i}", "Conv2d", "conv", (1, 16, 8, 8)) for i in range(26))
    nested = [(i, 25 - i, "identity") for i in range(12)]
    text = drawing_text(drawing(nested, rows))
    assert "not drawn above, for want of room: 2 more" in text
    assert "  layer0 -> layer25  identity add" in text
    assert text.count("▶") == 10


def test_a_long_name_loses_its_beginning():
    row = Row("features.denseblock4.denselayer16.norm.relu.conv", "Conv2d", "conv", (1, 16, 8, 8), 432)
    line = drawing_text(Drawing("", (row,), (), 432), width=80).splitlines()[1]
    assert line.startswith("…")
    assert "norm.relu.conv  Conv2d" in line
    assert len(line) <= 80


def test_a_failure_stands_beside_its_row():
    row = Row("add", "add", "merge", (1, 3, 8, 8), 0, "add of (1, 3, 4, 4) and (1, 3, 8, 8)")
    assert "FAILS: add of (1, 3, 4, 4) and (1, 3, 8, 8)" in drawing_text(Drawing("", (row,), (), 0))
