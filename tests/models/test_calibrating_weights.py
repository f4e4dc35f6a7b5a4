"""Calibration: what weights, places that go together, and answers that are no numbers do to it."""

import numpy as np
import pytest

from kmix_tf.models.calibrating.fits import fit
from kmix_tf.models.calibrating.rows import Rows
from kmix_tf.models.calibrating.seen import hashes_of
from tests.models.test_calibrating import as_rows, drawn, passing


@pytest.mark.parametrize("factor", (1e-3, 50.0))
def test_what_all_weights_are_times_does_not_matter(factor):
    x, y = drawn()
    found = [passing().calibrate(x, y, sample_weight=np.full(len(x), each)) for each in (1.0, factor)]
    assert found[1].error == pytest.approx(found[0].error, rel=1e-5)
    x, y = drawn(units=1)
    found = [
        passing(1).calibrate(x, y, method="isotonic", sample_weight=np.full(len(x), each)) for each in (1.0, factor)
    ]
    np.testing.assert_allclose(found[1].y, found[0].y, rtol=1e-6)


def test_the_standard_error_is_that_of_repeated_draws_where_places_go_together():
    # Each sample has 30 places that say the same: they tell no more than one of them.
    logs, told = [], []
    for seed in range(300):
        x, y = drawn(seed, 150)
        rows = Rows("logits", 4)
        rows.add({}, np.repeat(np.eye(4)[y][:, np.newaxis], 30, axis=1), np.ones(150), 0)
        found = fit("temperature", rows.complete(), np.repeat(x, 30, axis=0))
        logs.append(np.log(found.temperature))
        told.append(found.error)
    assert np.mean(told) == pytest.approx(np.std(logs), rel=0.2)


def test_the_standard_error_is_that_of_repeated_draws_where_labels_are_noisy():
    logs, told = [], []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        x = 3 * generator.normal(size=(300, 4))
        y = np.where(generator.random(300) < 0.2, generator.integers(0, 4, 300), x.argmax(axis=1))
        found = fit("temperature", as_rows(y), x.astype("f4"))
        logs.append(np.log(found.temperature))
        told.append(found.error)
    assert np.mean(told) == pytest.approx(np.std(logs), rel=0.2)


def test_the_recommended_way_has_the_least_loss_of_weighted_samples():
    # Many samples of little weight of which the model is too modest, few of much weight of which it is too sure.
    parts = [drawn(0, 600, sharpness=2.0), drawn(1, 200, sharpness=0.3)]
    x, y = (np.concatenate(each) for each in zip(*parts, strict=True))
    weights = np.repeat([0.01, 10.0], [600, 200])
    comparison = passing().evaluate_both(x, y, sample_weight=weights)
    of_kept = {name: comparison.scores()[name].loss for name in ("plain", "theta", "temperature")}
    assert comparison.recommended in (min(of_kept, key=of_kept.get), "rescaled", "both")
    assert comparison.recommended != "theta"


@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf))
def test_answers_that_are_no_numbers_are_named(value):
    rescaled = passing()
    x, y = drawn()
    weights = rescaled.model.get_weights()
    rescaled.model.set_weights([np.where(np.arange(4) == 1, value, weights[0])])
    for ask in (rescaled.calibrate, rescaled.evaluate_both):
        with pytest.raises(ValueError, match=r"RescaledModel: the model's answers to held-out data must be finite"):
            ask(x, y)


def test_sparse_samples_are_told_apart():
    # Six words of 20,000: of a quarter of the samples, none is among the elements that are looked at one by one.
    generator = np.random.default_rng(0)
    x = np.zeros((300, 20_000), "f4")
    x[np.arange(300)[:, np.newaxis], generator.integers(0, 20_000, (300, 6))] = 1
    assert len(np.unique(hashes_of(x))) == 300
    np.testing.assert_array_equal(hashes_of(x.astype("u1")), hashes_of(x))
    assert len(hashes_of(np.zeros((0, 3)))) == 0
