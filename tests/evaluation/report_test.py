"""The report: one page, safe to open whatever the names."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tfvideogan.evaluation import chart, report
from tfvideogan.evaluation.clips import Clips

EVIL = "<script>alert('x')</script>\"&"


def record(metric: str, value: float | None, truncation: float = 1.0, **more: object) -> dict:
    return {"metric": metric, "value": value, "stderr": 0.5, "protocol": {"evaluator": EVIL, "truncation": truncation}, **more}


def clips(count: int) -> Clips:
    none = np.zeros([0, 1])
    shown = np.zeros([count, 3, 16, 16, 3], np.uint8)
    return Clips(*[none] * 8, shown=shown, shown_labels=np.arange(count) // 2)


@pytest.fixture
def page(tmp_path) -> str:
    records = [record(f"is/{EVIL}", 3.25, real=7.5, warning=EVIL), record("psnr/same_class", None, swd_images=3)]
    curve = [record(f"{name}/x", value + t, t) for t in (0.5, 1.0) for name, value in (("is", 3), ("fid", 10))]
    sets = report.Set(EVIL, clips(6), (EVIL, "b", "c")), report.Set("generated", clips(1), ())
    section = report.Section(EVIL, EVIL, np.zeros([4, 3, 16, 16, 3], np.uint8), 2, ())
    report.write(tmp_path / "new" / "report.html", EVIL, records, curve, sets, [section])
    return (tmp_path / "new" / "report.html").read_text()


def test_names_are_escaped(page):
    assert "<script" not in page and "&lt;script&gt;" in page
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(page)
    assert [attributes["alt"] for tag, attributes in tags if tag == "img"] == [EVIL, "generated", EVIL]


def test_every_tag_is_closed(page):
    void, opened = ("meta", "img"), []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: opened.append(tag) if tag not in void else None
    parser.handle_startendtag = lambda tag, attributes: None
    parser.handle_endtag = lambda tag: opened.remove(tag) if opened[-1:] == [tag] else pytest.fail(f"{tag} in {opened}")
    parser.feed(re.sub(r"<!DOCTYPE html>", "", page))


def test_it_needs_nothing_from_elsewhere(page):
    found = re.findall(r"\b(?:src|href)=\"([^#\"][^\"]{9})", page)  # what begins with # is within the page
    assert found == ["data:image"] * 3 and "http" not in page and "url(" not in re.sub(r"url\(#\w+\)", "", page)


def test_it_shows_the_numbers(page):
    assert ">of real clips<" in page and ">of real clips<" not in report.table([record("fid/x", 1.0)])
    for number in (">3.25<", ">0.5<", ">7.5<", ">not finite<"):
        assert number in page


def test_the_curve_has_a_point_a_truncation(page):
    assert page.count("<svg") == 1 and ">0.5</text>" in page and ">1</text>" in page
    line = re.search(rf'<path d="M ([^"]*)"[^>]*style="fill: none; stroke: {chart.COLORS[0]}; stroke-width: 1.5', page).group(1)
    (left, low), (right, high) = (map(float, point.split()[:2]) for point in line.split("L"))
    assert right > left and high < low  # FID and IS both rise with truncation here; y points down


def test_charts_have_the_colors_of_the_page(page):
    assert "currentColor" in page and "var(--line)" in page and "prefers-color-scheme:dark" in page
    assert not re.search(r"(?:fill|stroke): #(?:000000|ffffff|010203|040506)", page)


def test_a_curve_of_frames_has_a_line_a_name_whatever_the_name():
    drawn = chart.curves({"$x_1": [1.0, 2.0], EVIL: [3.0]}, 5, "frame", "$ssim")
    assert drawn == chart.curves({"$x_1": [1.0, 2.0], EVIL: [3.0]}, 5, "frame", "$ssim")
    assert ">$x_1<" in drawn and ">$ssim<" in drawn and "<script" not in drawn and ">5<" in drawn and ">5.5<" not in drawn
    assert all(color in drawn for color in chart.COLORS[:2]) and chart.COLORS[2] not in drawn


def test_without_curve_or_clips_there_is_none():
    assert report.clips_side_by_side([report.Set("x", clips(0), ())]) == ""
    assert report.truncation_curve([record("is/x", None), record("fid/x", 1.0)]) == ""
