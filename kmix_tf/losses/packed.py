"""What losses ask of packed targets before they take them apart."""

from kmix_tf import _checks
from kmix_tf._ops import Tensor, dims, may_be, ops
from kmix_tf.batch.packing import PackedTargets, unpack_for

BY_HAND = (
    "Compile with a function of your own instead: y_a, y_b, ratio, weight = unpack_targets(y_true) (of integers, "
    "[..., 0, 0] of y_a and y_b, and [..., 0] of ratio and weight), and return weight * (ratio * loss(y_a, y_pred) + "
    "(1 - ratio) * loss(y_b, y_pred)), with one ratio and weight for each number that the loss gives. Where the loss "
    "takes soft targets, targets='mixed' does as well"
)


def unpacked_at_places(y_true: Tensor, y_pred: Tensor) -> PackedTargets | None:
    """Packed targets taken apart, None for plain ones.

    Raises:
        ValueError: for targets that fit neither form, and for packed classes at other places than those of the
            predictions, which would broadcast.
    """
    targets, outputs = dims(y_true) or (), dims(y_pred) or ()
    are_classes = len(targets) == len(outputs) + 1 and targets[-2:] == (1, 4)
    if are_classes and len(outputs) > 1 and not may_be(targets[:-2], outputs[:-1]):
        raise _checks.problem(
            f"targets must have a class at each place of the predictions. Received: classes of shape {targets[:-2]}, "
            f"packed, for predictions of shape {outputs}, as CTC takes them. {BY_HAND}."
        )
    return unpack_for(y_true, y_pred)


def deaf_to_no_weight(y_pred: Tensor, weight: Tensor) -> Tensor:
    """Predictions that learn nothing where a mixture weighs nothing.

    The gradient of an infinite loss is not a number, which a factor of 0 would keep.
    """
    return ops.where(weight[..., None] > 0, y_pred, ops.stop_gradient(y_pred))


def weighed(loss: Tensor, weight: Tensor) -> Tensor:
    """Each loss times its weight; a weight of 0 silences a loss that is infinite, too, and its gradient."""
    return ops.where(weight > 0, weight * loss, ops.zeros_like(loss))
