"""What README.md says was found is what the committed results say."""

import json
import pathlib
import re

import numpy as np
import pytest

from kmix_tf.paired import number

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOUND = re.search(r"<!-- findings -->(.*?)<!-- /findings -->", README, flags=re.DOTALL)[1]
BARS, ROLL = "four bars, k = {}, 4, alpha_k", "Swiss roll, k = {}, 1, alpha_k"
FEW, MANY = "500 images: {}", "20,000 images: {}"
WAYS = ("no mixing", "label smoothing, chosen", "mixup, chosen", "CutMix, chosen")
# By page: arm, measure, in the order in which the row has its numbers.
NUMBERS = {
    "k-mixup/digits": [
        *((arm, "error") for arm in ("no mixing", "mixup, alpha = 1", "k = 16, alpha_k of 1")),
        *((arm, "FGSM 0.06") for arm in ("no mixing", "mixup, alpha = 1", "k = 16, alpha_k of 1")),
    ],
    "local-mixup/fashion-mnist": [
        *((size.format(way), "error") for size in (FEW, MANY) for way in WAYS),
        *((size.format(way), "calibration") for way in (WAYS[0], WAYS[2]) for size in (FEW, MANY)),
        *((size.format(way), "calibration after it") for way in (WAYS[0], WAYS[2]) for size in (FEW, MANY)),
    ],
    "k-mixup/table-9": [(name.format(k), "error") for name in (BARS, ROLL) for k in (1, 16)],
    "local-mixup/figure-4": [(arm, "error") for arm in ("plain training", "mixup", "Local Mixup, epsilon 0.5")],
    "regularization/calibration": [
        (f"{data}, mixup: {way}", "calibration")
        for data in ("digits", "digits, wrong labels")
        for way in ("plain", "temperature", "rescaled")
    ],
    "compared/photographs": [
        *((way, "error") for way in ("no mixup", "Input mixup", "ResizeMix")),
        *((way, "error") for way in ("RecursiveMix", "SaliencyMix", "Attentive CutMix")),
        *((way, "calibration") for way in ("no mixup", "AutoMix, k = 16", "RegMixup")),
    ],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_the_means_of_the_page_they_link_to(name):
    (row,) = (line for line in FOUND.splitlines() if f"results/{name}.md" in line)
    said = re.findall(r"\b\d+\.\d+", row.rsplit("|", 2)[0])
    seeds = json.loads((ROOT / "results" / f"{name}.json").read_text())["seeds"]
    means = [np.mean([seed["cells"][arm][measure] for seed in seeds.values()]) for arm, measure in NUMBERS[name]]
    assert said == [number(mean) for mean in means]


def test_the_advice_on_calibration_has_the_numbers_of_its_page():
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    said = re.findall(r"\b\d+\.\d+", page[page.index("## Which reading when") :])
    seeds = json.loads((ROOT / "results/regularization/calibration.json").read_text())["seeds"]
    data = ("digits", "digits, wrong labels")
    arms = [
        *((f"{each}, without mixing", "plain") for each in data),
        *((f"{each}, mixup", way) for way in ("plain", "temperature") for each in data),
        ("digits, mixup", "theta"),
        *((f"{each}, mixup", "rescaled") for each in data),
        ("digits, wrong labels, mixup", "temperature, fitted to wrong labels"),
    ]
    cells = [[seed["cells"][": ".join(arm)]["calibration"] for seed in seeds.values()] for arm in arms]
    assert said == [number(np.mean(values)) for values in cells]


def test_the_questions_count_the_claims_as_the_results_do():
    counted = re.search(
        r"Claims of the papers: (\d+) hold, (\d+) do not, (\d+) are undecided", (ROOT / "RESULTS.md").read_text()
    )
    said = re.search(
        r"their claims (\d+) hold, (\d+) do not and (\d+) are undecided", (ROOT / "docs" / "faq.md").read_text()
    )
    assert said.groups() == counted.groups()


def _anchors(page):
    """What the headings of a page are called in links."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_every_page_that_is_linked_is_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)", README)
    assert len(links) > 20
    for path, anchor in links:
        assert (ROOT / path).exists(), path
        assert not anchor or anchor in _anchors(ROOT / path), (path, anchor)
