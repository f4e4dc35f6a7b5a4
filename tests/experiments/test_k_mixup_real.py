"""What the experiments on real data rest on: the paper's weight decay, perturbations, accuracy on mixtures."""

import numpy as np
import pytest

from experiments.k_mixup import figure_6, real
from kmix_tf import BetaRatio, MixLayer
from kmix_tf.analysis import perturbation
from kmix_tf.paired import Trainer, batches


def test_weight_decay_adds_to_the_gradient_as_pytorchs_does():
    x, y, _, _ = real.digits(64, 1, seed=0)
    plain = MixLayer(ratio=BetaRatio(0.0), num_classes=10)
    after = []
    for decay in (0.0, 0.1):
        trainer = Trainer(
            lambda decay=decay: real.small_convnet(decay), lambda: real.sgd(0.05, 0.9, 10), steps_per_call=1
        )
        trainer.begin(0)
        before = trainer.network.get_weights()
        after.append(trainer.run(batches(x, y, 64, 0, plain), 1, seed=0).get_weights())
    for fresh, without, decayed in zip(before, *after, strict=True):
        np.testing.assert_allclose(without - decayed, 0.05 * 0.1 * fresh, atol=1e-6)


def test_arms_perturb_equally_where_some_alpha_does():
    x = np.random.default_rng(0).normal(size=(100, 20))
    layers = real.layers_of(x, [0.5, 10], [1, 8], [8], classes=2, largest=100, trials=1000, seed=0)
    told = {name: reached for name, (_, reached) in layers.items()}
    assert told[real.matched(8, 0.5)]["xi"] == pytest.approx(perturbation(x, 1, 0.5), rel=1e-6)
    assert told[real.matched(8, 0.5)]["alpha"] > 0.5
    # No alpha moves groups of 8 as far as mixup with 10.
    assert told[real.matched(8, 10)] == {"alpha": 100, "xi": pytest.approx(perturbation(x, 8, 100), rel=0.03)}
    assert told[real.matched(8, 10)]["xi"] < told[real.mixup(10)]["xi"]
    assert told[real.published(8, 0.5)]["xi"] < told[real.mixup(0.5)]["xi"]
    assert told[real.PLAIN] == {"alpha": 0, "xi": 0}


def test_accuracy_on_mixtures_is_the_share_of_the_predicted_class():
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    labels = np.array([[0.7, 0.3, 0.0], [0.7, 0.3, 0.0], [0.0, 0.0, 1.0]])

    def network(rows, training):
        return logits[rows]

    assert figure_6.accuracy(network, np.arange(3), labels) == pytest.approx(100 * (0.7 + 0.3 + 1.0) / 3, abs=0.01)
