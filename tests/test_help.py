"""What `help()` shows first: what it is for, and an example. Of Keras' classes it goes on with all that Keras has."""

import importlib
import inspect
import pydoc

import pytest

import kmix_tf

SCREEN = 50
PACKAGES = ["", ".analysis", ".callbacks", ".paired", ".plot", ".trial"]


def public():
    for package in PACKAGES:
        module = importlib.import_module(f"kmix_tf{package}")
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and ">>>" in (inspect.getdoc(value) or ""):
                yield pytest.param(value, id=f"{package}.{name}".lstrip("."))


def shown(value):
    """The lines of help(), without the bars that pydoc sets before those of classes."""
    return [line.removeprefix(" |").strip() for line in pydoc.plain(pydoc.render_doc(value)).splitlines()]


@pytest.mark.parametrize("value", list(public()))
def test_the_first_screen_says_what_it_is_for_and_has_an_example(value):
    lines = shown(value)[:SCREEN]
    summary = inspect.getdoc(value).splitlines()[0]
    assert lines.index(summary) < 12
    assert any(line.startswith(">>>") for line in lines)


@pytest.mark.parametrize("layer", [kmix_tf.KMixupLayer, kmix_tf.MultiMixLayer, kmix_tf.LocalMixupLayer], ids=str)
def test_one_screen_has_all_that_is_said_of_a_layer_and_ends_with_the_example(layer):
    lines = shown(layer)
    ends = lines.index("Method resolution order:")
    assert ends <= SCREEN
    said = lines[:ends]
    assert said.index("Args:") < said.index("Example:") < ends
    assert any(line.startswith(">>>") for line in said[-8:])
