"""Which reader a dataset needs."""

import pathlib
from typing import NamedTuple

from kmix_tf.cli.audit.errors import AuditError
from kmix_tf.cli.audit.reading.arrays import read_npy_pair, read_npz
from kmix_tf.cli.audit.reading.source import Source
from kmix_tf.cli.audit.reading.table_file import read_csv

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
    """Opens what `paths` name.

    Raises:
        AuditError: if there is no such file, or it is of no kind that can be read.
    """
    files = [pathlib.Path(path) for path in paths]
    for file in files:
        if not file.exists():
            raise AuditError(f"there is no file or folder {file}.")
    kinds = ["folder" if file.is_dir() else file.suffix.lower() for file in files]
    if kinds == [".npy", ".npy"]:
        _refuse_options(options, "two .npy files")
        return read_npy_pair(*files)
    if len(files) != 1 or kinds[0] not in (".npz", ".csv", ".tsv", "folder"):
        raise AuditError(f"DATA must be {FORMATS}. Received: {' '.join(paths)}.")
    if kinds[0] in (".csv", ".tsv"):
        _refuse_options(options, "a table")
        return read_csv(files[0], options.target, list(options.drop))
    if kinds[0] == ".npz":
        _refuse_options(options, "an .npz file")
        return read_npz(files[0])
    return _open_folder(files[0], options)


def _open_folder(path: pathlib.Path, options: Options) -> Source:
    # These import TensorFlow, which the other readers do without.
    from kmix_tf.cli.audit.reading.image_folder import read_images
    from kmix_tf.cli.audit.reading.saved_dataset import SPEC, read_saved

    if (path / SPEC).exists():
        _refuse_options(options, "a saved dataset")
        return read_saved(path)
    _refuse_options(options, "a folder of images")
    return read_images(path, options.image_size, options.limit, options.seed)


def _refuse_options(options: Options, what: str) -> None:
    """An option that would change nothing is a misunderstanding."""
    is_table, is_folder = what == "a table", what == "a folder of images"
    given = {
        "--target": options.target is not None and not is_table,
        "--drop": bool(options.drop) and not is_table,
        "--image-size": options.image_size is not None and not is_folder,
    }
    wrong = [name for name, is_wrong in given.items() if is_wrong]
    if wrong:
        raise AuditError(f"{' and '.join(wrong)} mean{'s' * (len(wrong) == 1)} nothing for {what}.")
