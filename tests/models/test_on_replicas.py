"""On two replicas a wrapper's steps are those of one process, and across replicas so are its mixtures."""

import json
import pathlib
import types

import keras
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, MixModel
from kmix_tf._compat import IS_KERAS_3
from kmix_tf.models.across import require_gathering

TRIALS = pathlib.Path(__file__).parents[2] / "reliability"

# Logical devices must be made before TensorFlow starts.
COMPARED = """
import json, sys
sys.path[:0] = [sys.argv[1]]
import replicas
strategy = replicas.two_devices()
print(json.dumps([replicas.compared(name, strategy) for name in sys.argv[2:]]))
"""

ACROSS = """
import json, sys
sys.path[:0] = [sys.argv[1]]
import replicas
strategy = replicas.two_devices()
for name in sys.argv[2:]:
    print(json.dumps(replicas.compared_across(name, strategy)))
with strategy.scope():
    try:
        model = replicas.MixModel(replicas.network(), replicas.LAYERS["KMixupLayer"](), across_replicas=True)
        assert not model.supports_jit
        model.compile("sgd", "mse", jit_compile=True)
    except ValueError as error:
        print(error)
"""

QUICK = ["ManifoldMixModel"]
OTHERS = [
    "AutoMixModel",
    "MixModel",
    "MixModel, LocalMixupLayer",
    "MixModel, packed targets",
    "MixModel, ChoiceLayer",
    "MixModel, PuzzleMixLayer",
    "ManifoldMixModel, packed targets",
    "AdaMixupModel",
    "ApproximateMixupModel",
]
LAYERS = ["LocalMixupLayer", "packed targets", "MultiMixLayer", "ChoiceLayer", "PuzzleMixLayer"]


@pytest.mark.parametrize("names", [QUICK, pytest.param(OTHERS, marks=pytest.mark.matrix)], ids=["quick", "others"])
def test_steps_on_two_replicas_are_those_of_one_process(names, elsewhere):
    # With integer labels, and last batches of which a replica gets one row or none.
    found = json.loads(elsewhere(COMPARED, TRIALS, *names).splitlines()[-1])
    assert dict(zip(names, found, strict=True)) == dict.fromkeys(names, pytest.approx(0, abs=1e-4))


@pytest.mark.parametrize(
    "names", [["KMixupLayer"], pytest.param(LAYERS, marks=pytest.mark.matrix)], ids=["k", "others"]
)
def test_across_replicas_the_step_is_that_of_one_process(names, elsewhere):
    *found, refused = elsewhere(ACROSS, TRIALS, *names).splitlines()[-len(names) - 1 :]
    for name, apart in zip(names, map(json.loads, found), strict=True):
        assert apart < 1e-4, name
    assert refused.startswith("MixModel: across_replicas=True gathers rows from other devices, which XLA cannot")


def made(**options):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    return MixModel(model, KMixupLayer(2, num_classes=2), **options)


def test_the_option_is_saved_and_alone_changes_nothing(tmp_path):
    x, y = tf.random.stateless_uniform([8, 3], [0, 1]), tf.range(8) % 2
    keras.utils.set_random_seed(0)
    across = made(across_replicas=True, seed=1)
    plain = made(seed=1)
    plain.set_weights(across.get_weights())
    for model in (across, plain):
        model.compile(keras.optimizers.SGD(0.5), keras.losses.CategoricalCrossentropy(from_logits=True))
        model.fit(x, y, shuffle=False, verbose=0)
    for ours, theirs in zip(across.get_weights(), plain.get_weights(), strict=True):
        assert (ours == theirs).all()
    across.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").across_replicas is True
    assert made().across_replicas is False


def test_other_values_are_refused():
    with pytest.raises(
        (TypeError, ValueError), match=r"MixModel: across_replicas must be .*Received: across_replicas=2"
    ):
        made(across_replicas=2)


def test_strategies_that_do_not_gather_are_refused():
    strategy = types.SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(ValueError, match=r"needs replicas that step together.*Received: SimpleNamespace"):
        require_gathering(strategy, compiled=False)
    require_gathering(tf.distribute.get_strategy(), compiled=True)


@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 fits on several workers")
@pytest.mark.parametrize("said", ["convert a value (PerReplica:{...", "another"])
def test_where_keras_cannot_fit_on_workers_the_error_says_what_to_do(said, monkeypatch):
    def fails(*args, **kwargs):
        raise ValueError(said)

    monkeypatch.setattr(keras.Model, "_maybe_symbolic_build", fails)
    model = made()
    model.compile("sgd", "mse")
    with pytest.raises(
        ValueError, match=r"MixModel: fit and evaluate.*two_workers.py" if "Per" in said else "another"
    ):
        model.fit(tf.zeros([4, 3]), tf.zeros([4], tf.int32), verbose=0)
