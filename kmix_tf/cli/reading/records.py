"""A TFRecord file of `tf.train.Example`s, by a spec of its features or by what its first records hold."""

import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from kmix_tf.cli.reading.framing import longest_record
from kmix_tf.cli.reading.image_file import MOST_VALUES, decoded
from kmix_tf.cli.reading.source import Block, Source, first_line, read_json, rows_of_a_block
from kmix_tf.cli.terminal import UserError

SUFFIXES = (".tfrecord", ".tfrecords")
# Bytes of the records that are in memory at once.
_BLOCK = 2**26
# Records that tell what all of them hold, where no spec does.
_LOOKED_AT = 64
# Names that a target goes by, where none is given.
_TARGETS = ("label", "labels", "y", "target", "class")
_GZIP = b"\x1f\x8b"
# Of a spec: what an encoded image is called, beside the dtypes of NumPy.
IMAGE = "image"
_KINDS = {"int64_list": "int64", "float_list": "float32", "bytes_list": "string"}
_ENCODED = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")


class Feature(NamedTuple):
    """dtype: "float32", "int64", "string" or "image" (encoded); others are raw bytes of that dtype. shape: of one."""

    dtype: str
    shape: tuple[int, ...]

    def parsed_by(self) -> tf.io.FixedLenFeature:
        """How TensorFlow reads it."""
        if self.dtype in ("float32", "int64"):
            return tf.io.FixedLenFeature(self.shape, self.dtype)
        return tf.io.FixedLenFeature([], tf.string)


def read_records(path: pathlib.Path, target: str | None, spec: str | None) -> Source:
    """Samples of a TFRecord file.

    Args:
        target: the feature of the labels; None for one called label, labels, y, target or class.
        spec: a JSON file of {name: {"dtype": ..., "shape": [...]}}, or None.
    """
    most = _at_once(path)
    features = _first(path) if spec is None else _of_file(pathlib.Path(spec))
    label = _label(path, features, target)
    taken, left = _taken(path, features, label)
    blocks = _blocks(path, {name: features[name] for name in (*taken, label)}, label, most)
    source = Source(path.name, "records", blocks)
    source.target = f"the feature {label!r}"
    told = ", ".join(f"{name}: {each.dtype} {list(each.shape)}" for name, each in features.items())
    source.notes = [] if spec is not None else [f"Features, as the first records have them: {told}."]
    source.notes += [f"Left out, as they are text: {', '.join(left)}."] if left else []
    return source


def _of_file(path: pathlib.Path) -> dict[str, Feature]:
    wanted = '{"image": {"dtype": "uint8", "shape": [28, 28, 1]}, "label": {"dtype": "int64", "shape": []}}'
    try:
        told = read_json(path)
        found = {name: Feature(each["dtype"], tuple(map(int, each["shape"]))) for name, each in told.items()}
        for name, each in found.items():
            if each.dtype not in (IMAGE, "string") and np.dtype(each.dtype).kind not in "fiub":
                raise ValueError(f"{name}: dtype {each.dtype}")
            if min(each.shape, default=0) < 0 or math.prod(each.shape) > MOST_VALUES:
                raise ValueError(f"{name}: shape {each.shape}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"--spec: {path} must be JSON like {wanted}. Received: {error!r}.") from error
    return found


def _records(path: pathlib.Path) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(str(path), "GZIP" if _is_packed(path) else "")


def _is_packed(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _at_once(path: pathlib.Path) -> int:
    """How many records fit into memory together."""
    try:
        return max(1, _BLOCK // max(1, longest_record(path, _is_packed(path))))
    except ValueError as error:
        raise _unreadable(path, error) from error


def _first(path: pathlib.Path) -> dict[str, Feature]:
    """What the first records hold, all of them alike."""
    found: dict[str, Feature] = {}
    try:
        for record in _records(path).take(_LOOKED_AT).as_numpy_iterator():
            example = tf.train.Example.FromString(record)
            held = {name: _held(value) for name, value in sorted(example.features.feature.items())}
            if found and held != found:
                raise UserError(
                    f"{path}: records must hold the same features, of the same lengths. Say by --spec what they "
                    f"hold, or map and save them as a tf.data dataset. Received: {held} after {found}."
                )
            found = held
    except (tf.errors.OpError, DecodeError) as error:
        raise _unreadable(path, error) from error
    if not found:
        raise UserError(f"{path} is empty: it holds no records, or none with features.")
    return found


def _held(value: Any) -> Feature:
    kind = value.WhichOneof("kind")
    if kind is None:
        return Feature("string", (0,))
    values = getattr(value, kind).value
    is_image = kind == "bytes_list" and len(values) == 1 and values[0].startswith(_ENCODED)
    return Feature(IMAGE if is_image else _KINDS[kind], () if len(values) == 1 else (len(values),))


def _label(path: pathlib.Path, features: dict[str, Feature], target: str | None) -> str:
    known = [name for name in _TARGETS if name in features]
    if target is None and not known:
        raise UserError(f"{path}: name the target with --target. Features: {', '.join(features)}.")
    label = known[0] if target is None else target
    if label not in features or features[label].dtype == IMAGE:
        raise UserError(f"--target: {path} has no feature {label!r} of labels. Features: {', '.join(features)}.")
    return label


def _taken(path: pathlib.Path, features: dict[str, Feature], label: str) -> tuple[list[str], list[str]]:
    """An image alone, or all that are numbers; and those left out."""
    others = [name for name in features if name != label]
    images = [name for name in others if features[name].dtype == IMAGE or len(features[name].shape) == 3]
    taken = images[:1] or [name for name in others if features[name].dtype != "string"]
    if not taken or len(images) > 1:
        raise UserError(
            f"{path}: one image, or numbers, must be left beside the target {label!r}. Received: "
            f"{', '.join(features)}."
        )
    return taken, [name for name in others if name not in taken]


def _blocks(path: pathlib.Path, features: dict[str, Feature], label: str, most: int) -> Iterator[Block]:
    """most: records at a time."""
    image = next((name for name, each in features.items() if each.dtype == IMAGE and name != label), None)
    size = sum(math.prod(each.shape) for each in features.values())
    rows = max(1, min(1024, most, rows_of_a_block(max(size, 12_288))))
    parse = _parser(features, label)
    try:
        for records in _records(path).batch(rows).as_numpy_iterator():
            x, y = (part.numpy() for part in parse(tf.constant([_written_anew(record) for record in records])))
            labels = _decoded(y)
            if image is not None:
                yield from _image_blocks(x, labels, features[image].shape)
            else:
                yield Block(x[:, np.newaxis] if x.ndim == 1 else x, labels)
    except UserError:
        raise
    except (tf.errors.OpError, DecodeError, ValueError, TypeError, OverflowError) as error:
        raise _unreadable(path, error) from error


def _written_anew(record: bytes) -> bytes:
    """A record as protobuf writes it: TensorFlow's own parser reads beyond the end of one that claims long names.

    Raises:
        DecodeError: for what is no example.
    """
    example = tf.train.Example.FromString(record)
    example.DiscardUnknownFields()
    return example.SerializeToString()


def _parser(features: dict[str, Feature], label: str) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Of some records, numbers, or images as they are encoded; and their labels."""
    spec = {name: each.parsed_by() for name, each in features.items()}

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def parse(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed, count = tf.io.parse_example(records, spec), tf.size(records)
        numbers = {name: _numbers(parsed[name], each) for name, each in features.items() if name != label}
        if len(numbers) == 1:
            return numbers.popitem()[1], parsed[label]
        sizes = {name: math.prod(features[name].shape) for name in numbers}
        flat = [tf.reshape(tf.cast(part, tf.float32), [count, sizes[name]]) for name, part in numbers.items()]
        return tf.concat(flat, 1), parsed[label]

    return parse


def _image_blocks(contents: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> Iterator[Block]:
    """Images are decoded one by one: a small record may hold a large one."""
    held: list[np.ndarray] = []
    for place, content in enumerate(contents, 1):
        image = decoded(content)
        held.append(image.reshape(shape) if len(shape) == 3 else image)
        if held[-1].shape != held[0].shape:
            raise ValueError(f"images have different shapes: {held[0].shape} and {held[-1].shape}")
        if place == len(contents) or len(held) >= rows_of_a_block(image.size):
            yield Block(np.stack(held), y[place - len(held) : place])
            held = []


def _numbers(value: tf.Tensor, feature: Feature) -> tf.Tensor:
    if feature.dtype in ("float32", "int64", IMAGE):
        return value
    return tf.reshape(tf.io.decode_raw(value, feature.dtype), [tf.size(value), *feature.shape])


def _decoded(y: np.ndarray) -> np.ndarray:
    return np.char.decode(y.astype(bytes), "utf-8") if y.dtype.kind == "O" else y


def _unreadable(path: pathlib.Path, error: Exception) -> UserError:
    return UserError(f"{path} is no TFRecord file of examples that can be read ({first_line(error)}).")
