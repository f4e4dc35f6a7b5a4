"""What comes in is checked, named in messages, and given back in the structure in which it came."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import require_all
from kmix_tf._paths import leaves_of
from kmix_tf.batch.batch import are_finite, read, require_alike
from kmix_tf.batch.leaf import PARTS, Rules

Pair = collections.namedtuple("Pair", ["left", "right"])


def prepared(x, y=None, sample_weight=None, num_classes=None):
    with _checks.speaking_as("Owner"):
        return read(x, y, sample_weight, Rules(num_classes, features_only=True))


def parts_of(batch):
    return tuple(batch.part(name) for name in PARTS)


def require_finite(name, leaf):
    require_all(are_finite([(name, leaf)]))


def soft(y, num_classes):
    return prepared(tf.zeros([len(y), 1]), y, num_classes=num_classes).tensors("targets")[0].numpy()


@pytest.mark.parametrize(
    "structure",
    [
        1,
        (1, 2),
        [1, (2, 3)],
        {"b": 1, "a": [2, {"z": 3, "y": 4}]},
        Pair(1, {"k": 2}),
        collections.OrderedDict(z=1, a=2),
    ],
    ids=str,
)
def test_leaves_are_named_in_the_order_in_which_tensorflow_flattens_them(structure):
    named = [(name, leaf) for _, _, name, leaf in leaves_of([("x", structure)])]
    assert [leaf for _, leaf in named] == tf.nest.flatten(structure)
    # Each name is the expression that finds the leaf.
    assert all(eval(name, {"x": structure}) == leaf for name, leaf in named)


def test_structures_come_back_with_their_own_leaves():
    x = {"b": tf.fill([3, 2], 1.0), "a": (tf.fill([3], 2.0), [tf.fill([3, 1], 3.0)])}
    y = Pair(tf.fill([3], 4.0), {"k": tf.fill([3], 5.0)})
    weight = tf.fill([3], 6.0)
    back = parts_of(prepared(x, y, weight))
    tf.nest.assert_same_structure(back, (x, y, weight))
    for ours, theirs in zip(tf.nest.flatten(back), tf.nest.flatten((x, y, weight)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_parts_that_did_not_come_do_not_come_back():
    assert parts_of(prepared(tf.zeros([2, 1])))[1:] == (None, None)
    assert parts_of(prepared(tf.zeros([2, 1]), tf.zeros([2])))[2] is None


@pytest.mark.parametrize("dtype", [tf.uint8, tf.bool, tf.float16, tf.float64, tf.int64])
def test_features_keep_their_dtype_until_they_are_mixed(dtype):
    assert prepared(tf.ones([2, 1], dtype)).tensors("features")[0].dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "result"),
    [(tf.float16, tf.float32), (tf.bfloat16, tf.float32), (tf.float64, tf.float64), (tf.bool, tf.float32)],
)
def test_targets_and_weights_become_float32_unless_they_are_wider(dtype, result):
    batch = prepared(tf.zeros([2, 1]), tf.ones([2, 3], dtype), tf.ones([2], dtype))
    assert batch.tensors("targets")[0].dtype == batch.tensors("sample_weight")[0].dtype == result


def test_integer_weights_become_float32():
    assert (
        prepared(tf.zeros([2, 1]), tf.zeros([2]), tf.constant([1, 2])).tensors("sample_weight")[0].dtype == tf.float32
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64])
def test_integer_labels_become_one_hot(dtype):
    one_hot = soft(np.array([2, 0, 1, 2], dtype), 3)
    assert one_hot.dtype == np.float32
    assert (one_hot == np.eye(3)[[2, 0, 1, 2]]).all()


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint32, np.uint64])
def test_integer_labels_of_any_other_dtype_become_one_hot_too(dtype):
    assert (soft(np.array([2, 0, 1, 2], dtype), 3) == np.eye(3)[[2, 0, 1, 2]]).all()


def test_a_last_axis_of_one_label_is_no_axis_of_the_result():
    assert (soft(tf.constant([[2], [0]]), 3) == np.eye(3)[[2, 0]]).all()


def test_labels_of_each_step_or_pixel_become_one_hot():
    labels = np.array([[[0, 1], [2, 1]]] * 2)
    assert (soft(labels, 3) == np.eye(3)[labels]).all()


def test_labels_of_unknown_length_become_one_hot():
    encode = tf.function(
        lambda x, y: prepared(x, y, num_classes=3).tensors("targets")[0],
        input_signature=[tf.TensorSpec([None, 1]), tf.TensorSpec([None], tf.int32)],
    )
    assert (encode(tf.zeros([2, 1]), tf.constant([1, 2])).numpy() == np.eye(3)[[1, 2]]).all()


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3), (4, 2, 3)], ids=str)
def test_float_targets_stay_what_they_are(shape):
    y = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert (soft(y, None) == y).all()


def test_one_hot_floats_may_come_with_num_classes():
    assert (soft(np.eye(3, dtype=np.float32), 3) == np.eye(3)).all()


def test_each_target_has_its_own_number_of_classes():
    y = {"b": tf.constant([0, 1]), "a": tf.constant([3, 0]), "c": tf.constant([0.5, 0.25])}
    batch = prepared(tf.zeros([2, 1]), y, num_classes={"a": 4, "b": 2, "c": None})
    back = batch.part("targets")
    assert {name: leaf.shape.as_list() for name, leaf in back.items()} == {"a": [2, 4], "b": [2, 2], "c": [2]}
    assert back["a"].numpy().argmax(axis=1).tolist() == [3, 0]


def test_one_number_of_classes_serves_all_targets():
    y = (tf.constant([0, 1]), tf.constant([2, 0]))
    assert [leaf.shape for leaf in prepared(tf.zeros([2, 1]), y, num_classes=3).tensors("targets")] == [
        [2, 3],
        [2, 3],
    ]


def test_targets_keep_their_names():
    batch = prepared(tf.zeros([1, 1]), {"a": tf.constant([1])}, num_classes=2)
    assert [leaf.name for leaf in batch.leaves] == ["features", "targets['a']"]


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
def test_large_finite_values_whose_sum_overflows_are_finite(dtype):
    large = tf.constant(dtype.max, dtype)
    require_finite("x", tf.fill([3, 2], large))
    require_finite("x", tf.fill([3, 2], -large))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
@pytest.mark.parametrize("values", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]], ids=str)
def test_values_that_are_not_finite_are_found_in_any_dtype(dtype, values):
    leaf = tf.cast(tf.constant([0.0, *values, 1.0]), dtype)
    with pytest.raises(tf.errors.InvalidArgumentError, match="kmix_tf: x must be finite"):
        require_finite("x", leaf)


@pytest.mark.parametrize("part", ["features", "targets", "sample_weight"])
def test_messages_name_the_leaf_at_fault(part):
    parts = {"features": tf.zeros([2, 1]), "targets": tf.zeros([2]), "sample_weight": tf.zeros([2])}
    parts[part] = {"good": tf.zeros([2]), "bad": [tf.constant([0.0, np.nan])]}
    if part == "sample_weight":
        parts["targets"] = tf.nest.map_structure(tf.zeros_like, parts[part])
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"Owner: {part}\['bad'\]\[0\] must be finite"):
        prepared(*parts.values())


def test_the_leaf_whose_length_differs_is_named():
    message = r"equally long.*Received: features\['a'\] of shape \(3, 1\) and sample_weight of shape \(2,\)"
    with pytest.raises(ValueError, match=message):
        prepared({"a": tf.zeros([3, 1]), "b": tf.zeros([3])}, tf.zeros([3]), tf.zeros([2]))


@pytest.mark.parametrize("empty", [{}, (), []], ids=str)
def test_no_features_at_all_are_refused(empty):
    with pytest.raises(ValueError, match=r"Owner: features must hold at least one tensor to be mixed. Received: x="):
        prepared(empty, tf.zeros([2]))


@pytest.mark.parametrize("missing", [{"a": None, "b": tf.zeros([2])}, [tf.zeros([2]), None]], ids=["dict", "list"])
def test_a_missing_feature_is_refused(missing):
    with pytest.raises(TypeError, match=r"Owner: features\[.*\] must be a tensor. Received: None"):
        prepared(missing)


def test_equal_batches_are_alike():
    require_alike(prepared(tf.zeros([2, 1]), tf.zeros([2])), prepared(tf.ones([2, 1]), tf.ones([2])))


@pytest.mark.parametrize(
    "other",
    [(tf.zeros([2, 2]), tf.zeros([2])), (tf.zeros([2, 1], tf.float64), tf.zeros([2])), (tf.zeros([2, 1]),)],
    ids=["shape", "dtype", "structure"],
)
def test_batches_that_are_not_alike_are_refused(other):
    message = (
        r"kmix_tf: between\(first, second\) needs two batches with equal structure, dtypes and lengths. Received: "
    )
    with pytest.raises(ValueError, match=message):
        require_alike(prepared(tf.zeros([2, 1]), tf.zeros([2])), prepared(*other))


def test_batches_with_other_keys_are_refused():
    first, second = (prepared({key: tf.zeros([2, 1])}, tf.zeros([2])) for key in ("left", "right"))
    with pytest.raises(ValueError, match="equal structure"):
        require_alike(first, second)
