"""What a user would pick instead: Keras, KerasCV, torchvision, timm, and the k-mixup paper's own two ways to match.

    pip install 'kmix_tf[benchmarks]'

brings those that are not there. What is not installed is left out of the tables, which say so.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from typing import Any

# Threads of torch that spin while they wait would slow down whoever comes next in a round.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment
from scipy.spatial import distance_matrix


def figure_5_partners(x: np.ndarray, x2: np.ndarray, k: int) -> np.ndarray:
    """The k-mixup paper's Figure 5: for each row of x that of x2, matched group by group by SciPy, in float64."""
    index = np.arange(len(x))
    for start in range(0, len(x), k):
        rows = slice(start, start + k)
        cost = distance_matrix(_flat(x[rows]), _flat(x2[rows]))
        index[rows] = linear_sum_assignment(cost)[1] + start
    return index


def padded_partners(x: np.ndarray, order: np.ndarray, k: int) -> np.ndarray:
    """The authors' published way (train.py of AnmingGu/kmixup-cifar10): one assignment of the whole batch.

    Groups of the batch as it comes face groups of a shuffle of it. Their distances are blocks on the diagonal of one
    matrix, batch x batch, which holds a large number everywhere else, so that nobody leaves the group. There it is
    1000, which distances of images in 0 to 255 exceed: here it is larger than all of them.
    """
    blocks = []
    for start in range(0, len(x), k):
        rows = slice(start, start + k)
        blocks.append(distance_matrix(_flat(x[rows]), _flat(x[order[rows]])))
    cost = np.full((len(x), len(x)), 1 + 2 * len(x) * max(block.max() for block in blocks))
    for number, block in enumerate(blocks):
        rows = slice(number * k, number * k + len(block))
        cost[rows, rows] = block
    return order[linear_sum_assignment(cost)[1]]


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def figure_5(k: int = 32, alpha: float = 1.0) -> Callable:
    """Figure 5 as a map. Its second loader is a shuffle of the batch."""

    def mixed(x: np.ndarray, y: np.ndarray) -> Any:
        order = np.random.permutation(len(x))
        x2, y2 = x[order], y[order]
        index = figure_5_partners(x, x2, k)
        ratio = np.float32(np.random.beta(alpha, alpha))
        return ratio * x + (1 - ratio) * x2[index], ratio * y + (1 - ratio) * y2[index]

    return _on_host(mixed)


def authors_scheme(k: int = 32, alpha: float = 1.0) -> Callable:
    """The authors' published way as a map."""

    def mixed(x: np.ndarray, y: np.ndarray) -> Any:
        index = padded_partners(x, np.random.permutation(len(x)), k)
        ratio = np.float32(np.random.beta(alpha, alpha))
        return ratio * x + (1 - ratio) * x[index], ratio * y + (1 - ratio) * y[index]

    return _on_host(mixed)


def _on_host(mixed: Callable) -> Callable:
    return lambda x, y: tf.numpy_function(mixed, [x, y], [tf.float32, tf.float32])


def of_keras(images: bool = True) -> dict[str, Callable]:
    """Maps by name: the layers of Keras and KerasCV, of images alone."""
    found = {}
    for name in ("MixUp", "CutMix") if images else ():
        if hasattr(keras.layers, name):
            found[f"keras.layers.{name}"] = _as_map(getattr(keras.layers, name)())
        if (module := load("keras_cv")) is not None:
            found[f"keras_cv.layers.{name}"] = _as_map(getattr(module.layers, name)())
    return found


def _as_map(layer: Callable) -> Callable:
    return lambda x, y: layer({"images": x, "labels": y}, training=True)


def of_torch(x: np.ndarray, classes: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Calls by name: the mixups of torchvision and timm, each of this batch as a tensor of torch, with no pipeline.

    timm's mixes in place: its batch is another after each call.
    """
    if load("torchvision") is None and load("timm") is None:
        return {}
    torch = importlib.import_module("torch")
    batch, labels = torch.from_numpy(x.copy()), torch.from_numpy(classes.astype(np.int64))
    number = int(classes.max()) + 1
    found: dict[str, Callable[[], Any]] = {}
    if load("torchvision") is not None:
        transforms = importlib.import_module("torchvision.transforms.v2")
        theirs = transforms.MixUp(alpha=1.0, num_classes=number)
        found["torchvision.transforms.v2.MixUp"] = lambda: theirs(batch, labels)
    if (timm := load("timm")) is not None:
        mixup = timm.data.Mixup(mixup_alpha=1.0, label_smoothing=0.0, num_classes=number)
        found["timm.data.Mixup"] = lambda: mixup(batch, labels)
    return found


def load(name: str) -> Any:
    """A package, or None if it is not installed."""
    if importlib.util.find_spec(name) is None:
        return None
    if name in ("torchvision", "timm"):
        _load_torchvision()
    return importlib.import_module(name)


def _load_torchvision() -> None:
    """A torchvision built for GPUs beside a torch built for CPUs, as pip may bring them, fails where it registers its
    own operators. MixUp needs none: then it does without."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for each in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[each]
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
        importlib.import_module("torchvision")


def versions() -> dict[str, str | None]:
    """The versions of the peers that are installed besides Keras; None for those that are not."""
    found: dict[str, str | None] = {}
    for distribution in ("keras-cv", "torch", "torchvision", "timm"):
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[distribution] = None
    return found


def told(of: dict[str, str | None]) -> str:
    """Which peers took part, in words."""
    there = ", ".join(f"{name} {version}" for name, version in of.items() if version)
    missing = [name for name, version in of.items() if not version]
    line = f"Peers besides Keras: {there or 'none'}."
    return line + (f" Not installed: {', '.join(missing)} (the extra `benchmarks` brings them)." if missing else "")
