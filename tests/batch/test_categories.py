"""Integer features, which may be token ids or categories: warned of once, where they are averaged."""

import copy
import threading
import warnings

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AttentiveMixLayer,
    CutMixBlend,
    CutMixLayer,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    MixLayer,
    PuzzleMixLayer,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
    mix,
)
from kmix_tf.batch.categories import may_be_categories

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 1000, (8, 12)).astype(np.int32)
TABLE = {"age": RNG.random((8, 1)).astype(np.float32), "city_id": RNG.integers(0, 50, (8, 1))}
Y = np.arange(8) % 2


def said(call):
    """The warnings of integers that a call gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(each.message) for each in caught if "integers are averaged" in str(each.message)]


def test_token_ids_in_a_map_are_warned_of_with_every_way_out():
    layer = KMixupLayer(2, num_classes=2)
    (message,) = said(lambda: tf.data.Dataset.from_tensor_slices((IDS, Y)).batch(4).map(layer))
    assert message.startswith("KMixupLayer: integers are averaged as numbers. Received: features of dtype int32")
    for way in ("passthrough=", "ManifoldMixModel(model, ['embedding'], KMixupLayer(...))", "cast them to float32"):
        assert way in message


def test_a_column_of_a_dictionary_is_named_and_no_other_is():
    (message,) = said(lambda: MixLayer(num_classes=2)(TABLE, Y))
    assert "features['city_id'] of dtype int64 and shape (8, 1)" in message
    assert "age'" not in message


@pytest.mark.parametrize(
    ("dtype", "shape", "doubtful"),
    [
        *(
            (dtype, shape, True)
            for dtype in ("int32", "int64", "uint32")
            for shape in ([4], [4, 1], [4, 7], [4, 2, 99])
        ),
        *((dtype, [4, 1], True) for dtype in ("int8", "int16", "uint8")),
        ("int8", [4, 3], True),
        ("int32", [4, None], True),
        ("int32", [4, None, None], True),
        ("int32", [4, 28, 28, 3], False),
        ("int64", [4, 28, 28], False),
        ("uint8", [4, 28, 28, 3], False),
        ("uint8", [4, 784], False),
        ("int16", [4, 16000], False),
        ("bool", [4, 1], False),
        ("float32", [4, 1], False),
    ],
    ids=str,
)
def test_images_and_sound_are_integers_that_can_be_averaged(dtype, shape, doubtful):
    assert may_be_categories(tf.as_dtype(dtype), tf.TensorShape(shape)) == doubtful
    x = np.zeros([size or 3 for size in shape], dtype)
    spec = [tf.TensorSpec([None, *shape[1:]], dtype), tf.TensorSpec([None])]
    ask = tf.function(MixLayer(seed=1), input_signature=spec)
    assert len(said(lambda: ask(x, np.zeros(4, np.float32)))) == doubtful


def test_a_warning_comes_once_for_each_layer_whatever_the_epochs_traces_and_threads():
    layer = KMixupLayer(2, num_classes=2)
    dataset = tf.data.Dataset.from_tensor_slices((IDS, Y)).batch(4)

    def train():
        for mapped in (dataset.map(layer), dataset.apply(mix(layer, seed=0)), dataset.batch(1).unbatch().map(layer)):
            for _ in range(2):
                list(mapped)
        layer(IDS, Y)
        layer.between((IDS, Y), (IDS, Y))

    assert len(said(train)) == 1
    assert len(said(lambda: KMixupLayer(2, num_classes=2)(IDS, Y))) == 1
    other, start = MixLayer(num_classes=2), threading.Barrier(8)

    def call():
        start.wait()
        other(IDS, Y, seed=1)

    threads = [threading.Thread(target=call) for _ in range(8)]
    assert len(said(lambda: [[each.start() for each in threads], [each.join() for each in threads]])) == 1
    assert copy.deepcopy(other)(IDS, Y)[0].shape == IDS.shape


@pytest.mark.parametrize(
    "call",
    [
        lambda: MixLayer(num_classes=2)(TABLE, Y, training=False),
        lambda: MixLayer(num_classes=2, passthrough="city_id")(TABLE, Y),
        lambda: MixLayer(num_classes=2, passthrough="city_id", match_on="city_id")(TABLE, Y),
        lambda: MixLayer(num_classes=2, masks="there")({"x": TABLE["age"], "there": IDS > 3}, Y),
        lambda: MixLayer(num_classes=2, probability=0.0)(TABLE, Y),
        lambda: KMixupLayer(2, alpha=0.0, num_classes=2)(TABLE, Y),
        lambda: MixLayer(num_classes=2).adapt(TABLE["city_id"]),
        lambda: CutMixLayer(axes=1, num_classes=2)(IDS, Y),
        lambda: FMixLayer(axes=1, num_classes=2)(IDS, Y),
        lambda: GridMixLayer(axes=1, num_classes=2)(IDS, Y),
        lambda: AttentiveMixLayer(axes=1, saliency=lambda x, y: tf.ones([8, 12]), num_classes=2)(IDS, Y),
        lambda: ResizeMixLayer(axes=1, num_classes=2)(IDS, Y),
        lambda: SaliencyMixLayer(axes=1, saliency=lambda x, y: tf.ones([8, 12]), num_classes=2)(IDS, Y),
    ],
    ids=[
        "evaluation",
        "kept",
        "matched on",
        "mask",
        "never",
        "alpha 0",
        "adapt",
        "cutmix",
        "fmix",
        "gridmix",
        "attentivemix",
        "resizemix",
        "saliencymix",
    ],
)
def test_no_warning_comes_where_nothing_is_averaged(call):
    assert said(call) == []


@pytest.mark.parametrize("layer", [CutMixLayer, FMixLayer, GridMixLayer], ids=lambda layer: layer.__name__)
def test_what_a_cut_leaves_whole_are_ids_of_either_sample(layer):
    x, _ = layer(axes=1, num_classes=2, scope="sample")(IDS, Y, seed=3)
    own = x.numpy() == IDS
    partner = layer(axes=1, num_classes=2, scope="sample").plan([IDS], seed=3).partner.numpy()
    assert (own | (x.numpy() == IDS[partner])).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: CutMixLayer(num_classes=2)({"image": np.zeros((8, 4, 4), np.float32), "city_id": IDS[:, 0]}, Y),
        lambda: PuzzleMixLayer(axes=1, blocks=2, num_classes=2)(IDS, Y),
        lambda: SmoothMixLayer(axes=1, num_classes=2)(IDS, Y),
        lambda: ResizeMixLayer(axes=1, resize="area", num_classes=2)(IDS, Y),
        lambda: MixLayer(blend=CutMixBlend(2), num_classes=2)({"image": np.zeros((8, 4, 4)), "ids": IDS}, Y),
        lambda: MixLayer(num_classes=2).between((TABLE, Y), (TABLE, Y)),
    ],
    ids=[
        "a column beside an image",
        "puzzle",
        "smoothmix",
        "resizemix of means",
        "ids beside an image",
        "two loaders",
    ],
)
def test_a_warning_comes_where_a_cut_averages_other_leaves_or_from_two_loaders(call):
    assert len(said(call)) == 1
