"""What the cards say by code is what signatures and measurements say, and each card has what a card has."""

import importlib.util
import inspect
import pathlib
import re

import pytest

import kmix_tf
from kmix_tf._compat import IS_KERAS_3

DOCS = pathlib.Path(__file__).parents[1] / "docs"
CARDS = sorted(page for page in (DOCS / "methods").glob("*.md") if page.stem != "index")
SECTIONS = (
    "**When to use it.**",
    "**When it hurts.**",
    "## Parameters",
    "## Technical details",
    "## Source and corrections",
    "## See also",
)

pytest.importorskip("sphinx", reason="cards are a part of the site")
spec = importlib.util.spec_from_file_location("_cards", DOCS / "_cards.py")
cards = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cards)


@pytest.mark.parametrize("name", cards.card_of())
def test_a_table_has_each_argument_of_the_signature_with_its_default(name):
    found = {one.name: one for one in cards.arguments(name)}
    for one in list(inspect.signature(getattr(kmix_tf, name).__init__).parameters.values())[1:]:
        if one.kind is not one.VAR_KEYWORD and one.name != "adapted":
            assert found[one.name].default == ("" if one.default is one.empty else repr(one.default))
            assert len(found[one.name].text) > 8 and not found[one.name].text.startswith("as in `K")


def test_what_another_class_says_of_an_argument_is_told_by_its_words():
    found = {one.name: one for one in cards.arguments("CutMixLayer")}
    assert found["cost"].of == "KMixupLayer" and found["cost"].text.startswith('"sqeuclidean" (default')
    assert found["seed"].of == "MixLayer" and found["k"].of == "CutMixLayer"


def test_the_means_of_a_comparison_are_those_of_its_page():
    page = (DOCS.parent / "results" / "compared" / "digits.md").read_text()
    printed = dict(re.findall(r"^\| (.+?) \| ([\d.]+ ± [\d.]+ \| [\d.]+ ±)", page, re.MULTILINE))
    lines = "\n".join(cards.compared_page(["ResizeMix", "AdaMixup"])).partition("photographs")[0]
    for way in ("no mixup", "Input mixup", "ResizeMix", "AdaMixup"):
        error, calibration = re.findall(r"([\d.]+) ±", printed[way])
        assert f"| {way} | {error} | {calibration} |" in lines
    assert "| ResizeMix | 2.58 | 8.84 | yes |" in lines


def test_a_way_that_is_surely_worse_is_said_to_be():
    lines = cards.compared_page(["Attentive CutMix"])
    assert any(line.endswith("| no, more |") for line in lines if line.startswith("| Attentive CutMix"))


def test_costs_are_those_of_the_benchmarks_pages():
    line = next(line for line in cards.cost_page(["CutMixLayer()"]) if line.startswith("| `CutMixLayer()`"))
    batch = (DOCS.parent / "benchmarks" / "mix_cost.md").read_text().partition("## 512 images")[0]
    ms, ratio = re.search(r"^\| CutMixLayer\(\) \| ([\d.]+) \| ([\d.]+) ", batch, re.MULTILINE).groups()
    start = (DOCS.parent / "benchmarks" / "epoch_start.md").read_text()
    epoch = re.search(r"^\| CutMixLayer\(\) \| (\d+) \| [^|]* \| (\d+) ", start, re.MULTILINE).groups()
    steps = (DOCS.parent / "benchmarks" / "model_cost.md").read_text()
    step = re.search(
        r"^\| CutMixLayer\(\) \| [\d.]+ \| ([\d.]+) \[([\d.]+), ([\d.]+)\]", steps, re.MULTILINE
    ).groups()
    told = re.search(
        r"\| ([\d.]+) ms, ([\d.]+) times \| ([\d.]+) times \(([\d.]+) to ([\d.]+)\) \| (\d+) ms, (\d+) \|$", line
    ).groups()
    # Pages and cards round by themselves.
    assert float(told[0]) == pytest.approx(float(ms), abs=0.056)
    assert [float(each) for each in told[2:5]] == pytest.approx([float(each) for each in step], abs=0.0056)
    assert (told[1], told[5], told[6]) == (ratio, *epoch)


def test_a_call_that_no_benchmark_knows_and_a_page_that_is_not_there_are_refused():
    with pytest.raises(ValueError, match="no benchmark knows"):
        cards.cost_page(["CutMix()"])
    with pytest.raises(ValueError, match=r"knows no results/k-mixup/table-99\.md"):
        cards.claims_page(["k-mixup/table-99"])


def test_claims_are_counted():
    page = (DOCS.parent / "results" / "multi-mix" / "figure-7.md").read_text()
    assert cards.claims_page(["multi-mix/figure-7"])[-1].endswith(f"| {page.count('**holds**')} | 0 | 0 |")


@pytest.mark.parametrize("page", CARDS, ids=lambda page: page.stem)
def test_a_card_has_its_sections_and_its_picture_with_words(page):
    text = page.read_text()
    assert re.match(r"# .+\n\n```python\n", text)
    assert [section for section in SECTIONS if section not in text] == []
    (alt, picture) = re.search(r"!\[(.*?)\]\((.*?)\)", text).groups()
    assert len(alt) > 20 and (page.parent / picture).stat().st_size < 200_000


def test_all_cards_are_on_the_page_that_lists_them_and_every_mix_has_one():
    listed = re.findall(r"^:link: (\w+)$", (DOCS / "methods" / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == [page.stem for page in CARDS]
    mixes = {name for name in kmix_tf.__all__ if re.search(r"Mix(up)?(Layer|Model)$", name)}
    assert mixes - {"MixLayer"} <= set(cards.card_of())


@pytest.mark.skipif(not IS_KERAS_3, reason="numbers in the words of cards are asked once")
@pytest.mark.parametrize("page", CARDS, ids=lambda page: page.stem)
def test_numbers_in_the_words_of_a_card_are_on_the_pages_it_links(page):
    """Of each sentence that links a measurement: what it quotes stands there, as it is printed."""
    words = re.search(r"\*\*When to use it.*?(?=\n## Parameters)", page.read_text(), re.DOTALL)[0]
    linked = set(re.findall(r"\]\(\.\./((?:results|benchmarks)/[\w/.-]+\.md)\)", page.read_text()))
    measured = " ".join((DOCS.parent / file).read_text() for file in linked | set(_of_tables(page)))
    for number in re.findall(r"(?<![\w.=])\d+\.\d+(?![\w.])", re.sub(r"`.*?`", "", words)):
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", measured), number


def _of_tables(page):
    compared = ("results/compared/digits.md", "results/compared/photographs.md")
    return compared if "```{compared}" in page.read_text() else ()
