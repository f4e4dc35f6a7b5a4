"""The gallery's scenes: boxes are where digits are, and each drawn box is one that the mixture has."""

import re

import numpy as np
import pytest

from kmix_tf.cli import main
from kmix_tf.cli.gallery import objects


@pytest.fixture(scope="module")
def scenes():
    return objects.digit_scenes(3)


def test_boxes_are_those_of_the_ink(scenes):
    for image, boxes in zip(scenes.images[..., 0], scenes.boxes.astype(int), strict=True):
        inside = np.zeros(image.shape, bool)
        for left, top, right, bottom in boxes:
            inside[top:bottom, left:right] = True
            ink = image[top:bottom, left:right] < 1
            # The tightest: there is ink at each of the four edges.
            assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()
        assert (image[~inside] == 1).all()


def test_each_box_of_a_mixture_is_drawn_in_the_colour_of_its_sample(scenes):
    rows = objects.mixed_scenes(3)
    assert [row.title for row in rows] == [title for title, *_ in objects.BLENDS]
    for row, (_, layer, options) in zip(rows, objects.BLENDS, strict=True):
        options = {**options, "alpha": objects.ALPHA, "scope": "sample", "box_weights": True}
        boxes = {"boxes": scenes.boxes, "labels": scenes.classes}
        mixed = layer(**options)({"images": scenes.images, "bounding_boxes": boxes}, seed=3)
        found = {key: leaf.numpy() for key, leaf in mixed["bounding_boxes"].items()}
        for at, scene in enumerate(row.scenes):
            there = np.flatnonzero(found["labels"][at] >= 0)
            weights = [float(text) for text in re.findall(r"\d\.\d\d", scene.caption)]
            np.testing.assert_allclose(weights, found["box_weights"][at, there], atol=0.0051)
            for number in there:
                left, top, right, bottom = np.round(found["boxes"][at, number] * objects.SCALE).astype(int)
                blue = scene.image[top, left:right, 2] - scene.image[top, left:right, 0]
                # What is drawn later may cover it in part.
                assert (np.sign(np.median(blue)) > 0) == (number < objects.OBJECTS) or len(there) > 2
                assert np.abs(np.ptp(scene.image[top, left:right], axis=-1)).min() > 0.1
                assert np.ptp(scene.image[top:bottom, right - 1], axis=-1).min() > 0.1


def test_the_page_shows_them_unless_images_are_a_persons_own(tmp_path, monkeypatch):
    from kmix_tf.cli.gallery import mixtures, showing

    monkeypatch.setattr(mixtures, "BLENDS", mixtures.BLENDS[:1])
    monkeypatch.setattr(mixtures, "SETTINGS", mixtures.SETTINGS[:1])
    assert main(["gallery", "--out", str(tmp_path / "page.html"), "--seed", "2"]) == 0
    page = (tmp_path / "page.html").read_text()
    for row in objects.mixed_scenes(2):
        for scene in row.scenes:
            assert f'<img src="{showing._png(scene.image)}" alt="{scene.caption}" />' in page
    assert "Objects and their bounding boxes" not in showing._page([], [], 2)
