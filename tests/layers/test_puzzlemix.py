"""PuzzleMixLayer is MixLayer with the puzzle blend; targets follow what is seen."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import BetaRatio, MixLayer, OptimalTransportPairing, mix, unpack_targets
from kmix_tf.blend.puzzle.blend import PuzzleMixBlend
from kmix_tf.layers.puzzlemix import PuzzleMixLayer

RNG = np.random.default_rng(15)
X = RNG.exponential(size=(6, 8, 8, 1)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2], np.int32)


def constants(number, *shape):
    return np.broadcast_to(
        np.arange(number, dtype=np.float32).reshape(-1, *[1] * len(shape)), (number, *shape)
    ).copy()


def shares(x, classes):
    """The labels that pixels of `constants` call for, with two labels in the mask."""
    own = [(x == number).mean(axis=tuple(range(1, x.ndim))) for number in range(classes)]
    return np.stack(own, axis=1) if own else np.zeros((0, 0))


@pytest.mark.parametrize("size", [0, 1, 2, 5])
@pytest.mark.parametrize("interpolations", [1, 3])
@pytest.mark.representatives("size, interpolations", [(0, 3), (1, 1), (5, 3)])
@pytest.mark.usefixtures("plain_and_compiled")
def test_labels_follow_the_pixels(size, interpolations):
    layer = PuzzleMixLayer(n_labels=2, interpolations=interpolations, scope="sample")
    for seed in range(5):
        x, y = layer(constants(size, 8, 8, 1), np.eye(size, dtype=np.float32), seed=seed)
        assert x.shape == (interpolations * size, 8, 8, 1)
        np.testing.assert_allclose(y, shares(x.numpy(), size), atol=1e-6)
        assert set(np.unique(x)) <= set(range(size))


def test_maps_follow_the_mask_without_transport():
    maps = RNG.integers(0, 4, size=(6, 8, 8))
    layer = PuzzleMixLayer(n_labels=2, transport=False, scope="sample", num_classes={"label": 3, "map": 4})
    x, y = layer(constants(6, 8, 8, 1), {"label": Y, "map": maps}, seed=2)
    seen = x.numpy()[..., 0].astype(int)
    rows, columns = np.meshgrid(range(8), range(8), indexing="ij")
    assert (y["map"].numpy().argmax(axis=-1) == maps[seen, rows, columns]).all()
    np.testing.assert_allclose(y["label"], shares(x.numpy(), 6) @ np.eye(3)[Y], atol=1e-6)


@pytest.mark.parametrize("solver", ["host", "graph"])
@pytest.mark.parametrize("interpolations", [1, 3])
@pytest.mark.representatives("solver, interpolations", [("host", 3)])
@pytest.mark.usefixtures("plain_and_compiled")
def test_maps_are_moved_with_the_image(solver, interpolations):
    x = RNG.normal(size=(6, 8, 8, 2)).astype(np.float32)
    options = {"blocks": 4, "t_eps": 0.0, "scope": "sample", "solver": solver, "interpolations": interpolations}
    moved, (y, label) = PuzzleMixLayer(**options)(x, (x, np.eye(6, dtype=np.float32)), seed=3)
    still, _ = PuzzleMixLayer(transport=False, **options)(x, (x, np.eye(6, dtype=np.float32)), seed=3)
    assert not np.allclose(moved, still)
    np.testing.assert_array_equal(y, moved)
    assert label.shape == (6 * interpolations, 6)


@pytest.mark.parametrize("interpolations", [1, 2])
def test_maps_that_move_are_packed_as_they_moved(interpolations):
    x = RNG.normal(size=(6, 8, 8, 1)).astype(np.float32)
    layer = PuzzleMixLayer(targets="packed", blocks=4, t_eps=0.0, scope="sample", interpolations=interpolations)
    moved, packed = layer(x, x, seed=3)
    y_a, y_b, ratio, _ = unpack_targets(packed)
    share = ratio[..., np.newaxis]
    np.testing.assert_allclose(share * y_a + (1 - share) * y_b, moved, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(y_a[:6], x)


@pytest.mark.usefixtures("plain_and_compiled")
def test_it_is_its_parts(same):
    options = {"blocks": 4, "n_labels": 4, "beta": 0.4, "t_eps": 0.1}
    parts = MixLayer(OptimalTransportPairing(3), BetaRatio(0.3, "group"), PuzzleMixBlend(**options), num_classes=3)
    layer = PuzzleMixLayer(0.3, k=3, scope="group", num_classes=3, **options)
    same(layer(X, Y, seed=1), parts(X, Y, seed=1))


def test_the_configuration_makes_an_equal_layer(same):
    layer = PuzzleMixLayer(0.4, blocks=4, gamma=0.1, interpolations=2, value_range=(0, 9), num_classes=3)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(back) is PuzzleMixLayer
    assert back.get_config() == layer.get_config()
    same(back(X, Y, seed=3), layer(X, Y, seed=3))


@pytest.mark.parametrize("shape", [(8, 6), (6,), (7, 5)], ids=["spectrogram", "signal", "odd"])
@pytest.mark.representatives("shape", [(6,)])
def test_spectrograms_and_signals_are_mixed_in_pipelines(shape):
    x = RNG.normal(size=(6, *shape)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((x, Y)).batch(4)
    mixed = list(dataset.map(PuzzleMixLayer(axes=len(shape), num_classes=3)))
    assert [part[0].shape for part in mixed] == [(4, *shape), (2, *shape)]
    assert all(np.isfinite(part[0]).all() for part in mixed)


def test_only_the_solver_in_the_graph_compiles(same):
    if keras.__version__.startswith("3"):
        assert not PuzzleMixLayer().supports_jit
        assert PuzzleMixLayer(solver="graph").supports_jit
    layer = PuzzleMixLayer(solver="graph", blocks=4, num_classes=3)
    compiled = tf.function(lambda x, y: layer(x, y, seed=4), jit_compile=True)
    same(compiled(X, Y), PuzzleMixLayer(blocks=4, num_classes=3)(X, Y, seed=4), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("n_labels", 1), ("beta", -1), ("blocks", 1), ("solver", "fast")])
def test_bad_arguments_name_the_layer(name, value):
    with pytest.raises(ValueError, match=rf"PuzzleMixLayer: {name} must be .* Received: {name}="):
        PuzzleMixLayer(**{name: value})


@pytest.mark.parametrize("solver", ["host", "graph"])
@pytest.mark.representatives("solver", ["graph"])
def test_a_pipeline_that_draws_numbers_of_blocks_is_saved_in_mid_epoch_and_goes_on_alike(solver, tmp_path):
    # Small enough for two numbers of blocks, each of which is compiled.
    x = RNG.normal(size=(12, 4, 4, 1)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((x, np.eye(12, dtype=np.float32))).batch(4)
    dataset = dataset.apply(mix(PuzzleMixLayer(solver=solver), seed=0))
    iterator, resumed = iter(dataset), iter(dataset)
    next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    tf.train.Checkpoint(iterator=resumed).restore(path)
    for ours, theirs in zip(iterator, resumed, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
