import csv

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.terminal import UserError


def read(*paths, limit=10_000, seed=0, **options):
    source = open_data([str(path) for path in paths], Options(limit=limit, seed=seed, **options))
    return collect(source, limit, seed)


def clouds(count=40):
    generator = np.random.default_rng(0)
    y = np.arange(count) % 3
    return generator.normal(size=(count, 4)) + 3 * np.eye(4)[y], y


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def write_images(folder, count=4, size=8, suffix="png", channels=1):
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((size, size, channels), 20 * i + (100 if label == "dog" else 0), np.uint8)
            pixels[0, 0] = 255
            encode = tf.io.encode_png if suffix == "png" else tf.io.encode_jpeg
            (folder / label / f"{i}.{suffix}").write_bytes(encode(pixels).numpy())
    return folder


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32", "bool"])
def test_an_npz_is_read_as_numpy_reads_it(save, dtype, tmp_path):
    x = (np.arange(60).reshape(20, 3) % 7).astype(dtype)
    save(tmp_path / "data.npz", x=np.asfortranarray(x), y=np.arange(20) % 2)
    sample = read(tmp_path / "data.npz")
    np.testing.assert_array_equal(sample.x, x)
    assert sample.x.dtype in (np.float32, np.float64) and sample.y.tolist() == [0, 1] * 10
    assert sample.index.tolist() == list(range(20)) and not sample.encoded


def test_two_npy_files_are_features_and_labels(tmp_path):
    x, y = clouds()
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.array(["a", "b", "c"])[y])
    sample = read(tmp_path / "x.npy", tmp_path / "y.npy")
    np.testing.assert_array_equal(sample.x, x)
    assert sample.classes == ["a", "b", "c"] and sample.encoded and sample.y.tolist() == y.tolist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_with_its_target_by_name_or_last(delimiter, tmp_path):
    lines = ["id,size,kind,weight", "1,2.5,a,10", "2,3.5,b,20", "3,4.5,a,10", "4,5.5,b,30"]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines).replace(",", delimiter) + "\n")
    sample = read(path, target="kind", drop=("id",))
    assert sample.x.tolist() == [[2.5, 10], [3.5, 20], [4.5, 10], [5.5, 30]]
    assert sample.classes == ["a", "b"] and sample.source.columns == ["size", "weight"]
    numbered = read(path, drop=("kind",))
    assert numbered.classes == ["10", "20", "30"] and numbered.encoded and numbered.y.tolist() == [0, 1, 0, 2]


def test_a_table_without_names_counts_its_first_line(tmp_path):
    sample = read(write_csv(tmp_path / "t.csv", [[1, 2, 0], [3, 4, 1], [5, 6, 0]]))
    assert sample.total == 3 and sample.y.tolist() == [0, 1, 0] and "first line" in sample.notes[0]


def test_a_table_without_names_whose_class_is_a_word_counts_its_first_line(tmp_path):
    sample = read(write_csv(tmp_path / "t.csv", [[1, 2, "cat"], [3, 4, "dog"], [5, 6, "cat"]]))
    assert sample.total == 3 and sample.classes == ["cat", "dog"] and "first line" in sample.notes[0]
    headed = read(write_csv(tmp_path / "u.csv", [["2001", "2002", "kind"], [3, 4, 1], [5, 6, 0], [7, 8, 1]]))
    assert headed.total == 3 and headed.source.columns == ["2001", "2002"]


def test_blank_lines_are_skipped_and_lines_counted_as_an_editor_does(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n1,0\n\n2,1\n\ninf,0\n")
    with pytest.raises(UserError, match="Received: inf in line 6, column 'a'"):
        read(path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_folder_of_images_has_a_class_in_each_subfolder(suffix, tmp_path):
    sample = read(write_images(tmp_path / "images", suffix=suffix))
    assert sample.x.shape == (8, 8, 8, 1) and sample.classes == ["cat", "dog"] and sample.counts.tolist() == [4, 4]
    assert sample.place(0) == f"cat/0.{suffix}" and sample.y.tolist() == [0] * 4 + [1] * 4
    tolerance = 0.005 if suffix == "png" else 0.1
    assert abs(sample.x[5, 4, 4, 0] - 120 / 255) < tolerance


def test_images_are_resized_as_asked_and_otherwise_to_what_is_common(tmp_path):
    folder = write_images(tmp_path / "images", size=100, channels=3)
    assert read(folder, image_size=16).x.shape == (8, 16, 16, 3)
    sample = read(folder)
    assert sample.x.shape == (8, 64, 64, 3) and "resized to 64 x 64" in sample.notes[0]
    # A flat image stays as it is.
    assert sample.x[6, 40, 40].tolist() == pytest.approx([140 / 255] * 3, abs=1e-6)


def test_a_sample_of_images_counts_all_and_decodes_few(tmp_path):
    folder = write_images(tmp_path / "images", count=6)
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "empty").mkdir()
    sample = read(folder, limit=5, seed=3)
    assert len(sample.x) == 5 and sample.total == 12 and sample.counts.tolist() == [6, 6]
    assert "by their names were left out: 1." in " ".join(sample.notes) and "empty" in " ".join(sample.notes)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("labels", ["integers", "strings", "one-hot"])
def test_a_saved_dataset_is_read_batched_or_not(batched, labels, tmp_path):
    x, y = clouds()
    given = {"integers": y, "strings": np.array(["a", "b", "c"])[y], "one-hot": np.eye(3, dtype=np.float32)[y]}[
        labels
    ]
    dataset = tf.data.Dataset.from_tensor_slices((x, given))
    (dataset.batch(7) if batched else dataset).save(str(tmp_path / "saved"))
    sample = read(tmp_path / "saved")
    np.testing.assert_array_equal(sample.x, x)
    assert sample.y.tolist() == y.tolist() and sample.encoded == (labels == "strings")


def npz(**arrays):
    return lambda folder: np.savez(folder / "d.npz", **arrays)


def text(name, content):
    return lambda folder: (folder / name).write_bytes(content)


X, Y = np.zeros((6, 2)) + np.arange(6)[:, np.newaxis], np.arange(6) % 2
HOLE = np.where(np.arange(12).reshape(6, 2) == 7, np.nan, 1.0)

BAD = [
    (lambda folder: None, "d.npz", "there is no file or folder"),
    (text("d.npz", b"x,y\n1,2\n"), "d.npz", "is no .npz file of plain arrays"),
    (text("d.npz", b""), "d.npz", "it is empty"),
    (npz(x=X), "d.npz", "must hold arrays x and y. Received: x"),
    (npz(x=X, y=Y[:-1]), "d.npz", "equally long"),
    (npz(x=X.astype(str), y=Y), "d.npz", "x must be numbers"),
    (npz(x=X.astype(object), y=Y), "d.npz", "Python objects"),
    (npz(x=X[:0], y=Y[:0]), "d.npz", "is empty"),
    (npz(x=HOLE, y=Y), "d.npz", "Received: nan in sample 3, feature 1"),
    (npz(x=X, y=Y * 0), "d.npz", "Mixing within one class changes no label"),
    (npz(x=X, y=Y + 0.5), "d.npz", "taken for a number to predict"),
    (npz(x=X, y=np.where(Y == 1, np.nan, 0)), "d.npz", "must be finite. Received: nan at sample 1"),
    (npz(x=X, y=np.full((6, 2), 0.5)), "d.npz", "one-hot rows"),
    (npz(x=np.zeros((80, 2)), y=np.arange(80)), "d.npz", "looks like an identifier"),
    (npz(x=X[:2], y=Y[:2]), "d.npz", "at least 3 samples"),
    (text("d.npy", b"nothing"), "d.npy", "DATA must be an .npz"),
    (text("d.parquet", b"PAR1"), "d.parquet", "d.parquet cannot be read"),
    (text("d.csv", b""), "d.csv", "is empty"),
    (text("d.csv", b"a,y\n"), "d.csv", "no samples"),
    (text("d.csv", b"\x00\x01\x02"), "d.csv", "binary data"),
    (text("d.csv", b"\xff\xfe\xfa,1\n"), "d.csv", "no CSV file in UTF-8"),
    (text("d.csv", b"a,y\n1,0\nx,1\n" + b"2,1\n" * 20), "d.csv", "'x' in line 3, column 'a'"),
    (text("d.csv", b"a,y\n1,0\n2,1,3\n"), "d.csv", "must have 2 cells. Received: 3 in line 3"),
    (text("d.csv", b"a,y\n1,0\n2,\n"), "d.csv", "target 'y' is missing in line 3"),
    (text("d.csv", b"a,y\n1,0.25\n2,1\n3,1\n"), "d.csv", "taken for a number to predict"),
    (text("d.csv", b"a,y\n1,.5\n2,1.5\n3,.5\n"), "d.csv", "taken for a number to predict"),
    (text("d.csv", b"a,y\n1,0\ninf,1\n"), "d.csv", "inf in line 3"),
    (lambda folder: (folder / "d").mkdir(), "d", "one subfolder of images for each class"),
    (
        lambda folder: write_images(folder / "d") and (folder / "d/cat/0.png").write_bytes(b"no"),
        "d",
        "cat/0.png is no",
    ),
    (lambda folder: write_images(folder / "d") and (folder / "d/cat/0.png").write_bytes(b""), "d", "it is empty"),
    (lambda f: tf.data.Dataset.range(5).save(str(f / "d")), "d", r"must be pairs \(x, y\)"),
]


@pytest.mark.parametrize(("make", "name", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_data_are_refused_in_one_line_that_says_why(make, name, message, tmp_path):
    make(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_damaged_saved_dataset_is_refused(tmp_path):
    tf.data.Dataset.from_tensor_slices((X, Y)).save(str(tmp_path / "d"))
    (tmp_path / "d" / "dataset_spec.pb").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"no saved tf\.data dataset"):
        read(tmp_path / "d")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"target": "z"}, "no column 'z'. Its columns: a, y"), ({"drop": ("q",)}, "no column 'q'")],
)
def test_columns_that_are_not_there_are_named_with_those_that_are(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(write_csv(tmp_path / "t.csv", [["a", "y"], [1, 0], [2, 1]]), **options)


def test_options_that_mean_nothing_for_the_data_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    with pytest.raises(UserError, match=r"--target and --image-size do not apply to an \.npz file"):
        read(tmp_path / "d.npz", target="y", image_size=8)
