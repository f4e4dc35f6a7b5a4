"""The ways of training that a trial compares: they differ in the mix alone."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis import distance_profile, matched_alpha
from kmix_tf.layers import CutMixLayer, KMixupLayer, LocalMixupLayer
from kmix_tf.layers.stage import Stage
from kmix_tf.trial.problem import CLASSES
from kmix_tf.trial.splits import Part
from kmix_tf.weight import ExponentialWeight

PLAIN = "no mixing"
K = 16
# An alpha as large draws ratios of 1/2 only: k-mixup then cannot perturb as much as it should.
_LARGEST = 64.0
# Rows that distances are measured on.
_MEASURED = 2000


class Arm(NamedTuple):
    """name: in tables. layer: mixes batches; None mixes nothing. code: a line that makes the layer. note: or ""."""

    name: str
    layer: Any
    code: str
    note: str = ""


def default_arms(train: Part, task: str, batch: int, seed: int) -> list[Arm]:
    """No mixing, mixup at 0.2 and 1, k-mixup, Local Mixup, and CutMix for images.

    Args:
        train: the rows that distances are measured on.
    """
    classes = train.y.shape[1] if task == CLASSES else None
    told = f", num_classes={classes}" if classes else ""
    mixup = [Arm(f"mixup {a:g}", KMixupLayer(1, alpha=a), f"KMixupLayer(1, alpha={a:g}{told})") for a in (0.2, 1.0)]
    arms = [Arm(PLAIN, None, ""), *mixup]
    k = min(K, batch // 2)
    if k > 1:
        arms.append(_matched(train.x, k, told, seed))
    arms.append(_local(train, task, told, seed))
    if train.x.ndim == 4:
        arms.append(Arm("CutMix", CutMixLayer(), f"CutMixLayer(alpha=1{told})"))
    return arms


def _matched(x: np.ndarray, k: int, told: str, seed: int) -> Arm:
    alpha, note = 1.0, ""
    try:
        flat = x.reshape(len(x), -1)[:_MEASURED].astype(np.float64)
        found = matched_alpha(flat, k, 1.0, seed=seed, largest=_LARGEST, precision=0.1).alpha
    except ValueError:
        found = _LARGEST
    if found < _LARGEST:
        alpha = float(f"{found:.2g}")
    else:
        note = f"No alpha makes {k}-mixup perturb as much as mixup does at alpha = 1; it has alpha = 1 here."
    return Arm(f"{k}-mixup", KMixupLayer(k, alpha=alpha), f"KMixupLayer({k}, alpha={alpha:g}{told})", note)


def _local(train: Part, task: str, told: str, seed: int) -> Arm:
    """By the rate that the audit suggests; of anything but classes by the median of a batch's distances."""
    rate = math.inf
    if task == CLASSES:
        y = train.y[:_MEASURED].argmax(axis=1)
        if len(np.unique(y)) > 1:
            rate = distance_profile(train.x[:_MEASURED], y, max_pairs=200_000, seed=seed).rate
    weight = float(f"{rate:.4g}") if math.isfinite(rate) else "quantile:0.5"
    code = f"LocalMixupLayer(alpha=1, weight=ExponentialWeight({weight!r}){told})"
    return Arm("Local Mixup", LocalMixupLayer(1.0, ExponentialWeight(weight)), code)


def arms_of(mixes: Any) -> list[Arm]:
    """No mixing, and mixes of the user's own, by name.

    Raises:
        TypeError: for anything but layers by name. ValueError: for none, a name that is taken, or packed targets.
    """
    if not isinstance(mixes, Mapping) or not all(isinstance(layer, Stage) for layer in mixes.values()):
        _checks.refuse("mixes", "a dictionary of layers, such as {'mixup': KMixupLayer(1)}", mixes, TypeError)
    if not mixes or PLAIN in mixes:
        _checks.refuse(
            "mixes", f"at least one mix, none of them called {PLAIN!r}, which is always there", dict(mixes)
        )
    for name, layer in mixes.items():
        if layer.targets != "mixed":
            raise _checks.problem(f"mixes must have targets='mixed'. Received: {name!r} with {layer.targets!r}.")
    return [Arm(PLAIN, None, ""), *(Arm(str(name), layer, str(name)) for name, layer in mixes.items())]
