"""The seeded pipeline stage."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.layers import MixLayer


def mix(
    layer: MixLayer,
    seed: int | None = None,
    num_parallel_calls: int | None = tf.data.AUTOTUNE,
    between: bool = False,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Makes a layer a stage for `dataset.apply`, with draws that are seeded, parallel and resumable.

    Each batch is paired with a seed of its own before the work is spread over threads. So the same seed gives the
    same stream whatever the parallelism; each batch and each epoch (each new iterator) draws anew; and a
    checkpoint of the iterator resumes in mid-epoch with the draws that would have come.

    Args:
        layer: any `MixLayer`.
        seed: an integer >= 0. Default: the layer's own, or else TensorFlow's global seed, or else random.
        num_parallel_calls: as in `tf.data.Dataset.map`; default `tf.data.AUTOTUNE`. The order of batches is kept.
        between: True for a dataset of pairs of batches, `tf.data.Dataset.zip((first, second))`, mixed by
            `layer.between`.

    Returns:
        A function from a dataset of batches to a dataset of mixed batches, for `dataset.apply`.

    Raises:
        TypeError: if `layer` is no `MixLayer`. ValueError: for a bad seed, or elements that cannot be mixed.

    Example:
        >>> from kmix_tf import KMixupLayer
        >>> dataset = tf.data.Dataset.from_tensor_slices((tf.random.uniform([64, 5]), tf.random.uniform([64])))
        >>> mixed = dataset.shuffle(64).batch(32).apply(mix(KMixupLayer(k=8), seed=0))
    """
    if not isinstance(layer, MixLayer):
        _checks.refuse("mix", "layer", "a MixLayer such as KMixupLayer(16)", layer, TypeError)
    seed = layer.seed if seed is None else _checks.integer("mix", "seed", seed, minimum=0)
    _checks.flag("mix", "between", between)

    def mix_element(batch_seed: tf.Tensor, element: Any) -> Any:
        parts = element if isinstance(element, tuple) else (element,)
        if between:
            return layer.between(*parts, training=True, seed=batch_seed)
        return layer(*parts, training=True, seed=batch_seed)

    def stage(dataset: tf.data.Dataset) -> tf.data.Dataset:
        _require_parts(dataset.element_spec, between)
        seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)
        # Seeds come first: zipped behind a file source, they would make auto-sharding drop records.
        paired = tf.data.Dataset.zip((seeds, dataset))
        if num_parallel_calls is None:
            return paired.map(mix_element)
        return paired.map(mix_element, num_parallel_calls=num_parallel_calls, deterministic=True)

    return stage


def _require_parts(spec: Any, between: bool) -> None:
    count = len(spec) if isinstance(spec, tuple) else 1
    if between and count != 2:
        raise ValueError(f"mix: between=True needs elements (first, second), two batches. Received: {spec}.")
    if count > 3:
        raise ValueError(f"mix: elements must be (x, y) or (x, y, sample_weight). Received: {spec}.")
