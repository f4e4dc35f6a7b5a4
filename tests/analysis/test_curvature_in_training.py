"""R2, the model's own curvature, which the paper leaves out of training.

A model trains with it, and the expansion of mixup's risk is of its order only with it.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ApproximateMixupModel
from kmix_tf.analysis.risk import approximate_mixup_risk, mixup_risk

WITH, WITHOUT = ("r1_r3", "r2"), ("r1_r3",)
KINDS = [("categorical_crossentropy", "tanh"), ("squared_error", "softplus")]


def samples(loss):
    x = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    return x, np.sin(2 * x) if loss == "squared_error" else (x[:, 0] * x[:, 1] > 0).astype(int)


@functools.cache
def trained(loss, activation, terms):
    """A model wrapped and trained, and its approximate risk before."""
    keras.utils.set_random_seed(1)
    hidden = keras.layers.Dense(16, activation=activation)
    model = keras.Sequential([keras.layers.Input((2,)), hidden, keras.layers.Dense(2)])
    wrapper = ApproximateMixupModel(model, 1.0, loss=loss, terms=terms, samples=16, seed=0)
    wrapper.adapt(*samples(loss))
    wrapper.compile(keras.optimizers.Adam(0.03))
    start, _ = risk_with_r2(wrapper, loss)
    wrapper.fit(*samples(loss), batch_size=24, epochs=80, verbose=0)
    return wrapper, start


def risk_with_r2(wrapper, loss):
    """What the terms r1_r3 and r2 add up to, from Jacobians and Hessians, which training never forms; and its r2."""
    risk = approximate_mixup_risk(wrapper.model, *samples(loss), 1.0, loss)
    return risk.base + risk.r1 + risk.r3 + risk.r2, risk.r2


@pytest.mark.parametrize(("loss", "activation"), KINDS)
def test_training_minimises_the_approximate_risk_with_r2(loss, activation):
    wrapper, start = trained(loss, activation, WITH)
    end, _ = risk_with_r2(wrapper, loss)
    assert end < 0.75 * start
    # The trained model no longer moves: losses now scatter around the risk at its weights alone.
    wrapper.optimizer.learning_rate = 0.0
    losses = wrapper.fit(*samples(loss), batch_size=24, epochs=40, verbose=0).history["loss"]
    error = np.std(losses, ddof=1) / np.sqrt(len(losses))
    # Student's t with 39 degrees of freedom exceeds 5 once in 10^5; 1e-6 for float32.
    assert abs(np.mean(losses) - end) < 5 * error + 1e-6
    assert error < 0.02 * end


def test_without_r2_training_ends_where_it_is_large():
    loss, activation = KINDS[0]
    risks = {}
    for terms in (WITH, WITHOUT):
        risks[terms], r2 = risk_with_r2(trained(loss, activation, terms)[0], loss)
        assert r2 > 0.01 if terms == WITHOUT else r2 < 0.01
    assert risks[WITH] < risks[WITHOUT] - 0.005


@pytest.mark.parametrize("alpha", (0.1, 1.0))
@pytest.mark.parametrize("activation", (tf.tanh, tf.nn.softplus), ids=["tanh", "softplus"])
def test_it_makes_the_error_of_third_order_in_the_spread_of_the_data(activation, alpha):
    """The expansion holds where a model bends little from sample to sample, whatever alpha.

    A small alpha makes all moments of the perturbations small alike, so that it makes no order better than another.
    """
    generator = np.random.default_rng(1)
    x = generator.normal(size=(24, 2))
    first, second = generator.normal(size=(2, 16)), generator.normal(size=(16, 2)) / 4

    def model(x):
        return activation(x @ first + 0.5) @ second

    errors = {terms: [] for terms in (WITH, WITHOUT)}
    for spread in (0.25, 0.125):
        # Targets stay far from the answers, so that r2 is of second order.
        data = spread * x, 1 + spread * np.sin(2 * x)
        exact = mixup_risk(model, *data, alpha, "squared_error")
        risk = approximate_mixup_risk(model, *data, alpha, "squared_error")
        errors[WITH].append(abs(risk.total - exact))
        errors[WITHOUT].append(abs(risk.total - risk.r2 - exact))
    assert errors[WITH][0] / errors[WITH][1] > 6.5
    assert 3 < errors[WITHOUT][0] / errors[WITHOUT][1] < 5
    assert errors[WITH][0] < 0.1 * errors[WITHOUT][0]
