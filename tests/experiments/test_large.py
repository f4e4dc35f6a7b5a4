"""What runs on data that are not bundled, on small made data of the same shape."""

import gzip
import struct

import numpy as np
import pytest
import tensorflow as tf

from experiments import data, large
from experiments.local_mixup import on_fashion
from kmix_tf.cli.reproduce.finding import load, titles
from kmix_tf.paired import DataNotFound

SHAPES = {"Speech Commands": (160, 101, 1)}
CLASSES = {"CIFAR-100": 100, "Speech Commands": 12}
FAR = [name for name in titles() if load(name).elsewhere]
random = np.random.default_rng(0)


def made(name, count=64):
    """As the loaders return it, but with so few samples."""
    shape, classes = SHAPES.get(name, (32, 32, 3)), CLASSES.get(name, 10)
    x = random.integers(0, 256, (2 * count, *shape)).astype(np.float16 if name in SHAPES else np.uint8)
    y = (np.arange(2 * count) % classes).astype(np.int32)
    return data.Data(x[:count], y[:count], x[count:], y[count:], classes, name)


@pytest.fixture
def made_data(monkeypatch):
    for name in large.LOADERS:
        monkeypatch.setitem(large.LOADERS, name, lambda data_dir, name=name: made(name))
    monkeypatch.setattr(data, "speech_commands", lambda data_dir, limit=None: made("Speech Commands"))


@pytest.mark.representatives("name", ["local-mixup/svhn"])
@pytest.mark.parametrize("name", FAR)
def test_its_code_runs_and_fills_what_claims_and_tables_ask_for(made_data, name):
    from kmix_tf.paired import Runs

    experiment = load(name)
    settings = experiment.settings_of(True)
    cells = experiment.measure(0, **settings, data_dir=None)
    runs = Runs(settings, {0: cells})
    assert len(cells) > 2 and all(0 <= row["error"] <= 100 for row in cells.values())
    assert len(experiment.judged(runs)) == len(experiment.claims) > 2
    assert set(experiment.paper) <= set(cells)
    assert experiment.table is None or "k = 16" in experiment.table(runs)


@pytest.mark.parametrize("name", [name for name in FAR if "cifar" in name])
def test_without_the_data_it_says_so(tmp_path, name):
    with pytest.raises(DataNotFound, match=r"--data-dir"):
        load(name).reads_data(str(tmp_path))


def test_of_a_printed_table_each_row_is_found_by_its_k():
    assert large.as_arrays("\n  1 5.01 4.68\n  16 4.92 4.77\n") == {1: [5.01, 4.68], 16: [4.92, 4.77]}
    printed = load("k-mixup/cifar-10").claims[1]
    assert (
        printed.says == "k = 16 has less error than mixup, alpha = 1, with alpha_k of it"
        and printed.paper == "4.02 and 4.18"
    )


def test_images_are_moved_and_mirrored_and_nothing_else():
    x = random.normal(size=(400, 6, 5, 2)).astype(np.float32)
    found = large.mirrored(tf.constant(x), [1, 2], reach=1).numpy()
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    counts = np.zeros((3, 3, 2), int)
    for image, moved in zip(padded, found, strict=True):
        ways = [
            (down, right, flip)
            for down, right, flip in np.ndindex(3, 3, 2)
            if np.array_equal(moved, image[down : down + 6, right : right + 5][:, :: -1 if flip else 1])
        ]
        assert len(ways) == 1
        counts[ways[0]] += 1
    # Of 400, in 18 ways alike: 22 each, with a deviation of 4.6; 5 and 45 are more than 3.7 from it.
    assert counts.min() > 5 and counts.max() < 45


def test_the_temperature_is_that_by_which_logits_were_multiplied():
    logits = random.normal(size=(20000, 5)) * 2
    y = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)  # drawn from softmax(logits)
    predicted = tf.nn.softmax(3 * logits).numpy()
    # The standard error is about 0.01 of it.
    assert on_fashion.temperature(y, predicted) == pytest.approx(3, rel=0.05)
    cooled = on_fashion.at_temperature(predicted, 3)
    np.testing.assert_allclose(cooled, tf.nn.softmax(logits).numpy(), atol=1e-9)


@pytest.fixture
def garments(tmp_path):
    """Fashion-MNIST with 300 and 40 images, each of a number of its own."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for part, count in (("train", 300), ("t10k", 40)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(count), 256)
        for kind, array in (("images-idx3", images), ("labels-idx1", (np.arange(count) % 10).astype(np.uint8))):
            head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return str(tmp_path)


def test_nothing_is_trained_on_that_is_chosen_or_tested_by(garments):
    (x, y), (to_choose, labels), (test, of_test) = on_fashion.split(garments, 0, 200, 100, 40)
    assert len(x) == len(y) == 200 and len(to_choose) == len(labels) == 100 and len(test) == len(of_test) == 40
    assert abs(x.mean()) < 1e-4 and x.std() == pytest.approx(1, abs=1e-3)
    images = np.concatenate([x, to_choose])[:, :5].reshape(300, -1).round(4)
    assert len(np.unique(images, axis=0)) == 300
    again, larger = on_fashion.split(garments, 0, 100, 100, 40), (x, y)
    np.testing.assert_array_equal(again[0][1], larger[1][:100])
    np.testing.assert_array_equal(again[1][1], labels)
    assert not np.array_equal(on_fashion.split(garments, 1, 200, 100, 40)[0][1], y)


def test_what_is_chosen_is_one_of_the_settings_tried(garments):
    candidates = {on_fashion.SMOOTHING: [0, 0.1], on_fashion.MIXUP: [0.2]}
    sizes = {"few": 64, "as few": 64}
    cells = on_fashion.measure(0, sizes, candidates, 32, 40, 16, 4, garments)
    tried = [cells["few: no mixing"], cells["few: label smoothing, 0.1"]]
    assert cells["few: label smoothing, chosen"] == min(
        tried, key=lambda row: (row["error to choose by"], row["loss to choose by"])
    )
    assert cells["few: mixup, chosen"] == cells["as few: mixup, alpha = 0.2"]
    assert all(np.isfinite(list(row.values())).all() for row in cells.values())
