"""Files that are damaged, hostile, ambiguous or merely odd."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from kmix_tf.cli.reading import Options, image_folder, open_data
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.reading.source import joined
from kmix_tf.cli.terminal import UserError

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2


def read(*paths, limit=10_000, seed=0, **options):
    source = open_data([str(path) for path in paths], Options(limit=limit, seed=seed, **options))
    return collect(source, limit, seed)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("trapped", ["x", "y"])
def test_pickles_in_an_npz_are_refused_and_never_opened(save, trapped, tmp_path):
    objects = np.array([Trap(tmp_path / "sprung")] * 6, object)
    save(tmp_path / "d.npz", **{"x": X, "y": Y, trapped: objects})
    with pytest.raises(UserError, match=r"is no \.npz file of plain arrays"):
        read(tmp_path / "d.npz")
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(UserError, match=r"is no \.npy file of one plain array"):
        read(tmp_path / "x.npy", tmp_path / "y.npy")
    assert not (tmp_path / "sprung").exists()


def test_pickled_labels_are_refused_with_what_would_do(tmp_path):
    y = np.array(["a", "b"] * 3, object)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "d.npz", x=X, y=y)
        with pytest.raises(UserError, match=r"save strings as y\.astype\(str\)"):
            read(tmp_path / "d.npz")
    assert read(saved(tmp_path / "d.npz", x=X, y=y.astype(str))).classes == ["a", "b"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("suffix", ["", ".npy"])
def test_a_zip_of_anything_else_is_refused(compression, suffix, tmp_path):
    with zipfile.ZipFile(tmp_path / "d.npz", "w", compression) as archive:
        for name in "xy":
            archive.writestr(name + suffix, "hello" * 100)
    with pytest.raises(UserError, match=r"x(\.npy)? does not begin as arrays saved by NumPy do"):
        read(tmp_path / "d.npz")


def test_a_text_file_is_no_array_and_no_pickle_either(tmp_path):
    (tmp_path / "x.npy").write_text("1,2\n")
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(UserError, match="does not begin as arrays saved by NumPy do") as caught:
        read(tmp_path / "x.npy", tmp_path / "y.npy")
    assert "pickle" not in str(caught.value)


def test_a_compressed_array_damaged_anywhere_is_refused_or_whole(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez_compressed(tmp_path / "d.npz", x=x, y=np.arange(60) % 2)
    whole, refused = (tmp_path / "d.npz").read_bytes(), 0
    for start in range(0, len(whole) - 30, 41):
        (tmp_path / "bad.npz").write_bytes(whole[:start] + b"\xff" * 30 + whole[start + 30 :])
        try:
            np.testing.assert_array_equal(read(tmp_path / "bad.npz").x, x)
        except UserError:
            refused += 1
    assert refused > 20


def test_an_npz_cut_anywhere_is_refused(tmp_path):
    whole = saved(tmp_path / "d.npz", x=X, y=Y).read_bytes()
    for end in range(0, len(whole) - 1, 37):
        (tmp_path / "cut.npz").write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"is no \.npz file"):
            read(tmp_path / "cut.npz")


@pytest.mark.parametrize("claimed", [b"(60000000, 2)", b"(-1, 2)", b"'six'"])
def test_a_header_that_claims_what_the_file_does_not_hold_is_refused(claimed, tmp_path):
    whole = saved(tmp_path / "d.npz", x=X, y=Y).read_bytes()
    old = b"(6, 2), }" + b" " * 20
    assert old in whole
    (tmp_path / "d.npz").write_bytes(whole.replace(old, (claimed + b", }").ljust(len(old))))
    with pytest.raises(UserError, match=r"is no \.npz file of plain arrays"):
        read(tmp_path / "d.npz")


def test_a_compressed_array_with_flipped_bits_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "d.npz", x=np.random.default_rng(0).normal(size=(60, 2)), y=np.arange(60) % 2)
    damaged = bytearray((tmp_path / "d.npz").read_bytes())
    damaged[300] ^= 255
    (tmp_path / "d.npz").write_bytes(bytes(damaged))
    with pytest.raises(UserError, match=r"is no \.npz file"):
        read(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array(["é", "b"] * 3), ["b", "é"]),
        (np.char.encode(np.array(["é", "b"] * 3), "utf-8"), ["b", "é"]),
        (Y.astype(bool), ["False", "True"]),
        (Y.astype(np.float32), ["0", "1"]),
        (2.0 * Y - 1, ["-1", "1"]),
        (Y[:, np.newaxis], ["0", "1"]),
        (np.array([["q"], ["r"]] * 3), ["q", "r"]),
        (np.eye(2)[Y], ["0", "1"]),
        (np.eye(3, dtype=bool)[2 * Y], ["0", "2"]),
        (np.array([2**64 - 1, 7] * 3, np.uint64), ["7", str(2**64 - 1)]),
    ],
)
def test_labels_of_every_kind_are_classes_in_order_of_their_names(y, classes, tmp_path):
    sample = read(saved(tmp_path / "d.npz", x=X, y=y))
    assert sample.classes == classes
    names = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.ravel()
    shown = [name.decode() if isinstance(name, bytes) else str(name).removesuffix(".0") for name in names]
    assert [sample.classes[label] for label in sample.y] == shown


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([b"\xff", b"a"] * 3), "bytes that are no UTF-8"),
        (np.array([1e300, 0.0] * 3), "must hold classes. Received: 1e"),
        (Y.astype(complex), "must hold numbers or strings. Received: dtype complex128"),
        (
            np.array(["2020-01-01", "2021-01-01"] * 3, "M8[D]"),
            "must hold numbers or strings. Received: dtype datetime",
        ),
        (np.zeros((6, 1, 1)), r"Received: shape \(6, 1, 1\)"),
        (np.array(3), "equally long"),
        (np.array([[0.0, 0.0], [1, 0]] * 3), "one-hot rows"),
    ],
)
def test_labels_that_are_no_classes_are_refused(y, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(saved(tmp_path / "d.npz", x=X, y=y))


@pytest.mark.parametrize(
    "content",
    [
        "a,b,y\n1,2,0\n3,4,1\n5,6,0\n",
        "\ufeffa,b,y\n1,2,0\n3,4,1\n5,6,0\n",
        "a;b;y\n1;2;0\n3;4;1\n5;6;0\n",
        "a\tb\ty\n1\t2\t0\n3\t4\t1\n5\t6\t0\n",
        '"a","b","y"\n"1","2","0"\n"3","4","1"\n"5","6","0"\n',
        "a, b, y\n1, 2, 0\n3, 4, 1\n5, 6, 0\n",
        "\n\na,b,y\r\n1,2,0\r\n\r\n3,4,1\r\n   \r\n5,6,0\r\n\r\n",
        "a,b,y\n1e0,+2.0,0\n3,4.,1.0\n0.5e1,6,0\n",
    ],
    ids=["plain", "mark", "semicolons", "tabs", "quotes", "spaces", "blank lines", "notations"],
)
def test_one_table_written_in_many_ways_is_one_table(content, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    sample = read(path)
    assert sample.x.tolist() == [[1, 2], [3, 4], [5, 6]] and sample.y.tolist() == [0, 1, 0]
    assert sample.source.columns == ["a", "b"] and sample.classes == ["0", "1"] and sample.notes == []


def test_quotes_hold_delimiters_quotes_and_line_ends(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"a, b",y\n1,"x, 1"\n2,"two ""2"""\n3,"one\nmore"\n4,"x, 1"\n')
    sample = read(path)
    assert sample.source.columns == ["a, b"] and sample.classes == ["one\nmore", 'two "2"', "x, 1"]
    assert sample.y.tolist() == [2, 1, 0, 2]


def test_columns_of_one_name_all_count_and_a_note_says_so(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,a,y\n1,2,0\n3,4,1\n5,6,0\n")
    sample = read(path)
    assert sample.x.tolist() == [[1, 2], [3, 4], [5, 6]] and "Several columns have one name" in sample.notes[0]
    with pytest.raises(UserError, match=r"--drop: .* has 2 columns 'a'"):
        read(path, drop=("a",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n1\n2\n3\n", "must have a target column and at least one other"),
        (b"1\n2\n3\n", "must have a target column and at least one other"),
        (b"a,y\n?,0\n,1\nNA,0\n", "at least one column of numbers, dates or a few words"),
        (b"a,y\n1,0\n2,1\n3,N/A\n", "target 'y' is missing in line 4"),
        (b"a,y\n1,0\n2,1\n3\n", "must have 2 cells. Received: 1 in line 4"),
        (b"a;b;y\n1,5;2;p\n2,5;3;q\n3,5;4;p\n", "decimal points. Received: '1,5' in line 2, column 'a'"),
        (b'a,y\n1,"0\n2,1\n3,0\n', "unexpected end of data"),
        ("a,y\n1,0\n2,1\n".encode("utf-16"), "no CSV file in UTF-8"),
        # Beyond what was read to guess the delimiter.
        (b"a,y\n" + b"1,0\n2,1\n" * 20_000 + b"3,caf\xe9\n", "no CSV file in UTF-8"),
        (b"a,y\n" + b"1,0\n2,1\n" * 20_000 + b"3,x\x00\n4,1,1\n", "must have 2 cells. Received: 3 in line 40003|NUL"),
    ],
)
def test_tables_that_are_none_are_refused_with_the_place(content, message, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "classes", "noted"),
    [
        (["007", "7", "8"], ["007", "7", "8"], "read them as text"),
        (["1_0", "10", "2"], ["10", "1_0", "2"], "read them as text"),
        (["007", "a"], ["007", "a"], None),
        (["1", "1.0", "2"], ["1", "2"], "count as one: 1 and 1.0"),
        (["9007199254740993", "9007199254740992"], ["9007199254740992", "9007199254740993"], None),
        (["9007199254740992.5", "9007199254740992.0"], ["9007199254740992.0", "9007199254740992.5"], "more digits"),
        (["-1", "+1"], ["-1", "1"], None),
        (["1.", "1", "2."], ["1", "2"], "count as one: 1 and 1."),
        (["1" * 5000, "2"], ["1" * 5000, "2"], "more digits"),
        (["1e9999999999999999999", "2"], ["1e9999999999999999999", "2"], "more digits"),
        (["\N{ARABIC-INDIC DIGIT SEVEN}", "7"], ["7", "\N{ARABIC-INDIC DIGIT SEVEN}"], "as text"),
    ],
)
def test_labels_of_a_table_that_are_not_written_as_numbers_are_names(written, classes, noted, tmp_path):
    lines = [f"{i},{i * i},{written[i % len(written)]}" for i in range(6)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *lines]), encoding="utf-8")
    sample = read(tmp_path / "t.csv")
    assert sample.classes == classes
    if len(classes) == len(written):
        name = {"+1": "1"}.get
        assert [sample.classes[i] for i in sample.y] == [
            name(written[i % len(written)], written[i % len(written)]) for i in range(6)
        ]
    assert len(sample.notes) == (noted is not None) and all(noted in note for note in sample.notes)


def test_a_last_column_without_a_name_is_no_target_unless_asked_for(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,y,\n1,2,0,\n3,4,1,\n5,6,0,\n")
    with pytest.raises(
        UserError, match=r"the last column has no name.*Others: a, b, y\. Leave it out with --drop ''"
    ):
        read(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv", drop=("",)).y.tolist() == [0, 1, 0]
    (tmp_path / "u.csv").write_text("a,b,\n1,2,0\n3,4,1\n5,6,0\n")
    assert read(tmp_path / "u.csv", target="").y.tolist() == [0, 1, 0]


def images(folder, **files):
    """`cat__0="L"`: an image of that mode in cat/0.png; `cat__0=bytes`: a file of them."""
    generator = np.random.default_rng(0)
    for name, what in files.items():
        path = folder / f"{name.replace('__', '/')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        mode, size = what if isinstance(what, tuple) else (what, (8, 8))
        if isinstance(what, bytes):
            path.write_bytes(what)
        else:
            pixels = generator.integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(path)
    return folder


def test_grey_and_coloured_images_are_brought_to_colours(tmp_path):
    folder = images(tmp_path / "d", a__0="L", a__1="RGB", b__0="RGBA", b__1="LA", b__2="P", b__3="1")
    sample = read(folder)
    assert sample.x.shape == (6, 8, 8, 3)
    for place, (name, mode) in enumerate([("a/0", "L"), ("a/1", "RGB"), ("b/0", "RGBA"), ("b/1", "LA")]):
        with Image.open(folder / f"{name}.png") as image:
            # What is transparent keeps its colour.
            values = np.array(image, float)
            expected = values[..., :3] if mode.startswith("RGB") else values.reshape(8, 8, -1)[..., :1]
        np.testing.assert_allclose(sample.x[place], np.broadcast_to(expected, (8, 8, 3)) / 255, atol=1e-6)


def test_images_of_many_sizes_are_brought_to_one(tmp_path):
    folder = images(tmp_path / "d", a__0=("L", (8, 8)), a__1=("L", (20, 10)), b__0=("L", (3, 100)))
    sample = read(folder)
    assert sample.x.shape == (3, 32, 32, 1) and "resized to 32 x 32" in sample.notes[0]
    assert sample.x.min() >= 0 and sample.x.max() <= 1


def test_what_was_unlike_the_images_looked_at_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "_LOOKED_AT", 1)
    folder = images(tmp_path / "d", a__0="L", a__1="RGB", b__0="L", b__1=("L", (9, 9)))
    sample = read(folder)
    assert sample.x.shape == (4, 8, 8, 1)
    assert "Images of another size than 8 x 8 were resized to it: 1." in sample.notes
    assert any(note.endswith("were made grey: 1.") for note in sample.notes)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_png_cut_short_is_named(part, tmp_path):
    folder = images(tmp_path / "d", a__0="RGB", a__1="RGB", b__0="RGB", b__1="RGB")
    whole = (folder / "b/1.png").read_bytes()
    (folder / "b/1.png").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(UserError, match=r"b/1\.png is no image that can be read \(Invalid PNG") as caught:
        read(folder)
    assert "function_node" not in str(caught.value) and "Op:" not in str(caught.value)


def test_a_class_that_few_images_miss_is_kept_among_the_classes(tmp_path):
    names = {f"{label}__{i}": "L" for label in "abc" for i in range(1 if label == "b" else 12)}
    folder = images(tmp_path / "d", **names)
    sample = next(s for s in (read(folder, limit=5, seed=seed) for seed in range(9)) if 1 not in s.y)
    assert sample.classes == ["a", "b", "c"] and sample.counts.tolist() == [12, 1, 12]
    for row, label in enumerate(sample.y):
        assert sample.place(row).startswith("abc"[label])


def test_copies_with_other_labels_are_found_among_the_images_that_were_not_drawn(tmp_path):
    names = {f"{label}__{i}": "L" for label in "ab" for i in range(8)}
    folder = images(tmp_path / "d", **names)
    copied = [(folder / "a/3.png").read_bytes(), (folder / "a/5.png").read_bytes()]
    (folder / "b/9.png").write_bytes(copied[0])
    # Of one class, so that they contradict nothing.
    (folder / "a/8.png").write_bytes(copied[1])
    for seed in range(3):
        sample = read(folder, limit=5, seed=seed)
        assert sample.contradictions == [["a/3.png", "b/9.png"]]
        assert (sample.scanned, sample.searched) == (5, 18)
    assert any(
        "by their pixels among the 5 drawn, and by the bytes of their files among 18 of 18" in n for n in sample.notes
    )
    whole = read(folder)
    assert whole.contradictions == [["a/3.png", "b/9.png"]] and whole.searched == 18 and len(whole.notes) == 1


def test_no_more_bytes_are_read_for_copies_than_allowed_and_the_rest_is_told(tmp_path, monkeypatch):
    files, labels = [], []
    for i, size in enumerate((3, 3, 500, 500)):
        files.append(tmp_path / str(i))
        files[-1].write_bytes(bytes(size))
        labels.append("ab"[i % 2])
    assert image_folder.contradictory_copies(files, labels) == ([[0, 1], [2, 3]], 4)
    monkeypatch.setattr(image_folder, "_MOST_BYTES", 600)
    assert image_folder.contradictory_copies(files, labels) == ([[0, 1]], 2)


def test_groups_of_copies_found_twice_are_one():
    assert joined([["c", "a"], ["d", "e"], ["b", "c"], ["e", "d"]]) == [["a", "b", "c"], ["d", "e"]]


def test_a_folder_whose_name_is_no_unicode_is_a_class_that_files_can_name(tmp_path):
    folder = images(tmp_path / "d", a__0="L", a__1="L", b__0="L", b__1="L")
    try:
        os.rename(folder / "b", os.fsencode(folder) + b"/\xff\xfe")
    except OSError:
        pytest.skip("this file system takes Unicode only")
    sample = read(folder)
    assert "".join([*sample.classes, *map(str, map(sample.place, range(4)))]).encode("utf-8")
    assert sample.classes[1] == r"\udcff\udcfe" and sample.counts.tolist() == [2, 2]


def test_many_classes_of_few_drawn_images_are_no_identifiers(tmp_path):
    folder = images(tmp_path / "d", **{f"c{label:02d}__{i}": ("L", (2, 2)) for label in range(40) for i in range(3)})
    sample = read(folder, limit=50)
    assert len(sample.classes) == 40 and set(sample.counts) == {3}
