"""Notebooks are committed without outputs and read as pages; `make docs` runs them."""

import json
import pathlib
import re

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells_of(notebook, kind):
    cells = json.loads(notebook.read_text())["cells"]
    return [cell | {"text": "".join(cell["source"])} for cell in cells if cell["cell_type"] == kind]


def test_the_site_has_all_three():
    listed = re.findall(r"^notebooks/(\w+)$", (ROOT / "docs" / "notebooks.md").read_text(), re.MULTILINE)
    assert sorted(listed) == [notebook.stem for notebook in NOTEBOOKS] == ["audit_and_compare", "figure", "start"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_it_has_no_outputs_and_short_cells(notebook):
    code = cells_of(notebook, "code")
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert max(len(cell["source"]) for cell in code) <= 25
    assert cells_of(notebook, "markdown")[0]["text"].startswith("# ")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_picture_comes_with_what_to_see(notebook):
    pictures = [cell for cell in cells_of(notebook, "code") if "plt.subplots" in cell["text"]]
    words = sum("What to see:" in cell["text"] for cell in cells_of(notebook, "markdown"))
    assert len(pictures) == words > 0
    assert all(cell["metadata"]["mystnb"]["image"]["alt"] for cell in pictures)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_its_links_lead_somewhere(notebook):
    links = [link for cell in cells_of(notebook, "markdown") for link in re.findall(r"\]\(([^)#]+)", cell["text"])]
    assert links and all((notebook.parent / link).exists() for link in links)


def test_the_numbers_beside_the_figure_are_those_measured_and_printed():
    text = "".join(
        cell["text"] for kind in ("code", "markdown") for cell in cells_of(ROOT / "notebooks" / "figure.ipynb", kind)
    )
    seeds = json.loads((ROOT / "results" / "k-mixup" / "table-9.json").read_text())["seeds"]

    def errors(arm):
        return np.array([of["cells"][f"four bars, {arm}"]["error"] for of in seeds.values()])

    mixup, as_given, raised = (errors(arm) for arm in ("k = 1, 4, alpha", "k = 16, 4, alpha", "k = 16, 64, alpha_k"))
    assert f"{mixup.mean():.1f} ± {mixup.std(ddof=1):.2f} for mixup and {as_given.mean():.2f} for k-mixup" in text
    assert f"k = 16 errs in {raised.mean():.2f} %" in text
    page = (ROOT / "results" / "k-mixup" / "table-9.md").read_text()
    for row, printed in (("k = 1", "6.79"), ("k = 16", "0.08")):
        assert re.search(rf"^\| {row} \|.*\({printed}\)", page, re.MULTILINE) and printed in text
