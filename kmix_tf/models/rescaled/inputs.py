"""What a model says of its inputs and outputs: which axes are open, and what in them is padding."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import mask_of, set_mask
from kmix_tf._ops import ops, ops_for
from kmix_tf._paths import is_selected, leaf_name, leaf_paths, same_structure
from kmix_tf.models.lookups import input_specs
from kmix_tf.models.rescaled.places import Shape


def declared_shapes(model: Any, x: Any) -> list[Shape | None]:
    """For each leaf of a batch, the shape of the model's input it goes to, without the batch axis; None: unknown.

    Of a model that is not functional, nothing is known, and of one whose inputs are matched otherwise.
    """
    specs = input_specs(model)
    leaves = tf.nest.flatten(x)
    if specs is None:
        return [None] * len(leaves)
    flat = tf.nest.flatten(specs)
    shapes = [None if number is None else flat[number].shape for number in _input_numbers(specs, x)]
    return [
        tuple(shape[1:]) if shape is not None and shape.rank == len(leaf.shape) else None
        for shape, leaf in zip(shapes, leaves, strict=True)
    ]


def declared_outputs(model: Any, answer: Any) -> list[Shape | None]:
    """The same of outputs."""
    outputs = tf.nest.flatten(getattr(model, "outputs", None) or [])
    leaves = tf.nest.flatten(answer)
    if len(outputs) != len(leaves):
        return [None] * len(leaves)
    return [
        tuple(output.shape)[1:] if len(output.shape) == len(leaf.shape) else None
        for output, leaf in zip(outputs, leaves, strict=True)
    ]


def masked_values(model: Any, x: Any) -> list[float | None]:
    """For each leaf of a batch, which value a `keras.layers.Masking` that reads it takes for padding; None: none."""
    values = _masked_inputs(model)
    return [values.get(number) if number is not None else None for number in _input_numbers(input_specs(model), x)]


def _masked_inputs(model: Any) -> dict[int, float]:
    """The values that are masked, by the numbers of a model's inputs, in itself and in models within it."""
    layers = getattr(model, "layers", None) or []
    inputs = tf.nest.flatten(getattr(model, "inputs", None) or [])
    found = {}
    for layer in layers:
        values = {0: float(layer.mask_value)} if isinstance(layer, keras.layers.Masking) else {}
        if isinstance(layer, keras.Model):
            values = _masked_inputs(layer)
        for node in layer._inbound_nodes if values else ():
            for inner, tensor in enumerate(tf.nest.flatten(node.input_tensors)):
                outer = [number for number, each in enumerate(inputs) if each is tensor]
                if outer and inner in values:
                    found[outer[0]] = values[inner]
    first = layers[0] if layers and isinstance(model, keras.Sequential) else None
    if not inputs and isinstance(first, keras.layers.Masking):
        found[0] = float(first.mask_value)
    return found


def _input_numbers(specs: Any, x: Any) -> Sequence[int | None]:
    """For each leaf of a batch, the number of the input it goes to: by place, by name, or as the only one."""
    count = len(tf.nest.flatten(x))
    if count == 1 or (specs is not None and same_structure(specs, x)):
        return range(count)
    names = {spec.name: number for number, spec in enumerate(tf.nest.flatten(specs))} if specs is not None else {}
    return [names.get(path[0]) if len(path) == 1 else None for path, _ in leaf_paths(x)]


def present_in(x: Any, shapes: Sequence[Shape], masks: Sequence[str], values: Sequence[float | None]) -> list[Any]:
    """For each leaf of a batch, which of its elements are there: boolean `(batch, *places)`; None: all.

    Args:
        shapes: of a row of each leaf, None for open axes.
        masks: names of boolean features that say so for the feature with their places, `(batch, *places, ...)`.
        values: of each leaf, what is padding where all of the last axis has it, or None.

    Raises:
        ValueError: if several masks fit a feature.
    """
    leaves = _with_shapes(x, shapes)
    told = [(shape, leaf) for (path, leaf), shape in leaves if is_selected(masks, path)]
    found = []
    for ((path, leaf), shape), value in zip(leaves, values, strict=True):
        fitting = [mask for places, mask in told if not is_selected(masks, path) and _are_places(places, shape)]
        if len(fitting) > 1:
            raise _checks.problem(
                f"masks must be told apart by their shapes. Received: {len(fitting)} masks with the places of "
                f"{leaf_name('features', path)}. Name one of them in passthrough= instead."
            )
        found.append(_present(leaf, fitting, value))
    return found


def _are_places(places: Shape, shape: Shape) -> bool:
    """Whether rows have these places; a last axis that is closed holds features of one place."""
    rank = len(places)
    return rank > 0 and shape[:rank] == places and (len(shape) > rank or shape[-1] is None)


def _present(leaf: Any, masks: Sequence[Any], value: float | None) -> Any:
    found = None if value is None else _differs_anywhere(leaf, value)
    for mask in masks:
        found = mask if found is None else found & with_rank(mask, len(found.shape))
    return found


def _differs_anywhere(leaf: Any, value: float) -> Any:
    """Whether anything along the last axis is not some number."""
    of_leaf = ops_for(leaf)
    leaf = of_leaf.convert_to_tensor(leaf)
    leaf = leaf if of_leaf.is_floating(leaf) else of_leaf.cast(leaf, "float32")
    return of_leaf.any(leaf != value, axis=-1)


def with_rank(mask: Any, rank: int) -> Any:
    """A mask with axes of size 1 behind its own."""
    for _ in range(rank - len(mask.shape)):
        mask = mask[..., np.newaxis]
    return mask


def absent_kept(x: Any, changed: Sequence[Any], present: Sequence[Any]) -> list[Any]:
    """What was made of the leaves of a batch, but where their elements are absent, the leaves as they are."""
    return [
        new if there is None else _where(there, new, leaf)
        for leaf, new, there in zip(tf.nest.flatten(x), changed, present, strict=True)
    ]


def _where(there: Any, new: Any, leaf: Any) -> Any:
    there, leaf = ops.convert_to_tensor(there), ops.convert_to_tensor(leaf)
    return ops.where(with_rank(there, len(new.shape)), new, ops.cast(leaf, new.dtype))


def present_outputs(x: Any, shapes: Sequence[Shape], masks: Sequence[str], answer: Any) -> list[Any]:
    """For each output, which of its places are there: boolean `(batch, *places)`; None: all.

    Args:
        x, shapes, masks: as in `present_in`; a mask says so for an output with its places, too.
        answer: the model's, of which the masks of its layers come first.
    """
    told = [(places, leaf) for (path, leaf), places in _with_shapes(x, shapes) if is_selected(masks, path)]
    found = []
    for leaf in tf.nest.flatten(answer):
        mask = mask_of(leaf)
        if mask is None or not _fits(mask, leaf):
            fitting = [each for places, each in told if 0 < len(places) < len(leaf.shape) - 1 and _fits(each, leaf)]
            mask = fitting[0] if len(fitting) == 1 else None
        found.append(mask)
    return found


def _fits(mask: Any, leaf: Any) -> bool:
    rank = len(mask.shape)
    places = tf.TensorShape(tuple(leaf.shape[:rank]))
    return 1 < rank < len(leaf.shape) and places.is_compatible_with(tuple(mask.shape))


def _with_shapes(x: Any, shapes: Sequence[Shape]) -> list[tuple[tuple[tuple, Any], Shape]]:
    return list(zip(leaf_paths(x), shapes, strict=True))


def require_masks(masks: Sequence[str], x: Any, shapes: Sequence[Shape], outputs: Any, is_first: bool) -> None:
    """Refuses masks that cannot say which elements of a feature are there.

    Args:
        outputs: specs of the model's answer to this batch. is_first: whether to warn, too.

    Raises:
        TypeError: for a mask that is not boolean. ValueError: for one that has other sizes than the feature with its
            places.

    Warns:
        UserWarning: for one that has the places of no feature and no output.
    """
    leaves = _with_shapes(x, shapes)
    for (path, mask), places in leaves:
        if not is_selected(masks, path):
            continue
        name = leaf_name("features", path)
        if mask.dtype != tf.bool:
            raise _checks.problem(
                f"masks must be boolean, True where an element is there. Received: {name} of dtype "
                f"{tf.as_dtype(mask.dtype).name}. Compare it first, such as lengths > positions.",
                TypeError,
            )
        sizes = [tuple(leaf.shape) for (other, leaf), shape in leaves if other != path and _are_places(places, shape)]
        if any(size[: len(mask.shape)] != tuple(mask.shape) for size in sizes):
            raise _checks.problem(
                f"masks must have the places of a feature, (batch, places). Received: {name} of shape "
                f"{tuple(mask.shape)} beside features of shapes {sizes}."
            )
        if is_first and not sizes and not any(_fits(mask, leaf) for leaf in tf.nest.flatten(outputs)):
            warnings.warn(
                f"{_checks.speaker()}: masks must have the places of a feature or an output, (batch, places). "
                f"Received: {name} of shape {tuple(mask.shape)}, by which nothing is taken for absent.",
                UserWarning,
                stacklevel=2,
            )


def hand_on_masks(answer: Any, made: Any) -> Any:
    """Gives what was made of a model's outputs their masks, which Keras' losses and metrics go by."""
    for leaf, new in zip(tf.nest.flatten(answer), tf.nest.flatten(made), strict=True):
        if mask_of(leaf) is not None:
            set_mask(new, mask_of(leaf))
    return made


def require_floating(specs: Any, averaged: Sequence[bool]) -> None:
    """Refuses integer inputs that are to be shrunk: a functional model casts what comes to its inputs' dtype.

    Raises:
        ValueError: naming the remedy.
    """
    dtypes = [spec.dtype for spec, use in zip(tf.nest.flatten(specs), averaged, strict=True) if use]
    if any(dtype.is_integer or dtype.is_bool for dtype in dtypes):
        raise _checks.problem(
            f"the model's inputs are of dtypes {[dtype.name for dtype in dtypes]} and cannot be shrunk towards their "
            "mean: shrunk values would be cut to integers. Use floating inputs (keras.Input(..., dtype='float32')), "
            "which take integers, too; those that were not mixed are named in passthrough=."
        )


def first_sample(x: Any) -> Any:
    """A batch of the first sample of a batch."""
    return tf.nest.map_structure(lambda leaf: leaf[:1], x)


def shapes_of(x: Any) -> tuple[tuple[int, ...], ...]:
    """The shape of a row of each leaf."""
    return tuple(tuple(leaf.shape[1:]) for leaf in tf.nest.flatten(x))
