"""Losses as `compile` takes them, and several outputs."""

import json
import warnings
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ApproximateMixupModel
from kmix_tf._compat import IS_KERAS_3

L, losses = keras.layers, keras.losses
ALL = ("r1_r3", "r2", "r4")
RNG = np.random.default_rng(0)
X, CLASSES = RNG.normal(size=(12, 2)).astype(np.float32), RNG.integers(0, 3, 12)
ONE_HOT = np.eye(3, dtype=np.float32)[CLASSES]
TAGS, NUMBERS = RNG.integers(0, 2, (12, 3)).astype(np.float32), RNG.normal(size=(12, 3)).astype(np.float32)


def network(activation=None):
    keras.utils.set_random_seed(1)
    return keras.Sequential([L.Input((2,)), L.Dense(8, activation="tanh"), L.Dense(3, activation=activation)])


def wrapped(y, loss=None, *, model=None, rate=0.0, alpha=1.0, constructor=None, compiled=None, **options):
    wrapper = ApproximateMixupModel(model or network(), alpha, constructor, seed=3, **options)
    wrapper.adapt(X, y)
    wrapper.compile(keras.optimizers.SGD(rate), loss, **(compiled or {}))
    return wrapper


def step(wrapper, y, sample_weight=None):
    wrapper.reset_metrics()
    logs = wrapper.train_on_batch(X, y, sample_weight=sample_weight, return_dict=True)
    return {name: float(value) for name, value in logs.items()}


KNOWN = {
    "categorical": (lambda: losses.CategoricalCrossentropy(from_logits=True), None, ONE_HOT),
    "categorical by name": (
        lambda: "categorical_crossentropy",
        lambda: losses.CategoricalCrossentropy(from_logits=True),
        ONE_HOT,
    ),
    "smoothed": (lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2), None, ONE_HOT),
    "sparse": (lambda: losses.SparseCategoricalCrossentropy(from_logits=True), None, CLASSES),
    "sparse by name": (
        lambda: "sparse_categorical_crossentropy",
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
        CLASSES,
    ),
    "binary": (lambda: losses.BinaryCrossentropy(from_logits=True), None, TAGS),
    "binary by function": (
        lambda: losses.binary_crossentropy,
        lambda: losses.BinaryCrossentropy(from_logits=True),
        TAGS,
    ),
    "binary, smoothed": (lambda: losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2), None, TAGS),
    "squared": (losses.MeanSquaredError, None, NUMBERS),
    "mse": (lambda: "mse", None, NUMBERS),
    "MeanSquaredError": (lambda: "MeanSquaredError", lambda: "mse", NUMBERS),
}


class TestLosses:
    @pytest.mark.parametrize("name", KNOWN)
    def test_without_mixing_it_is_keras_own_training_and_evaluation(self, name):
        make, plainly, y = KNOWN[name]
        ours, plain = wrapped(y, make(), alpha=0, rate=0.3), network()
        plain.compile(keras.optimizers.SGD(0.3), (plainly or make)())
        weight = np.linspace(0.5, 2, 12).astype(np.float32)
        for _ in range(2):
            ours.train_on_batch(X, y, sample_weight=weight)
            plain.train_on_batch(X, y, sample_weight=weight)
        for one, other in zip(ours.model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
        result = ours.evaluate(X, y, verbose=0, return_dict=True)
        assert result == pytest.approx(plain.evaluate(X, y, verbose=0, return_dict=True), rel=1e-5)

    @pytest.mark.parametrize(
        ("constructor", "name", "scale"), [("squared_error", "mse", 2 / 3), ("binary_crossentropy", "binary", 1 / 3)]
    )
    def test_all_terms_are_of_the_mean_over_outputs_that_is_minimised(self, constructor, name, scale):
        make, _, y = KNOWN[name]
        sums, means = (
            step(wrapped(y, loss, constructor=kind, terms=ALL), y)
            for kind, loss in ((constructor, None), (None, make()))
        )
        assert means == pytest.approx({name: scale * value for name, value in sums.items()}, rel=1e-5)
        assert set(means) == {"loss", "base", *ALL}

    @pytest.mark.parametrize("is_weighted", (False, True))
    @pytest.mark.parametrize("kind", ("CategoricalCrossentropy", "BinaryCrossentropy"))
    def test_smoothed_labels_are_what_they_are_when_smoothed_beforehand(self, kind, is_weighted):
        y = ONE_HOT if kind == "CategoricalCrossentropy" else TAGS
        weight = np.linspace(0.5, 2, 12).astype(np.float32) if is_weighted else None
        beforehand = 0.7 * y + 0.3 / (3 if kind == "CategoricalCrossentropy" else 2)
        make = getattr(losses, kind)
        ours = step(wrapped(y, make(from_logits=True, label_smoothing=0.3), terms=ALL), y, weight)
        theirs = step(wrapped(beforehand, make(from_logits=True), terms=ALL), beforehand, weight)
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)

    def test_without_a_word_it_is_the_categorical_cross_entropy(self):
        default, named = wrapped(CLASSES), wrapped(CLASSES, constructor="categorical_crossentropy")
        assert step(default, CLASSES) == step(named, CLASSES)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: losses.CategoricalCrossentropy(), "from_logits of loss CategoricalCrossentropy must be from_lo"),
            (lambda: losses.BinaryCrossentropy(), "from_logits of loss BinaryCrossentropy must be from_logits=True"),
            (lambda: losses.SparseCategoricalCrossentropy(), "from_logits of loss Sparse"),
            (lambda: losses.MeanSquaredError(reduction="sum"), "reduction of loss MeanSquaredError"),
            (lambda: losses.CategoricalCrossentropy(from_logits=True, axis=0), "axis of loss"),
            (
                lambda: losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1),
                "ignore_class of loss Sparse.* give such samples the weight 0",
            ),
            (
                lambda: losses.Huber(),
                "loss must be one of which the derivatives are known: Cat.*Received: loss='huber",
            ),
            (lambda: "hinge", "loss must be one of which the derivatives are known"),
            (lambda: "no such loss", "loss must be one of which.*Received: loss='no such loss'"),
            (lambda: lambda y, u: y - u, "loss must be one of which.*lambda"),
            (lambda: 3, "loss must be one of which.*Received: loss=3"),
            (lambda: {"left": "mse", "right": "mse"}, "loss must be one for the model's one output"),
        ],
    )
    def test_other_losses_are_refused(self, make, message):
        with pytest.raises(ValueError, match=f"ApproximateMixupModel: {message}"):
            ApproximateMixupModel(network(), 1.0).compile("sgd", make())

    def test_a_loss_is_given_once(self):
        with pytest.raises(ValueError, match=r"loss must be given once.*wrapped with loss='squared_error'"):
            ApproximateMixupModel(network(), 1.0, "squared_error").compile("sgd", "mse")

    @pytest.mark.parametrize("activation", ("softmax", "sigmoid"))
    def test_a_model_that_ends_in_probabilities_is_refused_where_logits_are_needed(self, activation):
        model = network(activation)
        message = f"ApproximateMixupModel: loss='categorical_crossentropy' needs logits.*ends in {activation}"
        with pytest.raises(ValueError, match=message):
            ApproximateMixupModel(model, 1.0, "categorical_crossentropy")
        for loss in (None, losses.SparseCategoricalCrossentropy(from_logits=True)):
            with pytest.raises(ValueError, match=message):
                ApproximateMixupModel(model, 1.0).compile("sgd", loss)
        # Its squares are a loss of probabilities, Brier's.
        assert np.isfinite(step(wrapped(ONE_HOT, "mse", model=model), ONE_HOT)["loss"])

    def test_of_a_subclassed_model_that_seems_to_it_is_warned(self):
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = L.Dense(3, activation="softmax")

            def call(self, x):
                return self.dense(x)

        with pytest.warns(UserWarning, match="ApproximateMixupModel: loss='categorical_crossentropy' needs logits"):
            ApproximateMixupModel(Own(), 1.0, "categorical_crossentropy").adapt(X, CLASSES)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            ApproximateMixupModel(network(), 1.0, "categorical_crossentropy").adapt(X, CLASSES)

    def test_targets_that_do_not_fit_are_refused_whichever_comes_last(self):
        message = "ApproximateMixupModel: soft labels must be in"
        before, after = ApproximateMixupModel(network(), 1.0), ApproximateMixupModel(network(), 1.0)
        before.adapt(X, NUMBERS)
        with pytest.raises(ValueError, match=message):
            before.compile("sgd", losses.BinaryCrossentropy(from_logits=True))
        before.compile("sgd", "mse")
        after.compile("sgd", losses.BinaryCrossentropy(from_logits=True))
        with pytest.raises(ValueError, match=message):
            after.adapt(X, NUMBERS)

    def test_integer_inputs_are_refused(self):
        inputs = keras.Input((2,), dtype="int32")
        counts = keras.Model(inputs, L.Dense(3)(L.Rescaling(0.1)(inputs)))
        with pytest.raises(ValueError, match=r"inputs must be floating. Received: inputs of dtypes \['int32'\]"):
            ApproximateMixupModel(counts, 1.0)
        ApproximateMixupModel(counts, 0)
        words = keras.Model(inputs, L.Dense(3)(L.Flatten()(L.Embedding(9, 4)(inputs))))
        with pytest.raises(ValueError, match=r"looked up by number.*ManifoldMixModel"):
            ApproximateMixupModel(words, 1.0)


def heads(structure):
    """Two heads on one layer: classes named "left", and numbers named "right"."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2,))
    hidden = L.Dense(8, activation="tanh", name="hidden")(inputs)
    left, right = L.Dense(3, name="left")(hidden), L.Dense(2, name="right")(hidden)
    return keras.Model(inputs, structure(left, right)), left, right


STRUCTURES = {
    "dict": lambda left, right: {"right": right, "left": left},
    "list": lambda left, right: [left, right],
    "tuple": lambda left, right: (left, right),
}
RIGHT = NUMBERS[:, :2]
CROSS = losses.SparseCategoricalCrossentropy(from_logits=True)


def as_given(structure, left, right):
    return STRUCTURES[structure](left, right)


def two(structure, rate=0.0, **options):
    model, left, right = heads(STRUCTURES[structure])
    wrapper = ApproximateMixupModel(model, 1.0, seed=3, terms=ALL)
    dataset = tf.data.Dataset.from_tensor_slices((X, STRUCTURES["tuple"](CLASSES, RIGHT)))
    if structure == "dict":
        dataset = tf.data.Dataset.from_tensor_slices((X, as_given("dict", CLASSES, RIGHT)))
    wrapper.adapt(dataset.batch(5))
    given = {"loss": as_given(structure, CROSS, "mse"), "loss_weights": as_given(structure, 0.5, 2.0), **options}
    wrapper.compile(keras.optimizers.SGD(rate), **given)
    inputs = model.input if not isinstance(model.input, list) else model.input[0]
    return wrapper, keras.Model(inputs, left), keras.Model(inputs, right)


class TestOutputs:
    @pytest.mark.parametrize("is_weighted", (False, True))
    @pytest.mark.parametrize("structure", STRUCTURES)
    @pytest.mark.representatives("structure, is_weighted", [("dict", True), ("list", False)])
    def test_the_loss_and_its_gradient_are_the_weighted_sums_of_those_of_models_of_one_output(
        self, structure, is_weighted
    ):
        wrapper, left, right = two(structure, rate=0.1)
        kernel = wrapper.model.get_layer("hidden").kernel
        before = kernel.numpy()
        weight = np.linspace(0.5, 2, 12).astype(np.float32) if is_weighted else None
        found, moved = [], []
        for model, y, loss in ((left, CLASSES, CROSS), (right, RIGHT, "mse")):
            start = model.get_weights()
            found.append(step(wrapped(y, loss, model=model, rate=0.1, terms=ALL), y, weight))
            moved.append(kernel.numpy() - before)
            model.set_weights(start)
        logs = step(wrapper, as_given(structure, CLASSES, RIGHT), weight)
        for name in ("loss", "base", *ALL):
            assert logs[name] == pytest.approx(0.5 * found[0][name] + 2 * found[1][name], rel=1e-4), name
        np.testing.assert_allclose(kernel.numpy() - before, 0.5 * moved[0] + 2 * moved[1], atol=1e-6)

    def test_each_output_may_have_sample_weights_of_its_own(self):
        wrapper, left, right = two("dict")
        weights = np.linspace(0.5, 2, 12).astype(np.float32), np.linspace(3, 0, 12).astype(np.float32)
        found = [
            step(wrapped(y, loss, model=model, terms=ALL), y, weight)["loss"]
            for model, y, loss, weight in ((left, CLASSES, CROSS, weights[0]), (right, RIGHT, "mse", weights[1]))
        ]
        logs = step(wrapper, as_given("dict", CLASSES, RIGHT), as_given("dict", *weights))
        assert logs["loss"] == pytest.approx(0.5 * found[0] + 2 * found[1], rel=1e-4)

    @pytest.mark.as_users_compile
    @pytest.mark.parametrize("structure", ("dict", "list"))
    @pytest.mark.parametrize("terms", ((), ("r1_r3",)))
    @pytest.mark.representatives("structure", ["dict"])
    def test_fit_and_evaluation_are_as_of_any_model(self, structure, terms):
        model, *_ = heads(STRUCTURES[structure])
        y = as_given(structure, CLASSES, RIGHT)
        wrapper = ApproximateMixupModel(model, 1.0, seed=3, terms=terms)
        wrapper.adapt(X, y)
        given = {"loss": as_given(structure, CROSS, "mse"), "loss_weights": as_given(structure, 0.5, 2.0)}
        metrics = as_given(structure, ["accuracy"], ["mae"])
        wrapper.compile("sgd", **given, metrics=metrics)
        weights = as_given(structure, *[np.linspace(0.5, 2, 12).astype(np.float32)] * 2)
        history = wrapper.fit(
            X, y, sample_weight=weights, validation_data=(X, y), batch_size=5, epochs=2, verbose=0
        ).history
        assert np.isfinite([history["loss"], history["val_loss"]]).all()
        assert sum("accuracy" in name for name in history) == 2 and sum("mae" in name for name in history) == 2
        assert sum(name.endswith("left_loss") for name in history) == (2 if IS_KERAS_3 or structure == "dict" else 0)
        model.compile("sgd", **given)
        expected = model.evaluate(X, y, verbose=0, return_dict=True)["loss"]
        assert wrapper.evaluate(X, y, verbose=0, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-5)

    def test_outputs_of_a_list_are_known_by_their_layers_too(self):
        by_number, *_ = two("list", metrics=[["accuracy"], ["mae"]])
        named = {"loss": {"right": "mse", "left": CROSS}, "loss_weights": {"left": 0.5, "right": 2.0}}
        by_layer, *_ = two("list", **named, metrics={"right": ["mae"], "left": ["accuracy"]})
        y, named_y = [CLASSES, RIGHT], {"left": CLASSES, "right": RIGHT}
        assert step(by_layer, named_y) == pytest.approx(step(by_number, y))
        first, second = (
            wrapper.evaluate(X, each, verbose=0, return_dict=True)
            for wrapper, each in ((by_number, y), (by_layer, named_y))
        )
        assert first == pytest.approx(second) and len(first) == 5

    def test_one_loss_is_for_all_of_them_and_weights_may_be_left_out(self):
        model, *_ = heads(STRUCTURES["list"])
        y = [ONE_HOT, RIGHT]
        wrapper = ApproximateMixupModel(model, 1.0, seed=3)
        wrapper.adapt(X, y)
        for loss in ("mse", ["mse", "mse"]):
            wrapper.compile(keras.optimizers.SGD(0.0), loss)
            logs = step(wrapper, y)
            assert logs["loss"] == pytest.approx(logs["base"] + logs["r1_r3"], rel=1e-5)

    def test_a_subclassed_model_may_be_compiled_before_its_outputs_are_known(self):
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.left, self.right = L.Dense(3), L.Dense(2)

            def call(self, x):
                return {"left": self.left(x), "right": self.right(x)}

        y = as_given("dict", CLASSES, RIGHT)
        wrapper = ApproximateMixupModel(Own(), 1.0)
        wrapper.compile("sgd", as_given("dict", CROSS, "mse"), loss_weights=as_given("dict", 0.5, 2.0))
        wrapper.adapt(X, y)
        logs = step(wrapper, y)
        assert logs["loss"] == pytest.approx(logs["base"] + logs["r1_r3"], rel=1e-5)

    @pytest.mark.parametrize(
        ("do", "message"),
        [
            (lambda wrapper: wrapper.compile("sgd", {"left": CROSS}), r"loss must be one for each.*'left', 'right'"),
            (lambda wrapper: wrapper.compile("sgd", [CROSS]), "loss must be one for each of the model's outputs"),
            (
                lambda wrapper: wrapper.compile("sgd", as_given("dict", CROSS, "hinge")),
                "loss must be one of which the derivatives are known",
            ),
            (lambda wrapper: wrapper.adapt(X, CLASSES), "targets must be one for each of the model's outputs"),
            (
                lambda wrapper: wrapper.adapt(X, as_given("dict", CLASSES + 1, RIGHT)),
                r"ApproximateMixupModel, output\['left'\]: labels must be in \[0, 3\)",
            ),
            (
                lambda wrapper: wrapper.adapt(X, as_given("dict", CLASSES, NUMBERS)),
                r"output\['right'\]: y must be \(n, 2\)",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, do, message):
        wrapper = ApproximateMixupModel(heads(STRUCTURES["dict"])[0], 1.0)
        with pytest.raises(ValueError, match=message):
            do(wrapper)

    def test_structures_within_structures_are_refused(self):
        model, *_ = heads(lambda left, right: {"both": [left, right]})
        with pytest.raises(ValueError, match="one output, or a dictionary or a list of them"):
            ApproximateMixupModel(model, 1.0).compile("sgd", "mse")


SAVED = """
import sys, warnings
warnings.filterwarnings("error", category=UserWarning, module="keras")
import numpy as np, keras
import kmix_tf.models.approximate.model
wrapper = keras.models.load_model(sys.argv[1] + "/model.keras")
arrays = np.load(sys.argv[1] + "/arrays.npz")
y = [arrays[name] for name in ("left", "right") if name in arrays]
y = y[0] if len(y) == 1 else dict(left=y[0], right=y[1]) if "is_dict" in arrays else y
wrapper.reset_metrics()
logs = wrapper.train_on_batch(arrays["x"], y, return_dict=True)
np.testing.assert_allclose(float(logs["loss"]), arrays["loss"], rtol=1e-5)
"""


class TestSaving:
    @pytest.mark.parametrize("how", ("dict", "list", "compiled", "constructor"))
    @pytest.mark.representatives("how", ["dict", "compiled"])
    def test_files_go_on_training_in_another_process(self, how, tmp_path, elsewhere):
        if how in STRUCTURES:
            wrapper, *_ = two(how, rate=0.1)
            y = as_given(how, CLASSES, RIGHT)
        else:
            smoothed = losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
            given = {"loss": smoothed} if how == "compiled" else {"constructor": "binary_crossentropy"}
            wrapper, y = wrapped(TAGS, **given, rate=0.1), TAGS
        step(wrapper, y)
        wrapper.save(str(tmp_path / "model.keras"))
        loss = step(wrapper, y)["loss"]
        targets = {"left": CLASSES, "right": RIGHT} if how in STRUCTURES else {"left": TAGS}
        np.savez(tmp_path / "arrays.npz", x=X, loss=loss, **targets, **({"is_dict": 1} if how == "dict" else {}))
        elsewhere(SAVED, tmp_path)

    def test_files_of_before_there_were_several_outputs_and_losses_of_compile(self, tmp_path):
        wrapper = wrapped(CLASSES, constructor="categorical_crossentropy", rate=0.1)
        step(wrapper, CLASSES)
        wrapper.save(str(tmp_path / "new.keras"))
        with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
            for name in new.namelist():
                content = new.read(name)
                if name == "config.json":
                    config = json.loads(content)
                    del config["config"]["outputs"]
                    for setting in ("mean", "label_smoothing"):
                        del config["compile_config"]["loss"]["config"][setting]
                    content = json.dumps(config)
                old.writestr(name, content)
        again = keras.models.load_model(str(tmp_path / "old.keras"))
        assert step(again, CLASSES) == pytest.approx(step(wrapper, CLASSES), rel=1e-5)
