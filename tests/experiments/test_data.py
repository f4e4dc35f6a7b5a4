"""The loaders of experiments/data, on small files of the published formats."""

import gzip
import struct
import sys
import types

import keras
import numpy as np
import pytest

from experiments import data

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
random = np.random.default_rng(0)
IMAGES = random.integers(0, 256, (12, 28, 28), dtype=np.uint8)
COLOURED = random.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 10


def idx(array):
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, compress=True):
    folder.mkdir(parents=True)
    for name, array in zip(FILES, (IMAGES[:8], LABELS[:8], IMAGES[8:], LABELS[8:]), strict=True):
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return folder


def assert_holds(found, images, labels, train=8):
    np.testing.assert_array_equal(found.x_train, images[:train])
    np.testing.assert_array_equal(found.x_test, images[train:])
    np.testing.assert_array_equal(found.y_train, labels[:train])
    np.testing.assert_array_equal(found.y_test, labels[train:])
    assert found.x_train.dtype == np.uint8 and found.y_train.dtype == np.int32


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("load, name", [(data.mnist, "MNIST/raw"), (data.fashion_mnist, "fashion-mnist")])
def test_idx_files(tmp_path, load, name, compress):
    folder = write_idx(tmp_path / name, compress)
    for place in (tmp_path, folder):
        assert_holds(load(place), IMAGES[..., None], LABELS)


def test_fashion_mnist_is_not_taken_for_mnist(tmp_path):
    folder = write_idx(tmp_path / "fashion-mnist")
    with pytest.raises(data.DataNotFound, match=r"MNIST: .*not found(.|\n)*mnist(.|\n)*--data-dir"):
        data.mnist(folder)


def breakages():
    whole = idx(LABELS[:8])
    yield "magic", b"\x01" + whole[1:], "begins with 00 00 08"
    yield "type", whole[:2] + b"\x0d" + whole[3:], "begins with 00 00 08"
    yield "header", whole[:6], "cut off within its header"
    yield "truncated", whole[:-1], "8 bytes. Received: 7"
    yield "longer", whole + b"\0", "8 bytes. Received: 9"
    yield "count", idx(LABELS[:7]), "label for each of 8 images. Received: 7"
    yield "axes", idx(LABELS[:8].reshape(2, 4)), "1 axes"


@pytest.mark.parametrize("content, words", [pytest.param(*rest, id=name) for name, *rest in breakages()])
def test_a_broken_idx_file_is_named(tmp_path, content, words):
    (write_idx(tmp_path / "mnist", compress=False) / FILES[1]).write_bytes(content)
    with pytest.raises(ValueError, match=f"{FILES[1]}: .*{words}"):
        data.mnist(tmp_path)


def test_a_truncated_gzip_file_is_named(tmp_path):
    path = write_idx(tmp_path / "mnist") / f"{FILES[0]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=f"{FILES[0]}.gz: is no whole gzip file"):
        data.mnist(tmp_path)


def test_missing_files_labels_and_shapes_are_named(tmp_path):
    folder = write_idx(tmp_path / "mnist", compress=False)
    (folder / FILES[1]).write_bytes(idx(LABELS[:8] + 3))
    with pytest.raises(ValueError, match=r"MNIST: training labels must be in 0 \.\.\. 9. Received: 3 \.\.\. 10"):
        data.mnist(tmp_path)
    (folder / FILES[0]).write_bytes(idx(IMAGES[:8, :27]))
    with pytest.raises(ValueError, match=r"samples must be of shape \(28, 28, 1\). Received: \(27, 28, 1\)"):
        data.mnist(tmp_path)
    (folder / FILES[3]).unlink()
    with pytest.raises(ValueError, match=f"Missing: {FILES[3]}"):
        data.mnist(tmp_path)


KERAS = [
    (data.mnist, "mnist", IMAGES, "MNIST"),
    (data.fashion_mnist, "fashion_mnist", IMAGES, "Fashion-MNIST"),
    (data.cifar10, "cifar10", COLOURED, "CIFAR-10"),
    (data.cifar100, "cifar100", COLOURED, "CIFAR-100"),
]


@pytest.mark.parametrize("load, module, images, name", KERAS)
def test_of_keras(monkeypatch, tmp_path, load, module, images, name):
    monkeypatch.setattr("experiments.data.grey.DEBIAN", tmp_path)
    labels = LABELS[:, None] if images is COLOURED else LABELS
    halves = (images[:8], labels[:8]), (images[8:], labels[8:])
    monkeypatch.setattr(getattr(keras.datasets, module), "load_data", lambda: halves)
    assert_holds(load(), images if images is COLOURED else images[..., None], LABELS)


@pytest.mark.parametrize("load, module, images, name", KERAS)
def test_without_a_network(monkeypatch, tmp_path, load, module, images, name):
    def fails():
        raise Exception("URL fetch failure")

    monkeypatch.setattr("experiments.data.grey.DEBIAN", tmp_path)
    monkeypatch.setattr(getattr(keras.datasets, module), "load_data", fails)
    with pytest.raises(data.DataNotFound, match=rf"^{name}: (.|\n)*URL fetch failure\n.*--data-dir"):
        load()


@pytest.fixture
def catalogue(monkeypatch):
    """A tensorflow_datasets of which `load` returns, or raises, what `held` says."""
    held = {}

    def load(builder, split, as_supervised, data_dir):
        found = held[builder]
        if isinstance(found, Exception):
            raise found
        assert split == ["train", "test"] and as_supervised
        return found

    module = types.SimpleNamespace(load=load, as_numpy=lambda dataset: dataset)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return held


def test_svhn_of_the_catalogue(catalogue, tmp_path):
    pairs = list(zip(COLOURED, LABELS.astype(np.int64), strict=True))
    catalogue["svhn_cropped"] = pairs[:8], pairs[8:]
    assert_holds(data.svhn(tmp_path), COLOURED, LABELS)


def test_speech_commands(catalogue):
    waves = [random.integers(-3000, 3000, size) for size in (16000, 9000, 16000)]
    catalogue["speech_commands"] = [(wave, 11) for wave in waves], [(wave, 3) for wave in waves]
    found = data.speech_commands(limit=2)
    assert found.x_train.shape == found.x_test.shape == (2, 160, 101, 1) and found.x_train.dtype == np.float16
    assert found.y_train.tolist() == [11, 11] and found.y_test.tolist() == [3, 3] and found.classes == 12
    whole = data.spectrograms(np.pad(waves[1] / 2**15, (0, 7000))[None])
    np.testing.assert_allclose(found.x_train[1], whole[0], atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("load, builder", [(data.svhn, "svhn_cropped"), (data.speech_commands, "speech_commands")])
def test_the_catalogue_without_a_network(catalogue, tmp_path, load, builder):
    catalogue[builder] = ConnectionError("no route")
    with pytest.raises(data.DataNotFound, match=rf"{builder} in {tmp_path}: no route\n.*--data-dir"):
        load(tmp_path)


def test_without_the_catalogue(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"Speech Commands needs tensorflow_datasets.*experiments"):
        data.speech_commands()


def test_spectrograms_are_fourier_transforms_of_windows():
    wave = random.normal(size=16000)
    ours = np.asarray(data.spectrograms(wave[None]))[0, :, :, 0]
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(320) / 320)
    padded = np.pad(wave, 160, mode="reflect")
    frames = np.stack([padded[160 * n : 160 * n + 320] * window for n in range(101)])
    theirs = np.log1p(np.abs(np.fft.rfft(frames)))[:, :160].T
    np.testing.assert_allclose(ours, (theirs - theirs.mean()) / theirs.std(), atol=1e-4)


def test_silence_is_a_spectrogram_of_zeros():
    assert not np.asarray(data.spectrograms(np.zeros((1, 16000)))).any()


@pytest.mark.parametrize(
    "load, train, shape, total",
    [(data.digits, 1000, (8, 8, 1), 1797), (data.iris, 120, (4,), 150), (data.breast_cancer, 400, (30,), 569)],
)
def test_what_scikit_learn_brings(load, train, shape, total):
    one, same, other = load(0, train), load(0, train), load(1, train)
    assert one.x_train.shape == (train, *shape) and len(one.x_test) == len(one.y_test) == total - train
    np.testing.assert_array_equal(one.x_train, same.x_train)
    assert not np.array_equal(one.x_train, other.x_train)
    shares = [np.bincount(y, minlength=one.classes) / len(y) for y in (one.y_train, one.y_test)]
    np.testing.assert_allclose(*shares, atol=0.02)
    rows = np.concatenate([one.x_train, one.x_test]).reshape(total, -1)
    everything = np.concatenate([other.x_train, other.x_test]).reshape(total, -1)
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(everything, axis=0))
    with pytest.raises(ValueError, match=f"train must be in .* Received: train={total}"):
        load(0, total)


def small(x_train, x_test):
    return data.Data(x_train, np.zeros(len(x_train)), x_test, np.zeros(len(x_test)), 2, "small")


def test_images_are_scaled_by_channel():
    before = COLOURED.copy()
    found = data.scaled(small(COLOURED[:8], COLOURED[8:]))
    train = COLOURED[:8].astype(np.float64)
    mean, deviation = train.mean((0, 1, 2)), train.std((0, 1, 2))
    np.testing.assert_allclose(found.x_train, (train - mean) / deviation, atol=1e-5)
    np.testing.assert_allclose(found.x_test, (COLOURED[8:] - mean) / deviation, atol=1e-5)
    assert found.x_train.dtype == np.float32
    np.testing.assert_array_equal(COLOURED, before)


def test_images_in_unit_range():
    x = np.uint8([[[[0], [4]]], [[[8], [16]]]])
    np.testing.assert_array_equal(np.ravel(data.scaled(small(x, x), "unit").x_train), [0, 0.25, 0.5, 1])


@pytest.mark.parametrize("how", ["standard", "unit"])
def test_tables_are_scaled_by_column(how):
    x = np.float32([[1, 10, 7], [3, 30, 7], [5, 20, 7]])
    found = data.scaled(small(x, np.float32([[7, 20, 8]])), how)
    expected = {"unit": [[0, 0.5, 1], [0, 1, 0.5]], "standard": np.sqrt(1.5) * np.array([[-1, 0, 1], [-1, 1, 0]])}[
        how
    ]
    np.testing.assert_allclose(found.x_train[:, :2].T, expected, atol=1e-6)
    np.testing.assert_allclose(found.x_test[0], [1.5, 0.5, 1] if how == "unit" else [np.sqrt(6), 0, 1], atol=1e-6)
    assert not found.x_train[:, 2].any()
    with pytest.raises(ValueError, match=r"'standard' or 'unit'. Received: how='max'"):
        data.scaled(found, "max")
