"""From files of many kinds to one sample of features and classes, with all samples looked at on the way."""

import pathlib
from typing import NamedTuple

from kmix_tf.cli.reading.arrays import read_npy_pair, read_npz
from kmix_tf.cli.reading.image_folder import read_images
from kmix_tf.cli.reading.saved_dataset import SPEC, read_saved
from kmix_tf.cli.reading.source import Source
from kmix_tf.cli.reading.table_file import read_csv
from kmix_tf.cli.terminal import UserError

FORMATS = (
    "an .npz with x and y, two .npy files (x first), a .csv or .tsv, a folder with one subfolder of images for each "
    "class, or a saved tf.data dataset"
)


class Options(NamedTuple):
    """What the command line says about reading. target, drop: of tables. image_size: of image folders."""

    target: str | None = None
    drop: tuple[str, ...] = ()
    image_size: int | None = None
    limit: int = 10_000
    seed: int = 0


def open_data(paths: list[str], options: Options) -> Source:
    """Opens what `paths` name, or says by a UserError why it cannot be read; so do all readers."""
    files = [pathlib.Path(path) for path in paths]
    for file in files:
        if not file.exists():
            raise UserError(f"there is no file or folder {file}.")
    kinds = ["folder" if file.is_dir() else file.suffix.lower() for file in files]
    if kinds == [".npy", ".npy"]:
        _refuse_options(options, "two .npy files")
        return read_npy_pair(*files)
    if len(files) != 1 or kinds[0] not in (".npz", ".csv", ".tsv", "folder"):
        raise UserError(f"DATA must be {FORMATS}. Received: {' '.join(paths)}.")
    if kinds[0] == "folder":
        return _open_folder(files[0], options)
    if kinds[0] == ".npz":
        _refuse_options(options, "an .npz file")
        return read_npz(files[0])
    _refuse_options(options, "a table", "--target", "--drop")
    return read_csv(files[0], options.target, list(options.drop))


def _open_folder(path: pathlib.Path, options: Options) -> Source:
    if (path / SPEC).exists():
        _refuse_options(options, "a saved dataset")
        return read_saved(path)
    _refuse_options(options, "a folder of images", "--image-size")
    return read_images(path, options.image_size, options.limit, options.seed)


def _refuse_options(options: Options, what: str, *allowed: str) -> None:
    """An option that would change nothing is a misunderstanding."""
    given = {"--target": options.target, "--drop": options.drop or None, "--image-size": options.image_size}
    wrong = [name for name, value in given.items() if value is not None and name not in allowed]
    if wrong:
        raise UserError(f"{' and '.join(wrong)} mean{'s' * (len(wrong) == 1)} nothing for {what}.")
