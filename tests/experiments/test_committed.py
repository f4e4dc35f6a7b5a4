"""What is committed in results/ is of the experiments as they are, and RESULTS.md says what is in it."""

import json
import pathlib

import pytest

from kmix_tf.cli.reproduce import summary
from kmix_tf.cli.reproduce.finding import load, titles
from kmix_tf.cli.reproduce.keeping import Kept, told
from kmix_tf.cli.reproduce.report import Found, page

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "results"
TITLES = titles()
NAMES = list(TITLES)
DONE = [name for name in NAMES if (RESULTS / f"{name}.json").is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_says_what_it_is(name):
    experiment = load(name)
    assert experiment.title == TITLES[name], "the first line of the module is the title that --list shows"
    assert experiment.items and experiment.seeds >= 1
    paper = name.split("/")[0]
    assert paper in summary.catalogue().PAPERS
    assert any(item.experiment == name for item in summary.catalogue().ITEMS), "the catalogue lists it"


def test_every_table_and_figure_is_made_here_or_it_is_said_why_not():
    items = summary.catalogue().ITEMS
    assert not summary.missing(NAMES)
    for item in items:
        assert item.experiment or item.why, item
    named = [(item.paper, item.name) for item in items]
    assert len(set(named)) == len(named)
    # As the papers number them.
    for paper, tables, figures in (
        ("k-mixup", 12, 7),
        ("local-mixup", 3, 7),
        ("data-dependency", 2, 14),
        ("multi-mix", 8, 8),
        ("regularization", 2, 9),
    ):
        for kind, count in (("Table", tables), ("Figure", figures)):
            words = [name.replace(",", "").split() for which, name in named if which == paper]
            of_kind = {number for first, number, *_ in words if first == kind}
            assert len(of_kind) == count, (paper, of_kind)


@pytest.mark.parametrize("name", DONE)
def test_results_are_of_the_settings_that_the_code_has(name):
    experiment = load(name)
    kept = Kept(experiment, experiment.settings_of(False), RESULTS, to_read=True)
    assert kept.seeds
    assert kept.is_of_this_code, f"measure it anew: kmix-tf reproduce {name} --anew"
    claims = [told(judged) for judged in experiment.judged(kept.runs())]
    assert json.loads(kept.path.read_text(encoding="utf-8"))["claims"] == claims
    figure = RESULTS / f"{name}.png"
    assert figure.is_file() == (experiment.draw is not None)
    text = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    assert text == page(Found(experiment, kept), figure.is_file()), f"run kmix-tf reproduce {name} to write it anew"


def test_no_result_is_left_of_an_experiment_that_is_gone():
    files = {str(path.relative_to(RESULTS).with_suffix("")) for path in RESULTS.glob("*/*.json")}
    assert {name for name in files if not name.startswith("quick/")} == set(DONE)


@pytest.mark.skipif(not DONE, reason="there are no results yet")
def test_the_list_of_claims_is_what_the_results_say():
    found = summary.found_in(RESULTS, NAMES)[0]
    text = summary.summary(found, "results")
    assert (ROOT / "RESULTS.md").read_text(encoding="utf-8") == text, "run kmix-tf reproduce to write it anew"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in RESULTS.glob("*.md")}
    assert pages == summary.pages(found), "run kmix-tf reproduce to write them anew"
