"""What the docstrings of Co-Mixup's parts show is true."""

import doctest

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.blend import sources
from kmix_tf.blend.comixup import energy, solve, swap


@pytest.mark.parametrize("module", [energy, solve, swap, sources], ids=lambda module: module.__name__)
def test_examples_are_true(module):
    found = doctest.testmod(module, extraglobs={"np": np, "tf": tf}, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed
