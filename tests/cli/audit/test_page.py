import base64
import html.parser
import io
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from kmix_tf.analysis.toys import alternating_line
from kmix_tf.cli.audit.report import strict_json
from kmix_tf.cli.audit.report.page import is_images, strips
from kmix_tf.cli.audit.wording import count, kept_together, listed, number, percent
from kmix_tf.cli.pages import png_uri
from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.sample import collect

VOID = {"meta", "img", "br"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)


class Page(html.parser.HTMLParser):
    """Checks that what is opened is closed, and collects tags and their attributes."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages(audit, digits):
    def made(folder):
        content = (folder / "report.html").read_text(encoding="utf-8")
        return content, Page(content)

    generator = np.random.default_rng(0)
    y = np.arange(90) % 3
    plane = generator.normal(size=(90, 2)) + 3 * np.eye(3)[y, :2]
    evil = np.array(["<script>alert(1)</script>", "a&b", "c'd\""])[y]
    return {
        "digits": made(audit("digits300", *digits(300))[0]),
        "line": made(audit("line3", *alternating_line(3))[0]),
        "plane": made(audit("plane", plane, evil)[0]),
    }


def test_pages_are_well_formed_and_fit_a_phone(pages):
    for content, page in pages.values():
        assert content.startswith("<!DOCTYPE html>")
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
        assert page.all("main") and page.all("title") and page.all("table")


def test_nothing_is_asked_of_the_net_and_nothing_runs(pages):
    for content, page in pages.values():
        # Not even the names of namespaces; within the page, marks refer to one another.
        asked = re.sub(r"data:image/png;base64,[\w+/=]+|url\(#[\w-]+\)", "", content)
        assert not re.search(r"https?:|//[a-z]|@import|url\(|<!ENTITY|<metadata|<style[^>]*type", asked)
        hrefs = [v for _, found in page.tags for name, v in found.items() if name in ("href", "xlink:href", "src")]
        assert hrefs and all(href.startswith(("#", "data:image/png;base64,")) for href in hrefs)
        assert not page.all("script") and not page.all("link") and not page.all("iframe")
        assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_figures_are_embedded_and_say_what_they_show(pages):
    # Harm, three of matching, distances, classes; of three samples there is one k only; of the plane the samples.
    for name, figures in (("digits", 6), ("line", 3), ("plane", 7)):
        drawn = pages[name][1].all("svg")
        assert len(drawn) == figures and all(figure["aria-label"] for figure in drawn)
        assert "nan" not in pages[name][0].replace("&nbsp;", "").lower().split("</style>")[1].split()
        assert all(figure["role"] == "img" and "viewbox" in figure and "width" not in figure for figure in drawn)
    assert len(pages["digits"][1].all("img")) == 4 * 6
    assert not pages["plane"][1].all("img")


def test_marks_of_several_figures_are_not_mistaken_for_one_another(pages):
    for content, page in pages.values():
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids)) > 50
        referred = set(re.findall(r'url\(#([\w-]+)\)|href="#([\w-]+)"', content))
        assert referred and {first or second for first, second in referred} <= set(ids)


def test_names_of_classes_are_shown_as_they_are_and_do_no_harm(pages):
    content, page = pages["plane"]
    assert "<script" not in content and any("<script>alert(1)</script>" in words for words in page.words)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_a_png_of_its_pixels(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    raw = base64.b64decode(png_uri(pixels).removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(raw))).reshape(pixels.shape), pixels)


def test_a_strip_shows_the_two_mixed_their_mixture_and_whom_it_comes_near(tmp_path):
    x = np.random.default_rng(0).random((4, 200, 8))
    x[0, 0, 0], x[1, 0, 0] = 0, 1
    np.savez(tmp_path / "d.npz", x=x, y=[0, 1, 2, 2])
    sample = collect(open_data([str(tmp_path / "d.npz")], Options()), 10, 0)
    (strip,) = strips(sample, [{"first": 0, "second": 1, "sample": 3, "ratio": 0.25, "distance": 1.5}])
    assert [caption for _, caption in strip] == ["0, 25%", "1, 75%", "mixture", "near it: 2"]
    shown = [np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))) / 255 for uri, _ in strip]
    # 200 rows are thinned out to 100: every other of them, and of the columns.
    for image, expected in zip(shown, (x[0], x[1], 0.25 * x[0] + 0.75 * x[1], x[3]), strict=True):
        np.testing.assert_allclose(image, expected[::2, ::2], atol=0.5 / 255 + 1e-9)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((9, 8, 8), True),
        ((9, 8, 8, 1), True),
        ((9, 8, 8, 3), True),
        ((9, 8, 8, 2), False),
        ((9, 8), False),
        ((9, 3, 80), False),
        ((9,), False),
        ((9, 8, 8, 3, 1), False),
    ],
)
def test_what_looks_like_images_is_shown_as_images(shape, expected):
    assert is_images(np.zeros(shape)) is expected


def test_json_has_no_nan_and_says_infinity_in_words():
    assert strict_json({"a": np.float32(np.inf), "b": [np.int64(1), -np.inf, None], "c": True}).split() == [
        "{", '"a":', '"infinity",', '"b":', "[", "1,", '"-infinity",', "null", "],", '"c":', "true", "}",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="NaN"):
        strict_json({"a": [np.nan]})


def test_numbers_are_told_in_few_digits():
    assert [percent(share) for share in (0, 0.0004, 0.0312, 0.99999, 1, None)] == [
        "0 %", "< 0.1 %", "3.1 %", "> 99.9 %", "100 %", "-",
    ]  # fmt: skip
    assert [number(value) for value in (0.12345, 12345.6, np.inf, None)] == ["0.123", "12,346", "infinite", "-"]
    assert [count(1, "class"), count(2, "class"), count(1200, "sample")] == ["1 class", "2 classes", "1,200 samples"]


def test_numbers_stay_with_their_sign():
    gap = "\N{NO-BREAK SPACE}"
    assert kept_together("alpha = 1, 3.1 % ± 1 of <b>") == f"alpha{gap}={gap}1, 3.1{gap}%{gap}±{gap}1 of <b>"
    # Not where it is code.
    assert kept_together("try embedding= in the layer") == "try embedding= in the layer"
    assert listed(list("abc")) == "a, b, c" and listed(list("abcdef"), most=2) == "a, b and 4 more"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_lays_the_page_out_without_scrolling_sideways(width, audit, digits, tmp_path):
    folder, _ = audit("digits300", *digits(300))
    # A frame of that width on a page that tells how wide its content came out.
    probe = tmp_path / "probe.html"
    source = (folder / "report.html").read_text(encoding="utf-8").replace("&", "&amp;").replace('"', "&quot;")
    root = "frames[0].document.documentElement"
    script = f"document.title = {root}.scrollWidth - {root}.clientWidth"
    probe.write_text(
        f'<iframe width="{width}" height="900" srcdoc="{source}" onload="{script}" frameborder="0"></iframe>'
    )
    command = [BROWSER, "--headless", "--disable-gpu", "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}"]
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    shown = subprocess.run([*command, *sandbox, f"file://{probe}"], capture_output=True, text=True, timeout=60)
    if "<iframe" not in shown.stdout:
        pytest.skip("the browser does not start here")
    assert re.search(r"<title>(\d+)</title>", shown.stdout).group(1) == "0"
