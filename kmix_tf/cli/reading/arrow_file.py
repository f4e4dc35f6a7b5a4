"""Parquet, Feather and Arrow files, and datasets that Hugging Face's library saved to disk."""

import pathlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from kmix_tf import _extras
from kmix_tf.cli.reading.columns import Cells, Chunk, Table, is_missing
from kmix_tf.cli.reading.source import first_line, read_json, refuse_many, rows_of_a_block
from kmix_tf.cli.reading.staying import refuse_links_out, within
from kmix_tf.cli.terminal import UserError

PARQUET, ARROW = (".parquet", ".pq"), (".feather", ".arrow")
# What a folder of a saved dataset holds, and one of several of them.
STATE, SPLITS, INFO = "state.json", "dataset_dict.json", "dataset_info.json"
_SECONDS = 86_400


class Typed:
    """A column of an Arrow table. names: of classes that integers stand for, if they do."""

    def __init__(self, array: Any, names: list[str] | None = None):
        types = _arrow().types
        if types.is_dictionary(array.type):
            array = array.dictionary_decode()
        self._array, self._names, kind = array, names, array.type
        self.is_date = types.is_temporal(kind) and not types.is_time(kind) and not types.is_duration(kind)
        self._is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        self._is_number = self._is_number or types.is_decimal(kind)
        is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)
        self.is_other = not (self.is_date or self._is_number or is_text)

    def numbers(self) -> np.ndarray | None:
        arrow, array = _arrow(), self._array
        if self.is_other or self._names is not None:
            return None
        if not (self.is_date or self._is_number):
            # Text, which may spell numbers, as in CSV.
            return Cells(["" if value is None else value for value in array.to_pylist()]).numbers()
        if self.is_date:
            array = array.cast(arrow.timestamp("s"), safe=False).cast(arrow.int64())
        found = np.asarray(array.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
        return found / _SECONDS if self.is_date else found

    def words(self) -> list[str | None]:
        return [None if self._is_nothing(value) else self._word(value) for value in self._array.to_pylist()]

    def _word(self, value: Any) -> str:
        if self._names is not None and 0 <= value < len(self._names):
            return self._names[value]
        return str(value).strip()

    def _is_nothing(self, value: Any) -> bool:
        return value is None or value != value or (isinstance(value, str) and is_missing(value))


def _arrow() -> ModuleType:
    return _extras.require("pyarrow", "tables", "reading Parquet, Feather and Arrow files")


def parquet_table(path: pathlib.Path) -> Table:
    """A Parquet file."""
    arrow = _arrow()
    parquet = _extras.require("pyarrow.parquet", "tables", "reading Parquet files")
    with _told(path, arrow):
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        refuse_many(path.name, file.metadata.num_rows)

    def batches() -> Iterator[Any]:
        yield from parquet.ParquetFile(path).iter_batches(batch_size=rows_of_a_block(len(names)))

    return _table(path, names, batches)


def arrow_table(path: pathlib.Path) -> Table:
    """A Feather or Arrow file, of either format of Arrow's."""
    arrow = _arrow()
    with _told(path, arrow):
        names = _reader(path).schema.names
    return _table(path, names, lambda: _batches(path))


def saved_table(path: pathlib.Path) -> Table:
    """A folder that `datasets.Dataset.save_to_disk` made."""
    arrow = _arrow()
    try:
        if (path / SPLITS).exists():
            raise _several(path, read_json(path / SPLITS)["splits"])
        state = read_json(path / STATE)
        files = [within(path, part["filename"]) for part in state["_data_files"]]
        refuse_links_out(path, files)
        is_selection = bool(state.get("_indices_files")) or not files
        classes = _classes(read_json(path / INFO) if (path / INFO).exists() else {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no saved dataset that can be read ({first_line(error)}).") from error
    if is_selection:
        raise UserError(f"{path} holds a selection of rows, or none. Save it after dataset.flatten_indices().")
    with _told(path, arrow):
        names = _reader(files[0]).schema.names

    def batches() -> Iterator[Any]:
        for file in files:
            yield from _batches(file)

    return _table(path, names, batches, classes)


def _several(path: pathlib.Path, splits: list[str]) -> UserError:
    return UserError(f"{path} holds several datasets: {', '.join(splits)}. Name one, such as {path / splits[0]}.")


def _classes(info: dict[str, Any]) -> dict[str, list[str]]:
    """Names of the classes that integers of a column stand for, by column."""
    features = info.get("features") or {}
    found = {name: each["names"] for name, each in features.items() if each.get("_type") == "ClassLabel"}
    if not all(isinstance(word, str) for names in found.values() for word in names):
        raise ValueError("names of classes must be text")
    return found


def _reader(path: pathlib.Path) -> Any:
    arrow = _arrow()
    try:
        return arrow.ipc.open_file(arrow.memory_map(str(path)))
    except arrow.ArrowInvalid:
        return arrow.ipc.open_stream(arrow.memory_map(str(path)))


def _batches(path: pathlib.Path) -> Iterator[Any]:
    reader = _reader(path)
    if hasattr(reader, "get_batch"):
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        yield from reader


def _table(path: pathlib.Path, names: list[str], batches: Any, classes: dict[str, Any] | None = None) -> Table:
    def chunks() -> Iterator[Chunk]:
        first = 0
        with _told(path, _arrow()):
            for batch in batches():
                for start in range(0, batch.num_rows, rows_of_a_block(len(names))):
                    part = batch.slice(start, rows_of_a_block(len(names)))
                    # What a damaged file holds may lie outside of it.
                    part.validate(full=True)
                    columns = [Typed(part.column(i), (classes or {}).get(name)) for i, name in enumerate(names)]
                    yield Chunk(columns, part.num_rows, _row_from(first))
                    first += part.num_rows
        if not first:
            raise UserError(f"{path} is empty: it holds no rows.")

    return Table(path, names, chunks, [])


def _row_from(first: int) -> Callable[[int], str]:
    return lambda row: f"row {first + row}"


class _told:
    """Arrow's errors as one of the user's."""

    def __init__(self, path: pathlib.Path, arrow: ModuleType):
        self._path, self._arrow = path, arrow

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, (self._arrow.ArrowException, OSError, UnicodeDecodeError)):
            first = str(error).partition("\n")[0]
            raise UserError(f"{self._path} cannot be read ({first}).") from error
