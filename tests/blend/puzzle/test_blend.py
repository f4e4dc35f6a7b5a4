"""The blend as a whole: what is seen, what it counts, and what comes of odd shapes and numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.blend.puzzle.blend import PuzzleMixBlend

RNG = np.random.default_rng(14)


@keras.saving.register_keras_serializable(package="kmix_tf_tests_puzzle")
def brightness(features, targets):
    """Saliency that a test can set: the first channel's size."""
    image = tf.cast(features[0], tf.float32)
    return tf.abs(image if image.shape.rank == 3 else image[..., 0])


def images(*shape, dtype=np.float32):
    values = RNG.exponential(size=shape) ** 2
    return tf.constant((20 * values).astype(dtype))


def around(number):
    """Everyone is mixed with the next."""
    return tf.constant(np.roll(np.arange(number), -1), tf.int32)


def ratios(number, interpolations=None):
    if interpolations is None:
        return tf.constant(RNG.uniform(0.1, 0.9, size=number).astype(np.float32))
    return tf.constant(np.sort(RNG.uniform(size=(interpolations, number)), axis=0)[::-1].astype(np.float32))


RATIO = ratios(4, 2)


def values_of(blended):
    return [np.asarray(part) for part in (*blended.x, blended.ratio, blended.mask)]


@pytest.mark.usefixtures("plain_functions")
class TestAnyShape:
    """Without compilation, because each example has a shape of its own."""

    @given(
        st.tuples(st.integers(2, 11), st.integers(2, 11)),
        st.integers(0, 5),
        st.sampled_from([None, 1, 3]),
        st.integers(2, 5),
        st.booleans(),
        st.integers(0, 2**31 - 1),
    )
    def test_masks_hold_labels_in_blocks_and_targets_follow_their_mean(
        self, sizes, batch, interpolations, n_labels, transport, seed
    ):
        rng = np.random.default_rng(seed)
        x = tf.constant(rng.normal(size=(batch, *sizes, 2)).astype(np.float32))
        lead = () if interpolations is None else (interpolations,)
        ratio = np.sort(rng.uniform(size=(*lead, batch)), axis=0)[::-1].astype(np.float32)
        partner = tf.constant(rng.permutation(batch), tf.int32)
        blend = PuzzleMixBlend(n_labels=n_labels, transport=transport, saliency=brightness, eta=2.0)
        blended = blend([x], [x], partner, tf.constant(ratio), seed=seed)
        assert blended.mask.shape == (*lead, batch, *sizes)
        assert blended.x[0].shape == (int(np.prod(lead)) * batch, *sizes, 2)
        shares = blended.mask.numpy() * (n_labels - 1)
        assert (shares == np.round(shares)).all() and (shares >= 0).all() and (shares <= n_labels - 1).all()
        np.testing.assert_allclose(blended.ratio, blended.mask.numpy().mean(axis=(-1, -2)), atol=1e-6)
        flat = blended.mask.numpy().reshape(-1, *sizes)
        if not transport:
            rows = np.arange(len(flat)) % max(batch, 1)
            first, second = x.numpy()[rows], x.numpy()[partner.numpy()[rows]] if batch else x.numpy()
            expected = flat[..., np.newaxis] * first + (1 - flat[..., np.newaxis]) * second
            np.testing.assert_allclose(blended.x[0], expected, atol=1e-5)
        if interpolations:
            assert (np.diff(blended.mask.numpy(), axis=0) <= 0).all()


@pytest.mark.usefixtures("plain_and_compiled")
def test_whole_blocks_of_either_image_are_seen_with_two_labels():
    x = images(6, 16, 16, 3)
    partner = around(6)
    blended = PuzzleMixBlend(blocks=4, n_labels=2, transport=False)([x], [x], partner, ratios(6), seed=1)
    mask = blended.mask.numpy().reshape(6, 4, 4, 4, 4)
    assert (mask == mask[:, :, :1, :, :1]).all()
    chosen = np.where(blended.mask.numpy()[..., np.newaxis] == 1, x, tf.gather(x, partner))
    assert (blended.x[0].numpy() == chosen).all()
    assert 0 < mask.mean() < 1


def test_blocks_of_both_images_are_moved_whole_and_none_is_lost():
    # Each block of each image has a colour of its own, and no border costs anything.
    colours = np.arange(2 * 16, dtype=np.float32).reshape(2, 4, 4) + 1
    x = np.repeat(np.repeat(colours, 4, axis=1), 4, axis=2)
    # Both are salient in the same blocks, where only one can be seen.
    peaks = np.where(np.arange(16).reshape(4, 4) % 3 == 0, 10.0, 0.1) * RNG.uniform(1, 2, size=(2, 4, 4))
    saliency = tf.constant(np.repeat(np.repeat(peaks, 4, axis=1), 4, axis=2).astype(np.float32))
    options = {"blocks": 4, "n_labels": 2, "beta": 0.0, "t_eps": 0.01, "transport_blocks": 4, "eta": 3.0}
    arguments = ([tf.constant(x)], [tf.constant(x)], tf.constant([1, 0]), tf.constant([0.5, 0.5]), 3)
    still, moved = (
        PuzzleMixBlend(transport=transport, **options)(*arguments, saliency=(saliency, saliency))
        for transport in (False, True)
    )
    assert (still.mask.numpy() == moved.mask.numpy()).all()
    for row in range(2):
        mask, seen = moved.mask.numpy()[row], moved.x[0].numpy()[row]
        for image, shown in ((x[row], mask == 1), (x[1 - row], mask == 0)):
            tiles = seen.reshape(4, 4, 4, 4)[:, 0, :, 0][shown.reshape(4, 4, 4, 4)[:, 0, :, 0]]
            assert len(set(tiles)) == len(tiles)
            assert set(tiles) <= set(image.ravel())
        tiles = seen.reshape(4, 4, 4, 4)
        assert (tiles == tiles[:, :1, :, :1]).all()
    # Each image shows more of what is salient in it than where it stood, for of the peaks one image's are covered.
    worth = {
        colour: peak
        for colours_, peaks_ in zip(colours, peaks, strict=True)
        for colour, peak in zip(colours_.ravel(), peaks_.ravel(), strict=True)
    }
    kept = {}
    for name, blended in (("still", still), ("moved", moved)):
        tiles = blended.x[0].numpy()[:, ::4, ::4]
        shown = blended.mask.numpy()[:, ::4, ::4]
        value = np.vectorize(worth.get)(tiles)
        kept[name] = np.array([[(value[row] * (shown[row] == side)).sum() for side in (1, 0)] for row in range(2)])
    assert (kept["moved"] >= kept["still"]).all()
    assert (kept["moved"] > kept["still"]).any(axis=0).all()


@pytest.mark.parametrize("transport", [False, True])
@pytest.mark.usefixtures("plain_and_compiled")
def test_ratios_of_one_and_zero_are_the_images_themselves(transport):
    x = images(4, 8, 8, 3)
    for eta in (0.0, 0.2):
        blend = PuzzleMixBlend(transport=transport, eta=eta, t_eps=0.0)
        blended = blend([x], [x], around(4), tf.constant([1.0, 0.0, 1.0, 0.5]), seed=2)
        assert blended.ratio.numpy()[:3].tolist() == [1, 0, 1]
        assert (blended.x[0].numpy()[:3] == x.numpy()[[0, 2, 2]]).all()


@pytest.mark.usefixtures("plain_and_compiled")
def test_an_image_mixed_with_itself_is_itself_without_transport():
    x = images(3, 12, 12, 1)
    blended = PuzzleMixBlend(transport=False)([x], [x], tf.range(3), ratios(3), seed=4)
    np.testing.assert_allclose(blended.x[0], x, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float64"])
@pytest.mark.representatives("dtype", ["uint8", "float16"])
@pytest.mark.usefixtures("plain_and_compiled")
def test_features_keep_their_dtype_and_pixels_their_values(dtype):
    x = tf.cast(images(4, 8, 8, 3), dtype)
    blended = PuzzleMixBlend(n_labels=2)([x], [x], around(4), ratios(4), seed=3)
    assert blended.x[0].dtype == (tf.float32 if dtype == "uint8" else dtype)
    assert set(np.unique(tf.cast(blended.x[0], tf.float64))) <= set(np.unique(tf.cast(x, tf.float64)))
    assert blended.ratio.dtype == blended.mask.dtype == tf.float32


@pytest.mark.usefixtures("plain_and_compiled")
def test_leaves_of_the_images_size_are_puzzled_and_others_mixed_linearly():
    x, depth = images(5, 8, 8, 3), images(5, 8, 8)
    table, text = images(5, 3), images(5, 4, 6)
    partner = around(5)
    leaves = [table, x, depth, text]
    blended = PuzzleMixBlend(blocks=4, transport=False, saliency=lambda f, t: f[2])(
        leaves, leaves, partner, ratios(5), 1
    )
    mask, share = blended.mask.numpy(), blended.ratio.numpy()
    for leaf, mixed, weight in zip(leaves, blended.x, (share, mask, mask, share), strict=True):
        weight = weight.reshape(*weight.shape, *[1] * (leaf.shape.rank - weight.ndim))
        expected = weight * leaf.numpy() + (1 - weight) * leaf.numpy()[partner]
        np.testing.assert_allclose(mixed, expected, atol=1e-4)
    # Transport moves both alike.
    moved = PuzzleMixBlend(blocks=4, t_eps=0.01)([x, x[..., 0]], [x, x[..., 0]], partner, ratios(5), seed=1)
    assert (moved.x[0].numpy()[..., 0] == moved.x[1].numpy()).all()


@pytest.mark.usefixtures("plain_and_compiled")
def test_signals_are_cut_along_time():
    x = images(6, 40, 2)
    blended = PuzzleMixBlend(axes=1, transport=False)([x], [x], around(6), ratios(6), seed=5)
    mask = blended.mask.numpy()
    assert mask.shape == (6, 40)
    borders = np.flatnonzero(np.diff(mask, axis=1).any(axis=0)) + 1
    assert len(borders) and (borders % 5 == 0).all()
    np.testing.assert_allclose(
        blended.x[0], mask[..., None] * x + (1 - mask[..., None]) * tf.gather(x, around(6)), atol=1e-4
    )


@pytest.mark.usefixtures("plain_and_compiled")
def test_several_partners_have_masks_of_their_own():
    x = images(4, 8, 8, 1)
    partner, ratio = np.array([[1, 2, 3, 0], [2, 3, 0, 1]], np.int32), ratios(4, 2)
    blend = PuzzleMixBlend(blocks=4)
    both = blend([x], [x], tf.constant(partner), ratio, seed=1)
    parts = [blend([x], [x], tf.constant(partner[row]), ratio[row], seed=1) for row in (0, 1)]
    assert (both.x[0].numpy() == np.concatenate([part.x[0] for part in parts])).all()
    assert (both.ratio.numpy() == np.stack([part.ratio for part in parts])).all()
    assert (both.mask.numpy() == np.stack([part.mask for part in parts])).all()


def test_the_other_loader_is_seen_where_the_mask_is_zero():
    first, second = images(4, 8, 8, 1), -images(4, 8, 8, 1) - 1
    blended = PuzzleMixBlend(n_labels=2)([first], [second], tf.range(4), ratios(4), seed=6)
    assert ((blended.x[0].numpy()[..., 0] < 0) == (blended.mask.numpy() == 0)).all()


def test_saliency_can_be_given_and_is_else_asked_for():
    x = images(4, 8, 8, 3)
    arguments = ([x], [x], around(4), ratios(4), 1)
    own = PuzzleMixBlend(saliency=brightness)
    assert PuzzleMixBlend.needs_saliency
    said = own.saliency_of([x])
    assert said.shape == (4, 8, 8)
    for ours, theirs in zip(
        values_of(own(*arguments)), values_of(PuzzleMixBlend()(*arguments, (said, said))), strict=True
    ):
        assert (ours == theirs).all()
    with pytest.raises(ValueError, match=r"PuzzleMixBlend: saliency must be a pair"):
        PuzzleMixBlend()(*arguments, saliency=said)


def test_a_sample_whose_saliency_is_no_number_is_uniformly_salient():
    x = images(4, 8, 8, 3)
    saliency = RNG.exponential(size=(4, 8, 8)).astype(np.float32)
    broken, uniform = saliency.copy(), saliency.copy()
    broken[1, 3, 3], uniform[1] = np.nan, 1
    arguments = ([x], [x], around(4), ratios(4), 1)
    ours, theirs = (values_of(PuzzleMixBlend()(*arguments, (each, each))) for each in (broken, uniform))
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))


def test_salient_blocks_are_seen():
    # One salient block in each, at different places, and no prior for either.
    saliency = np.full((2, 16, 16), 0.01, np.float32)
    saliency[0, 4:8, 8:12], saliency[1, 12:, :4] = 1, 1
    x = tf.constant(RNG.normal(size=(2, 16, 16)).astype(np.float32))
    blended = PuzzleMixBlend(blocks=4)(
        [x], [x], tf.constant([1, 0]), tf.constant([0.5, 0.5]), 1, (saliency, saliency)
    )
    assert (blended.mask.numpy()[0, 4:8, 8:12] == 1).all() and (blended.mask.numpy()[0, 12:, :4] == 0).all()
    assert (blended.mask.numpy()[1, 4:8, 8:12] == 0).all() and (blended.mask.numpy()[1, 12:, :4] == 1).all()


def test_the_number_of_blocks_is_drawn_from_the_seed():
    x = images(3, 16, 16, 1)
    blend = PuzzleMixBlend(transport=False, beta=0.0, eta=0.0, n_labels=2)
    found = set()
    for seed in range(24):
        mask = blend([x], [x], around(3), ratios(3), seed=seed).mask.numpy()
        again = blend([x], [x], around(3), ratios(3), seed=seed).mask.numpy()
        assert (mask == again).all()
        borders = np.flatnonzero(np.diff(mask, axis=1).any(axis=(0, 2))) + 1
        found.add(16 // np.gcd.reduce(borders))
    assert found == {2, 4, 8, 16}


def given(parts):
    """What is there of a blend's result, one tensor after another."""
    return [leaf for leaf in tf.nest.flatten(parts) if leaf is not None]


def test_graphs_of_open_shapes_agree_with_eager_calls():
    spec = [tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([2], tf.int32)]
    blend = PuzzleMixBlend(transport=False, saliency=brightness)
    graph = tf.function(
        lambda x, seed: tuple(blend([x], [x], around(4), RATIO, seed)), input_signature=spec, autograph=False
    )
    for x, seed in ((images(4, 8, 6, 1), [0, 7]), (images(4, 7, 9, 1), [0, 8]), (images(4, 8, 8, 1), [0, 9])):
        for ours, theirs in zip(
            *map(given, (tuple(blend([x], [x], around(4), RATIO, seed)), graph(x, seed))), strict=True
        ):
            np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_compiled_calls_agree_with_the_host():
    x = images(4, 8, 6, 1)
    blends = {solver: PuzzleMixBlend(solver=solver, t_eps=0.05, saliency=brightness) for solver in ("host", "graph")}
    assert blends["host"].runs_on_host and not blends["graph"].runs_on_host
    compiled = tf.function(
        lambda x: tuple(blends["graph"]([x], [x], around(4), RATIO, 7)), jit_compile=True, autograph=False
    )
    expected = blends["host"]([x], [x], around(4), RATIO, 7)
    for ours, theirs in zip(*map(given, (tuple(expected), compiled(x))), strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_features_without_axes_and_too_small_ones_are_refused():
    with pytest.raises(ValueError, match=r"PuzzleMixBlend: features must have 2 axes"):
        PuzzleMixBlend()([images(4, 8)], [images(4, 8)], around(4), ratios(4), seed=1)
    x = images(4, 8, 6, 1)
    with pytest.raises(ValueError, match=r"at least 8 places along each axis.*Received: 8 x 6\."):
        PuzzleMixBlend(blocks=8)([x], [x], around(4), ratios(4), seed=1)
    thin = images(4, 8, 1, 1)
    with pytest.raises(ValueError, match=r"at least 2 places along each axis.*Received: 8 x 1\."):
        PuzzleMixBlend()([thin], [thin], around(4), ratios(4), seed=1)
    graph = tf.function(
        lambda x: (
            PuzzleMixBlend(blocks=2, transport=False, saliency=brightness)([x], [x], around(4), ratios(4), 1).ratio
        ),
        input_signature=[tf.TensorSpec([None, None, None, 1])],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="PuzzleMixBlend: images must have at least 2 places"):
        graph(thin)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("axes", 3, ValueError),
        ("axes", 0, ValueError),
        ("blocks", 1, ValueError),
        ("blocks", 65, ValueError),
        ("blocks", 4.0, ValueError),
        ("n_labels", 1, ValueError),
        ("n_labels", 18, ValueError),
        ("n_labels", True, ValueError),
        ("beta", -0.1, ValueError),
        ("gamma", -1, ValueError),
        ("gamma", float("nan"), ValueError),
        ("eta", -1, ValueError),
        ("eta", float("inf"), ValueError),
        ("t_eps", -0.1, ValueError),
        ("neigh_size", 0, ValueError),
        ("transport_blocks", 0, ValueError),
        ("transport", 1, ValueError),
        ("value_range", 255, ValueError),
        ("value_range", (1, 0), ValueError),
        ("value_range", (0, float("nan")), ValueError),
        ("solver", "fast", ValueError),
        ("saliency", "spectral", TypeError),
    ],
    ids=str,
)
def test_arguments_that_mean_nothing_are_refused(name, value, error):
    with pytest.raises(error, match=rf"PuzzleMixBlend: {name} must be .* Received: {name}="):
        PuzzleMixBlend(**{name: value})


def test_the_configuration_makes_an_equal_blend():
    blend = PuzzleMixBlend(1, blocks=5, n_labels=4, value_range=(0, 1), saliency=brightness, solver="graph")
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(blend))
    assert back.settings == blend.settings
    # Keras 2 may find the function in another copy of this module.
    assert back.saliency.__name__ == "brightness"


def test_the_defaults_are_the_authors():
    settings = PuzzleMixBlend().settings
    assert (settings.n_labels, settings.beta, settings.gamma, settings.eta) == (3, 1.2, 0.5, 0.2)
    assert (settings.neigh_size, settings.t_eps, settings.transport_blocks) == (4, 0.8, 8)


def test_the_number_of_blocks_is_drawn_without_compiling_anew():
    # XLA compiles anew for each value of what it takes for a constant, and writes it into the program.
    x, blend = images(4, 8, 8, 1), PuzzleMixBlend(solver="graph", transport=False, saliency=brightness)
    function = tf.function(
        lambda seed: blend([x], [x], around(4), RATIO, seed).ratio, jit_compile=True, autograph=False
    )
    first, second = (function.experimental_get_compiler_ir(tf.constant([0, n]))(stage="hlo") for n in (1, 2))
    assert first == second


@pytest.mark.parametrize("transport", [False, True])
def test_numbers_of_blocks_that_share_a_program_have_the_masks_of_their_own(transport):
    x = images(4, 8, 8, 1)
    options = {"transport": transport, "saliency": brightness, "solver": "graph", "t_eps": 0.1}
    # Cells of 8: masks of 2, 4 and 8 blocks share what is moved; the host solves each by itself.
    drawn, on_host = PuzzleMixBlend(**options), PuzzleMixBlend(**options | {"solver": "host"})
    compiled = tf.function(lambda seed: tuple(drawn([x], [x], around(4), RATIO, seed)), autograph=False)
    blocks = set()
    for seed in range(8):
        seed = tf.constant([0, seed])
        ours, theirs = given(compiled(seed)), given(tuple(on_host([x], [x], around(4), RATIO, seed)))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
        borders = np.flatnonzero(
            np.diff(on_host([x], [x], around(4), RATIO, seed).mask.numpy(), axis=-1).any((0, 1, 2))
        )
        blocks.add(8 // np.gcd.reduce(borders + 1))
    assert blocks == {2, 4, 8}
