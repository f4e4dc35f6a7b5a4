"""Cutout and label smoothing as the guide to images gives them: they compose with every mix, in both environments."""

import re
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import LocalMixupLoss

RNG = np.random.default_rng(8)
X = RNG.uniform(0.25, 1, size=(8, 4, 6, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 8).astype(np.int32)
ERASED = 0.0  # no pixel of X is so dark
SMOOTHING = 0.3
# Pipelines take long to compile: one mix of each kind, of those that every other test goes through.
IN_PIPELINES = [
    "k-mixup",
    "multi-mix",
    "local",
    "cutmix",
    "fmix",
    "saliencymix",
    "puzzle mix",
    "packed",
    "all at once",
]


def recipe(dataset=None):
    """`cutout` as it stands in the guide to images, and the dataset that it makes of one."""
    text = (Path(__file__).parents[2] / "docs/guides/images.md").read_text()
    (code,) = re.findall(r"```python\n( *def cutout\(.*?)```", text, flags=re.DOTALL)
    # Images of a test are smaller.
    scope = {"tf": tf, "dataset": batches() if dataset is None else dataset}
    exec(textwrap.dedent(code).replace("size=16", "size=2"), scope)
    return scope["cutout"], scope["dataset"]


def eraser():
    cutout, _ = recipe()
    return lambda images: cutout(images, [3, 4], size=2, fill=ERASED)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_cutout_erases_one_square_of_every_image_about_any_pixel(size):
    # Images whose every pixel, of every channel, says where it is: centres are counted, squares are compared with.
    height, width, count = 4, 6, 3000
    images = 1 + np.arange(height * width * 2, dtype=np.float32).reshape(1, height, width, 2).repeat(count, axis=0)
    cutout, _ = recipe()
    erased = cutout(tf.constant(images), [1, 2], size=size).numpy()
    gone = erased == 0
    assert ((erased == images) | gone).all()
    assert (gone[..., 0] == gone[..., 1]).all()
    centres = {}
    for y in range(height):
        for x in range(width):
            rows, columns = np.arange(height) - y + size // 2, np.arange(width) - x + size // 2
            square = ((rows >= 0) & (rows < size))[:, np.newaxis] & ((columns >= 0) & (columns < size))
            centres[square.tobytes()] = centres.get(square.tobytes(), 0) + 1
    found = [mask.tobytes() for mask in gone[..., 0]]
    assert set(found) <= set(centres)
    assert bytes(height * width) not in centres, "each image loses something"
    counts = np.array([found.count(mask) for mask in centres])
    expected = count * np.array(list(centres.values())) / (height * width)
    # Chance says otherwise once in 10^5 seeds.
    assert len(counts) == 1 or stats.chisquare(counts, expected).pvalue > 1e-5


@pytest.mark.parametrize("dtype", [tf.float16, tf.float64, tf.uint8])
def test_cutout_keeps_the_dtype_and_fills_with_what_it_is_told(dtype):
    images = tf.fill([5, 6, 6, 3], tf.constant(9, dtype))
    cutout, _ = recipe()
    erased = cutout(images, [1, 2], size=4, fill=2.0)
    assert erased.dtype == dtype
    assert set(np.unique(erased).tolist()) == {2, 9}


@pytest.mark.parametrize("seed", [None, 0])
def test_cutout_erases_others_in_each_epoch(seed):
    tf.random.set_seed(seed)
    try:
        _, dataset = recipe(batches().repeat(8))
        epochs = [np.concatenate([x.numpy() == 0 for x, _ in dataset]) for _ in range(2)]
    finally:
        tf.random.set_seed(None)
    assert (epochs[0] != epochs[1]).any()


def batches():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def call(layer, x, y):
    step = {"step": 7} if layer.schedule is not None else {}
    return layer(x, y, seed=5, **step)


@pytest.mark.parametrize("name", IN_PIPELINES)
@pytest.mark.representatives("name", ["all at once"])
def test_erased_images_are_mixed_like_any_others(name, layers, same):
    layer, erase = layers[name](), eraser()
    erased = batches().map(lambda x, y: (erase(x), y))
    x, y, mixed = next(iter(erased.map(lambda x, y: (x, y, call(layer, x, y)))))
    assert np.any(x == ERASED)
    assert np.all((x == ERASED) | (x == X))
    same(mixed, call(layer, x, y))


@pytest.mark.parametrize("name", IN_PIPELINES)
@pytest.mark.representatives("name", ["all at once"])
def test_mixtures_are_erased_like_any_images(name, layers):
    layer, erase = layers[name](), eraser()
    before, after = next(iter(batches().map(lambda x, y: call(layer, x, y)[0]).map(lambda x: (x, erase(x)))))
    assert before.shape == after.shape
    assert np.any(after == ERASED)
    assert np.all((after == ERASED) | (after == before))


@pytest.mark.usefixtures("plain_and_compiled")
def test_smoothed_losses_are_those_of_mixtures_of_smoothed_labels(every):
    # Smoothing is linear in the labels, and the loss too.
    name, make = every
    if name == "packed classes":
        pytest.skip("Keras' sparse losses have no label smoothing")
    layer = make()
    smoothed = (1 - SMOOTHING) * np.eye(3, dtype=np.float32)[Y] + SMOOTHING / 3

    def loss(targets, label_smoothing):
        entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
        _, y, *weight = call(layer, X, targets)
        logits = np.random.default_rng(1).normal(size=(len(y), 3)).astype(np.float32)
        return float((LocalMixupLoss(entropy) if layer.targets == "packed" else entropy)(y, logits, *weight))

    np.testing.assert_allclose(loss(Y, SMOOTHING), loss(smoothed, 0.0), rtol=1e-5)
    assert abs(loss(Y, SMOOTHING) - loss(Y, 0.0)) > 1e-3
