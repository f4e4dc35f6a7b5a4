"""The code of the site's pages runs as it is copied, page by page; and pages leave out no public name."""

import pathlib
import re

import pytest
import tensorflow as tf

import kmix_tf
import kmix_tf.analysis
import kmix_tf.plot
import kmix_tf.trial
from kmix_tf._compat import IS_KERAS_3

DOCS = pathlib.Path(__file__).parents[1] / "docs"
# Those that are written by hand: the build copies others there, and git ignores them.
BY_HAND = ("start", "which_mix", "audit", "calibration", "faq", "decisions", "models")
README = DOCS.parent / "README.md"
PAGES = sorted([README, *(DOCS / "guides").glob("*.md"), *(DOCS / f"{name}.md" for name in BY_HAND)])
CARDS = sorted(page for page in (DOCS / "methods").glob("*.md") if page.stem != "index")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = "import sys; exec(compile(open(sys.argv[1]).read(), sys.argv[1], 'exec'), {'__name__': '__main__'})"


def code_of(page):
    return "\n".join(BLOCK.findall(page.read_text()))


@pytest.mark.skipif(not IS_KERAS_3, reason="pages are written for Keras 3; examples run in both")
@pytest.mark.parametrize("page", [page for page in PAGES if code_of(page)], ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_as_copied(page, tmp_path, elsewhere):
    script = tmp_path / "copied.py"
    script.write_text(code_of(page))
    assert "nan" not in elsewhere(RUN, script, folder=tmp_path).lower()


@pytest.mark.skipif(not IS_KERAS_3, reason="pages are written for Keras 3; examples run in both")
@pytest.mark.parametrize("page", CARDS, ids=lambda page: page.stem)
def test_the_code_of_a_card_runs_as_copied_and_what_it_maps_can_be_read(page):
    """In this process: to start one for each card would take minutes."""
    copied: dict = {}
    exec(compile(code_of(page), str(page), "exec"), copied)
    if "train" in copied:
        for part in tf.nest.flatten(next(iter(copied["train"]))):
            assert bool(tf.reduce_all(tf.math.is_finite(tf.cast(part, tf.float32))))


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 120


@pytest.mark.parametrize("module", [kmix_tf, kmix_tf.analysis, kmix_tf.plot, kmix_tf.trial], ids=lambda m: m.__name__)
def test_every_public_name_is_in_the_reference(module):
    pattern = rf"^   {re.escape(module.__name__)}\.(\w+)$"
    listed = re.findall(pattern, (DOCS / "api.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(name for name in module.__all__ if not name.startswith("_"))
