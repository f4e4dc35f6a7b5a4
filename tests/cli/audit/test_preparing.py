"""That labels, encoded as the audit says, fit the layer it suggests and are the classes it told."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer
from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.sample import collect

COUNT = 24
PLACES = np.arange(COUNT) % 3
X = np.arange(2.0 * COUNT).reshape(COUNT, 2).astype(np.float32)
LABELS = {
    "strings": np.array(["cat", "dog", "ox"])[PLACES],
    "bytes": np.array([b"cat", b"dog", b"ox"])[PLACES],
    "signs": np.array([-1, 1])[PLACES % 2],
    "gaps": np.array([5, 7, 10**15])[PLACES],
    "whole floats": PLACES.astype(np.float32),
    "signed floats": np.array([-1.0, 1.0])[PLACES % 2],
    "integers": PLACES,
    "small integers": PLACES.astype(np.uint8),
    "booleans": PLACES % 2 == 1,
    "column": PLACES[:, np.newaxis],
    "column of floats": PLACES[:, np.newaxis].astype(np.float64),
    "one-hot": np.eye(3, dtype=np.float32)[PLACES],
    "one-hot integers": np.eye(3, dtype=np.int64)[PLACES],
    "one-hot booleans": np.eye(3, dtype=bool)[PLACES],
    "one-hot with a gap": np.eye(4, dtype=np.float32)[np.array([0, 1, 3])[PLACES]],
}
READY = {"integers", "small integers", "booleans", "column", "one-hot"}


def mixed_labels(sample, x, y):
    """Of the layer, with nothing mixed: which class each sample has."""
    layer = KMixupLayer(1, num_classes=len(sample.classes))
    soft = layer(x, y, training=False)[1]
    assert soft.shape[-1] == len(sample.classes)
    return np.reshape(np.argmax(soft, axis=-1), -1).tolist()


@pytest.mark.parametrize("kind", LABELS)
def test_arrays_encoded_as_told_fit_the_layer(kind, tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=LABELS[kind])
    sample = collect(open_data([str(tmp_path / "d.npz")], Options()), 100, 0)
    assert (sample.prepare is None) == (kind in READY) == (not sample.encoded)
    names = {"np": np, "y": LABELS[kind]}
    exec(sample.prepare or "", names)
    assert mixed_labels(sample, X, names["y"]) == sample.y.tolist()


@pytest.mark.parametrize("batch", [None, 5])
@pytest.mark.parametrize("kind", LABELS)
def test_datasets_encoded_as_told_fit_the_layer(kind, batch, tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices((X, LABELS[kind]))
    dataset = dataset if batch is None else dataset.batch(batch)
    dataset.save(str(tmp_path / "d"))
    sample = collect(open_data([str(tmp_path / "d")], Options()), 100, 0)
    assert (sample.prepare is None) == (kind in READY)
    names = {"tf": tf, "dataset": dataset}
    exec(sample.prepare or "", names)
    found = names["dataset"].batch(7) if batch is None else names["dataset"]
    assert [label for x, y in found for label in mixed_labels(sample, x, y)] == sample.y.tolist()


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("values", [np.arange(25) * 3, np.char.mod("kind %02d", np.arange(25))])
def test_many_classes_are_collected_from_the_dataset(values, batch, tmp_path):
    y = values[np.arange(75) % 25]
    dataset = tf.data.Dataset.from_tensor_slices((np.arange(75.0)[:, np.newaxis], y))
    dataset = dataset if batch is None else dataset.batch(batch)
    dataset.save(str(tmp_path / "d"))
    sample = collect(open_data([str(tmp_path / "d")], Options()), 100, 0)
    names = {"tf": tf, "np": np, "dataset": dataset}
    exec(sample.prepare, names)
    assert np.concatenate([np.ravel(label) for _, label in names["dataset"]]).tolist() == sample.y.tolist()
    assert len(sample.prepare) < 220


@pytest.mark.parametrize(
    ("labels", "is_ready"), [(["0", "1"], True), (["0.0", "1.0"], False), (["1", "2"], False), (["no", "yes"], False)]
)
def test_a_tables_labels_are_ready_if_they_are_written_as_integers_from_0(labels, is_ready, tmp_path):
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *(f"{i},{labels[i % 2]}" for i in range(8))]))
    sample = collect(open_data([str(tmp_path / "t.csv")], Options()), 100, 0)
    assert (sample.prepare is None) is is_ready
