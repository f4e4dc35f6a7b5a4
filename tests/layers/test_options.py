"""Every option of every layer is seen, read and set, and comes back from a configuration, a file, a process."""

import inspect
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmix_tf
from kmix_tf import (
    CutMixBlend,
    ExponentialWeight,
    KMixupLayer,
    LinearBlend,
    MixLayer,
    MixSchedule,
    MultiMixLayer,
    OptimalTransportPairing,
    Pooled,
    PuzzleMixLayer,
    RemixShares,
    ResizeMixLayer,
    SpectralResidualSaliency,
    ThresholdWeight,
)

CLASSES = [
    value for name, value in sorted(vars(kmix_tf).items()) if isinstance(value, type) and issubclass(value, MixLayer)
]
PRESETS = [cls for cls in CLASSES if cls is not MixLayer]
# Those that make pairs; the others say what they do without.
OF_PAIRS = [cls for cls in PRESETS if not hasattr(cls, "without")]

# For each option, a value that no layer has by default.
OTHER = {
    "pairing": lambda: OptimalTransportPairing(3, solver="graph"),
    "ratio": lambda: kmix_tf.BetaRatio(0.3, "sample", 2),
    "blend": lambda: CutMixBlend(1),
    "weight": lambda: ThresholdWeight(0.25),
    "num_classes": lambda: 7,
    "class_weight": lambda: {0: 0.5, 6: 2.0},
    "label_shares": lambda: RemixShares([70, 60, 50, 40, 30, 20, 10], kappa=2.0, tau=0.25),
    "features_only": lambda: True,
    "targets": lambda: "packed",
    "probability": lambda: 0.25,
    "schedule": lambda: MixSchedule(5, warmup=1, off_after=9),
    "match_on": lambda: ["image", "0"],
    "embedding": lambda: keras.layers.Rescaling(2.0),
    "match_at": lambda: Pooled([2, 3]),
    "passthrough": lambda: ["id"],
    "masks": lambda: ["mask"],
    "bounding_box_format": lambda: "rel_xyxy",
    "box_visibility": lambda: 0.25,
    "box_weights": lambda: True,
    "adapted": lambda: {"scales": [[2.0, 0.5]], "alpha": 0.7},
    "seed": lambda: 11,
    "k": lambda: 3,
    "alpha": lambda: 0.3,
    "scope": lambda: "group",
    "cost": lambda: "euclidean",
    "solver": lambda: "graph",
    "interpolations": lambda: 4,
    "baseline": lambda: "batch_augmentation",
    "axes": lambda: 1,
    "grid": lambda: 3,
    "decay": lambda: 1.5,
    "scale": lambda: (0.2, 0.6),
    "resize": lambda: "area",
    "area": lambda: 0.25,
    "saliency": lambda: SpectralResidualSaliency(1, size=8),
    "blocks": lambda: 2,
    "part": lambda: 7,
    "threshold": lambda: 0.5,
    "omega": lambda: 0.1,
    "sweeps": lambda: 2,
    "n_labels": lambda: 2,
    "beta": lambda: 0.5,
    "gamma": lambda: 0.25,
    "eta": lambda: 0.75,
    "neigh_size": lambda: 2,
    "transport": lambda: False,
    "t_eps": lambda: 0.1,
    "transport_blocks": lambda: 3,
    "value_range": lambda: [0.0, 2.0],
}


def options_of(cls):
    return [name for name in inspect.signature(cls.__init__).parameters if name not in ("self", "kwargs")]


def said(value):
    """A value as JSON has it; objects by their configurations."""
    if hasattr(value, "get_config"):
        config = value.get_config()
        return {key: each for key, each in config.items() if key not in ("name", "dtype")}
    return json.loads(json.dumps(value))


EACH = [(cls, option) for cls in CLASSES for option in options_of(cls)]
each_option = pytest.mark.parametrize(("cls", "option"), EACH, ids=lambda value: getattr(value, "__name__", value))


@each_option
def test_an_option_is_read_from_the_layer_and_comes_back_from_its_configuration(cls, option):
    value = OTHER[option]()
    layer = cls(**{option: value})
    assert said(getattr(layer, option)) == said(value)
    assert said(getattr(cls(), option)) != said(value), "the test must set another value than the default"
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    back = keras.saving.deserialize_keras_object(config)
    assert type(back) is cls
    assert said(getattr(back, option)) == said(value)
    assert said(back.get_config()) == said(layer.get_config())


def test_every_option_comes_back_from_a_file_in_another_process(tmp_path):
    # A model's own file, as layers are saved in; of layers that take tables or images alone.
    made = {}
    for cls, option in EACH:
        layer = cls(**{"features_only": True, option: OTHER[option]()})
        made[f"{cls.__name__}.{option}"] = layer
    inputs = keras.Input((4, 4, 1))
    kept = {name: layer for name, layer in made.items() if not layer.passthrough and not layer.masks}
    kept = {name: layer for name, layer in kept.items() if not layer.match_on and not name.endswith("features_only")}
    model = keras.Model(inputs, [layer(inputs, training=False) for layer in kept.values()])
    model.save(tmp_path / "model.keras")
    configs = {name: keras.saving.serialize_keras_object(layer) for name, layer in made.items()}
    (tmp_path / "layers.json").write_text(json.dumps(configs))
    program = """
import json, sys, keras, kmix_tf
folder = sys.argv[1]
configs = json.load(open(folder + "/layers.json"))
back = {name: keras.saving.deserialize_keras_object(config).get_config() for name, config in configs.items()}
model = keras.saving.load_model(folder + "/model.keras")
saved = [layer.get_config() for layer in model.layers if isinstance(layer, kmix_tf.MixLayer)]
json.dump([back, saved], open(folder + "/back.json", "w"))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    back, saved = json.loads((tmp_path / "back.json").read_text())
    for name, layer in made.items():
        assert back[name] == json.loads(json.dumps(layer.get_config())), name
    by_name = {config["name"]: config for config in saved}
    for name, layer in kept.items():
        assert by_name[layer.name] == json.loads(json.dumps(layer.get_config())), name


@pytest.mark.parametrize("cls", CLASSES)
def test_signatures_name_what_they_take(cls):
    parameters = inspect.signature(cls.__init__).parameters
    assert [name for name, each in parameters.items() if each.kind is each.VAR_KEYWORD] == ["kwargs"]
    # Besides, only Keras' own.
    assert set(parameters["kwargs"].annotation.__args__[0].__annotations__) == {"name", "dtype", "trainable"}


@pytest.mark.parametrize("cls", PRESETS)
def test_presets_take_the_options_of_the_general_layer_with_its_defaults(cls):
    general = inspect.signature(MixLayer.__init__).parameters
    own = inspect.signature(cls.__init__).parameters
    made = {*cls.made_of, *getattr(cls, "without", ())}
    for name, parameter in general.items():
        if name in ("self", "kwargs", *made):
            continue
        assert name in own, f"{cls.__name__} must take {name}"
        assert (own[name].default, own[name].annotation) == (parameter.default, parameter.annotation), name


@pytest.mark.parametrize("cls", OF_PAIRS)
def test_shared_options_of_presets_have_one_default_and_one_type(cls):
    reference = inspect.signature(KMixupLayer.__init__).parameters
    own = inspect.signature(cls.__init__).parameters
    # A layer without Beta ratios has no alpha.
    for name in ("alpha", "scope", "cost", "solver")[cls in (ResizeMixLayer,) :]:
        assert (own[name].default, own[name].annotation) == (reference[name].default, reference[name].annotation)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_option_is_documented(cls):
    words = cls.__doc__.replace(",", " ").replace(":", " ").split()
    assert set(options_of(cls)) - {"adapted"} <= set(words)


@pytest.mark.parametrize("cls", OF_PAIRS)
@pytest.mark.parametrize("option", ["pairing", "ratio", "blend"])
def test_options_that_contradict_a_preset_are_refused(cls, option):
    if option in options_of(cls):
        pytest.skip("an option of this preset")
    with pytest.raises(TypeError, match=rf"{cls.__name__}: {option} is made of .*Received: {option}=.*MixLayer\("):
        cls(**{option: LinearBlend()})


@pytest.mark.parametrize("cls", CLASSES)
def test_a_misspelt_option_is_refused_with_the_one_meant(cls):
    with pytest.raises(TypeError, match=rf"{cls.__name__}: there is no such option.*Is num_classes meant\?"):
        cls(num_clases=3)


def test_an_option_of_another_preset_is_refused():
    with pytest.raises(TypeError, match=r"KMixupLayer: there is no such option. Received: baseline="):
        KMixupLayer(4, interpolations=3, baseline="batch_augmentation")


def test_what_is_read_cannot_be_set_to_no_effect():
    layer = PuzzleMixLayer()
    for option in ("k", "alpha", "beta"):
        with pytest.raises(AttributeError):
            setattr(layer, option, 2)


def test_a_layer_that_adapted_still_tells_the_alpha_it_was_given():
    layer = KMixupLayer(4, 0.5, adapted={"scales": None, "alpha": 2.0})
    assert (layer.alpha, layer.matched_alpha) == (0.5, 2.0)


def test_baselines_tell_how_many_mixtures_they_make():
    for baseline in (None, "batch_augmentation"):
        layer = MultiMixLayer(3, baseline=baseline)
        assert layer.interpolations == 3
        assert len(layer(tf.eye(4), tf.eye(4))[0]) == 12


def test_keras_own_options_are_taken():
    layer = KMixupLayer(2, name="mixed", dtype="float64", trainable=False)
    assert (layer.name, layer.trainable) == ("mixed", False)
    assert np.isfinite(layer(np.eye(4), np.eye(4))[0]).all()
    assert isinstance(KMixupLayer(weight=ExponentialWeight(1.0)).weight, ExponentialWeight)
