"""TFRecord files: by a spec, or by what the first records hold."""

import json

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.terminal import UserError

ROWS = 20
IMAGES = np.random.default_rng(0).integers(0, 255, (ROWS, 6, 5, 3)).astype(np.uint8)
NUMBERS = np.random.default_rng(1).normal(size=(ROWS, 3)).astype(np.float32)


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    values = np.atleast_1d(value)
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write(path, rows, compression=""):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for row in rows:
            features = {name: feature(value) for name, value in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def read(path, **options):
    return collect(open_data([str(path)], Options(**options)), 1000, 0)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_numbers_and_labels_are_found_without_a_spec_and_it_is_said_how(compression, tmp_path):
    rows = [{"b": NUMBERS[i], "a": i, "name": b"row %d" % i, "label": (b"cat", b"dog")[i % 2]} for i in range(ROWS)]
    write(tmp_path / "d.tfrecord", rows, compression)
    sample = read(tmp_path / "d.tfrecord")
    np.testing.assert_allclose(sample.x, np.column_stack([np.arange(ROWS), NUMBERS]))
    assert sample.classes == ["cat", "dog"] and sample.y.tolist() == [i % 2 for i in range(ROWS)]
    assert "b: float32 [3]" in sample.notes[0] and "Left out, as they are text: name." in sample.notes


def test_encoded_images_are_decoded(tmp_path):
    write(tmp_path / "d.tfrecord", [
        {"image/encoded": tf.io.encode_png(image).numpy(), "y": i % 3} for i, image in enumerate(IMAGES)
    ])  # fmt: skip
    np.testing.assert_array_equal(read(tmp_path / "d.tfrecord").x, IMAGES)


def test_a_spec_says_what_raw_bytes_are(tmp_path):
    write(tmp_path / "d.tfrecord", [{"pixels": image.tobytes(), "kind": i % 2} for i, image in enumerate(IMAGES)])
    spec = {"pixels": {"dtype": "uint8", "shape": [6, 5, 3]}, "kind": {"dtype": "int64", "shape": []}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    sample = read(tmp_path / "d.tfrecord", spec=str(tmp_path / "spec.json"), target="kind")
    np.testing.assert_array_equal(sample.x, IMAGES)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"a": 1.0, "b": 0}] * 4, {}, r"name the target with --target\. Features: a, b"),
        ([{"a": 1.0, "b": 0}] * 4, {"target": "c"}, "has no feature 'c' of labels"),
        ([{"a": b"text", "y": 0}] * 4, {}, "one image, or numbers, must be left"),
        ([{"a": [1.0], "y": 0}, {"a": [1.0, 2.0], "y": 1}], {}, "records must hold the same features"),
        ([], {}, "is empty"),
        ([{"a": 1.0, "y": 0}] * 4, {"drop": ("a",)}, "--drop does not apply to a TFRecord file"),
        ([{"a": 1.0, "y": 0}] * 4, {"spec": "none.json"}, r"--spec: none\.json must be JSON like"),
    ],
)
def test_what_does_not_tell_is_refused_in_a_line(rows, options, message, tmp_path):
    write(tmp_path / "d.tfrecord", rows)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / "d.tfrecord", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["text", "cut", "no examples"])
def test_other_files_are_refused_in_a_line(kind, tmp_path):
    path = tmp_path / "d.tfrecord"
    if kind == "no examples":
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(b"\xff\xffnothing")
    else:
        write(path, [{"a": NUMBERS[i], "y": i % 2} for i in range(ROWS)])
        path.write_bytes(b"nothing of the kind" * 9 if kind == "text" else path.read_bytes()[:-7])
    with pytest.raises(UserError, match="is no TFRecord file of examples that can be read") as caught:
        read(path)
    assert "\n" not in str(caught.value)
