"""Whether a batch is mixed at all: by chance, by the step, and what becomes of batches that are not."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import (
    BetaRatio,
    CutMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MixSchedule,
    MultiMixLayer,
    RandomPairing,
    RepeatedPairing,
    mix,
)

# The chance that one statistical assertion fails for a right layer, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(6)
X = RNG.normal(size=(6, 4, 4, 1)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2], np.int32)


@given(
    st.one_of(st.integers(0, 3000), st.integers(2**31, 2**50)),
    st.integers(1, 500),
    st.one_of(st.integers(0, 9), st.floats(0, 9)),
    st.one_of(st.none(), st.integers(0, 9), st.floats(0, 9)),
)
def test_the_probability_rises_stays_and_ends(step, steps_per_epoch, warmup, off_after):
    probability = MixSchedule(steps_per_epoch, warmup, off_after)(tf.constant(step, tf.int64))
    assert probability.dtype == tf.float32
    assert probability.shape == ()
    epoch = step / steps_per_epoch
    expected = 1.0 if epoch >= warmup else epoch / warmup
    if off_after is not None and epoch >= off_after:
        expected = 0.0
    assert float(probability) == pytest.approx(expected, rel=1e-6, abs=1e-38)


def test_a_large_step_is_told_from_the_next():
    # 2^40 + 1 is beyond float32, and a schedule that ends between the two must see it.
    schedule = MixSchedule(1, off_after=2**40 + 1)
    assert float(schedule(tf.constant(2**40, tf.int64))) == 1
    assert float(schedule(tf.constant(2**40 + 1, tf.int64))) == 0
    assert float(MixSchedule(2, warmup=2**40)(tf.constant(2**40, tf.int64))) == 0.5


@pytest.mark.parametrize("step", [3, np.int64(3), tf.constant(3, tf.int32), tf.constant(3, tf.uint64)], ids=repr)
def test_any_integer_is_a_step(step):
    assert float(MixSchedule(2, warmup=3)(step)) == 0.5


def test_the_configuration_makes_an_equal_schedule():
    schedule = MixSchedule(np.int64(10), 2, 7.5)
    back = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(schedule)))
    )
    assert type(back) is MixSchedule
    assert back.get_config() == {"steps_per_epoch": 10, "warmup": 2.0, "off_after": 7.5}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *[("steps_per_epoch", value) for value in (0, -1, 2.5, True, None)],
        *[("warmup", value) for value in (-0.1, float("nan"), float("inf"), "1", None)],
        *[("off_after", value) for value in (-1, float("nan"), "1", True)],
    ],
)
def test_other_numbers_are_refused(argument, value):
    with pytest.raises(ValueError, match=rf"MixSchedule: {argument} must be .*Received: {argument}="):
        MixSchedule(**{"steps_per_epoch": 10, argument: value})


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan"), True, "0.5", None])
def test_other_probabilities_are_refused(probability):
    with pytest.raises(ValueError, match=r"MixLayer: probability must be in \[0, 1\]. Received: probability="):
        MixLayer(probability=probability)


def test_a_schedule_that_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"MixLayer: schedule must be callable. Received: schedule=0.5"):
        MixLayer(schedule=0.5)


def ratios_of(layer, count, step=None):
    """The ratio of each of many batches of two: 1 where the batch is not mixed."""
    draw = tf.function(lambda seed: layer.plan([tf.zeros([2, 1])], seed, step=step).ratio[0])
    return tf.map_fn(draw, tf.range(count), fn_output_signature=tf.float32).numpy()


def half(step):
    return tf.constant(0.5)


@pytest.mark.parametrize(
    ("probability", "schedule", "expected"), [(0.3, None, 0.3), (1.0, half, 0.5), (0.4, half, 0.2)]
)
def test_the_share_of_mixed_batches_is_the_probability(probability, schedule, expected):
    layer = MixLayer(probability=probability, schedule=schedule)
    ratios = ratios_of(layer, 800, step=0)
    mixed = ratios < 1
    assert stats.binomtest(int(mixed.sum()), 800, expected).pvalue > FALSE_ALARM
    # Whether a batch is mixed says nothing of its ratio, nor of the next batch.
    assert stats.kstest(ratios[mixed], "uniform").pvalue > FALSE_ALARM
    table = np.array([[np.sum((mixed[:-1] == a) & (mixed[1:] == b)) for a in (0, 1)] for b in (0, 1)])
    assert stats.chi2_contingency(table).pvalue > FALSE_ALARM


@pytest.mark.parametrize("schedule", [None, MixSchedule(1)], ids=["no schedule", "a schedule"])
def test_probabilities_of_zero_and_one_are_certain(schedule):
    for probability in (0, 1):
        ratios = ratios_of(MixLayer(probability=probability, schedule=schedule), 300, step=5)
        assert ((ratios < 1) == bool(probability)).all()


def test_an_off_schedule_mixes_nothing_and_an_on_schedule_everything():
    layer = MixLayer(schedule=MixSchedule(10, off_after=2))
    assert (ratios_of(layer, 50, step=19) < 1).all()
    assert (ratios_of(layer, 50, step=20) == 1).all()


UNMIXED = {
    "k-mixup": lambda: KMixupLayer(2, probability=0, num_classes=3),
    "k-mixup in the graph": lambda: KMixupLayer(2, solver="graph", probability=0, num_classes=3),
    "multi-mix": lambda: MultiMixLayer(3, probability=0, num_classes=3),
    "batch augmentation": lambda: MultiMixLayer(3, baseline="batch_augmentation", probability=0, num_classes=3),
    "several partners": lambda: MixLayer(
        RepeatedPairing(RandomPairing(), 3), BetaRatio(scope="group"), probability=0, num_classes=3
    ),
    "cutmix": lambda: CutMixLayer(interpolations=3, probability=0, num_classes=3),
    "by schedule": lambda: KMixupLayer(2, schedule=MixSchedule(1, off_after=0), num_classes=3),
}


@pytest.mark.parametrize("name", UNMIXED)
def test_a_batch_that_is_not_mixed_comes_back_exactly(name):
    weights = RNG.uniform(size=6).astype(np.float32)
    x, y, weight = UNMIXED[name]()(X, Y, weights, seed=1, step=0)
    times = 1 if name in ("k-mixup", "k-mixup in the graph", "by schedule") else 3
    assert x.dtype == y.dtype == weight.dtype == tf.float32
    assert (x.numpy() == np.tile(X, (times, 1, 1, 1))).all()
    assert (y.numpy() == np.tile(np.eye(3)[Y], (times, 1))).all()
    assert (weight.numpy() == np.tile(weights, times)).all()


@pytest.mark.parametrize("interpolations", [1, 2])
def test_a_batch_that_is_not_mixed_counts_as_much_as_any(interpolations):
    layer = LocalMixupLayer(probability=0, interpolations=interpolations, num_classes=3)
    images = (100 * X).astype(np.uint8)
    x, y, weight = layer(images, Y, seed=1)
    assert x.dtype == tf.float32
    assert (x.numpy() == np.tile(images, (interpolations, 1, 1, 1))).all()
    assert (y.numpy() == np.tile(np.eye(3)[Y], (interpolations, 1))).all()
    assert weight.numpy().tolist() == [1.0] * 6 * interpolations


def test_two_loaders_are_not_mixed_either():
    second = (X + 1, Y)
    x, y = KMixupLayer(2, probability=0, num_classes=3).between((X, Y), second, seed=1)
    assert (x.numpy() == X).all()
    assert (y.numpy() == np.eye(3)[Y]).all()
    ever = [
        KMixupLayer(2, probability=0.5, num_classes=3).between((X, Y), second, seed=seed)[0] for seed in range(20)
    ]
    unmixed = sum((x.numpy() == X).all() for x in ever)
    assert 0 < unmixed < 20


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_functions_take_the_step_as_a_tensor(compiled):
    layer = MultiMixLayer(2, schedule=MixSchedule(10, off_after=2), num_classes=3)
    function = tf.function(lambda x, y, step: layer(x, y, seed=3, step=step), jit_compile=compiled)
    for step, is_mixed in ((19, True), (20, False)):
        x, y = function(X, Y, tf.constant(step, tf.int64))
        there, labels = layer(X, Y, seed=3, step=step)
        np.testing.assert_allclose(x, there, atol=1e-6)
        np.testing.assert_allclose(y, labels, atol=1e-6)
        assert (x.numpy() == np.tile(X, (2, 1, 1, 1))).all() != is_mixed


def test_the_last_steps_of_a_long_training_are_scheduled():
    layer = MixLayer(schedule=MixSchedule(1, off_after=2**40 + 1), num_classes=3)
    for step in (2**40, tf.constant(2**40, tf.int64)):
        assert not (layer(X, Y, seed=1, step=step)[0].numpy() == X).all()
        assert (layer(X, Y, seed=1, step=step + 1)[0].numpy() == X).all()


def only_some(step):
    """Mixes every batch whose number leaves 2 or 3 when divided by 5."""
    return tf.where((step % 5 == 2) | (step % 5 == 3), 1.0, 0.0)


ROWS = np.arange(12, dtype=np.float32).reshape(6, 2) + 1


def batches():
    """Three batches of two an epoch."""
    return tf.data.Dataset.from_tensor_slices((ROWS, ROWS)).batch(2)


def mixed_steps(elements, first=0):
    """The numbers of the batches that are not rows of the data."""
    return [step for step, (x, _) in enumerate(elements, first) if not np.isin(x, ROWS).all()]


@pytest.mark.parametrize("calls", [None, 4])
def test_a_stage_counts_steps_from_one_epoch_to_the_next(calls):
    dataset = batches().repeat().apply(mix(MixLayer(schedule=only_some), seed=1, num_parallel_calls=calls))
    assert mixed_steps(dataset.take(14)) == [2, 3, 7, 8, 12, 13]


def test_a_stage_may_start_at_any_step():
    stage = mix(MixLayer(schedule=only_some), seed=1, initial_step=2**40)
    assert 2**40 % 5 == 1
    assert mixed_steps(batches().repeat().apply(stage).take(8), first=1) == [2, 3, 7, 8]
    # Then a dataset that ends will do.
    assert mixed_steps(batches().apply(stage), first=1) == [2, 3]


def test_two_loaders_are_scheduled_as_well():
    pairs = tf.data.Dataset.zip((batches(), batches().map(lambda x, y: (x + 0.5, y)))).repeat()
    dataset = pairs.apply(mix(MixLayer(schedule=only_some), seed=1, between=True))
    assert mixed_steps(dataset.take(14)) == [2, 3, 7, 8, 12, 13]


def test_a_checkpoint_resumes_the_step(tmp_path):
    def dataset():
        return batches().repeat().apply(mix(MixLayer(schedule=only_some), seed=1)).take(14)

    whole = [np.asarray(x) for x, _ in dataset()]
    iterator = iter(dataset())
    for _ in range(6):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    resumed = iter(dataset())
    tf.train.Checkpoint(iterator=resumed).restore(path)
    rest = list(resumed)
    assert mixed_steps(rest, first=6) == [7, 8, 12, 13]
    for (x, _), expected in zip(rest, whole[6:], strict=True):
        assert (x.numpy() == expected).all()


@pytest.mark.parametrize(
    "dataset",
    [batches, lambda: batches().repeat(2), lambda: batches().filter(lambda x, y: True)],
    ids=["one epoch", "two epochs", "of unknown size"],
)
def test_a_dataset_that_ends_is_refused_unless_its_step_is_said(dataset):
    with pytest.raises(ValueError, match=r"mix: a schedule counts steps.*dataset\.repeat\(\).*initial_step"):
        dataset().apply(mix(MixLayer(schedule=only_some)))
    # Without a schedule, or with a chance alone, nothing counts.
    assert len(list(dataset().apply(mix(MixLayer(probability=0.5))))) >= 3
    assert mixed_steps(dataset().apply(mix(MixLayer(schedule=only_some), initial_step=0)))[:1] == [2]


@pytest.mark.parametrize("initial_step", [-1, 2.0, True, "3"])
def test_other_first_steps_are_refused(initial_step):
    with pytest.raises(ValueError, match=r"mix: initial_step must be an integer >= 0. Received: initial_step="):
        mix(MixLayer(schedule=only_some), initial_step=initial_step)


def test_a_schedule_without_a_step_is_refused():
    layer = KMixupLayer(2, schedule=MixSchedule(3))
    message = r"KMixupLayer: a schedule needs the step.*kmix_tf\.mix.*step="
    with pytest.raises(ValueError, match=message):
        batches().map(layer)
    with pytest.raises(ValueError, match=message):
        layer(ROWS, ROWS, seed=1)
    # As evaluation mixes nothing, it needs none.
    assert (layer(ROWS, ROWS, training=False)[0].numpy() == ROWS).all()


@pytest.mark.parametrize("value", [float("nan"), 2.0, -0.5, 1.001])
def test_a_schedule_that_gives_no_probability_is_refused(value):
    layer = KMixupLayer(2, schedule=lambda step: tf.constant(value))
    message = r"KMixupLayer: schedule must give probabilities in \[0, 1\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        layer(ROWS, ROWS, seed=1, step=0)
    dataset = batches().repeat().apply(mix(layer, seed=1))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(dataset))
