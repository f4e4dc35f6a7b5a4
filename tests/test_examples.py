"""Every example runs as a person would run it, in a folder of its own; the site's build runs those it can itself."""

import ast
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from kmix_tf._compat import IS_KERAS_3

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
# What Keras 2 does otherwise: its own package, steps, two outputs, words, loops.
FIRST = ("addons_pipeline", "mix_on_device", "two_outputs", "text", "custom_loop")
sys.path.append(str(ROOT / "docs"))

import _gallery  # noqa: E402
import _learnt  # noqa: E402

# What Python does with a script, without importing TensorFlow anew.
RUN = """
import runpy, sys
sys.path[:1] = [sys.argv[2], sys.argv[3]]
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run_example(name, folder):
    """Standard output of an example, run in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_says_when_to_use_it(name):
    text = (ROOT / "examples" / f"{name}.py").read_text()
    example, picture = text.rsplit("\n# %%\n", 1)
    assert len(example.splitlines()) < (36 if name == "quickstart" else 64)
    assert len(picture.splitlines()) < 16
    assert picture.count("savefig") == 1 and f'savefig("{name}.png")' in picture
    title, line, nothing, use = ast.get_docstring(ast.parse(text)).splitlines()[:4]
    assert line == "=" * len(title) and not nothing and use.startswith("When to use it: ")


# The site's build runs all others with the newest Keras, and asks the same of what they print: see docs/_gallery.py.
@pytest.mark.skipif(IS_KERAS_3, reason="`make docs` runs it; this runs in the addons environment")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FIRST else pytest.mark.matrix)
        for name in EXAMPLES
        if name != "quickstart"
    ],
)
def test_example_runs(name, tmp_path, elsewhere):
    if name.startswith("torch") and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed here; this runs in the environment of other back ends")
    _learnt.check(name, elsewhere(RUN, ROOT / "examples" / f"{name}.py", ROOT / "examples", ROOT, folder=tmp_path))
    assert (tmp_path / f"{name}.png").is_file()


@pytest.mark.skipif(IS_KERAS_3, reason="`make docs` runs it; this runs in the addons environment")
def test_the_quickstart_learns_draws_and_exports(tmp_path):
    _learnt.check("quickstart", run_example("quickstart", tmp_path))
    assert (tmp_path / "quickstart.png").is_file()
    assert (tmp_path / "saved_models" / "quickstart" / "saved_model.pb").is_file()


class TestWhatAnExampleMustPrint:
    @pytest.mark.parametrize(
        ("name", "output"),
        [
            ("two_outputs", "of the variance is explained\n{'price': 0.81, 'days': 0.2}\n"),
            ("two_loaders", "Epoch 1/5\n24/24 - 1s - loss: 2.1\n"),
            ("custom_loop", "the same losses after resuming: True\n{'accuracy': 0.9}\n"),
            ("text", "kind: praise with probability 0.71\nbad: praise with probability 0.29\n"),
        ],
    )
    def test_passes(self, name, output):
        _learnt.check(name, output)

    @pytest.mark.parametrize(
        ("name", "output", "said"),
        [
            ("two_outputs", "{'price': 0.8, 'days': 0.9}\n", "price must be above 0.8, and is 0.8"),
            ("two_outputs", "of the variance is explained\n", "no dictionary"),
            ("two_loaders", " \n", "nothing was printed"),
            ("two_loaders", "24/24 - 1s - loss: nan\n", "not a number"),
            ("custom_loop", "the same losses after resuming: False\n{'accuracy': 0.9}\n", "is not in"),
            ("text", "kind: praise with probability 0.69\nbad: praise with probability 0.29\n", "not told apart"),
            ("text", "kind: praise with probability 0.71\nbad: praise with probability 0.31\n", "not told apart"),
            ("text", "kind: praise with probability 0.71\n", "two probabilities"),
        ],
    )
    def test_fails_and_says_why(self, name, output, said):
        with pytest.raises(AssertionError, match=f"{name}: .*{said}"):
            _learnt.check(name, output)

    def test_bounds_are_of_examples(self):
        assert {*_learnt.BOUNDS, *_learnt.SAID} <= set(EXAMPLES)


class TestTheGallery:
    def test_its_table_has_every_example_once(self):
        assert sorted(name for names in _gallery.SECTIONS.values() for name in names) == EXAMPLES
        assert list(_gallery.SECTIONS)[:2] == ["Images", "Tables"]

    def test_links_of_its_table_are_pages(self):
        header = _gallery.header("`Texts <text.py>`__; see `distributed <distributed>`__.")
        assert header == (
            ":doc:`Texts </gallery/texts_sounds_series/text>`; see :doc:`Many workers </guides/many_workers>`."
        )
        assert ".py>" not in _gallery.header(_gallery.README)

    def test_a_guide_leads_to_an_example_and_back(self):
        source = ["[on the device](../../examples/mix_on_device.py), [other](../../examples/distributed/)"]
        _gallery.with_links(None, "guides/images", source)
        assert source == ["[on the device](/gallery/images/mix_on_device.rst), [other](../../examples/distributed/)"]
        page = [f"text{_gallery._DOWNLOAD}gallery_images_mix_on_device.py:\n"]
        _gallery.with_links(None, "gallery/images/mix_on_device", page)
        assert page[0].startswith("text\nRead on: :doc:`/guides/images`.\n")

    def test_every_example_is_linked_by_a_page(self):
        assert [name for name in EXAMPLES if not _gallery.speaking_of(name)] == []

    def test_what_is_not_run_shows_the_picture_it_drew_elsewhere(self):
        for name, alternative in _gallery.ELSEWHERE.items():
            page = [f"text{_gallery._DOWNLOAD}{name}"]
            _gallery.with_links(None, f"gallery/loaders/{name}", page)
            assert f"/_static/gallery/{name}.png\n   :alt: {alternative}\n" in page[0]
            assert (ROOT / "docs" / "_static" / "gallery" / f"{name}.png").is_file()

    def test_all_that_was_printed_is_read_from_a_page(self):
        page = (
            "code\n\n.. rst-class:: sphx-glr-script-out\n\n .. code-block:: none\n\n    Epoch 1\n\n    {'a': 1}\n\n\n"
            "    end\n\n\n.. GENERATED FROM PYTHON\n\n    x = 1\n\n"
            ".. rst-class:: sphx-glr-script-out\n\n .. code-block:: none\n\n    more\n\n\n"
        )
        printed = _gallery.printed(page)
        assert [line for line in printed.splitlines() if line] == ["Epoch 1", "{'a': 1}", "end", "more"]
