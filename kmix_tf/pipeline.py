"""The seeded pipeline stage."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf import _checks, skipping
from kmix_tf._graph import at_step
from kmix_tf.callbacks import TrainedSteps
from kmix_tf.layers import Stage
from kmix_tf.mapped import mapped, scanned
from kmix_tf.seed_datasets import seed_and_step, seeds_and_steps


@_checks.speaks
def mix(
    layer: Stage,
    seed: int | None = None,
    num_parallel_calls: int | None = tf.data.AUTOTUNE,
    between: bool = False,
    initial_step: int | TrainedSteps | None = None,
    salted: bool = False,
    on_invalid: str | skipping.SkippedBatches = skipping.RAISE,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Mixes the batches of a dataset, seeded, in parallel and resumable: `dataset.apply(mix(layer, seed=0))`.

    Each batch is paired with a seed of its own before the work is spread over threads. So the same seed gives the
    same stream whatever the parallelism; each batch and each epoch (each new iterator) draws anew; and a
    checkpoint of the iterator resumes in mid-epoch with the draws that would have come. (In later epochs as well if
    the dataset repeats before it is mixed. After it, TensorFlow's prefetching may save what is ahead of it.) Keras
    saves no iterators: `fit` with `BackupAndRestore` or `initial_epoch` resumes by `initial_step`.

    With `tf.data` service, mix after `distribute()`: then all this holds. Before it, workers would make the stage
    anew for each epoch and draw the same again and again; so they refuse, unless `salted`. Datasets that are sharded
    by files (`AutoShardPolicy.FILE`) can be mixed before: each shard has draws of its own.

    Example:
        >>> from kmix_tf import KMixupLayer
        >>> dataset = tf.data.Dataset.from_tensor_slices((tf.random.uniform([64, 5]), tf.random.uniform([64])))
        >>> mixed = dataset.shuffle(64).batch(32).apply(mix(KMixupLayer(k=8), seed=0))
        >>> model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> steps = TrainedSteps()
        >>> resumable = dataset.batch(32).apply(mix(KMixupLayer(k=8), seed=0, initial_step=steps))
        >>> history = model.fit(resumable, epochs=2, callbacks=[steps], verbose=0)  # and BackupAndRestore(...)

    Args:
        layer: any `MixLayer`, `ChoiceLayer` or `RecursiveMixLayer`.
        seed: an integer >= 0. Default: the layer's own, or else TensorFlow's global seed, or else random. If a global
            seed is set (`tf.random.set_seed`, `keras.utils.set_random_seed`) when the stage is applied, draws depend
            on it as well, as all of TensorFlow's seeded datasets do: for the same stream, it must be the same.
        num_parallel_calls: as in `tf.data.Dataset.map`; default `tf.data.AUTOTUNE`. The order of batches is kept. A
            layer that carries mixtures on to the next batch, `RecursiveMixLayer`, mixes one batch after another.
        between: True for a dataset of pairs of batches, `tf.data.Dataset.zip((first, second))`, mixed by
            `layer.between`.
        initial_step: the step of an iterator's first batch: a `TrainedSteps`, which is given to `fit` as well, for a
            `fit` that can be resumed; see there. Or an integer >= 0, for a layer with a schedule in a loop of one's
            own. Default 0, for a dataset that repeats for ever: any other starts again at its first step in each
            epoch, which would freeze the schedule, and must say where it starts. A checkpoint of the iterator keeps
            the step.
        salted: True draws the seeds themselves where the graph runs, so that each worker of `tf.data` service draws
            its own, anew in each epoch. This gives up equal streams, everywhere: `seed` has no say then, and what
            follows the epoch in which a checkpoint was made is drawn anew. Repeat the dataset before mixing it: in
            each epoch of one that ends, each worker compiles what `solver="graph"` matches by anew. Default False.
        on_invalid: what becomes of a batch whose values cannot be mixed: features, targets or weights that are NaN or
            infinite, weights below 0, labels outside their range or missing. "raise" (default) stops, and names the
            batch by its step. "skip" leaves the whole batch out, with a warning for an iterator's first, tenth,
            hundredth; a `SkippedBatches()` does so, too, and counts them. Other batches are mixed as they would be;
            a layer that carries mixtures on carries them past it. An error tells if nothing is left of the dataset,
            or if 1,000 batches in a row cannot be mixed. What the source raises comes through as it is.
            Shard by files first: TensorFlow's own sharding does not look through what counts here.

    Returns:
        A function from a dataset of batches to a dataset of mixed batches, for `dataset.apply`.

    Raises:
        TypeError: if `layer` is no such layer. ValueError: for a bad seed, or elements that cannot be mixed.
        InvalidArgumentError: with the first batch, in a worker of `tf.data` service, unless `salted`; with a batch
            that cannot be mixed, unless `on_invalid` leaves it out.
    """
    if not isinstance(layer, Stage):
        _checks.refuse("layer", "a MixLayer such as KMixupLayer(16)", layer, TypeError)
    seed = layer.seed if seed is None else _checks.integer("seed", seed, minimum=0)
    _checks.flag("between", between)
    _checks.flag("salted", salted)
    skipping.checked(on_invalid, salted)
    first_step = _first_step(initial_step)

    if between and layer.carries:
        rule = f"False for a {type(layer).__name__}, which mixes each batch with the one before"
        _checks.refuse("between", rule, between)

    @tf.autograph.experimental.do_not_convert
    def carry_element(carried: Any, drawn: tuple[Any, Any]) -> tuple[Any, Any]:
        numbers, element = drawn
        batch_seed, step = seed_and_step(numbers, isinstance(first_step, TrainedSteps))
        with at_step(step):
            return layer.carry(carried, _parts(element), seed=batch_seed, step=step)

    @tf.autograph.experimental.do_not_convert
    def mix_element(numbers: tuple[tf.Tensor, tf.Tensor, tf.Tensor], element: Any) -> Any:
        batch_seed, step = seed_and_step(numbers, isinstance(first_step, TrainedSteps))
        call: Callable[..., Any] = layer.between if between else layer
        with at_step(step):
            return call(*_parts(element), training=True, seed=batch_seed, step=step)

    def stage(dataset: tf.data.Dataset) -> tf.data.Dataset:
        _require_parts(dataset.element_spec, between)
        if layer.is_scheduled and initial_step is None:
            _require_endless(dataset)
        # Seeds come first: zipped behind a file source, they would make auto-sharding drop records.
        paired = tf.data.Dataset.zip((seeds_and_steps(seed, first_step, salted), dataset))
        if on_invalid != skipping.RAISE:
            paired = skipping.without_invalid(paired, layer, on_invalid, between, num_parallel_calls, salted)
        if layer.carries:
            return scanned(paired, layer.nothing_carried(_parts(dataset.element_spec)), carry_element)
        return mapped(paired, mix_element, num_parallel_calls)

    return stage


def _first_step(given: Any) -> int | TrainedSteps:
    if isinstance(given, TrainedSteps):
        return given
    return 0 if given is None else _checks.integer("initial_step", given, minimum=0)


def _parts(element: Any) -> tuple[Any, ...]:
    return element if isinstance(element, tuple) else (element,)


def _require_parts(spec: Any, between: bool) -> None:
    count = len(spec) if isinstance(spec, tuple) else 1
    if between and count != 2:
        raise ValueError(f"mix: between=True needs elements (first, second), two batches. Received: {spec}.")
    if count > 3:
        raise ValueError(f"mix: elements must be (x, y) or (x, y, sample_weight). Received: {spec}.")


def _require_endless(dataset: tf.data.Dataset) -> None:
    if dataset.cardinality() != tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "mix: a schedule counts steps from one epoch to the next, but a dataset that ends starts again at its "
            "first step. Received: a dataset that does not repeat for ever. Call dataset.repeat() before mixing, and "
            "give fit its steps_per_epoch; or say where this one starts by mix(..., initial_step=...), in fit by a "
            "TrainedSteps."
        )
