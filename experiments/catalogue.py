"""Every table and figure of the five papers: the experiment that makes it, or why none does."""

import importlib
from typing import NamedTuple

from experiments import defaults

# A paper's folder of experiments, with "-" for "_", and its title.
PAPERS = {
    "k-mixup": "k-Mixup Regularization for Deep Learning via Optimal Transport",
    "local-mixup": "Preventing Manifold Intrusion with Locality: Local Mixup",
    "data-dependency": "Towards Understanding the Data Dependency of Mixup-style Training",
    "multi-mix": "Mixup Training with Multiple Interpolations",
    "regularization": "On Mixup Regularization",
    # Of several papers: what these five compare with, or should.
    "compared": "All ways of mixing, compared",
}


class Item(NamedTuple):
    """A table or figure. experiment: by its name, or "". why: where it is not run here, a line that says why."""

    paper: str
    name: str
    experiment: str = ""
    why: str = ""


def _items(paper: str) -> list[Item]:
    module = importlib.import_module(f"experiments.{paper.replace('-', '_')}.items")
    return [Item(paper, *each) for each in module.ITEMS]


ITEMS = [item for paper in PAPERS for item in _items(paper)]

# Further pages, of the results of several experiments: a title, and what writes the text of runs by experiment.
PAGES = {"defaults": (defaults.TITLE, defaults.page)}
