"""The gallery's page, read back: all rows are there, nothing is fetched, and captions say what pixels show."""

import base64
import json
import os
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.cli import main
from kmix_tf.cli.gallery import mixtures
from kmix_tf.cli.gallery.images import COUNT, digit_album, folder_album, photograph_album
from kmix_tf.cli.gallery.showing import shares

# Blends that show one of the two samples at each place, of which a caption counts the pixels.
PASTED = ["CutMix", "FMix", "GridMix", "SaliencyMix", "Attentive CutMix"]
BLENDS = [
    "Linear", "CutMix", "FMix", "ResizeMix", "GridMix", "SmoothMix", "SaliencyMix", "Attentive CutMix", "Puzzle Mix",
    "AlignMixup", "StyleMix",
]  # fmt: skip
SETTINGS = [(1, 1), (16, 1), (1, 5), (16, 5)]
URI = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


def pixels(uri):
    return tf.io.decode_png(base64.b64decode(URI.fullmatch(uri)[1])).numpy().astype(int)


def parsed(page):
    """The page as a tree, which it is only if it is well-formed."""
    return ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def figures(page, section=None):
    """(blend, setting, mixture, [weights], [sample, partner]) of the figures of a page or of one section: pixels."""
    tree = parsed(page.read_text())
    style = tree.find("head/style").text
    thumbnails = dict(re.findall(r"\.(t\d+-\d+) \{ background-image: url\((.*?)\); \}", style))
    for article in (tree if section is None else tree.findall("body/section")[section]).iter("article"):
        for heading, row in zip(article.iter("h4"), article.iter("div"), strict=True):
            setting = tuple(map(int, re.findall(r"= (\d+)", heading.text)))
            for figure in row.iter("figure"):
                spans = list(figure.iter("span"))
                weights = [float(span.find("b").text.strip("+ ")) for span in spans]
                ends = [pixels(thumbnails[span.find("i").get("class")]) for span in spans]
                yield article.find("h3").text, setting, pixels(figure.find("img").get("src")), weights, ends


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two kinds, of several sizes and types; as many as photographs, for which all has been compiled."""
    generator, path = np.random.default_rng(0), tmp_path_factory.mktemp("images")
    for number in range(COUNT):
        kind = path / ["cats & dogs", "<birds>"][number % 2]
        kind.mkdir(exist_ok=True)
        image = generator.integers(0, 256, size=(20 + 3 * number, 60, 3)).astype(np.uint8)
        encoded = tf.io.encode_png(image) if number < 3 else tf.io.encode_jpeg(image)
        (kind / f"{number}.{'PNG' if number < 3 else 'jpg'}").write_bytes(encoded.numpy())
    (path / "notes.txt").write_text("no image")
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The default page, and where it is."""
    path = tmp_path_factory.mktemp("gallery") / "new" / "page.html"
    assert main(["gallery", "--out", str(path)]) == 0
    return path


def test_the_page_has_every_blend_in_every_setting_on_both_kinds_of_images(page):
    tree = parsed(page.read_text())
    assert len(tree.findall("body/section")) == 2
    for section in tree.findall("body/section"):
        assert [article.find("h3").text for article in section.iter("article")] == BLENDS
        for article in section.iter("article"):
            headings = [tuple(map(int, re.findall(r"= (\d+)", heading.text))) for heading in article.iter("h4")]
            assert headings == SETTINGS
            counts = [len(row.findall("figure")) for row in article.iter("div")]
            assert counts == [6, 6, 5, 5]
            assert len(article.find("p").text) > 40


def test_the_page_is_one_file_of_moderate_size_that_fetches_nothing(page):
    text = page.read_text()
    assert page.stat().st_size < 12_000_000
    rest = URI.sub("", text)
    assert not re.search(r"https?:|//|<script|<link|@import|<iframe", rest)
    assert set(re.findall(r'src="([^"]*)"', rest)) == {""}
    assert set(re.findall(r"url\(([^)]*)\)", rest)) == {""}
    assert 'name="viewport"' in text
    assert os.listdir(page.parent) == ["page.html"]


def test_captions_say_what_the_pixels_show(page):
    seen = set()
    for blend, setting, mixture, (own, other), (sample, partner) in figures(page):
        seen.add((blend, setting))
        assert own + other == pytest.approx(1)
        assert mixture.shape == sample.shape == partner.shape
        if blend == "Linear":
            # Pixels are rounded to 1/255 and weights to 1/100.
            np.testing.assert_allclose(mixture, own * sample + other * partner, atol=1 + 0.005 * 255 + 0.5)
        elif blend in PASTED:
            is_own, is_other = ((mixture == end).all(axis=-1) for end in (sample, partner))
            assert (is_own | is_other).all()
            assert (is_own & ~is_other).mean() - 0.006 <= own <= 1 - (is_other & ~is_own).mean() + 0.006
        elif blend == "ResizeMix":  # Outside the box it is the sample; within, what the partner has elsewhere.
            assert (mixture == sample).all(axis=-1).mean() >= own - 0.006
    assert seen == {(blend, setting) for blend in BLENDS for setting in SETTINGS}


def test_several_mixtures_lead_from_the_sample_to_the_partner(page):
    rows = {}
    for section in (0, 1):
        for blend, setting, _, (own, _), _ in figures(page, section):
            if setting[1] == 5:
                rows.setdefault((blend, setting, section), []).append(own)
    assert len(rows) == 2 * len(BLENDS) * 2
    for weights in rows.values():
        assert len(weights) == 5
        # What Puzzle Mix realises may stray from the order of the ratios asked for by a block.
        assert all(np.diff(weights) <= 0.03)
        assert weights[0] > weights[-1]


def test_each_line_of_code_makes_the_mixtures_below_it(page):
    import kmix_tf
    from kmix_tf.layers.fmix import FMixLayer

    section = parsed(page.read_text()).find("body/section")
    article = section.findall("article")[2]
    code, row = article.findall("code")[3], article.findall("div")[3]
    album = photograph_album(0)
    names = {**vars(kmix_tf), "FMixLayer": FMixLayer, "images": album.images, "labels": np.eye(32, dtype=np.float32)}
    exec(code.text, names)
    shown = [pixels(figure.find("img").get("src")) for figure in row.iter("figure")]
    mixed = np.round(255 * names["x"].numpy()).astype(int)
    at = [next(i for i, image in enumerate(mixed) if (image == each).all()) for each in shown]
    assert [index // 32 for index in at] == [0, 1, 2, 3, 4]
    assert len({index % 32 for index in at}) == 1


# Two blends that are compiled in little time; that each mixes alike in another process is asked of all layers.
SOME = ["Linear", "CutMix"]
THERE = """
import json, sys
from kmix_tf.cli import main
from kmix_tf.cli.gallery import mixtures
some, *arguments = sys.argv[1:]
mixtures.BLENDS = [entry for entry in mixtures.BLENDS if entry.title in json.loads(some)]
sys.exit(main(arguments))
"""


def test_the_same_seed_makes_the_same_page_here_and_elsewhere(folder, tmp_path, capsys, monkeypatch, elsewhere):
    monkeypatch.setattr(mixtures, "BLENDS", [entry for entry in mixtures.BLENDS if entry.title in SOME])
    first, other, there = tmp_path / "first", tmp_path / "other.html", tmp_path / "there.htm"
    tf.random.set_seed(None)  # What `mix` draws depends on a global seed, too, which other tests may have left.
    arguments = ["gallery", "--images", str(folder), "--json"]
    assert main([*arguments, "--out", str(first), "--seed", "3"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert main([*arguments, "--out", str(other), "--seed", "4"]) == 0
    told = json.loads(elsewhere(THERE, json.dumps(SOME), *arguments, "--out", there, "--seed", "3"))
    page = (first / "gallery.html").read_bytes()
    assert there.read_bytes() == page
    assert other.read_bytes() != page
    assert {**told, "page": summary["page"]} == summary
    assert summary["page"] == str(first / "gallery.html") and summary["bytes"] == len(page)
    assert [(row["blend"], row["k"], row["interpolations"]) for row in summary["rows"]] == [
        (blend, *setting) for blend in SOME for setting in SETTINGS
    ]
    # Names with marks of HTML come out as they are.
    tree = parsed(page.decode())
    in_pairs = (figure for article in tree.iter("article") for figure in article.iter("figure"))
    captions = [figure.find("img").get("alt") for figure in in_pairs]
    gathered = [each.get("alt") for each in tree.iter("img") if each.get("alt") not in captions]
    assert gathered and set(gathered) <= {caption for row in summary["gathered"] for caption in row["captions"]}
    assert captions == [caption for row in summary["rows"] for caption in row["captions"]]
    assert re.fullmatch(r"[01]\.\d\d (cats & dogs|<birds>) \+ [01]\.\d\d (cats & dogs|<birds>)", captions[0])


def test_albums_hold_two_full_groups():
    for load in (photograph_album, digit_album):
        title, images, names = load(0)
        assert len(images) == len(names) == COUNT == 32
        assert images.dtype == np.float32 and images.min() >= 0 and images.max() <= 1 and images.std() > 0.1
        assert "" not in names and title
        assert not np.array_equal(images, load(1).images)


def test_ones_own_images_are_cut_square_and_named_by_folder_or_file(folder, tmp_path):
    album = folder_album(str(folder), 0)
    assert album.images.shape == (COUNT, 96, 96, 3)
    assert sorted(album.names) == ["<birds>"] * 16 + ["cats & dogs"] * 16
    square = np.zeros((30, 50, 3), np.uint8)
    square[:, 10:40] = 200
    for number in range(40):
        (tmp_path / f"number {number}.png").write_bytes(tf.io.encode_png(square).numpy())
    album = folder_album(str(tmp_path), 0)
    assert len(album.images) == COUNT and len(set(album.names)) == COUNT and album.names[0].startswith("number")
    np.testing.assert_allclose(album.images, 200 / 255, atol=1e-6)


def test_weights_as_printed_add_up():
    for share in np.linspace(0, 1, 2001):
        own, other = map(float, shares(share))
        assert own + other == pytest.approx(1) and own == pytest.approx(share, abs=0.0051)


def refused(capsys, *arguments):
    assert main(["gallery", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    return error


def test_a_folder_that_cannot_be_used_is_refused_in_one_line(folder, tmp_path, capsys):
    out = tmp_path / "out.html"
    assert "there is no folder nowhere" in refused(capsys, "--images", "nowhere", "--out", out)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no image")
    message = refused(capsys, "--images", empty, "--out", out)
    assert "must hold at least 2 images (bmp, gif, jpeg, jpg, png). Received: 0." in message
    (empty / "a.png").write_bytes(b"\x89PNG is not enough")
    (empty / "b.png").write_bytes(tf.io.encode_png(np.zeros((4, 4, 3), np.uint8)).numpy())
    message = refused(capsys, "--images", empty, "--out", out)
    assert "a.png cannot be read as an image" in message
    file = next(folder.rglob("*.jpg"))
    assert "there is no folder" in refused(capsys, "--images", file, "--out", out)
    assert not out.exists()


def test_a_page_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    message = refused(capsys, "--images", folder, "--out", tmp_path / "file" / "page.html")
    assert message.startswith("kmix-tf: --out: ") and "cannot be written" in message
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):  # root may write anywhere
        assert "Permission denied" in refused(capsys, "--images", folder, "--out", closed)


@pytest.mark.parametrize("seed", ["-1", str(2**31)])
def test_seeds_out_of_range_are_refused(seed, tmp_path, capsys):
    message = refused(capsys, "--seed", seed, "--out", tmp_path)
    assert f"Invalid value for '--seed': {seed} is not in the range 0<=x<=2147483647." in message


def test_mixtures_of_more_than_two_are_there_with_all_their_parts(page):
    for section in parsed(page.read_text()).findall("body/section"):
        gathered = [each for each in section.findall("div") if each.get("class") == "gathered"]
        assert [each.find("h3").text for each in gathered] == ["Co-Mixup", "RecursiveMix"]
        for collages in ([*each.iter("figure")] for each in gathered):
            assert len(collages) == 6
            weights = [[float(bold.text.strip("+ ")) for bold in figure.iter("b")] for figure in collages]
            for each in weights:
                assert sum(each) == pytest.approx(1, abs=0.005 * len(each)) and sorted(each, reverse=True) == each
            assert max(map(len, weights)) > 2
