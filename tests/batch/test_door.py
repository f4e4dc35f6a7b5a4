"""What is no batch of arrays is refused at the door, before Keras and TensorFlow do so in words of their own."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ChoiceLayer, CutMixLayer, KMixupLayer, MixLayer

X, Y = np.arange(12, dtype=np.float32).reshape(4, 3), np.eye(4, dtype=np.float32)


class Frame:
    """What a table of another library is to us: something that NumPy can read, of its own choice of errors."""

    dtype = None

    def __init__(self, error=None):
        self.error = error

    def __array__(self, *told, **named):
        if self.error is not None:
            raise self.error
        return X


def without_end():
    structure = [X]
    structure.append(structure)
    return structure


BAD = {
    "objects": (
        X.astype(object),
        TypeError,
        "{0} must be an array of numbers .*{0} of type ndarray and dtype object",
    ),
    "dates": (np.zeros(4, "datetime64[D]"), TypeError, r"{0} must be an array of numbers .*dtype datetime64\[D\]"),
    "durations": (np.zeros(4, "timedelta64[s]"), TypeError, "{0} must be an array of numbers .*dtype timedelta64"),
    "records": (np.zeros(4, [("a", "f4")]), TypeError, "{0} must be an array of numbers"),
    "wide floats": (X.astype(np.longdouble), TypeError, "{0} must be an array of numbers"),
    "a list of numbers": ([0, 1, 2, 3], TypeError, r"{0} must be tensors or arrays .*{0}\[0\], a Python int, in a"),
    "nested lists": (X.tolist(), TypeError, r".*{0}\[0\]\[0\], a Python float, in a list.*np.asarray\({0}\)"),
    "a number": (1.5, ValueError, "{0} must have a batch axis. Received: {0}=1.5"),
    "a number by name": ({"a": 3}, ValueError, r"{0}\['a'\] must have a batch axis"),
    "text": ("abc", ValueError, "{0} must have a batch axis. Received: {0}='abc'"),
    "keys of two kinds": ({"a": X, 1: X}, TypeError, r"keys of a dictionary .* {0} with keys \['a', 1\]"),
    "such keys further down": ({"b": {"a": X, None: X}}, TypeError, r".*{0}\['b'\] with keys \['a', None\]"),
    "a generator": ((row for row in X), TypeError, "{0} must be tensors or arrays .*Received: {0} of type generator"),
    "a range": (range(4), TypeError, "{0} must be tensors or arrays .*Received: {0} of type range"),
    "a set": ({1, 2}, TypeError, "{0} must be tensors or arrays"),
    "a function": (lambda: X, TypeError, "{0} must be tensors or arrays"),
    "a dataset": (tf.data.Dataset.from_tensors(X), TypeError, r"{0} must be tensors .*dataset.map\(layer\)"),
    "a variant": (tf.data.experimental.to_variant(tf.data.Dataset.range(2)), TypeError, "{0} must be tensors or arr"),
    "quantised numbers": (tf.zeros([4, 3], tf.qint8), TypeError, "{0} must be tensors or arrays .*dtype qint8"),
    "masked values": (np.ma.masked_array(X, X > 5), ValueError, r"{0} must have no masked values.*\.filled"),
    "a table that cannot be read": (Frame(RuntimeError("no")), TypeError, "{0} must be an array of numbers"),
    "no end": (without_end(), ValueError, "{0} must be .*more than 50 levels deep"),
}

GOOD = [
    X,
    tf.constant(X),
    tf.Variable(X),
    Frame(),
    np.ma.masked_array(X),
    np.asfortranarray(X),
    X.astype(np.float16),
    X > 3,
    [X, (X, X)],
    {0: X, 1: X},
    {(1, 2): X},
    collections.OrderedDict(b=X, a=X),
]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("part", ["features", "targets", "sample_weight"])
def test_what_is_no_array_is_refused_by_name(name, part):
    bad, kind, message = BAD[name]
    batch = {"x": X, "y": Y, "sample_weight": np.ones(4, np.float32)}
    batch[{"features": "x", "targets": "y"}.get(part, part)] = bad
    message = "MixLayer: " + message.format(part)
    for call in (lambda: MixLayer()(*batch.values()), lambda: MixLayer()(**batch)):
        with pytest.raises(kind, match=message):
            call()
    for sides in ((tuple(batch.values()), (X, Y)), ((X, Y), tuple(batch.values()))):
        with pytest.raises(kind, match=message):
            MixLayer().between(*sides)


def test_a_choice_refuses_in_its_own_name():
    choice = ChoiceLayer([KMixupLayer(2), CutMixLayer(axes=1)])
    with pytest.raises(TypeError, match=r"^ChoiceLayer: keys of a dictionary"):
        choice({"a": X, 1: X}, Y)
    with pytest.raises(TypeError, match=r"^ChoiceLayer: features must be an array"):
        choice.between((X.astype(object), Y), (X, Y))


@pytest.mark.parametrize("x", GOOD, ids=range(len(GOOD)))
def test_whatever_holds_arrays_comes_in(x):
    mixed, _ = MixLayer()(x, Y, seed=1)
    leaves = tf.nest.flatten(mixed)
    assert [leaf.shape[0] for leaf in leaves] == [4] * len(leaves)


def test_strings_in_an_array_of_objects_ride_along():
    names = np.array(["a", "b", "c", "d"], object)
    mixed, _ = MixLayer(passthrough="name")({"x": X, "name": names}, Y)
    assert mixed["name"].numpy().tolist() == [b"a", b"b", b"c", b"d"]


def test_a_part_of_a_model_that_is_being_made_goes_with_nothing_else():
    with pytest.raises(ValueError, match=r"^MixLayer: features and targets must be arrays.*beside arrays"):
        MixLayer()(keras.Input((3,)), Y)
    with pytest.raises(ValueError, match=r"^MixLayer: features and targets must be arrays"):
        MixLayer().between((keras.Input((3,)), keras.Input((4,))), (X, Y))
    x, y = MixLayer()(keras.Input((3,)), keras.Input((4,)))
    assert (x.shape[1:], y.shape[1:]) == ((3,), (4,))
