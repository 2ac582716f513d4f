import xml.etree.ElementTree as ET

from skipstone.report import read_records
from skipstone.report.picture import picture, write_picture

SVG = "{http://www.w3.org/2000/svg}"


def test_a_row_a_family_with_its_accuracies_and_its_shallowest_network(folder):
    root = ET.fromstring(picture(read_records(folder), title="A & B"))
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert texts == [
        "A & B",
        "Test accuracy on digits: mean ± standard deviation of 3 seeds, 5 epochs",
        "depth 20", "depth 56",
        "plain", "97.1 ± 0.4 %", "45.0 ± 6.6 %",
        "resnet", "97.4 ± 0.3 %", "98.2 ± 0.2 %",
    ]  # fmt: skip
    strips = root.findall(f"{SVG}svg")
    assert [len(strip.findall(f"{SVG}rect")) for strip in strips] == [20, 20]
    assert [len(strip.findall(f"{SVG}path")) for strip in strips] == [0, 9]


def test_every_strip_has_one_scale_and_stays_inside(folder):
    root = ET.fromstring(picture(read_records(folder), title="x"))
    scales = {float(s.get("width")) / float(s.get("viewBox").split()[2]) for s in root.findall(f"{SVG}svg")}
    assert max(scales) - min(scales) < 0.01
    for strip in root.findall(f"{SVG}svg"):
        assert float(strip.get("y")) > 50
        assert float(strip.get("x")) + float(strip.get("width")) < float(root.get("width"))


def test_it_is_written_where_asked(folder, tmp_path):
    assert write_picture(folder, tmp_path / "p.svg", title="x").read_text().startswith("<svg")
