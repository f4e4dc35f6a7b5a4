"""What matters where in a batch, for the blends that ask."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch import Batch
from kmix_tf.batch.leaves import leaf_paths
from kmix_tf.batch.prepare import MIXED
from kmix_tf.saliency import NamedFeatures


def told_saliency(owner: str, blend: Callable, first: Batch, second: Batch, given: Any) -> Callable:
    """The blend, told what matters where in both batches, if it asks for that.

    Args:
        given: the saliency of the first batch, `(batch, *axes)`, or None: as the blend's own source sees it.

    Raises:
        ValueError: if it is given to a blend that does not ask.
    """
    if not getattr(blend, "uses_saliency", False):
        if given is not None:
            rule = f"None for {type(blend).__name__}, which asks for none"
            _checks.refuse(owner, "saliency", rule, given)
        return blend
    ours = blend.saliency_of(_named(first), first.y or None) if given is None else tf.convert_to_tensor(given)
    theirs = ours if second is first else blend.saliency_of(_named(second), second.y or None)
    return functools.partial(blend, saliency=(ours, theirs))


def _named(batch: Batch) -> NamedFeatures:
    """The features, and where in the batch they are: sources with a model find its inputs by name."""
    paths = [path for path, _ in leaf_paths(batch.structure[0])]
    return NamedFeatures(batch.x, [path for path, role in zip(paths, batch.roles[0], strict=True) if role == MIXED])
