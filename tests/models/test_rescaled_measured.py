"""theta as it is measured, against mixtures that NumPy makes by itself, and against what can be derived.

Slopes are estimates. Each is compared with the truth within four of its own standard errors, which one of 16,000
misses; seeds are fixed, so that a test fails always or never.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from kmix_tf import (
    BetaRatio,
    ChoiceLayer,
    CutMixLayer,
    ExponentialWeight,
    FMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MixModel,
    MixSchedule,
    MultiMixLayer,
    NearestNeighborPairing,
    OtherClassPairing,
    RescaledModel,
    SameClassPairing,
)
from kmix_tf.models.rescaled import regressing

RNG = np.random.default_rng(11)
SIZE, BATCH = 512, 64
LABELS = np.arange(SIZE) % 2
# Two clusters, which differ in the first of three columns.
X = (RNG.normal(size=(SIZE, 3)) + np.outer(3.0 * LABELS, [1, 0, 0])).astype("f4")


@pytest.fixture(autouse=True)
def is_quick(monkeypatch):
    """A quarter of the mixtures; the main cases take all."""
    monkeypatch.setattr(regressing, "PRECISION", 2 * regressing.PRECISION)


@pytest.fixture
def is_thorough(monkeypatch, is_quick):
    monkeypatch.setattr(regressing, "PRECISION", regressing.PRECISION / 2)


def linear(units=2, shape=(3,)):
    flat = [keras.layers.Flatten()] if len(shape) > 1 else []
    return keras.Sequential([keras.Input(shape), *flat, keras.layers.Dense(units)])


def theta_of(layer, x=X, y=LABELS, model=None, batch_size=BATCH, **options):
    model = linear(shape=x.shape[1:]) if model is None else model
    rescaled = RescaledModel(model, layer, theta="measured", **options)
    rescaled.adapt(x, y, batch_size=batch_size)
    return rescaled.theta


def assert_slopes(theta, x, y, slack=0.0):
    """Within four standard errors, and those of what they are compared with."""
    for value, error, expected in ((theta.x[0], theta.x_error[0], x), (theta.y[0], theta.y_error[0], y)):
        assert value == pytest.approx(expected, abs=4 * error + slack)
        assert error <= regressing.PRECISION


def paired(n=SIZE):
    """What a slope would be if partners were drawn from all samples, where they are drawn from all others."""
    return lambda theta: theta - (1 - theta) / (n - 1)


def regression(near, mixed, weight=None):
    """The pooled slope of columns, each with an intercept."""
    near, mixed = (np.asarray(each, "f8").reshape(len(each), -1) for each in (near, mixed))
    weight = np.ones(len(near)) if weight is None else weight
    near, mixed = (each - np.average(each, axis=0, weights=weight) for each in (near, mixed))
    return (weight[:, None] * near * mixed).sum() / (weight[:, None] * near**2).sum()


def random_partners(rng, size):
    """Of a permutation, the next on the circle."""
    order = rng.permutation(size)
    partner = np.empty(size, int)
    partner[order] = np.roll(order, -1)
    return partner


def k_partners(rng, x, k):
    """Groups of k of a permutation, each matched with the next on the circle."""
    order = rng.permutation(len(x)).reshape(-1, k)
    partner = np.empty(len(x), int)
    for ours, theirs in zip(order, np.roll(order, -1, axis=0), strict=True):
        cost = np.square(x[ours][:, None] - x[theirs][None]).sum(axis=2)
        partner[ours] = theirs[linear_sum_assignment(cost)[1]]
    return partner


def by_hand(partners, passes, labels=LABELS, weigh=None):
    """Slopes of x and y with uniform ratios, of batches of a shuffled epoch, and their spread over epochs."""
    rng, found = np.random.default_rng(3), []
    for _ in range(passes):
        rows = rng.permutation(SIZE).reshape(-1, BATCH)
        parts = []
        for row in rows:
            x, y, ratio = X[row], np.eye(2)[labels[row]], rng.uniform(size=(BATCH, 1))
            partner = partners(rng, x, y)
            is_own = ratio >= 0.5
            near = np.where(is_own, x, x[partner]), np.where(is_own, y, y[partner])
            mixed = ratio * x + (1 - ratio) * x[partner], ratio * y + (1 - ratio) * y[partner]
            weight = np.ones(BATCH) if weigh is None else weigh(x, partner)
            parts.append((*near, *mixed, weight / weight.mean()))
        near_x, near_y, mixed_x, mixed_y, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
        found.append((regression(near_x, mixed_x, weight), regression(near_y, mixed_y, weight)))
    return np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(passes)


def assert_as_by_hand(theta, found):
    means, errors = found
    assert_slopes(theta, *means, slack=4 * errors.max())
    assert errors.max() < 0.002


@pytest.mark.parametrize("alpha", (0.2, 1.0, 8.0))
def test_of_plain_mixup_it_is_the_exact_theta(alpha, is_thorough):
    for scope in ("batch", "sample"):
        layer = MixLayer(ratio=BetaRatio(alpha, scope), num_classes=2)
        exact = paired()(RescaledModel(linear(), layer).theta_bar)
        assert_slopes(theta_of(layer), exact, exact)


def test_of_k_mixup_it_is_that_of_groups_matched_by_hand(is_thorough):
    theta = theta_of(KMixupLayer(8, num_classes=2))
    assert_as_by_hand(theta, by_hand(lambda rng, x, y: k_partners(rng, x, 8), 300))
    assert theta.x[0] > 0.8  # and not the 3/4 of its ratios


def test_mixtures_that_count_less_say_less():
    layer = LocalMixupLayer(weight=ExponentialWeight(0.7), num_classes=2)
    found = by_hand(
        lambda rng, x, y: random_partners(rng, BATCH),
        600,
        weigh=lambda x, partner: np.exp(-0.7 * np.linalg.norm(x - x[partner], axis=1)),
    )
    assert_as_by_hand(theta_of(layer), found)
    assert found[0][0] > 0.78


def test_weights_of_classes_count_in_slopes_and_means():
    """A mixture weighs w = r w_a + (1 - r) w_b and has the target (r w_a y_a + (1 - r) w_b y_b) / w."""
    counts, rng = np.array([1.0, 4.0]), np.random.default_rng(7)
    own, other = rng.integers(0, SIZE, (2, 2_000_000))
    keep = own != other
    own, other = own[keep], other[keep]
    ratio = rng.uniform(0.5, 1, len(own))  # seen from the nearer end
    first, second = ratio * counts[LABELS[own]], (1 - ratio) * counts[LABELS[other]]
    weight = first + second
    labels = (first * LABELS[own] + second * LABELS[other]) / weight
    x = X[own] * ratio[:, None] + X[other] * (1 - ratio[:, None])
    expected = regression(X[own], x, weight), regression(LABELS[own], labels, weight)
    layer = MixLayer(num_classes=2, class_weight={1: 4.0})
    rescaled = RescaledModel(linear(), layer, theta="measured")
    rescaled.adapt(X, LABELS, batch_size=BATCH)
    assert_slopes(rescaled.theta, *expected, slack=0.001)
    # 4/5 of the weight is that of class 1.
    np.testing.assert_allclose(rescaled.target_mean, [0.2, 0.8], atol=0.01)
    np.testing.assert_allclose(rescaled.feature_means[0], np.average(x, axis=0, weights=weight), atol=0.05)


def test_of_one_class_x_shrinks_and_targets_are_left_out_which_is_said():
    with pytest.warns(UserWarning, match="RescaledModel: output is not stretched.*theta_y is 1"):
        theta = theta_of(MixLayer(SameClassPairing(), num_classes=2))
    between = np.square(X.mean(axis=0) - X[LABELS == 0].mean(axis=0)).sum() * 1.0
    total = X.var(axis=0).sum()
    # What is between the classes stays, what is within shrinks by 3/4 (of 31 others of the class).
    expected = (between + 0.75 * (total - between)) / total
    assert theta.x[0] == pytest.approx(expected, abs=4 * theta.x_error[0] + 0.25 / 31)
    assert (theta.y, theta.y_error) == ((1.0,), (0.0,))


def test_of_the_other_class_labels_shrink_twice_as_much():
    """Of two classes, t y + (1 - t) (1 - y) - 1/2 = (2 t - 1) (y - 1/2)."""
    # As they come here, batches have as many of each class, so that nobody is left without a partner.
    data = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(BATCH)
    theta = theta_of(MixLayer(OtherClassPairing(), num_classes=2), data, None, linear())
    assert theta.y[0] == pytest.approx(0.5, abs=4 * theta.y_error[0])


def test_of_neighbours_it_is_that_of_neighbours_by_hand():
    def nearest(rng, x, y):
        """Of a permutation, the nearest of the next four on the circle."""
        order = rng.permutation(BATCH).reshape(-1, 4)
        partner = np.empty(BATCH, int)
        for ours, theirs in zip(order, np.roll(order, -1, axis=0), strict=True):
            partner[ours] = theirs[np.square(x[ours][:, None] - x[theirs][None]).sum(axis=2).argmin(axis=1)]
        return partner

    assert_as_by_hand(theta_of(MixLayer(NearestNeighborPairing(4), num_classes=2)), by_hand(nearest, 300))


def test_several_interpolations_are_looked_at_alike():
    exact = paired()(0.75)
    assert_slopes(theta_of(MultiMixLayer(5, num_classes=2)), exact, exact)


IMAGES = RNG.normal(size=(SIZE, 8, 8, 1)).astype("f4")


@pytest.mark.parametrize("make", (CutMixLayer, FMixLayer))
def test_masks_shrink_pixels_by_what_is_kept_and_labels_by_the_ratio_realised(make):
    """Pixels here are independent and vary alike, so both slopes are the mean of the larger share: the largest entry
    of labels that name their sample."""
    layer = make(num_classes=2)
    labels = [make(scope="sample")(IMAGES, tf.eye(SIZE), seed=seed)[1].numpy() for seed in range(16)]
    shares = [label.max(axis=1).mean() for label in labels]
    expected = paired()(np.mean(shares))
    assert_slopes(theta_of(layer, IMAGES), expected, expected, slack=4 * np.std(shares) / np.sqrt(len(shares)))


def test_shares_in_labels_change_their_slope_alone():
    """Labels of the sample itself: half of the time it is the nearer end, else anybody."""
    layer = MixLayer(num_classes=2, label_shares=lambda first, second, ratio: tf.ones_like(ratio))
    assert_slopes(theta_of(layer), paired()(0.75), paired()(0.5))


def test_batches_and_losses_that_are_not_mixed_count_with_slope_one():
    plain = paired()(0.75)
    mixing = MixModel(linear(), MixLayer(num_classes=2), clean_weight=0.5)
    cases = [
        (theta_of(MixLayer(num_classes=2, probability=0.4)), 0.6 + 0.4 * plain),
        (theta_of(ChoiceLayer([MixLayer(num_classes=2), None], [0.3, 0.7])), 0.7 + 0.3 * plain),
        (theta_of(None, model=mixing), 1 / 3 + 2 / 3 * plain),
    ]
    for theta, expected in cases:
        assert_slopes(theta, expected, expected)


def test_of_a_choice_it_is_that_of_all_batches():
    """A mean of slopes, for nearer ends are spread alike."""
    layers = [MixLayer(num_classes=2), KMixupLayer(8, num_classes=2)]
    (first,), (second,) = (theta_of(layer).x for layer in layers)
    theta = theta_of(ChoiceLayer(layers, [0.25, 0.75]))
    assert theta.x[0] == pytest.approx(0.25 * first + 0.75 * second, abs=0.01)


def trained(layer, steps):
    model = MixModel(linear(), layer)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(X[: 64 * steps], LABELS[: 64 * steps], batch_size=64, verbose=0)
    return model


def test_a_schedule_counts_as_at_the_last_step_that_was_trained():
    layer = MixLayer(num_classes=2, schedule=MixSchedule(steps_per_epoch=8, warmup=1))
    plain = paired()(0.75)
    # Steps count from 0: the fourth is number 3, with probability 3/8.
    expected = 1 - 3 / 8 * (1 - plain)
    assert_slopes(theta_of(None, model=trained(layer, 4)), expected, expected)
    off = MixLayer(num_classes=2, schedule=MixSchedule(steps_per_epoch=2, off_after=1))
    with pytest.warns(UserWarning, match="not stretched"):
        theta = theta_of(None, model=trained(off, 4))
    assert (theta.x, theta.y) == ((1.0,), (1.0,))
    with pytest.warns(UserWarning, match="schedule is not taken into account"):
        assert_slopes(theta_of(layer), plain, plain)


def test_sample_weights_count():
    """Samples without weight are in no mixture's target, but half of the inputs of those that count hold one."""
    weight = np.where(np.arange(SIZE) < 256, 1.0, 0.0).astype("f4")
    rescaled = RescaledModel(linear(), MixLayer(num_classes=2), theta="measured")
    rescaled.adapt(X, LABELS, batch_size=BATCH, sample_weight=weight)
    rng = np.random.default_rng(5)
    own, other = rng.integers(0, SIZE, (2, 1_000_000))
    keep = own != other
    own, other, ratio = own[keep], other[keep], rng.uniform(0.5, 1, keep.sum())
    first, second = ratio * weight[own], (1 - ratio) * weight[other]
    total = first + second
    counts = total > 0
    labels = (first * LABELS[own] + second * LABELS[other])[counts] / total[counts]
    x = X[own] * ratio[:, None] + X[other] * (1 - ratio[:, None])
    expected = (
        regression(X[own][counts], x[counts], total[counts]),
        regression(LABELS[own][counts], labels, total[counts]),
    )
    assert_slopes(rescaled.theta, *expected, slack=0.002)
