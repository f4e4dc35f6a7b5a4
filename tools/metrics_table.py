"""Measures which stock metrics hold on mixed targets, and writes docs/metrics.md.

    python tools/metrics_table.py            # prints the page
    python tools/metrics_table.py --write    # writes it

A stock metric holds if it says of mixed targets what it says of clean ones that are counted by their shares. Ratios
are tenths, so that counting needs no weights: a clean sample of share 0.7 is there seven times of ten.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kmix_tf import MixMetric, pack_targets
from kmix_tf.metrics.clean import NUMBERS
from kmix_tf.metrics.stock import kind_of

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
SAMPLES = 200

HEAD = """# Which metrics hold on mixed targets

Made by `tools/metrics_table.py`, which measures it; a test compares. For {samples} mixtures and predictions that are
often right, each line says what a stock Keras metric makes of the mixed targets, what it says of the same clean
samples counted by their shares, and what `MixMetric` of it says of the mixed targets. A metric holds where the first
two agree.

- In `fit`, stock metrics see mixed targets in training and plain ones in validation: where a metric does not hold,
  its two curves are of different things. `MixMetric` is of the same thing in both.
- `metrics` ignore sample weights, `weighted_metrics` count them, `MixMetric` among them as well.
- Sparse metrics want integers, which mixing makes soft: `MixModel` and `ManifoldMixModel` refuse them, and
  `MixMetric` of them holds. With `targets="packed"` no stock metric holds.
- Metrics of numbers, marked *, see mixed numbers as they are, which is what squared errors of regression should be
  of. `MixMetric` counts both numbers if it is given packed targets, as here.
- `MeanIoU`, `IoU` and their kind count in integers, which cuts shares off: give them `dtype="float32"`.
"""

CLASSES = {
    "CategoricalAccuracy": {},
    "TopKCategoricalAccuracy": {"k": 2},
    "SparseCategoricalAccuracy": {},
    "SparseTopKCategoricalAccuracy": {"k": 2},
    "CategoricalCrossentropy": {},
    "KLDivergence": {},
    "CategoricalHinge": {},
    "MeanSquaredError": {},
    "F1Score": {"average": "macro"},
    "AUC": {},
    "Precision": {},
    "Recall": {},
    "BinaryAccuracy": {},
    "OneHotMeanIoU": {"num_classes": 4, "dtype": "float32"},
}
LABELS = {
    "BinaryAccuracy": {},
    "BinaryCrossentropy": {},
    "AUC": {},
    "Precision": {},
    "Recall": {},
    "TruePositives": {},
    "TrueNegatives": {},
    "FalsePositives": {},
    "FalseNegatives": {},
    "SensitivityAtSpecificity": {"specificity": 0.7},
    "SpecificityAtSensitivity": {"sensitivity": 0.7},
    "PrecisionAtRecall": {"recall": 0.7},
    "RecallAtPrecision": {"precision": 0.5},
    "F1Score": {"average": "micro", "threshold": 0.5},
    "Hinge": {},
    "MeanSquaredError": {},
}
SECTIONS = {
    "Classes, one softmax": ("classes", CLASSES),
    "0/1 labels of one sigmoid unit": ("unit", {**LABELS, "BinaryIoU": {"dtype": "float32"}}),
    "Several labels at once, a sigmoid each": ("labels", LABELS),
}


class Mixtures(NamedTuple):
    """y_a, y_b: clean targets. tenths: the share of y_a. p: predictions."""

    y_a: np.ndarray
    y_b: np.ndarray
    tenths: np.ndarray
    p: np.ndarray

    @property
    def mixed(self) -> np.ndarray:
        ratio = (self.tenths / 10).astype(np.float32)[:, np.newaxis]
        return ratio * self.y_a + (1 - ratio) * self.y_b

    @property
    def packed(self) -> np.ndarray:
        return np.asarray(pack_targets(self.y_a, self.y_b, self.tenths / 10))

    @property
    def clean(self) -> tuple[np.ndarray, np.ndarray]:
        """Targets and predictions, each so often as it has tenths."""
        rows = np.arange(len(self.p))
        first, second = np.repeat(rows, self.tenths), np.repeat(rows, 10 - self.tenths)
        return np.concatenate([self.y_a[first], self.y_b[second]]), np.concatenate([self.p[first], self.p[second]])


def mixtures(kind: str) -> Mixtures:
    """Random ones, with predictions that know of the mixed target and err."""
    rng = np.random.default_rng(0)
    tenths, noise = rng.integers(1, 10, SAMPLES), rng.random((SAMPLES, {"classes": 4, "unit": 1, "labels": 3}[kind]))
    shape = (2, *noise.shape)
    if kind == "classes":
        y_a, y_b = np.eye(4, dtype=np.float32)[rng.integers(0, 4, shape[:2])]
    else:
        y_a, y_b = (rng.random(shape) < 0.4).astype(np.float32)
    known = Mixtures(y_a, y_b, tenths, noise)
    p = 0.5 * known.mixed + 0.5 * noise
    return known._replace(p=(p / p.sum(1, keepdims=True) if kind == "classes" else p).astype(np.float32))


def value_of(metric: keras.metrics.Metric, y: np.ndarray, p: np.ndarray) -> float:
    """What a metric says."""
    metric.update_state(y, p)
    return float(np.asarray(metric.result()))


def value_if_any(metric: keras.metrics.Metric, y: np.ndarray, p: np.ndarray) -> float | None:
    """What a metric says; None if it stops: whatever it stops on, it does not hold."""
    try:
        return value_of(metric, y, p)
    except Exception:
        return None


def measured(kind: str, name: str, options: dict) -> tuple[float | None, float, float]:
    """What a metric says of mixed targets, of clean ones, and within `MixMetric`."""
    made: Callable = lambda: getattr(keras.metrics, name)(**options)  # noqa: E731
    known = mixtures(kind)
    y, p = known.clean
    scale = 0.1 if name.startswith(("True", "False")) else 1.0  # Those are counts, of ten times as many.
    if name.startswith("Sparse"):
        y = y.argmax(axis=1)
    clean = value_of(made(), y, p)
    ours = value_of(MixMetric(made()), known.packed if kind_of(made()) == NUMBERS else known.mixed, known.p)
    return value_if_any(made(), known.mixed, known.p), clean * scale, ours


def holds(stock: float | None, clean: float) -> bool:
    return stock is not None and abs(stock - clean) <= 1e-4 * max(1.0, abs(clean))


def lines(kind: str, metrics: dict) -> list[str]:
    rows = ["| metric | mixed targets | clean, by share | MixMetric | holds |", "|---|---|---|---|---|"]
    for name, options in metrics.items():
        if not hasattr(keras.metrics, name):
            continue
        stock, clean, ours = measured(kind, name, options)
        star = "*" if kind_of(getattr(keras.metrics, name)(**options)) == NUMBERS else ""
        shown = "error" if stock is None else f"{stock:.3f}"
        rows.append(
            f"| {name}{star} | {shown} | {clean:.3f} | {ours:.3f} | {'yes' if holds(stock, clean) else '**no**'} |"
        )
    return rows


def page() -> str:
    parts = [HEAD.format(samples=SAMPLES)]
    for title, (kind, metrics) in SECTIONS.items():
        parts.append(f"## {title}\n\n" + "\n".join(lines(kind, metrics)) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/metrics.md")
    if parser.parse_args().write:
        PAGE.write_text(page())
    else:
        print(page())
