"""Names mean the leaves they say, and a name that means none, or a bounding box, is an error."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import MixLayer
from kmix_tf._paths import as_selectors, is_selected, leaves_of, require_used
from kmix_tf.batch.leaf import Rules
from kmix_tf.batch.roles import roles_of

X = np.arange(12, dtype=np.float32).reshape(4, 3)
Y = np.eye(4, dtype=np.float32)
IDS = np.array(list("abcd")).astype(object)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, ()),
        ("id", ("id",)),
        (0, ("0",)),
        ("0/id", ("0/id",)),
        (["meta/id", 2], ("meta/id", "2")),
        ((), ()),
        ({"a"}, ("a",)),
    ],
)
def test_one_name_or_several_become_a_tuple_of_them(value, names):
    assert as_selectors("argument", value) == names


@pytest.mark.parametrize("value", [1.5, True, [True], ["a", None], {"a": 1}, [["a"]]], ids=repr)
def test_what_is_no_name_is_refused(value):
    with pytest.raises(TypeError, match=r"kmix_tf: argument must be a key such as 'id' or 'meta/id'.*Received"):
        as_selectors("argument", value)


@pytest.mark.parametrize(
    ("name", "path", "selected"),
    [
        ("id", ("id",), True),
        ("meta", ("meta", "id"), True),
        ("meta/id", ("meta", "id"), True),
        ("0/id", (0, "id"), True),
        ("0", (0, "id"), True),
        ("id", ("meta", "id"), False),
        ("meta", ("metadata",), False),
        ("meta/i", ("meta", "id"), False),
        ("1", (10,), False),
        ("meta/id/more", ("meta", "id"), False),
    ],
)
def test_a_name_means_a_leaf_or_all_below_it(name, path, selected):
    assert is_selected(["other", name], path) is selected
    assert not is_selected([], path)


def test_a_name_that_means_nothing_is_an_error_that_lists_the_leaves():
    with pytest.raises(
        ValueError, match=r"kmix_tf: masks must name leaves of the batch.*'ids'; .*'0/a', '0/b/0', '1'"
    ):
        require_used("masks", ["0/a", "ids"], ({"a": X, "b": [X]}, X), None)
    require_used("masks", ["0/b", "1"], ({"a": X, "b": [X]}, X), None)


@pytest.mark.parametrize("name", ["bbox", "boxes", "bounding_boxes", "BBoxes"])
def test_bounding_boxes_are_refused_by_name_unless_they_ride_along(name):
    nested = {"image": X, "more": {name: {"corners": X}}}

    def roles(features, *passthrough):
        return roles_of(leaves_of([("features", features)]), Rules(passthrough=passthrough))

    with pytest.raises(
        ValueError, match=rf"kmix_tf: bounding boxes cannot be mixed.*'more/{name}/corners'.*passthrough="
    ):
        roles(nested)
    assert roles(nested, f"more/{name}") == ["mixed", "kept"]
    assert roles({"boxes_count": X, "inbox": X}) == ["mixed", "mixed"]


@pytest.mark.parametrize(
    ("passthrough", "x"),
    [
        ("meta/id", {"image": X, "meta": {"id": IDS, "age": X[:, 0]}}),
        ("1/id", (X, {"id": IDS})),
        (1, (X, IDS)),
        ("1", [X, IDS]),
    ],
    ids=["nested", "position and key", "position", "position in a list"],
)
def test_a_layer_lets_what_is_named_ride_along(passthrough, x):
    layer = MixLayer(passthrough=passthrough)
    mixed, _ = layer(x, Y, seed=1)
    tf.nest.assert_same_structure(mixed, x)
    leaves = list(zip(tf.nest.flatten(mixed), tf.nest.flatten(x), strict=True))
    for ours, theirs in leaves:
        if theirs is IDS:
            assert ours.numpy().astype(str).tolist() == IDS.tolist()
        else:
            assert not np.array_equal(ours, theirs)
    assert any(theirs is IDS for _, theirs in leaves)


def test_a_layer_refuses_names_that_mean_nothing():
    for argument in ("passthrough", "masks", "match_on"):
        with pytest.raises(ValueError, match=rf"MixLayer: {argument} must name leaves.*'lable'; .*'image', 'label'"):
            MixLayer(**{argument: "lable"})({"image": X, "label": X}, Y)


def test_a_layer_refuses_boxes_among_features_and_targets():
    layer = MixLayer()
    with pytest.raises(ValueError, match="MixLayer: bounding boxes cannot be mixed"):
        layer({"images": X, "bounding_boxes": X}, Y)
    with pytest.raises(ValueError, match=r"MixLayer: boxes must be \(batch, n, 4\), and their classes"):
        layer(X, {"boxes": X, "classes": Y})
    x, y = MixLayer(passthrough=["boxes"])(X, {"boxes": X, "classes": Y}, seed=0)
    np.testing.assert_array_equal(y["boxes"], X)
    assert not np.array_equal(x, X)
