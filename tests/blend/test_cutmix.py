"""CutMix against boxes drawn pixel by pixel: what is pasted, and what it counts in the labels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import CutMixBlend, CutMixLayer, DistributionRatio, MixLayer, unpack_targets
from kmix_tf.blend.cutmix import Boxes, draw_boxes, inside_box, paste_boxes, realised_ratio

# The chance that one statistical assertion fails for a right blend, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(8)


def kept_places(centre, side, places):
    """Which places of one box's sample stay its own: True outside the box. One place after another, in float64."""
    kept = np.ones(places, bool)
    for place in np.ndindex(*places):
        middles = [(index + 0.5) / size for index, size in zip(place, places, strict=True)]
        kept[place] = not all(abs(m - c) < side / 2 for m, c in zip(middles, centre, strict=True))
    return kept


def oracle(first, second, partner, centre, side, axes):
    """What is pasted, and the share of places kept; `side` and `partner` are `(interpolations, batch)`."""
    mixed, shares = [], []
    for sides, partners in zip(side, partner, strict=True):
        for row, (length, other) in enumerate(zip(sides, partners, strict=True)):
            kept = kept_places(centre[row], length, first.shape[1 : 1 + axes])
            spread = kept.reshape(*kept.shape, *[1] * (first.ndim - 1 - axes))
            mixed.append(np.where(spread, first[row], second[other]))
            shares.append(kept.mean())
    return np.stack(mixed), np.reshape(shares, side.shape)


@pytest.mark.usefixtures("plain_functions")
class TestAnyShape:
    """Without compilation, because each example has a shape of its own."""

    @given(
        st.integers(1, 3).flatmap(
            lambda axes: st.tuples(
                st.lists(st.integers(1, 7), min_size=axes, max_size=axes),
                st.lists(st.integers(1, 3), max_size=2),
            )
        ),
        st.integers(1, 4),
        st.sampled_from([None, 1, 3]),
        st.booleans(),
        st.integers(0, 2**31 - 1),
    )
    def test_boxes_are_pasted_place_by_place(self, shape, batch, interpolations, several_partners, seed):
        places, channels = shape
        axes, rng = len(places), np.random.default_rng(seed)
        first, second = rng.normal(size=(2, batch, *places, *channels)).astype(np.float32)
        lead = [] if interpolations is None else [interpolations]
        side = rng.uniform(0, 1, size=(*lead, batch)).astype(np.float32)
        centre = rng.uniform(0, 1, size=(batch, axes)).astype(np.float32)
        several_partners = several_partners and interpolations is not None
        partner = rng.integers(0, batch, size=side.shape if several_partners else batch).astype(np.int32)
        boxes = Boxes(tf.constant(centre), tf.constant(side))
        rows = np.atleast_2d(side)
        expected, shares = oracle(first, second, np.broadcast_to(partner, rows.shape), centre, rows, axes)
        blended = paste_boxes([tf.constant(first)], [tf.constant(second)], tf.constant(partner), boxes)
        assert (blended.x[0].numpy() == expected).all()
        realised = blended.ratio
        assert realised.shape == side.shape
        np.testing.assert_allclose(realised, shares.reshape(side.shape), atol=1e-6)
        mask = blended.mask
        assert mask.shape == (*side.shape, *places)
        np.testing.assert_allclose(tf.reduce_mean(mask, axis=range(side.ndim, side.ndim + axes)), realised, atol=1e-6)

    @given(
        st.lists(st.integers(1, 9), min_size=1, max_size=3),
        st.sampled_from(["uint8", "float16", "bfloat16", "float32", "float64", "bool"]),
        st.integers(1, 3),
        st.integers(0, 2**31 - 1),
    )
    def test_the_ratio_is_the_share_of_places_that_are_kept(self, places, dtype, interpolations, seed):
        # Sample 0 is all zeros and sample 1 all ones, so counting is summing.
        rng = np.random.default_rng(seed)
        x = tf.cast(np.stack([np.zeros(places), np.ones(places)]), dtype)
        ratio = np.sort(rng.uniform(size=(interpolations, 2)), axis=0)[::-1].astype(np.float32)
        ratio = ratio[0] if interpolations == 1 else ratio
        blended = CutMixBlend(len(places))([x], [x], tf.constant([1, 0]), tf.constant(ratio), seed=seed)
        (mixed,) = blended.x
        assert mixed.dtype == (dtype if tf.as_dtype(dtype).is_floating else tf.float32)
        ones = tf.reduce_mean(tf.cast(mixed, tf.float64), axis=range(1, 1 + len(places))).numpy().reshape(-1, 2)
        realised = blended.ratio.numpy().reshape(-1, 2)
        np.testing.assert_allclose(np.stack([1 - ones[:, 0], ones[:, 1]], axis=1), realised, atol=1e-6)
        # Nor does a box hold more places along an axis than its side, rounded up, allows.
        side = (1 - ratio.reshape(-1, 2).astype(np.float64)) ** (1 / len(places))
        most = np.prod([np.ceil(side * size + 1e-5) / size for size in places], axis=0)
        assert ((realised >= 1 - most - 1e-6) & (realised <= 1)).all()


def test_boxes_are_clipped_at_the_edge():
    boxes = Boxes(tf.constant([[0.0, 0.5], [0.125, 0.875], [0.5, 0.5]]), tf.constant([0.5, 0.5, 0.5]))
    x = tf.zeros([3, 8, 8])
    (pasted,), shares, _ = paste_boxes([x], [x + 1], tf.range(3), boxes)[:3]
    bounds = [[np.flatnonzero(image.any(axis)) for axis in (1, 0)] for image in pasted.numpy()]
    bounds = [[(inside[0], inside[-1] + 1) for inside in image] for image in bounds]
    assert bounds == [[(0, 2), (2, 6)], [(0, 3), (5, 8)], [(2, 6), (2, 6)]]
    assert (1 - shares.numpy()).tolist() == [8 / 64, 9 / 64, 16 / 64]


@pytest.mark.usefixtures("plain_and_compiled")
def test_sides_are_such_that_an_unclipped_box_has_the_volume_asked_for():
    ratio = tf.constant([[0.9, 0.2, 1.0], [0.3, 0.1, 0.0]])
    for axes in (1, 2, 3):
        boxes = draw_boxes(ratio, tf.constant([0, 1]), axes=axes)
        assert boxes.centre.shape == (3, axes)
        np.testing.assert_allclose(boxes.side.numpy() ** axes, 1 - ratio, atol=1e-6)


@pytest.mark.usefixtures("plain_and_compiled")
def test_centres_are_uniform_and_independent():
    centre = draw_boxes(tf.zeros([2000]), tf.constant([0, 3]), axes=3).centre.numpy()
    for axis in range(3):
        assert stats.kstest(centre[:, axis], "uniform").pvalue > FALSE_ALARM
    for first, second in itertools.combinations(range(3), 2):
        assert stats.pearsonr(centre[:, first], centre[:, second]).pvalue > FALSE_ALARM


@pytest.mark.usefixtures("plain_and_compiled")
def test_boxes_of_one_pair_share_a_centre_and_are_nested():
    rows, size = 20, 40
    ratio = np.sort(RNG.uniform(size=(4, rows)), axis=0)[::-1].astype(np.float32)
    x = [tf.zeros([rows, size])]
    blended = CutMixBlend(1)(x, x, tf.range(rows), tf.constant(ratio), seed=1)
    kept = blended.mask.numpy() > 0
    assert kept.shape == (4, rows, size)
    # Descending ratios: later boxes are larger, and hold the earlier ones.
    assert (kept[1:] <= kept[:-1]).all()
    # Of all centres on a fine grid, some make all four boxes of a row at once.
    middle, centres = (np.arange(size) + 0.5) / size, np.linspace(0, 1, 4001)
    distance = np.abs(middle - centres[:, np.newaxis])
    for row in range(rows):
        outside = distance[:, np.newaxis] >= (1 - ratio[:, row, np.newaxis]) / 2
        assert (outside == kept[:, row]).all(axis=(1, 2)).any()


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.representatives("axes", [2])
@pytest.mark.usefixtures("plain_and_compiled")
def test_a_ratio_of_one_pastes_nothing(axes):
    x = tf.constant(RNG.normal(size=(5, 4, 5, 6, 2)).astype(np.float32))
    ratio = tf.constant([[1.0] * 5, [1.0, 0.5, 1.0, 0.5, 0.0]])
    blended = CutMixBlend(axes)([x], [x], tf.constant([1, 2, 3, 4, 0]), ratio, seed=2)
    for mixture in (0, 1):
        for row in range(5):
            if ratio[mixture, row] == 1:
                assert (blended.x[0][5 * mixture + row].numpy() == x[row].numpy()).all()
                assert blended.ratio[mixture, row] == 1
    assert (blended.ratio[1].numpy()[[1, 3, 4]] < 1).all()


def test_a_box_without_volume_pastes_nothing_even_into_the_pixel_it_is_in():
    boxes = Boxes(tf.constant([[0.125, 0.625], [0.3, 0.4]]), tf.constant([0.0, 0.0]))
    x = tf.zeros([2, 4, 4])
    blended = paste_boxes([x], [x + 1], tf.range(2), boxes)
    assert (blended.x[0].numpy() == 0).all()
    assert blended.ratio.numpy().tolist() == [1, 1]


def expected_weight(share, axes=2):
    """The mean share of the partner for a centre that is uniform: each side s loses s^2 / 4 on average."""
    side = share ** (1 / axes)
    return (side - side**2 / 4) ** axes


def test_the_mean_weight_integrated_over_centres_has_its_closed_form():
    # multi-mix: l (1 - sqrt(l) / 4)^2, for l = 1 - ratio. A grid of 100 x 100 centres, images of 512 x 512.
    grid = (np.arange(100, dtype=np.float32) + 0.5) / 100
    centre = tf.constant(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2))
    for share in (0.03, 0.25, 0.5, 0.9, 1.0):
        boxes = Boxes(centre, tf.fill([10_000], np.float32(share**0.5)))
        weight = 1 - np.mean(realised_ratio(inside_box(boxes, [512, 512])), dtype=np.float64)
        closed = share * (1 - share**0.5 / 4) ** 2
        assert closed == pytest.approx(expected_weight(share))
        # Pixels and grid are both coarser than the integral, by less than their spacing squared on each edge.
        assert weight == pytest.approx(closed, abs=5e-4)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.representatives("axes", [2])
def test_the_mean_weight_of_drawn_boxes_has_its_closed_form(axes):
    count, share = 3000, 0.6
    boxes = draw_boxes(tf.fill([count], 1 - share), tf.constant([0, 5]), axes=axes)
    weights = 1 - realised_ratio(inside_box(boxes, [200] * axes)).numpy().astype(np.float64)
    error = weights.std() / np.sqrt(count)
    # Pixels of 1/200 move the mean by their square: far below the statistical error.
    assert abs(weights.mean() - expected_weight(share, axes)) < stats.norm.isf(FALSE_ALARM / 2) * error


def constants(*shape):
    """Sample i is i everywhere, so that each place shows whose it is."""
    return np.broadcast_to(np.arange(shape[0], dtype=np.float32).reshape(-1, *[1] * (len(shape) - 1)), shape).copy()


def readout(x, size, axes=2):
    """Of mixed `constants`, the rows `(mixtures,)`, where they are kept, and the partners."""
    x = np.asarray(x, np.float64)
    x = x.reshape(*x.shape[: 1 + axes], -1)[..., 0]
    own = np.arange(len(x)) % size
    kept = x == own.reshape(-1, *[1] * axes)
    partner = [next(iter(set(image.ravel()) - {row}), row) for image, row in zip(x, own, strict=True)]
    return own, kept, np.array(partner, int)


def shares_of(own, kept, partner, classes):
    """The labels that pixel counts call for: one-hot rows weighted by the share of the pixels."""
    share = kept.reshape(len(kept), -1).mean(axis=1)[:, np.newaxis]
    return share * np.eye(classes)[own] + (1 - share) * np.eye(classes)[partner]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 9, 7, 3), 2), ((6, 5, 8), 2), ((6, 33), 1), ((6, 33, 2), 1), ((6, 4, 5, 3), 3), ((6, 4, 5, 3, 2), 3)],
    ids=["odd image", "grayscale or spectrogram", "signal", "signal of channels", "volume", "video"],
)
@pytest.mark.representatives("axes", [2, 3])
@pytest.mark.usefixtures("plain_and_compiled")
def test_labels_follow_the_pixels_of_anything_with_places(shape, axes):
    x, y = CutMixLayer(axes=axes, scope="sample")(constants(*shape), np.eye(6, dtype=np.float32), seed=2)
    assert x.shape == shape
    own, kept, partner = readout(x, 6, axes)
    assert (~kept).any(axis=tuple(range(1, kept.ndim))).sum() >= 3
    np.testing.assert_allclose(y, shares_of(own, kept, partner, 6), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64])
@pytest.mark.usefixtures("plain_and_compiled")
def test_pixels_of_any_dtype_are_pasted_exactly(dtype):
    # 0.1 and 2047 are the kind of numbers that sloppy arithmetic in half precision would move.
    values = np.array([3, 250, 0, 77] if dtype == np.uint8 else [0.1, 2047, -3e4, 1e-7], dtype)
    images = np.broadcast_to(values.reshape(4, 1, 1, 1), (4, 6, 6, 2)).copy()
    x, y = CutMixLayer(scope="sample")(images, np.eye(4, dtype=np.float32), seed=4)
    assert x.dtype == (tf.float32 if dtype == np.uint8 else dtype)
    assert set(np.unique(x)) <= set(values.astype(x.numpy().dtype))
    own = (x.numpy() == values.reshape(4, 1, 1, 1))[..., 0].mean(axis=(1, 2))
    np.testing.assert_allclose(np.diag(y), own, atol=1e-6)
    assert (own < 1).any()


def halves(shape, seed):
    return tf.fill(shape, 0.5)


def test_labels_follow_the_area_realised_and_not_the_ratio_drawn():
    # The ratio drawn is 1/2 for all. Boxes are clipped, and 3 x 3 pixels have no half: hardly a label may say 1/2.
    layer = MixLayer(ratio=DistributionRatio(halves, "sample"), blend=CutMixBlend())
    x, y = layer(constants(12, 3, 3, 1), np.eye(12, dtype=np.float32), seed=1)
    own, kept, partner = readout(x, 12)
    np.testing.assert_allclose(y, shares_of(own, kept, partner, 12), atol=1e-6)
    ours = np.diag(y)
    assert (np.abs(ours - 0.5) > 0.05).all()
    assert ours.mean() > 0.55


@pytest.mark.parametrize("names", [("image", "table"), ("zoom", "age")], ids="-".join)
def test_leaves_without_places_are_mixed_by_the_area(names):
    image, table = names
    x = {image: constants(6, 8, 8, 1), table: RNG.normal(size=(6, 3)).astype(np.float32)}
    mixed, y, weight = CutMixLayer(scope="sample")(
        x, np.eye(6, dtype=np.float32), np.arange(6, dtype=np.float32), seed=3
    )
    own, kept, partner = readout(mixed[image], 6)
    counts = shares_of(own, kept, partner, 6) * np.arange(6)
    np.testing.assert_allclose(y, counts / counts.sum(axis=1, keepdims=True), atol=1e-6)
    share = kept.mean(axis=(1, 2))[:, np.newaxis]
    np.testing.assert_allclose(mixed[table], share * x[table] + (1 - share) * x[table][partner], atol=1e-5)
    np.testing.assert_allclose(weight, share[:, 0] * np.arange(6) + (1 - share[:, 0]) * partner, atol=1e-5)


@pytest.mark.parametrize("interpolations", [1, 3])
@pytest.mark.usefixtures("plain_and_compiled")
def test_maps_are_pasted_place_by_place_and_labels_by_area(interpolations):
    maps, labels = RNG.integers(0, 4, size=(6, 9, 7)), np.array([0, 1, 2, 0, 1, 2])
    layer = CutMixLayer(interpolations=interpolations, num_classes={"label": 3, "map": 4}, scope="sample")
    x, y = layer(constants(6, 9, 7, 3), {"label": labels, "map": maps}, seed=1)
    own, kept, partner = readout(x, 6)
    assert len(own) == 6 * interpolations
    # One class at each place, whole: an average of two maps would show fractions.
    assert y["map"].shape == (len(own), 9, 7, 4)
    assert set(np.unique(y["map"])) == {0, 1}
    assert (y["map"].numpy().argmax(axis=-1) == np.where(kept, maps[own], maps[partner])).all()
    assert (y["map"].numpy().sum(axis=-1) == 1).all()
    np.testing.assert_allclose(y["label"], shares_of(labels[own], kept, labels[partner], 3), atol=1e-6)


def test_maps_of_numbers_are_pasted_too():
    depth = RNG.normal(size=(6, 9, 7)).astype(np.float32)
    x, y = CutMixLayer(scope="sample")(constants(6, 9, 7, 3), depth, seed=1)
    own, kept, partner = readout(x, 6)
    assert (y.numpy() == np.where(kept, depth[own], depth[partner])).all()


@pytest.mark.usefixtures("plain_and_compiled")
def test_soft_labels_with_as_many_classes_as_a_signal_has_steps_are_no_map():
    x, y = CutMixLayer(axes=1, scope="sample")(constants(6, 6, 2), np.eye(6, dtype=np.float32), seed=3)
    own, kept, partner = readout(x, 6, axes=1)
    assert (~kept).any()
    np.testing.assert_allclose(y, shares_of(own, kept, partner, 6), atol=1e-6)


def test_packed_targets_carry_the_area():
    x, y = CutMixLayer(scope="sample", targets="packed")(constants(6, 8, 8, 1), np.arange(6), seed=3)
    own, kept, partner = readout(x, 6)
    packed = unpack_targets(y)
    np.testing.assert_allclose(packed.ratio.numpy().ravel(), kept.mean(axis=(1, 2)), atol=1e-6)
    pasted = ~kept.all(axis=(1, 2))
    assert (packed.y_a.numpy().ravel() == own).all()
    assert (packed.y_b.numpy().ravel()[pasted] == partner[pasted]).all()


def test_boxes_come_from_the_other_loader():
    first, second = constants(6, 8, 8, 1), constants(6, 8, 8, 1) + 100
    x, y = CutMixLayer(scope="sample").between(
        (first, np.zeros(6, np.float32)), (second, np.ones(6, np.float32)), seed=2
    )
    pasted = x.numpy()[..., 0] >= 100
    rows = np.arange(6).reshape(6, 1, 1)
    assert (x.numpy()[..., 0] == np.where(pasted, rows + 100, rows)).all()
    np.testing.assert_allclose(y, pasted.mean(axis=(1, 2)), atol=1e-6)


def test_images_of_open_size_are_pasted(same):
    layer = CutMixLayer(scope="sample", num_classes={"label": 3, "map": 4})
    labels = np.array([0, 1, 2, 0], np.int32)
    open_map = tf.TensorSpec([None, None, None], tf.int32)
    signature = [tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None], tf.int32), open_map]
    graph = tf.function(
        lambda x, label, map: layer(x, {"label": label, "map": map}, seed=3), input_signature=signature
    )
    for size in ((5, 8), (6, 3)):
        maps = RNG.integers(0, 4, size=(4, *size)).astype(np.int32)
        mixed = graph(constants(4, *size, 3), labels, maps)
        same(mixed, layer(constants(4, *size, 3), {"label": labels, "map": maps}, seed=3))
        own, kept, partner = readout(mixed[0], 4)
        np.testing.assert_allclose(mixed[1]["label"], shares_of(labels, kept, labels[partner], 3), atol=1e-6)
        assert (mixed[1]["map"].numpy().argmax(axis=-1) == np.where(kept, maps[own], maps[partner])).all()


def test_it_compiles_with_the_function_that_calls_it(same):
    layer, x = CutMixLayer(interpolations=2, scope="sample"), constants(4, 7, 5, 1)
    compiled = tf.function(lambda x, y: layer(x, y, seed=4), jit_compile=True)
    mixed = compiled(x, np.eye(4, dtype=np.float32))
    same(mixed, layer(x, np.eye(4, dtype=np.float32), seed=4))
    np.testing.assert_allclose(mixed[1], shares_of(*readout(mixed[0], 4), 4), atol=1e-6)


@pytest.mark.parametrize(("shape", "axes"), [((4, 3), 2), ((4,), 1), ((4, 5, 5), 3)], ids=str)
def test_features_without_places_are_refused(shape, axes):
    message = rf"CutMixLayer: features must have {axes} axes after the batch's.*Received: features of shapes"
    with pytest.raises(ValueError, match=message):
        CutMixLayer(axes=axes)(np.zeros(shape, np.float32), np.zeros(4, np.float32), seed=1)


@pytest.mark.parametrize("axes", [0, 4, 2.0, True, "2", None])
def test_other_numbers_of_axes_are_refused(axes):
    with pytest.raises(ValueError, match=r"CutMixBlend: axes must be .* Received: axes="):
        CutMixBlend(axes)
    with pytest.raises(ValueError, match=r"CutMixLayer: axes must be .* Received: axes="):
        CutMixLayer(axes=axes)


def test_the_configuration_makes_an_equal_strategy():
    assert CutMixBlend.from_config(CutMixBlend(3).get_config()).axes == 3
