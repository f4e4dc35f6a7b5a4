"""The callback in training: what it logs and writes, and that training is the same without it."""

import csv
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    CutMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    ManifoldMixModel,
    MixModel,
    MixtureImages,
    SaliencyMixLayer,
    SpectralResidualSaliency,
    ThresholdWeight,
    mix,
)

N = 32
X = np.random.default_rng(0).random((N, 8, 8, 1), np.float32)
Y = np.arange(N) % 3
ALWAYS = ["mix_across_classes", "mix_distance", "mix_effective_samples", "mix_mixed", "mix_ratio", "mix_ratio_std"]
TIMES = ["mix_seconds", "step_seconds", "step_seconds_without_mix"]
LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="relu", name="hidden"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3, name="dropped"),
            keras.layers.Dense(3),
        ]
    )


def compiled(model):
    model.compile("sgd", LOSS, metrics=["accuracy"], jit_compile=False)
    return model


def batches(seed=1):
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(N, seed=seed).batch(16)


def mapped(layer):
    """A plain model on data that are mixed by a map, one batch after another."""
    return compiled(network()), batches().map(layer)


def stepped(layer, **options):
    return compiled(MixModel(network(), layer, seed=0, **options)), batches()


def fitted(model, data, *callbacks, epochs=2, **options):
    return model.fit(data, epochs=epochs, verbose=0, callbacks=list(callbacks), **options).history


def events_of(folder):
    """Step, tag, plugin and tensor of all that was written, in order."""
    found = []
    for file in sorted(pathlib.Path(folder).glob("events*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                found.append((event.step, value.tag, plugin, tf.make_ndarray(value.tensor)))
    return found


SAME = {
    "MixModel": (lambda: stepped(KMixupLayer(4, num_classes=3)), {}),
    "saliency": (lambda: stepped(SaliencyMixLayer(num_classes=3, saliency=None)), {}),
    "map": (lambda: mapped(KMixupLayer(4, num_classes=3, seed=5)), {"layer": True}),
    "manifold": (
        lambda: (
            compiled(ManifoldMixModel(network(), ["input", "dropped"], KMixupLayer(4, num_classes=3), seed=0)),
            batches(),
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_training_is_the_same_with_it_and_without(name, tmp_path):
    results = []
    for watched in (False, True):
        layer = KMixupLayer(4, num_classes=3, seed=5)
        (model, data), told = SAME[name][0](), {}
        if SAME[name][1]:
            model, source = compiled(network()), batches()
            data, told = source.map(layer), {"layer": layer, "dataset": source}
        callbacks = [MixtureImages(tmp_path, **told)] if watched else []
        history = fitted(model, data, *callbacks, validation_data=(X, np.eye(3)[Y]) if told else (X, Y))
        kept = {key: value for key, value in history.items() if key.partition("_")[0] not in ("mix", "step")}
        results.append((kept, [np.asarray(weight) for weight in model.get_weights()]))
    assert results[0][0] == results[1][0]
    for ours, theirs in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_loggers_that_come_later_find_the_numbers(tmp_path):
    model, data = stepped(KMixupLayer(4, num_classes=3))
    file = tmp_path / "log.csv"
    shown = MixtureImages(every=2)
    history = fitted(model, data, shown, keras.callbacks.CSVLogger(str(file)), epochs=3)
    for name in [*ALWAYS, *TIMES]:
        assert len(history[name]) == 3 and all(isinstance(value, float) for value in history[name])
    with open(file) as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["mix_ratio"]) for row in rows] == pytest.approx(history["mix_ratio"])
    assert len(set(history["mix_ratio"])) == 3  # drawn anew in each epoch


def test_the_numbers_are_those_of_the_mixtures_drawn_last():
    model, data = stepped(LocalMixupLayer(scope="sample", weight=ThresholdWeight(3.3, far="drop"), num_classes=3))
    shown = MixtureImages(times=False)
    history = fitted(model, data, shown)
    seen = shown.mixtures[""]
    assert set(TIMES).isdisjoint(history)
    flat = seen.x["features"].reshape(16, -1)
    apart = np.linalg.norm(flat[seen.sample] - flat[seen.partner], axis=1)
    assert history["mix_distance"][-1] == pytest.approx(apart.mean(), rel=1e-5)
    assert history["mix_effective_samples"][-1] == pytest.approx((apart <= 3.3).sum(), rel=1e-5)
    assert 0 < (apart <= 3.3).sum() < 16
    classes = seen.y["targets"].argmax(axis=1)
    assert history["mix_across_classes"][-1] == pytest.approx((classes != classes[seen.partner]).mean())


def test_what_is_written_is_what_was_logged(tmp_path):
    model, data = stepped(LocalMixupLayer(scope="sample", weight=ThresholdWeight(3.3), num_classes=3))
    shown = MixtureImages(tmp_path, every=2, images=3, class_names=["cat", "dog", "fox"])
    history = fitted(model, data, shown, epochs=3)
    events = events_of(tmp_path / "mixtures")
    for name in [*ALWAYS, *TIMES]:
        tag = name.replace("mix_", "mix/", 1)
        written = [
            (step, float(value)) for step, other, plugin, value in events if (other, plugin) == (tag, "scalars")
        ]
        assert written == [(step, pytest.approx(value)) for step, value in enumerate(history[name])]
    # Pictures, histograms and words of every second epoch.
    kinds = {plugin: {(step, tag) for step, tag, other, _ in events if other == plugin} for _, _, plugin, _ in events}
    assert kinds["images"] == {(0, "mix/features"), (2, "mix/features")}
    assert kinds["text"] == {(0, "mix/mixtures"), (2, "mix/mixtures")}
    assert {tag for _, tag in kinds["histograms"]} == {"mix/ratios", "mix/distances", "mix/weights"}
    last = {tag: value for step, tag, plugin, value in events if step == 2 and plugin != "scalars"}
    ratios = last["mix/ratios"]
    assert ratios[0, 0] == 0 and ratios[-1, 1] == 1
    assert ratios[:, 2].sum() == 16
    seen = shown.mixtures[""]
    assert (ratios[:, 0] @ ratios[:, 2]) / 16 <= seen.ratio.mean() <= (ratios[:, 1] @ ratios[:, 2]) / 16
    width, height, png = last["mix/features"]
    picture = tf.io.decode_png(png).numpy()
    assert picture.shape == (int(height), int(width), 3)
    np.testing.assert_array_equal(picture, shown.sheets["mix/features"])
    words = last["mix/mixtures"][()].decode()
    assert len(words.splitlines()) == 2 + 3
    first = seen.y["targets"].argmax(axis=1)[0]
    assert f"{seen.ratio[0]:.3f} x {['cat', 'dog', 'fox'][first]} (row 0)" in words


def test_tensorboard_reads_the_files(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model, data = stepped(KMixupLayer(4, num_classes=3))
    history = fitted(model, data, MixtureImages(tmp_path))
    read = accumulator.EventAccumulator(str(tmp_path / "mixtures"))
    read.Reload()
    assert set(read.PluginTagToContent("scalars")) > {"mix/ratio", "step_seconds"}
    assert set(read.PluginTagToContent("images")) == {"mix/features"}
    assert set(read.PluginTagToContent("histograms")) == {"mix/ratios", "mix/distances"}
    assert set(read.PluginTagToContent("text")) == {"mix/mixtures"}
    values = [float(tf.make_ndarray(each.tensor_proto)) for each in read.Tensors("mix/ratio")]
    assert values == pytest.approx(history["mix_ratio"])


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data = stepped(KMixupLayer(4, num_classes=3))
    assert "mix_ratio" in fitted(model, data, MixtureImages())
    assert not list(tmp_path.iterdir())


def test_training_that_is_resumed_goes_on_where_it_was(tmp_path):
    def run(folder, *spans):
        drawn = []
        for start, end in spans:
            model = compiled(MixModel(network(), KMixupLayer(4, num_classes=3), seed=0))
            shown = MixtureImages(folder, seed=7)
            model.fit(X, Y, epochs=end, initial_epoch=start, verbose=0, callbacks=[shown], batch_size=8)
            drawn.append(shown.mixtures[""])
        scalars = [
            (step, float(value)) for step, tag, _, value in events_of(folder / "mixtures") if tag == "mix/ratio"
        ]
        return sorted(scalars), drawn[-1]

    whole, last = run(tmp_path / "whole", (0, 3))
    resumed, other = run(tmp_path / "resumed", (0, 2), (2, 3))
    assert [step for step, _ in whole] == [0, 1, 2]
    assert resumed == whole
    np.testing.assert_array_equal(last.partner, other.partner)
    np.testing.assert_array_equal(last.mixed_x["features"], other.mixed_x["features"])
    assert len(last.ratio) == 8  # the batch size that fit was told


def logged_by(shown, model=None):
    """What it logs of an epoch, without training."""
    logs = {}
    shown.set_model(compiled(network()) if model is None else model)
    shown.on_train_begin()
    shown.on_epoch_end(0, logs)
    return logs


def test_the_seed_decides():
    def ratio(seed):
        return logged_by(MixtureImages(None, KMixupLayer(4, num_classes=3), (X, Y), seed=seed))["mix_ratio"]

    assert ratio(0) == ratio(0) != ratio(1)


# In a process of its own: where TensorFlow has made graphs before, a strategy may fail to begin, and then not end.
STRATEGY = """
import keras, numpy as np, tensorflow as tf
from kmix_tf import KMixupLayer, MixModel, MixtureImages

def compiled(wrap):
    model = wrap(keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)]))
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    return model

layer = KMixupLayer(4, num_classes=3)
x, y = np.random.default_rng(0).random((32, 4), np.float32), np.arange(32) % 3
with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
    mixing = compiled(lambda model: MixModel(model, layer, seed=0))
    plain = compiled(lambda model: model)
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
print(*mixing.fit(data, verbose=0, callbacks=[MixtureImages()]).history)
print(*plain.fit(data.map(layer), verbose=0, callbacks=[MixtureImages(None, layer, (x, y))]).history)
"""


def test_it_works_under_a_strategy(elsewhere):
    mixing, plain = (set(line.split()) for line in elsewhere(STRATEGY).splitlines())
    assert mixing - {"loss"} == {*ALWAYS, *TIMES}
    assert plain - {"loss"} == {*ALWAYS}


def test_rows_that_are_left_for_validation_are_not_shown():
    model, _ = stepped(KMixupLayer(1, num_classes=3))
    first = X.copy()
    first[24:] = 7  # the last quarter
    shown = MixtureImages(batch_size=99)
    model.fit(first, Y, verbose=0, callbacks=[shown], validation_split=0.25, batch_size=64)
    assert len(shown.mixtures[""].ratio) == 24
    assert shown.mixtures[""].x["features"].max() <= 1


def test_a_schedule_is_asked_at_the_step_that_training_is_at():
    asked = []

    def schedule(step):
        asked.append(int(step) if tf.executing_eagerly() else None)
        return tf.where(step < 3, 0.0, 1.0)

    for make in (stepped, mapped_by_stage):
        asked.clear()
        model, data, *told = make(KMixupLayer(4, num_classes=3, schedule=schedule))
        told = told[0] if told else {}
        history = fitted(model, data, MixtureImages(times=False, **told), epochs=2, steps_per_epoch=2)
        assert [step for step in asked if step is not None] == [0, 2, 4]
        assert history["mix_mixed"] == [0, 1]


def mapped_by_stage(layer):
    source = batches()
    return compiled(network()), source.repeat().apply(mix(layer, seed=0)), {"layer": layer, "dataset": source}


def test_each_place_of_a_manifold_model_has_its_own():
    model = compiled(ManifoldMixModel(network(), ["input", "hidden"], KMixupLayer(4, num_classes=3), seed=0))
    shown = MixtureImages()
    history = fitted(model, batches(), shown)
    assert {f"{name}_{place}" for name in ALWAYS for place in ("input", "hidden")} < set(history)
    assert "step_seconds" in history and "mix_seconds" not in history
    assert list(shown.sheets) == ["mix/features_input", "mix/features_hidden"]
    hidden = keras.Model(model.model.inputs, model.model.get_layer("hidden").output)
    seen = shown.mixtures["hidden"]
    np.testing.assert_allclose(seen.x["features"], hidden(shown.mixtures["input"].x["features"]), atol=1e-5)
    share = seen.ratio[:, np.newaxis]
    x = seen.x["features"]
    np.testing.assert_allclose(
        seen.mixed_x["features"], share * x[seen.sample] + (1 - share) * x[seen.partner], atol=1e-5
    )


def test_one_place_has_no_name():
    model = compiled(ManifoldMixModel(network(), ["hidden"], KMixupLayer(4, num_classes=3), seed=0))
    assert set(ALWAYS) == set(logged_by(MixtureImages(dataset=batches(), times=False), model))


def test_a_saliency_mix_shows_what_the_model_finds_salient():
    model, data = stepped(SaliencyMixLayer(num_classes=3, saliency=None))
    shown = MixtureImages(times=False)
    fitted(model, data, shown, epochs=1)
    seen = shown.mixtures[""]
    own = np.mean(seen.mixed_x["features"] == seen.x["features"], axis=(1, 2, 3))
    apart = seen.partner != seen.sample
    np.testing.assert_allclose(seen.ratio[apart], own[apart], atol=1e-6)


def test_it_shows_whose_saliency_the_next_step_would_take():
    # The model is asked in the first step alone, so that from then on mixtures are those by the images' own saliency.
    asked_once = {"saliency": None}, {"saliency_every": 10**6}
    shown = []
    for source, options in (asked_once, ({"saliency": SpectralResidualSaliency()}, {}), ({"saliency": None}, {})):
        model, data = stepped(SaliencyMixLayer(num_classes=3, **source), **options)
        shown.append(MixtureImages(times=False))
        fitted(model, data, shown[-1], epochs=1)
    once, by_images, by_model = (each.mixtures[""].mixed_x["features"] for each in shown)
    np.testing.assert_allclose(once, by_images, atol=1e-6)
    assert np.abs(once - by_model).max() > 0.1


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.matrix)])
def test_times_are_of_the_step_and_of_the_mix_in_it(jit_compile):
    model = MixModel(network(), KMixupLayer(4, num_classes=3, solver="graph"), seed=0)
    model.compile("sgd", LOSS, jit_compile=jit_compile)
    history = fitted(model, batches(), MixtureImages(), epochs=2)
    for step, alone, rest in zip(*(history[name] for name in ("step_seconds", "mix_seconds", TIMES[2])), strict=True):
        assert step > 0 and alone > 0
        assert rest == pytest.approx(step - alone)


def test_a_dataset_of_its_own_is_taken_rather_than_that_of_fit():
    shown = MixtureImages(dataset=(X + 5, Y), times=False)
    shown.offer((X, Y, None), 8, None)
    logged_by(shown, stepped(KMixupLayer(4, num_classes=3))[0])
    assert shown.mixtures[""].x["features"].min() >= 5


STAGELESS = {
    "no layer": ({}, r"layer must be given where the model mixes nothing itself. Received: layer=None .*Sequential"),
    "no layer but data": ({"dataset": (X, Y)}, r"layer must be given .* MixtureImages\(log_dir, layer, dataset\)"),
    "no data": ({"layer": KMixupLayer(2)}, r"dataset must be given .* Received: dataset=None"),
    "no labels to mix": ({"layer": KMixupLayer(2), "dataset": (X, Y)}, "integer labels need num_classes"),
    "no batches": (
        {"layer": KMixupLayer(2, num_classes=3), "dataset": tf.data.Dataset.from_tensor_slices((X, Y))},
        "call dataset.batch",
    ),
}


@pytest.mark.parametrize("name", STAGELESS)
def test_without_a_mixed_stage_training_does_not_begin(name):
    told, message = STAGELESS[name]
    model = compiled(network())
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"MixtureImages: .*{message}"):
        model.fit(X, np.eye(3)[Y], verbose=0, callbacks=[MixtureImages(**told)])
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_generator_that_fit_is_given_is_refused():
    model, _ = stepped(KMixupLayer(2, num_classes=3))
    with pytest.raises(TypeError, match=r"MixtureImages: dataset must be a tf.data.Dataset"):
        model.fit(((X, Y) for _ in range(2)), verbose=0, callbacks=[MixtureImages()])


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("log_dir", 3, TypeError),
        ("layer", keras.layers.Identity() if hasattr(keras.layers, "Identity") else "mixup", TypeError),
        ("every", 0, ValueError),
        ("every", 1.5, ValueError),
        ("images", 0, ValueError),
        ("batch_size", True, ValueError),
        ("seed", -1, ValueError),
        ("times", 1, ValueError),
    ],
    ids=["log_dir", "layer", "every", "fraction", "images", "batch_size", "seed", "times"],
)
def test_other_arguments_are_refused_by_name(argument, value, error):
    with pytest.raises(error, match=f"MixtureImages: {argument} must be .* Received: {argument}="):
        MixtureImages(**{argument: value})


def test_options_are_attributes(tmp_path):
    layer = CutMixLayer()
    shown = MixtureImages(tmp_path, layer, (X, Y), 2, 3, 4, ("a", "b"), 5, False)
    assert (shown.log_dir, shown.layer, shown.every, shown.images) == (str(tmp_path), layer, 2, 3)
    assert (shown.batch_size, shown.class_names, shown.seed, shown.times) == (4, ["a", "b"], 5, False)


def test_of_several_each_has_a_name_of_its_own(tmp_path):
    layers = {"mix": KMixupLayer(1, num_classes=3), "cut": CutMixLayer(num_classes=3)}
    shown = [MixtureImages(tmp_path, layer, (X, Y), name=name) for name, layer in layers.items()]
    alone = [
        fitted(compiled(network()), batches().map(layer), each, epochs=1)
        for layer, each in zip(layers.values(), shown, strict=True)
    ]
    model, data = mapped(layers["mix"])
    both = fitted(model, data, *shown, epochs=1)
    assert {name for name in both if name.startswith("cut_")} == {name.replace("mix_", "cut_") for name in ALWAYS}
    for logs in alone:
        mine = {name: value for name, value in logs.items() if name.startswith(("mix_", "cut_"))}
        assert mine and mine == {name: both[name] for name in mine}
    assert {"mix/ratio", "cut/ratio", "mix/features", "cut/features"} <= {
        event[1] for event in events_of(tmp_path / "mixtures")
    }
    with pytest.raises(TypeError, match="MixtureImages: name must be a text that is not empty"):
        MixtureImages(name=3)
