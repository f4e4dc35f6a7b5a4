"""A batch as records of its leaves: read in one pass, with every check that it needs, and written back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, is_finite, require_all, require_valid
from kmix_tf._paths import leaf_name, leaf_paths, leaves_of, require_used, same_structure
from kmix_tf.batch.boxes import boxes_among, read_boxes
from kmix_tf.batch.class_weights import weighed_by_class
from kmix_tf.batch.leaf import BOXES, FEATURES, MASK, MIXED, PARTS, TARGETS, WEIGHTS, Leaf, Rules
from kmix_tf.batch.one_dictionary import joined
from kmix_tf.batch.roles import ROLES, roles_of
from kmix_tf.batch.targets import WHERE_LABELS_ARE_MISSING
from kmix_tf.batch.weights import require_targets_of_weights


class Batch(NamedTuple):
    """A batch that has been read.

    leaves: of features, then targets, then weights, each in the order of `tf.nest.flatten`. structure: `(x, y,
    sample_weight)` as they came, or as they are to be returned. keys: of the one dictionary that features and targets
    came in, or None.
    """

    leaves: list[Leaf]
    structure: tuple[Any, ...]
    keys: tuple[str, ...] | None = None

    def tensors(self, part: str, role: str = MIXED) -> list[tf.Tensor]:
        """The tensors of one part that have a role; those that are mixed, by default."""
        return [leaf.tensor for leaf in self.leaves if leaf.part == part and leaf.role == role]

    def replace(self, tensors: Sequence[Any]) -> "Batch":
        """The same batch with other tensors, one for each leaf."""
        return self._replace(
            leaves=[leaf._replace(tensor=tensor) for leaf, tensor in zip(self.leaves, tensors, strict=True)]
        )

    def with_mask(self, mask: tf.Tensor) -> "Batch":
        """The same batch with one more feature, a mask: x becomes `(x, mask)`."""
        x, *others = self.structure
        features = [leaf for leaf in self.leaves if leaf.part == FEATURES]
        leaf = Leaf(FEATURES, ("mask",), MASK, "the mask", mask)
        return Batch([*features, leaf, *self.leaves[len(features) :]], ((x, mask), *others))

    def part(self, name: str) -> Any:
        """One part in the structure in which it came; None if it did not."""
        structure = self.structure[PARTS.index(name)]
        leaves = [leaf.tensor for leaf in self.leaves if leaf.part == name]
        return None if structure is None else tf.nest.pack_sequence_as(structure, leaves)

    def write(self) -> Any:
        """As a map returns it: x, `(x, y)` or `(x, y, sample_weight)`; or one dictionary of x and y."""
        x, y, sample_weight = (self.part(name) for name in PARTS)
        if self.keys is not None:
            return joined(x, y, sample_weight, self.keys)
        if y is None:
            return x
        return (x, y) if sample_weight is None else (x, y, sample_weight)


def read(x: Any, y: Any, sample_weight: Any, rules: Rules) -> Batch:
    """Checks a batch and makes its targets and weights float. Features keep their dtype until they are mixed.

    Raises:
        TypeError: for ragged, sparse or non-numeric leaves that do not ride along.
        ValueError: for a missing batch axis, an unknown number of axes, unequal lengths, labels that contradict
            `num_classes`, names that mean no leaf, or bounding boxes in an unknown layout.
        InvalidArgumentError: on the batch, for NaN, infinite or out-of-range values, and for unequal lengths
            that the static shapes do not show.
    """
    structure: tuple[Any, ...] = (x, y, sample_weight)
    _require_targets(x, y, sample_weight, rules.features_only)
    rules = _checked_rules(x, y, rules)
    named = leaves_of(zip(PARTS, structure, strict=True))
    leaves = [
        Leaf(part, path, role, name, as_tensor(name, tensor, ROLES[role].any_kind))
        for (part, path, name, tensor), role in zip(named, roles_of(named, rules), strict=True)
    ]
    if any(leaf.role == BOXES for leaf in leaves):
        leaves, structure = read_boxes(leaves, structure, rules)
    if not any(_is_mixed(leaf, FEATURES) for leaf in leaves):
        raise _checks.problem(f"features must hold at least one tensor to be mixed. Received: x={x!r}.")
    for leaf in leaves:
        if not ROLES[leaf.role].any_kind:
            require_known_rank(leaf.name, leaf.tensor)
    lengths = equal_length([(leaf.name, leaf.tensor) for leaf in leaves])
    if rules.num_classes is not None:
        lengths += _are_no_columns(leaves)
    leaves = [leaf._replace(tensor=ROLES[leaf.role].read(leaf, rules)) for leaf in leaves]
    if sample_weight is not None:
        require_targets_of_weights(leaves)
    if rules.class_weight is not None:
        x, y, _ = structure
        leaves, structure = weighed_by_class(leaves, y, rules.class_weight), (x, y, y)
    mixed = [(leaf.name, leaf.tensor) for leaf in leaves if leaf.role == MIXED]
    checks = [*require_all(lengths), *require_valid([*are_finite(mixed), *_are_weights(leaves)])]
    return batch_after(checks, Batch(leaves, structure))


def _checked_rules(x: Any, y: Any, rules: Rules) -> Rules:
    """The rules, if names in them mean leaves; with a number of classes for all targets, or for the path of each."""
    if rules.passthrough or rules.masks:
        require_used("passthrough", rules.passthrough, x, y)
        require_used("masks", rules.masks, x)
    if rules.num_classes is None or isinstance(rules.num_classes, int):
        return rules
    counts = leaves_of([(TARGETS, rules.num_classes)])
    targets = leaves_of([(TARGETS, y)])
    boxes = boxes_among([target[:2] for target in targets], rules.passthrough)
    paths = [path for at, (_, path, *_) in enumerate(targets) if at not in boxes]
    if not same_structure(y, rules.num_classes) and paths != [path for _, path, *_ in counts]:
        names = [name for _, _, name, _ in targets]
        raise _checks.problem(
            "num_classes must be an integer, None, or a structure like the targets'. "
            f"Received: num_classes={rules.num_classes!r} for targets {names}."
        )
    return rules._replace(num_classes={path: count for _, path, _, count in counts})


def batch_after(checks: Sequence[tf.Operation], batch: Batch) -> Batch:
    """The batch, of which what is mixed is available only once the checks have passed."""
    if not checks:
        return batch
    with tf.control_dependencies(checks):
        return batch.replace(
            [tf.identity(leaf.tensor) if leaf.role in (MIXED, BOXES) else leaf.tensor for leaf in batch.leaves]
        )


def as_tensor(name: str, leaf: Any, any_kind: bool = False) -> Any:
    """Converts a leaf, and refuses what cannot be mixed; `any_kind` of tensor may ride along.

    Raises:
        TypeError: for ragged, sparse, string and other non-numeric tensors.
        ValueError: for a scalar, which has no batch axis.
    """
    if any_kind and isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)):
        return leaf
    for kind, remedy in ((tf.RaggedTensor, "to_tensor()"), (tf.SparseTensor, "tf.sparse.to_dense()")):
        if isinstance(leaf, kind):
            raise _checks.problem(
                f"{name} must be a dense tensor. Received: a {kind.__name__}. Pad or densify it first with {remedy}.",
                TypeError,
            )
    if leaf is None:
        raise _checks.problem(f"{name} must be a tensor. Received: None.", TypeError)
    leaf = tf.convert_to_tensor(leaf)
    if not (any_kind or leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool):
        raise _checks.problem(
            f"{name} must be numeric to be mixed. Received: {name} of dtype {leaf.dtype.name}. "
            "Encode it as numbers first; or, if it only rides along, name it in passthrough=.",
            TypeError,
        )
    if leaf.shape.rank == 0:
        raise _checks.problem(
            f"{name} must have a batch axis. Received: {name} of shape (), a single sample. "
            "Mixing takes batches: call dataset.batch(...) before mixing."
        )
    return leaf


def require_known_rank(name: str, leaf: tf.Tensor) -> None:
    """Refuses a tensor of which nobody knows whether it is a batch: the rows of one image would be mixed with each
    other, and labels `(batch, 1)` taken for sequences of them.

    Raises:
        ValueError: naming the remedy.
    """
    if leaf.shape.rank is None:
        raise _checks.problem(
            f"{name} must have a known number of axes: see tf.ensure_shape. Received: {name} of shape {leaf.shape}, "
            "as tf.numpy_function, tf.py_function and generators leave it. Say its shape before mixing: for images "
            "tf.ensure_shape(x, [None, 32, 32, 3]), for labels tf.ensure_shape(y, [None]); of a generator, by "
            "output_signature."
        )


def _are_no_columns(leaves: Sequence[Leaf]) -> list[tuple[tf.Tensor, str]]:
    """What is to hold for labels of open width: a width of 1 would make them sequences of one step. Where a feature
    has an open axis, too, they may be such sequences."""
    is_sequence = any(None in list(leaf.tensor.shape[1:]) for leaf in leaves if _is_mixed(leaf, FEATURES))
    return [
        (
            tf.not_equal(tf.shape(leaf.tensor)[1], 1),
            f"labels in a column must be known to be one. Received: {leaf.name} of shape {leaf.tensor.shape}, of "
            "width 1. Say so before mixing: tf.ensure_shape(y, [None, 1]).",
        )
        for leaf in leaves
        if _is_mixed(leaf, TARGETS)
        and not is_sequence
        and leaf.tensor.dtype.is_integer
        and leaf.tensor.shape.rank == 2
        and leaf.tensor.shape[1] is None
    ]


def _is_mixed(leaf: Leaf, part: str) -> bool:
    return leaf.part == part and leaf.role == MIXED


def equal_length(leaves: Sequence[tuple[str, Any]]) -> list[tuple[tf.Tensor, str]]:
    """What is to hold for all dense leaves to be equally long: asked now where that is known beforehand."""
    (first_name, first), *others = [(name, leaf) for name, leaf in leaves if isinstance(leaf, tf.Tensor)]
    checks = []
    for name, leaf in others:
        message = (
            "all parts of a batch must be equally long, and batched: call dataset.batch(...) before mixing. "
            f"Received: {first_name} of shape {first.shape} and {name} of shape {leaf.shape}."
        )
        static = first.shape[:1].concatenate(leaf.shape[:1])
        if first.shape.rank is None or leaf.shape.rank is None or not static.is_fully_defined():
            checks.append((tf.equal(*(_length(each) for each in (first, leaf))), message))
        elif static[0] != static[1]:
            raise _checks.problem(message)
    return checks


def _length(leaf: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(leaf)
    return shape[0] if leaf.shape.rank is None else tf.unstack(shape, leaf.shape.rank)[0]


def are_finite(leaves: Sequence[tuple[str, tf.Tensor]]) -> list[tuple[tf.Tensor, str]]:
    """What is to hold for float leaves to be without NaN and infinity. XLA drops such checks, as all assertions."""
    return [
        (
            is_finite(leaf),
            f"{name} must be finite. Received: {name} with NaN or infinite values. "
            f"Replace or drop them before mixing.{_or_places(name)}",
        )
        for name, leaf in leaves
        if leaf.dtype.is_floating
    ]


def _are_weights(leaves: Sequence[Leaf]) -> list[tuple[tf.Tensor, str]]:
    """What is to hold for sample weights: a share of a target that counts less than nothing is none."""
    return [
        (tf.reduce_all(leaf.tensor >= 0), f"{leaf.name} must be >= 0 to be mixed. Received: negative weights.")
        for leaf in leaves
        if leaf.part == WEIGHTS and leaf.role == MIXED
    ]


def _or_places(name: str) -> str:
    """What else can be done with missing targets."""
    return f" {WHERE_LABELS_ARE_MISSING}" if name.startswith(TARGETS) else ""


def checked_leaves(name: str, structure: Any) -> list[tf.Tensor]:
    """The leaves of a structure that is not mixed but measured: numeric and finite."""
    leaves = [(leaf_name(name, path), as_tensor(leaf_name(name, path), leaf)) for path, leaf in leaf_paths(structure)]
    return after(require_all(are_finite(leaves)), [leaf for _, leaf in leaves])


def require_alike(first: Batch, second: Batch) -> Batch:
    """Checks that two batches have the same structure, dtypes and shapes, so that they can be mixed.

    Returns:
        The second batch, available only once the check has passed.

    Raises:
        ValueError: if they do not.
        InvalidArgumentError: on the batch, if their lengths differ and the static shapes did not show it.
    """
    sides = [[leaf.tensor for leaf in batch.leaves if not ROLES[leaf.role].any_kind] for batch in (first, second)]
    is_alike = len(sides[0]) == len(sides[1]) and same_structure(first.structure, second.structure)
    if not is_alike or not all(map(_same_kind, *sides)):
        specs = [[f"{leaf.dtype.name}{leaf.shape}" for leaf in side] for side in sides]
        raise _checks.problem(
            "between(first, second) needs two batches with equal structure, dtypes and lengths. "
            f"Received: {specs[0]} and {specs[1]}."
        )
    pair = [("first batch", first.tensors(FEATURES)[0]), ("second batch", second.tensors(FEATURES)[0])]
    return batch_after(require_all(equal_length(pair)), second)


def _same_kind(first: tf.Tensor, second: tf.Tensor) -> bool:
    return first.dtype == second.dtype and first.shape.is_compatible_with(second.shape)


def _require_targets(x: Any, y: Any, sample_weight: Any, features_only: bool) -> None:
    """Refuses features without targets, unless there are none, and weights without targets."""
    if y is None and sample_weight is not None:
        raise _checks.problem("sample_weight must come with targets. Received: sample_weight and y=None.")
    if y is None and not features_only:
        got = f"a {type(x).__name__} with keys {sorted(x)}" if isinstance(x, dict) else f"{FEATURES} alone"
        raise no_targets(got)


def no_targets(received: str) -> Exception:
    """What is wrong with features without targets, and what would do."""
    return _checks.problem(
        f"targets must come with the features, as (x, y), to be mixed alike. Received: {received}. "
        "Map the dataset to (x, y) first; or, if there are no targets, set features_only=True. Within a model a "
        "layer gets no targets: take it out, and train MixModel(model, layer). One dictionary of both has the keys "
        "of Keras' layers, 'images' with 'labels', 'bounding_boxes' or 'segmentation_masks'; others ride along if "
        "passthrough= names them."
    )
