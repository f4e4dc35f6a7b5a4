"""What is asked of the built site is asked of small ones first: one that is right, and one for each fault."""

import pathlib
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

import _visited  # noqa: E402

FRONT = """<nav><a href="far.html">Far</a></nav><article><a href="faq.html#one">Why?</a>
<a href="https://example.org/x">Elsewhere</a><img src="a.png" alt="Two bars"></article>"""
ANSWER = '<article><h2 id="one">Why?</h2><a href="#one">here</a><a href="guides/far.html">Guide</a></article>'


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Writes the pages given, over a site that is right, and tells its faults."""

    def faults(answers=None, **pages):
        monkeypatch.setattr(_visited, "ANSWERS", answers or {"Why?": "faq.html#one", "How far?": "guides/far.html"})
        (tmp_path / "guides").mkdir(exist_ok=True)
        (tmp_path / "a.png").touch()
        for name, text in {"index": FRONT, "faq": ANSWER, "far": "", "guides/far": "", **pages}.items():
            (tmp_path / f"{name}.html").write_text(text)
        return _visited.faults(tmp_path)

    return faults


def test_a_right_site_has_no_faults(site):
    assert site() == []


def test_a_link_to_no_page_and_one_to_no_place_are_told(site):
    found = site(far='<a href="faq.html#two">x</a><a href="gone.html">y</a><a href="guides/far.html?a=1#">z</a>')
    assert len(found) == 2
    assert "far.html links to faq.html#two, but faq.html has no such place." in found
    assert "far.html links to gone.html, which is no file." in found


@pytest.mark.parametrize("words", ["", 'alt=""', 'alt=" "', 'alt="_images/a.png"'])
def test_an_image_without_words_is_told(site, words):
    assert site(far=f'<img src="a.png" {words}>') == ["far.html shows a.png without words for who cannot see it."]


@pytest.mark.parametrize(("words", "faults"), [('alt=""', 0), ("", 1), ('alt="a_thumb.png"', 1)])
def test_a_thumbnail_beside_its_title_may_be_silent(site, tmp_path, words, faults):
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "sphx_glr_a_thumb.png").touch()
    assert len(site(far=f'<img src="_images/sphx_glr_a_thumb.png" {words}>')) == faults


def test_an_image_that_is_not_there_is_told(site):
    assert site(far='<img src="b.png" alt="Two bars">') == ["far.html shows b.png, which is no file."]


def test_menus_are_no_clicks_and_three_clicks_are_too_many(site):
    found = site(
        {"Far?": "far.html", "Farther?": "guides/farther.html", "Where?": "faq.html#two"},
        **{"guides/far": '<article><a href="farther.html">x</a></article>', "guides/farther": ""},
    )
    assert found == [
        "Far? far.html is not within 2 clicks of the front page.",
        "Farther? guides/farther.html is not within 2 clicks of the front page.",
        "Where? faq.html has no place two.",
    ]


def test_the_pages_that_answer_have_code_and_it_is_run_as_copied():
    pages = {place.partition("#")[0].removesuffix(".html") for place in _visited.ANSWERS.values()}
    # Numbers, which a command makes anew.
    commands = {"costs": "make benchmark", "reproduced": "kmix-tf reproduce"}
    for page in pages - commands.keys():
        assert "```python" in (DOCS / f"{page}.md").read_text(), page
    sources = {"costs": DOCS / "costs.md", "reproduced": DOCS.parent / "RESULTS.md"}
    assert all(command in sources[page].read_text() for page, command in commands.items())
