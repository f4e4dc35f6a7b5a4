"""From files of many kinds to one sample of features and classes, with all samples, or a part of many, looked at."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

from kmix_tf.cli.reading.arrays import read_npy_pair, read_npz
from kmix_tf.cli.reading.arrow_file import ARROW, PARQUET, SPLITS, STATE, arrow_table, parquet_table, saved_table
from kmix_tf.cli.reading.columns import Table
from kmix_tf.cli.reading.csv_file import csv_table
from kmix_tf.cli.reading.image_folder import read_images
from kmix_tf.cli.reading.records import SUFFIXES as RECORDS
from kmix_tf.cli.reading.records import read_records
from kmix_tf.cli.reading.saved_dataset import SPEC, read_saved
from kmix_tf.cli.reading.source import Source
from kmix_tf.cli.reading.table import Roles, read_table
from kmix_tf.cli.terminal import UserError

FORMATS = (
    "an .npz with x and y, two .npy files (x first), a .csv, .tsv (also .gz), .parquet or .feather table, a folder "
    "with one subfolder of images for each class, a TFRecord file, or a saved tf.data or Hugging Face dataset"
)


class Options(NamedTuple):
    """What the command line says about reading. target, drop, time, group: of tables. image_size: of
    images. spec: of TFRecord files, where target counts, too.
    """

    target: str | None = None
    drop: tuple[str, ...] = ()
    image_size: int | None = None
    limit: int = 10_000
    seed: int = 0
    time: str | None = None
    group: str | None = None
    spec: str | None = None

    @property
    def roles(self) -> Roles:
        """Of a table's columns."""
        return Roles(self.target, tuple(self.drop), self.time, self.group)


def open_data(paths: list[str], options: Options) -> Source:
    """Opens what `paths` name, or says by a UserError why it cannot be read; so do all readers."""
    files = [pathlib.Path(path) for path in paths]
    for file in files:
        if not file.exists():
            raise UserError(f"there is no file or folder {file}.")
    kinds = ["folder" if file.is_dir() else _suffix(file) for file in files]
    if kinds == [".npy", ".npy"]:
        _refuse_options(options, "two .npy files")
        return read_npy_pair(files[0], files[1], options.seed)
    if len(files) == 1 and kinds[0] in _INSTEAD:
        raise UserError(f"{files[0]}: {_INSTEAD[kinds[0]]}")
    if len(files) != 1 or kinds[0] not in (".npz", "folder", *RECORDS, *_TABLES):
        raise UserError(f"DATA must be {FORMATS}. Received: {' '.join(paths)}.")
    if kinds[0] == "folder":
        return _open_folder(files[0], options)
    if kinds[0] in RECORDS:
        _refuse_options(options, "a TFRecord file", "--target", "--spec")
        return read_records(files[0], options.target, options.spec)
    if kinds[0] == ".npz":
        _refuse_options(options, "an .npz file")
        return read_npz(files[0], options.seed)
    return _read_table(_TABLES[kinds[0]](files[0]), options)


def _suffix(file: pathlib.Path) -> str:
    """The last, without that of compression."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes[-1:] == [".gz"]:
        return suffixes[-2] if suffixes[-2:-1] in ([".csv"], [".tsv"]) else ".gz"
    return suffixes[-1] if suffixes else ""


_TABLES: dict[str, Callable[[pathlib.Path], Table]] = {
    **dict.fromkeys((".csv", ".tsv"), csv_table),
    **dict.fromkeys(PARQUET, parquet_table),
    **dict.fromkeys(ARROW, arrow_table),
}
_PICKLED = (
    "a pickle runs whatever code it holds when it is read, and is not opened. Write its arrays with "
    "np.savez('data.npz', x=x, y=y), or its table with frame.to_csv('data.csv', index=False)."
)
# What to do about files that are not read.
_INSTEAD = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".p"), _PICKLED),
    **dict.fromkeys((".xls", ".xlsx", ".ods"), "spreadsheets are not read. Save the sheet as CSV first."),
    **dict.fromkeys((".json", ".jsonl", ".db", ".sqlite"), "is not read. Write a CSV or Parquet file first."),
}


def _read_table(table: Table, options: Options) -> Source:
    _refuse_options(options, "a table", "--target", "--drop", "--time", "--group")
    return read_table(table, options.roles)


def _open_folder(path: pathlib.Path, options: Options) -> Source:
    if (path / SPEC).exists():
        _refuse_options(options, "a saved dataset")
        return read_saved(path)
    if (path / STATE).exists() or (path / SPLITS).exists():
        return _read_table(saved_table(path), options)
    _refuse_options(options, "a folder of images", "--image-size")
    return read_images(path, options.image_size, options.limit, options.seed)


def _refuse_options(options: Options, what: str, *allowed: str) -> None:
    """An option that would change nothing is a misunderstanding."""
    given = {"--target": options.target, "--drop": options.drop or None, "--image-size": options.image_size}
    given |= {"--time": options.time, "--group": options.group, "--spec": options.spec}
    wrong = [name for name, value in given.items() if value is not None and name not in allowed]
    if wrong:
        raise UserError(f"{' and '.join(wrong)} do{'es' * (len(wrong) == 1)} not apply to {what}.")
