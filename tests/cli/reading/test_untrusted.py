"""Files that were made to do harm, or merely claim much: refused in words, before they take memory or time."""

import csv
import gzip
import io
import json
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kmix_tf.cli.gallery import images
from kmix_tf.cli.reading import Options, csv_file, image_file, open_data
from kmix_tf.cli.reading.columns import MOST_COLUMNS
from kmix_tf.cli.reading.delimiter import delimiter_of
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.terminal import UserError


def read(*paths, **options):
    return collect(open_data([str(path) for path in paths], Options(**options)), 1000, 0)


def refused(*paths, **options):
    with pytest.raises(UserError) as caught:
        read(*paths, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def folder(path, name, content):
    """Two classes of images, and one file more."""
    for label in "ab":
        (path / label).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.full((8, 9, 3), 40 * i, np.uint8)).save(path / label / f"{i}.png")
    (path / "a" / name).write_bytes(content)
    return path


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, colours=2):
    """A PNG that claims a size, with little in it."""
    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_size(content, at, form, *values):
    return content[:at] + struct.pack(form, *values) + content[at + struct.calcsize(form) :]


# Of a GIF, with its place.
FRAME = b"\x2c" + bytes(4)
SMALL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8))
BOMBS = {
    "c.png": png(50_000, 50_000),
    "c.gif": (lambda gif: with_size(gif, gif.index(FRAME) + 5, "<2H", 65_535, 65_535))(saved(SMALL, "GIF")),
    "c.bmp": with_size(saved(SMALL, "BMP"), 18, "<ii", 2**30, -(2**30)),
    "c.jpg": (lambda jpg: with_size(jpg, jpg.index(b"\xff\xc0") + 5, ">2H", 65_535, 65_535))(saved(SMALL, "JPEG")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_image_that_claims_a_huge_size_is_refused_before_it_is_decoded(name, tmp_path, monkeypatch):
    def reached(*arguments, **options):
        raise AssertionError("it was decoded")

    path = folder(tmp_path / "d", name, BOMBS[name])
    monkeypatch.setattr(tf.io, "decode_image", reached)
    monkeypatch.setattr(tf.io, "decode_jpeg", reached)
    with pytest.raises(UserError, match=r"pixels of 3 values; 268,435,456 values are the most"):
        image_file.decode_image(path / "a" / name)
    assert f"a/{name} is no image that can be read" in refused(path)


def test_of_an_animation_the_first_frame_alone_is_decoded():
    frames = [Image.fromarray(np.full((6, 7, 3), 60 * i, np.uint8)) for i in range(4)]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(image_file.decoded(gif), np.zeros((6, 7, 3)))
    # The others may be as large as they like.
    last = gif.rindex(FRAME)
    np.testing.assert_array_equal(
        image_file.decoded(with_size(gif, last + 5, "<2H", 65_535, 65_535)), np.zeros((6, 7, 3))
    )


KINDS = {
    "PNG": ["RGB", "RGBA", "L", "LA", "P", "1"],
    "JPEG": ["RGB", "L", "CMYK"],
    "GIF": ["RGB", "L", "P"],
    "BMP": ["RGB", "RGBA", "L"],
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in KINDS.items() for mode in modes])
def test_what_is_said_of_an_image_is_what_decoding_gives(kind, mode, tmp_path):
    for options in [{}, {"progressive": True}] if kind == "JPEG" else [{}]:
        SMALL.convert(mode).save(tmp_path / "i", kind, **options)
        header = image_file.header_of(tmp_path / "i")
        image = image_file.decode_image(tmp_path / "i")
        channels = {2: 1, 4: 3}.get(image.shape[-1], image.shape[-1])
        assert (header.height, header.width, header.channels) == (*image.shape[:2], channels) == (8, 9, channels)
        whole = tf.io.decode_image((tmp_path / "i").read_bytes(), expand_animations=False)
        np.testing.assert_array_equal(image, whole)


@pytest.mark.parametrize(("kind", "size"), [("JPEG", (300, 300)), ("PNG", (256, 256)), ("BMP", (256, 256))])
def test_a_photograph_that_is_shrunk_is_decoded_in_part_and_looks_the_same(kind, size, tmp_path):
    small = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(small).resize((1200, 1200), Image.BILINEAR).save(tmp_path / "i", kind)
    part = image_file.decode_image(tmp_path / "i", least=(64, 64))
    whole = image_file.decode_image(tmp_path / "i")
    assert part.shape == (*size[::-1], 3) and whole.shape == (1200, 1200, 3)
    shrunk = [tf.image.resize(image, (64, 64), antialias=True).numpy() for image in (part, whole)]
    assert np.abs(shrunk[0] - shrunk[1]).max() < 4
    # Where little is left out, nothing is.
    assert image_file.decode_image(tmp_path / "i", least=(200, 200)).shape == (1200, 1200, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(40), "it does not begin as PNG, JPEG, GIF and BMP do"),
        (b"\x89PNG\r\n\x1a\n", "it ends before it says how large it is"),
        (png(0, 5), "0 pixels|5 x 0"),
        (b"\xff\xd8\xff\xe0" + b"\x00\x02" + b"\xff\xda", "it holds no frame of an image"),
        (b"\xff\xd8\xff\x00" + bytes(2**21), "it holds no frame of an image"),
        (b"GIF89a" + bytes(7) + b";", "it holds no frame of an image"),
        (b"GIF89a" + bytes(7) + b"\x2c" + bytes(10) + b"\x01\x00" * 2**20, "pieces"),
    ],
)
def test_an_image_that_says_no_size_is_refused(content, message, tmp_path):
    (tmp_path / "i.png").write_bytes(content)
    with pytest.raises(UserError, match=rf"i\.png is no image that can be read \(.*({message})"):
        image_file.decode_image(tmp_path / "i.png")


def test_a_file_too_large_for_an_image_is_not_read(tmp_path):
    with (tmp_path / "i.png").open("wb") as file:
        file.write(png(8, 8))
        file.truncate(10 * 2**30)
    with pytest.raises(UserError, match="has 10,737,418,240 bytes"):
        image_file.decode_image(tmp_path / "i.png")


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_out_of_a_folder_of_images_is_refused_and_one_within_it_followed(linked, tmp_path):
    outside = folder(tmp_path / "outside", "x.png", saved(SMALL, "PNG"))
    inside = folder(tmp_path / "d", "x.png", saved(SMALL, "PNG"))
    (inside / "a" / "within.png").symlink_to("../b/1.png")
    (inside / "c").symlink_to("b")
    assert len(read(inside).x) == 11
    if linked == "file":
        (inside / "b" / "out.png").symlink_to(outside / "a" / "1.png")
    else:
        (inside / "z").symlink_to("../outside/a")
    message = r"(b/out\.png|/z) is a link that leads out of .*/d, where other files"
    with pytest.raises(UserError, match=message):
        read(inside)
    if linked == "file":
        with pytest.raises(UserError, match=message):
            images.folder_album(str(inside), 0)
    # What is named may itself be a link.
    (tmp_path / "link").symlink_to(outside)
    assert len(read(tmp_path / "link").x) == 7


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_table_without_lines_is_refused_before_it_is_in_memory(name, quoted, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "_LONGEST", 2**20)
    # Quoted ends of lines are none.
    cell = b'"1\n",' * 2000 if quoted else b"1," * 5000
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "wb") as file:
        # Numbers of which gzip makes no hundredth.
        for piece in np.random.default_rng(0).permutation(150):
            file.write(b"%d," % piece + cell)
    told = refused(tmp_path / name)
    assert "a line may have at most 1,048,576 characters" in told or "unpacks to more than 200 times" in told


def test_a_table_of_too_many_columns_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("\n".join([",".join(["1"] * (MOST_COLUMNS + 1))] * 3))
    assert "at most 100,000 columns. Received: 100,001" in refused(tmp_path / "t.csv")


def test_a_table_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "_UNPACKED", 2**14)
    with gzip.open(tmp_path / "t.csv.gz", "wb") as file:
        file.write(b"a,b,y\n" + b"0,0,0\n" * 50_000)
    assert "unpacks to more than 200 times its size" in refused(tmp_path / "t.csv.gz")
    with gzip.open(tmp_path / "zeros.csv.gz", "wb") as file:
        file.write(bytes(2**20))
    assert "holds binary data" in refused(tmp_path / "zeros.csv.gz")
    # A file in a file is no table.
    (tmp_path / "twice.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv.gz").read_bytes()))
    assert "no CSV file" in refused(tmp_path / "twice.csv.gz")


HOSTILE = [
    '"' * 65_536,
    ',"' * 32_768,
    '"\n' * 32_768,
    "a,'b\"" * 13_000,
    ',"a" ' * 13_000,
    "\n" * 65_536,
    "," * 65_536,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_keeps_the_search_for_its_delimiter_busy(text, monkeypatch):
    def slow(*arguments, **options):
        raise AssertionError("it is known to take minutes over some texts")

    monkeypatch.setattr(csv.Sniffer, "sniff", slow)
    assert delimiter_of(text) in ",;\t|"


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("cell", ["1.5", "a b", '"x, y; z"', "1,5", "p|q"])
def test_the_delimiter_is_found_whatever_is_in_the_cells(sign, cell):
    if sign in cell and not cell.startswith('"'):
        return
    lines = [f"a{sign}b{sign}y"] + [f"{cell}{sign}{i}{sign}{i % 2}" for i in range(9)]
    assert delimiter_of("\n".join([*lines, f"1{sign}2"])) == sign


def record(length, content=b"", check=None):
    """A record of a TFRecord file, with the check sum of a length that is not that of its content."""
    return struct.pack("<Q", length) + struct.pack("<I", check or 0) + content + bytes(4)


@pytest.mark.parametrize("length", [10**12, 2**62, 2**64 - 1])
@pytest.mark.parametrize("packed", [False, True])
def test_a_record_that_claims_what_is_not_there_never_reaches_tensorflow(length, packed, tmp_path):
    # Of a length whose check sum is right, TensorFlow would take the memory, and the process with it.
    content = record(length, b"abc")
    (tmp_path / "d.tfrecord").write_bytes(gzip.compress(content) if packed else content)
    assert f"it claims a record of {length:,} bytes" in refused(tmp_path / "d.tfrecord")


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_zeros_is_no_long_row_of_empty_records(packed, tmp_path):
    (tmp_path / "d.tfrecord").write_bytes(gzip.compress(bytes(2**20)) if packed else bytes(2**20))
    assert "a record is empty" in refused(tmp_path / "d.tfrecord")


def test_a_record_whose_names_claim_more_than_there_is_never_reaches_tensorflow(tmp_path, monkeypatch):
    # Its own parser reads beyond the end: now and then the process ended.
    monkeypatch.setattr(tf.io, "parse_example", lambda *_: pytest.fail("it reached TensorFlow"))
    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    features = tf.train.Features(feature={"x": label, "label": label})
    sound = tf.train.Example(features=features).SerializeToString()
    assert sound.count(b"\n\x05label") == 1
    with tf.io.TFRecordWriter(str(tmp_path / "d.tfrecord")) as writer:
        writer.write(sound.replace(b"\n\x05label", b"\n\x80\x80\x80\x80el"))
    spec = {name: {"dtype": "int64", "shape": []} for name in ("x", "label")}
    (tmp_path / "s.json").write_text(json.dumps(spec))
    assert "is no TFRecord file of examples that can be read" in refused(
        tmp_path / "d.tfrecord", spec=str(tmp_path / "s.json")
    )


def test_an_image_in_a_record_that_claims_a_huge_size_is_refused(tmp_path):
    path = tmp_path / "d.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(4):
            image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png(50_000, 50_000 - i)]))
            label = tf.train.Feature(int64_list=tf.train.Int64List(value=[i % 2]))
            features = tf.train.Features(feature={"image": image, "label": label})
            writer.write(tf.train.Example(features=features).SerializeToString())
    assert "50,000 x 50,000 pixels" in refused(path)


def test_a_packed_file_of_records_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kmix_tf.cli.reading.framing._UNPACKED", 2**20)
    (tmp_path / "d.tfrecord").write_bytes(gzip.compress(record(2**24, bytes(2**24)) * 3))
    assert "unpacks to more than 200 times its size" in refused(tmp_path / "d.tfrecord")


@pytest.mark.parametrize(
    "told",
    [
        *("[" * 100_000, "[]", "\xff", "3", '{"x": {"dtype": "O", "shape": []}}'),
        *(f'{{"x": {{"dtype": "uint8", "shape": [{side}]}}}}' for side in (-1, "1e400", 10**30)),
    ],
)
def test_a_spec_that_is_none_is_refused(told, tmp_path):
    (tmp_path / "s.json").write_text(told, encoding="latin1")
    (tmp_path / "d.tfrecord").write_bytes(b"")
    assert "s.json must be JSON like" in refused(tmp_path / "d.tfrecord", spec=str(tmp_path / "s.json"))
