"""Arrays and saved tables that claim much, hold much, or lead elsewhere: refused in words, or looked at in part."""

import json

import numpy as np
import pytest

from kmix_tf.cli.reading import arrays
from kmix_tf.cli.reading.source import Scanner
from tests.cli.reading.test_untrusted import read, refused


@pytest.mark.parametrize("name", ["../secret.arrow", "/etc/passwd", "", "..", "a/b.arrow", 3, None])
def test_a_saved_table_names_no_file_of_another_folder(name, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    assert "must be named without its folder" in refused(tmp_path / "d")
    link = tmp_path / "d" / "data.arrow"
    link.symlink_to(tmp_path / "secret.arrow")
    (tmp_path / "d" / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    assert "data.arrow is a link that leads out of" in refused(tmp_path / "d")


@pytest.mark.parametrize(
    "state",
    ["[]", "3", '{"_data_files": 3}', '{"_data_files": [[]]}', "[" * 100_000, '{"splits": []}', '{"splits": [3]}'],
)
@pytest.mark.parametrize("file", ["state.json", "dataset_dict.json"])
def test_a_saved_table_whose_files_say_nothing_is_refused(state, file, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / file).write_text(state)
    assert "is no saved dataset that can be read" in refused(tmp_path)


@pytest.mark.parametrize("name", ["9" * 300, "a\0b"], ids=["long", "NUL"])
def test_a_saved_table_names_what_can_be_no_file(name, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    assert str(tmp_path) in refused(tmp_path)


def test_a_column_whose_name_is_no_text_is_refused(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    with arrow.ipc.new_stream(str(tmp_path / "d.arrow"), arrow.schema([("kind", arrow.int32())])) as stream:
        stream.write(arrow.record_batch({"kind": arrow.array([0, 1], arrow.int32())}))
    (tmp_path / "d.arrow").write_bytes((tmp_path / "d.arrow").read_bytes().replace(b"kind", b"ki\xff\xff"))
    assert "d.arrow cannot be read" in refused(tmp_path / "d.arrow")


def sparse(path, dtype, shape):
    """An .npy of zeros that are not on the disk."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)) * np.dtype(dtype).itemsize)


def test_large_arrays_are_refused_before_they_are_read(tmp_path, monkeypatch):
    x, y = tmp_path / "x.npy", tmp_path / "y.npy"
    monkeypatch.setattr(Scanner, "add", None)
    with x.open("wb") as file:
        file.truncate(10**10)
    np.save(y, np.arange(1000) % 2)
    assert "does not begin as arrays saved by NumPy do" in refused(x, y)
    sparse(x, "<f8", (10**9, 1))
    sparse(y, "<i1", (10**9,))
    assert "at most 100,000,000 samples are looked through. Received: 1,000,000,000" in refused(x, y)
    sparse(x, "<f8", (1000, 1_000_000))
    sparse(y, "<i1", (1000,))
    assert "all 1000 samples are of class 0" in refused(x, y)


def test_of_a_large_array_pieces_are_looked_at_and_places_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_MOST_LOOKED_AT", 40 * 12)
    monkeypatch.setattr(arrays, "_DRAWN", 3 * 12)
    x, y = np.arange(300, dtype=np.float32).reshape(100, 3), np.arange(100) % 4
    x[:] = x[0]
    y[:50] = 3
    for kind in ("npz", "npy", "npy in Fortran's order"):
        paths = [tmp_path / "d.npz"] if kind == "npz" else [tmp_path / "x.npy", tmp_path / "y.npy"]
        if kind == "npz":
            np.savez(paths[0], x=x, y=y)
        else:
            np.save(paths[0], x if kind == "npy" else np.asfortranarray(x))
            np.save(paths[1], y)
        made = read(*paths)
        places = [made.place(row) for row in range(len(made.x))]
        # Thirteen pieces of three, one of which may be the last row alone.
        assert made.total == 100 and made.scanned == len(places) in (37, 39)
        assert f"{len(places)} of 100 samples were looked at" in made.notes[0]
        assert places == sorted(places) and max(places) > 60
        assert all({place // 3 * 3, min(place // 3 * 3 + 2, 99)} <= set(places) for place in places)
        np.testing.assert_array_equal(made.x, x[places])
        np.testing.assert_array_equal(made.y, y[places])
        np.testing.assert_array_equal(made.counts, np.bincount(y))
        assert made.contradictions == [places]
        assert made.contradiction_labels == [[str(y[place]) for place in places]]
        assert read(*paths).contradictions == [places] != read(*paths, seed=1).contradictions


def test_of_an_array_all_is_looked_at_where_it_is_small_and_what_is_not_finite_is_found(tmp_path, monkeypatch):
    x, y = np.zeros((100, 3), np.float32), np.arange(100) % 4
    x[:, 0] = np.arange(100)
    np.savez(tmp_path / "d.npz", x=x, y=y)
    monkeypatch.setattr(arrays, "_MOST_LOOKED_AT", 1200)
    assert read(tmp_path / "d.npz").scanned == 100 and not read(tmp_path / "d.npz").notes
    monkeypatch.setattr(arrays, "_MOST_LOOKED_AT", 1199)
    monkeypatch.setattr(arrays, "_DRAWN", 12)
    assert read(tmp_path / "d.npz").scanned == 99
    x[:] = np.nan
    np.savez(tmp_path / "d.npz", x=x, y=y)
    assert "x must be finite" in refused(tmp_path / "d.npz")


def test_labels_of_more_bytes_than_fit_into_memory_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1000, 2)))
    sparse(tmp_path / "y.npy", "<f4", (1000, 10**6))
    assert "y must hold at most 2,147,483,648 bytes" in refused(tmp_path / "x.npy", tmp_path / "y.npy")


def test_a_compressed_array_that_unpacks_to_a_gigabyte_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "d.npz", x=np.zeros((1000, 100)), y=np.arange(1000) % 2)
    monkeypatch.setattr("kmix_tf.cli.reading.arrays._MOST_UNPACKED", 2**19)
    assert "x.npy unpacks to 800,128 bytes, and 524,288 are the most" in refused(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", x=np.eye(1000)[:, :100], y=np.arange(1000) % 2)
    assert len(read(tmp_path / "d.npz").x) == 1000


def test_labels_too_long_to_be_kept_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kmix_tf.cli.reading.source.MOST_TEXT", 2**20)
    lines = [f"{i},{'x' * (i % 2 * 4000)}y" for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *lines]))
    assert "the target must hold labels, which are short. Received: one of 4,001" in refused(tmp_path / "t.csv")
    np.savez(tmp_path / "d.npz", x=np.eye(100), y=np.array([line.partition(",")[2] for line in lines]))
    assert "d.npz: y must hold labels, which are short" in refused(tmp_path / "d.npz")


def test_a_table_without_columns_is_refused(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    with arrow.ipc.new_stream(str(tmp_path / "t.arrow"), arrow.schema([])):
        pass
    assert "is empty: it holds no columns" in refused(tmp_path / "t.arrow")
