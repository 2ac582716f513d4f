import xml.etree.ElementTree as ET

from skipstone.core.drawing import Arc, Drawing, Row
from skipstone.report.arcs import describe, legend, listing_svg, strip_svg

SVG = "{http://www.w3.org/2000/svg}"


def inside(root):
    """Every drawn mark lies within the drawing."""
    width, height = float(root.get("width")), float(root.get("height"))
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("x"):
            assert 0 <= float(rect.get("x")) <= width - float(rect.get("width"))
            assert 0 <= float(rect.get("y")) <= height - float(rect.get("height"))
    return True


def test_a_strip_has_a_mark_a_layer_and_a_path_an_arc(make_drawing):
    root = ET.fromstring(strip_svg(make_drawing("resnet20"), standalone=True, caption=True))
    assert len(root.findall(f"{SVG}path")) == 9
    assert len([r for r in root.findall(f"{SVG}rect") if r.get("x")]) == 20
    assert inside(root)
    assert root.get("aria-label") == "resnet20: 20 layers with weights, 2 projection add, 7 identity add"


def test_a_listing_has_a_line_a_layer(make_drawing):
    root = ET.fromstring(listing_svg(make_drawing("resnet20")))
    names = [text.text for text in root.findall(f"{SVG}text")]
    assert names[1:5] == ["layer0", "Conv2d", "(2, 16, 8, 8)", "432"]
    assert len(root.findall(f"{SVG}path")) == 9
    assert inside(root)


def test_names_are_escaped():
    rows = (Row("<a>", "X&Y", "conv", (1,)), Row("b", "<script>", "merge", (1,)))
    text = listing_svg(Drawing("<i>", rows, (Arc(0, 1, "identity", "add", 1),), 0))
    assert "<script>" not in text
    assert [t.text for t in ET.fromstring(text).iter(f"{SVG}text")][1:3] == ["<a>", "X&Y"]


def test_an_empty_drawing_is_a_drawing():
    empty = Drawing("nothing", (), (), 0)
    assert inside(ET.fromstring(strip_svg(empty)))
    assert inside(ET.fromstring(listing_svg(empty)))
    assert describe(empty) == "nothing: 0 layers with weights, no skips"
    assert legend([empty]) == []
