"""Exports of all models: with the formats and options of Keras' own, and never half of one."""

import errno
import json
import os
import pathlib
import stat

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer
from kmix_tf._compat import IS_KERAS_3
from kmix_tf.models import ApproximateMixupModel, ManifoldMixModel, MixModel, RescaledModel


class Full(OSError):
    """A disk without room, as Python tells it in the middle of a file: without a name."""

    def __init__(self):
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tree(folder):
    """All that is in a folder, hidden files too: contents by path, None for folders."""
    paths = sorted(pathlib.Path(folder).rglob("*"))
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in paths}


def plain(seed=0, width=4):
    keras.utils.set_random_seed(seed)
    hidden = keras.layers.Dense(width, name="hidden")
    return keras.Sequential([keras.layers.Input((3,)), hidden, keras.layers.Dense(width), keras.layers.Dense(2)])


X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def rescaled(seed=0, width=4):
    model = RescaledModel(plain(seed, width), 1.0)
    model.adapt(X, np.arange(8) % 2)
    return model


MODELS = {
    "rescaled": rescaled,
    "mix": lambda seed=0: MixModel(plain(seed), KMixupLayer(4, num_classes=2)),
    "manifold": lambda seed=0: ManifoldMixModel(plain(seed), ["hidden"], KMixupLayer(4, num_classes=2)),
    "approximate": lambda seed=0: ApproximateMixupModel(plain(seed), 1.0),
}
every_model = pytest.mark.parametrize("name", MODELS)


def served(path):
    loaded = tf.saved_model.load(str(path))
    return loaded.serve(X).numpy()


@every_model
def test_an_export_serves_and_replaces_another_and_leaves_what_is_somebody_elses(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    first, second = MODELS[name](0), MODELS[name](1)
    first.export("new/served/")
    assert set(tree("new")) >= {"served/saved_model.pb", "served/variables"}
    np.testing.assert_allclose(served("new/served"), first.predict(X, verbose=0), atol=1e-6)
    (tmp_path / "new/served/README").write_text("mine")
    (tmp_path / "new/served/assets.extra").mkdir()
    # An older Keras' part, which would be read with the new model.
    (tmp_path / "new/served/keras_metadata.pb").write_bytes(b"old")
    (tmp_path / "new/served/variables/variables.data-00000-of-00002").write_bytes(b"old")
    second.export(pathlib.Path("new/served"))
    np.testing.assert_allclose(served("new/served"), second.predict(X, verbose=0), atol=1e-6)
    left = tree("new/served")
    assert left["README"] == b"mine" and "assets.extra" in left and "keras_metadata.pb" not in left
    assert "variables/variables.data-00000-of-00002" not in left
    assert not [path for path in tree(tmp_path) if ".kmix" in path]
    assert ".kmix" not in "".join(capfd.readouterr())


def saving(monkeypatch, save):
    """Has Keras save by other means."""
    for api in (tf, tf.compat.v2):
        monkeypatch.setattr(api.saved_model, "save", save)


def test_a_new_export_appears_at_once_with_the_permissions_of_new_folders(tmp_path, monkeypatch):
    seen, save = [], tf.saved_model.save

    def watched(*arguments, **options):
        save(*arguments, **options)
        seen.append((tmp_path / "served").exists())

    saving(monkeypatch, watched)
    before = os.umask(0o027)
    try:
        rescaled().export(tmp_path / "served")
    finally:
        os.umask(before)
    assert seen == [False]
    for path in (tmp_path / "served", *(tmp_path / "served").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640), path


def stopped(monkeypatch, error):
    """TensorFlow stops when it has written all but the last file."""
    save = tf.saved_model.save

    def stops(obj, path, *arguments, **options):
        save(obj, path, *arguments, **options)
        (pathlib.Path(path) / "saved_model.pb").unlink()
        raise error(path)

    saving(monkeypatch, stops)


FAULTS = {
    "disk": (lambda path: Full(), OSError),
    "tensorflow": (
        lambda path: tf.errors.ResourceExhaustedError(None, None, f"{path}/variables; No space left on device"),
        OSError,
    ),
    "interrupt": (lambda path: KeyboardInterrupt(), KeyboardInterrupt),
    "other": (lambda path: RuntimeError("no"), RuntimeError),
}


@pytest.mark.representatives("name, fault", [("rescaled", "disk"), ("rescaled", "tensorflow"), ("mix", "interrupt")])
@every_model
@pytest.mark.parametrize("fault", FAULTS)
def test_an_export_that_fails_leaves_the_old_one_whole_and_no_litter(name, fault, tmp_path, monkeypatch):
    MODELS[name](0).export(tmp_path / "served")
    (tmp_path / "served" / "mine").write_text("mine")
    before, (error, raised) = tree(tmp_path), FAULTS[fault]
    stopped(monkeypatch, error)
    for path in (tmp_path / "served", tmp_path / "other" / "served"):
        with pytest.raises(raised) as caught:
            MODELS[name](1).export(str(path))
        assert tree(tmp_path) == before
        if raised is OSError:
            assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)


def test_errors_that_are_not_of_writing_are_what_they_were(tmp_path, monkeypatch):
    for error in (
        tf.errors.InvalidArgumentError(None, None, "a shape"),
        FileNotFoundError(2, "none", "vocabulary.txt"),
    ):
        with monkeypatch.context() as patch:
            stopped(patch, lambda path, error=error: error)
            with pytest.raises(type(error)) as caught:
                rescaled().export(tmp_path / "served")
            assert caught.value is error
    assert tree(tmp_path) == {}


def test_an_export_follows_links_and_does_not_take_the_place_of_a_file(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "current").symlink_to("1")
    rescaled().export(tmp_path / "current")
    assert (tmp_path / "current").is_symlink() and "1/saved_model.pb" in tree(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        rescaled().export(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine" and set(os.listdir(tmp_path)) == {"1", "current", "file"}


def test_an_export_into_the_current_folder_leaves_it_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    for seed in (0, 1):
        rescaled(seed).export(".")
    assert tmp_path.stat().st_ino == before and not [name for name in os.listdir() if ".kmix" in name]
    np.testing.assert_allclose(served("."), rescaled(1).predict(X, verbose=0), atol=1e-6)


def test_an_export_to_another_file_system_of_tensorflows_goes_there():
    rescaled().export("ram://exports/served")
    assert "saved_model.pb" in tf.io.gfile.listdir("ram://exports/served") and not pathlib.Path("ram:").exists()


# A limit on the size of files is the nearest to a full disk that a test may have.
LIMITED = """
import resource, sys, json, errno
import numpy as np, keras, tensorflow as tf
from kmix_tf.models import RescaledModel
layers = [keras.layers.Input((3,)), keras.layers.Dense(300), keras.layers.Dense(2)]
model = RescaledModel(keras.Sequential(layers), 1.0)
model.adapt(np.ones([4, 3], np.float32), [0, 1, 0, 1])
# Below: of the weights, 1,800 numbers; above: of the graph.
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    model.export(sys.argv[1])
except OSError as error:
    told = [error.errno == errno.EFBIG, error.filename]
print(json.dumps(told))
"""


@pytest.mark.representatives("limit", [4000])
@pytest.mark.parametrize("limit", [4000, 10_000])
def test_a_disk_that_is_full_leaves_the_served_model(limit, tmp_path, elsewhere):
    rescaled().export(tmp_path / "served")
    before = tree(tmp_path)
    for path in (tmp_path / "served", tmp_path / "new" / "served"):
        told = json.loads(elsewhere(LIMITED, path, limit).splitlines()[-1])
        assert told == [True, str(path)]
        assert tree(tmp_path) == before


def test_the_first_argument_is_a_path_by_either_name(tmp_path):
    model = rescaled()
    model.export(path=str(tmp_path / "a"))
    model.export(filepath=tmp_path / "b")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    for arguments in ({}, {"filepath": ""}, {"filepath": 3}, {"filepath": "a", "path": "b"}):
        with pytest.raises(TypeError, match="RescaledModel: filepath must be one path"):
            model.export(**arguments)


@every_model
def test_formats_are_those_of_keras_and_what_there_is_not_is_said(name, tmp_path):
    model = MODELS[name]()
    speaker = type(model).__name__
    model.export(tmp_path / "served", format="tf_saved_model", verbose=False)
    np.testing.assert_allclose(served(tmp_path / "served"), model.predict(X, verbose=0), atol=1e-6)
    before = tree(tmp_path)
    for format in ("nonsense", "litert", "torch"):
        with pytest.raises((ValueError, ImportError), match=rf"^{speaker}: .*format") as caught:
            model.export(tmp_path / "served", format=format)
        assert f"format={format!r}" in str(caught.value) and ".kmix" not in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.representatives("name", ["rescaled"])
@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 writes SavedModels only")
@every_model
def test_a_litert_file_predicts_the_same(name, tmp_path, monkeypatch):
    model, path = MODELS[name](), tmp_path / "model.tflite"
    path.write_bytes(b"old")
    model.export(path, format="litert", verbose=False)
    interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], X[:1])
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(answer, model.predict(X[:1], verbose=0), atol=1e-5)
    assert os.listdir(tmp_path) == ["model.tflite"]
    stopped(monkeypatch, lambda path: Full())
    before = tree(tmp_path)
    with pytest.raises(OSError):
        MODELS[name](1).export(path, format="litert", verbose=False)
    assert tree(tmp_path) == before


@pytest.mark.representatives("name", ["rescaled"])
@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 writes SavedModels only")
@pytest.mark.parametrize("name", ["rescaled", "mix"])
def test_options_of_a_format_reach_its_writer_and_others_are_refused(name, tmp_path):
    # So many weights are worth saving in 8 bits.
    layer = KMixupLayer(4, num_classes=2)
    model = rescaled(width=64) if name == "rescaled" else MixModel(plain(width=64), layer)
    sizes = []
    for optimizations in ([], [tf.lite.Optimize.DEFAULT]):
        model.export(tmp_path / "m.tflite", "litert", verbose=False, optimizations=optimizations)
        sizes.append((tmp_path / "m.tflite").stat().st_size)
    assert sizes[1] < sizes[0]
    with pytest.raises(ValueError, match="nonsense"):
        model.export(tmp_path / "m.tflite", "litert", nonsense=1)


def test_a_rescaled_model_takes_a_signature_and_options_of_saving(tmp_path):
    model = rescaled()
    options = tf.saved_model.SaveOptions(namespace_whitelist=[])
    spec = tf.TensorSpec([2, 3], tf.float32, name="features")
    model.export(tmp_path / "served", input_signature=[spec], options=options)
    signature = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    np.testing.assert_allclose(signature(features=X[:2])["output_0"], model.predict(X[:2], verbose=0), atol=1e-6)
    with pytest.raises(ValueError, match=r"RescaledModel: options must be .*Received: options=\{'nonsense': 1\}"):
        model.export(tmp_path / "served", nonsense=1)


@pytest.mark.skipif(IS_KERAS_3, reason="Keras 3 has more")
def test_what_keras_2_lacks_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"MixModel: input_signature must be left out of export with Keras 2"):
        MODELS["mix"]().export(tmp_path / "served", input_signature=[tf.TensorSpec([2, 3])])
    assert tree(tmp_path) == {}


@every_model
def test_what_keras_prints_names_the_path_and_can_be_silenced(name, tmp_path, capsys):
    model = MODELS[name]()
    model.export(tmp_path / "served", verbose=True)
    assert f"'{tmp_path / 'served'}'" in capsys.readouterr().out
    model.export(tmp_path / "served", verbose=False)
    assert capsys.readouterr().out == ""
