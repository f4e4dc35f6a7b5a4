"""Event files, as TensorBoard reads them. TensorFlow writes them without TensorBoard, which need not be installed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Numbers of `SummaryMetadata.data_class`.
_SCALAR, _TENSOR, _IMAGES = 1, 2, 3
_BINS = 30


class Events:
    """Writes what is told into event files of a folder, which begin with the first.

    Args:
        folder: a path. Files that are there already are left as they are, and are read together with the new one.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._writer: Any = None

    def scalar(self, tag: str, value: float, step: int) -> None:
        self._write(tag, tf.constant(value, tf.float32), step, "scalars", _SCALAR)

    def histogram(self, tag: str, values: np.ndarray, step: int, ends: tuple[float, float] | None = None) -> None:
        """How many values lie where; between these ends, or the least and the greatest."""
        counts, edges = np.histogram(values, bins=_BINS, range=ends)
        buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
        self._write(tag, tf.constant(buckets, tf.float64), step, "histograms", _TENSOR)

    def image(self, tag: str, image: np.ndarray, step: int, told: str = "") -> None:
        """A picture, uint8 `(height, width, 3)`."""
        height, width = image.shape[:2]
        with tf.device("cpu:0"):
            png = tf.io.encode_png(image)
        self._write(tag, tf.stack([str(width), str(height), png]), step, "images", _IMAGES, told)

    def text(self, tag: str, markdown: str, step: int) -> None:
        self._write(tag, tf.constant(markdown), step, "text", _TENSOR)

    def _write(self, tag: str, value: tf.Tensor, step: int, plugin: str, kind: int, told: str = "") -> None:
        metadata = tf.compat.v1.SummaryMetadata(summary_description=told, data_class=kind)
        metadata.plugin_data.plugin_name = plugin
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self._folder)
        with self._writer.as_default():
            tf.summary.write(tag, value, step=step, metadata=metadata)

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Ends the file; what is written after it begins another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; bars in what it holds are written so that they do not end a cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
