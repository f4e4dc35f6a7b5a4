"""What reading costs where data are wide, or images large: in steps and in what is held, not in seconds."""

import collections
import weakref
from typing import ClassVar

import numpy as np
from PIL import Image

from kmix_tf.cli.gallery import images
from kmix_tf.cli.reading import image_folder, table
from kmix_tf.cli.reading.columns import Table


class Name(str):
    """Counts how often names are compared."""

    compared: ClassVar = collections.Counter()

    def __eq__(self, other):
        Name.compared["=="] += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_columns_are_named_in_time_that_grows_as_they_do(tmp_path):
    Name.compared.clear()
    count = 2000
    names = [Name(f"c{i}") for i in range(count - 1)] + [Name("c0")]
    drop = [f"c{i}" for i in range(1, count // 2)]
    roles = table.Roles(f"c{count - 2}", tuple(drop))
    notes = table._notes(names, roles)
    columns = table.choose(Table(tmp_path, names, None, []), roles)
    assert "'c0'" in notes[0] and columns.label == count - 2 and len(columns.features) == count - len(drop) - 1
    # Comparing each with each is 4,000,000; finding one among them, 2,000.
    assert Name.compared["=="] < 10 * count


def test_images_of_many_classes_are_counted_in_time_that_grows_as_they_do():
    Name.compared.clear()
    names = [f"c{i}" for i in range(2000)]
    assert image_folder._counts(list(map(Name, names)), list(map(Name, names))) == dict.fromkeys(names, 1)
    assert Name.compared["=="] < 10 * len(names)


class Photographs:
    """Decodes photographs, and knows how many are held at once."""

    def __init__(self):
        self.held = self.most = 0

    def __call__(self, path, channels=0, least=None):
        photograph = np.zeros((300, 200, 3), np.uint8)
        self.held += 1
        self.most = max(self.most, self.held)
        weakref.finalize(photograph, self._gone)
        return photograph

    def _gone(self):
        self.held -= 1


def test_photographs_are_shrunk_one_by_one(tmp_path, monkeypatch):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(40):
            Image.new("RGB", (200, 300)).save(tmp_path / label / f"{i}.jpg")
    for size in (None, 200):
        photographs = Photographs()
        monkeypatch.setattr(image_folder, "_decoded", photographs)
        source = image_folder.read_images(tmp_path, size, 100, 0)
        blocks = [block.x.shape for block in source.blocks]
        assert sum(shape[0] for shape in blocks) == 80 and {shape[1:] for shape in blocks} == {
            (size or 64,) * 2 + (3,)
        }
        # The one before it is let go of when the next is there.
        assert photographs.most <= 2
    photographs = Photographs()
    monkeypatch.setattr(images, "decode_image", photographs)
    assert images.folder_album(str(tmp_path), 0).images.shape == (images.COUNT, 96, 96, 3)
    assert photographs.most <= 2
