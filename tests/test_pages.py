"""The code of the site's pages runs as it is copied, page by page; and pages leave out no public name."""

import pathlib
import re

import pytest

import kmix_tf
from kmix_tf._compat import IS_KERAS_3

DOCS = pathlib.Path(__file__).parents[1] / "docs"
# Those that are written by hand: the build copies others there, and git ignores them.
PAGES = sorted(
    [
        *(DOCS / "guides").glob("*.md"),
        *(DOCS / f"{name}.md" for name in ("start", "which_mix", "audit", "calibration", "faq")),
    ]
)
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


def test_every_public_name_is_in_the_reference():
    listed = set(re.findall(r"^   kmix_tf\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE))
    assert listed >= {name for name in kmix_tf.__all__ if not name.startswith("_")}
