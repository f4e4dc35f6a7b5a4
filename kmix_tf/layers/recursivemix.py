"""RecursiveMix: each batch is mixed with what was made of the one before it."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, Unpack

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._images import image_of
from kmix_tf.batch.batch import Batch
from kmix_tf.batch.leaf import FEATURES
from kmix_tf.blend import ResizeMixBlend
from kmix_tf.layers.mix import trains
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs, option_of, scope_of_what_is_drawn
from kmix_tf.layers.preset import CuttingLayer
from kmix_tf.mixing.apply import apply, unmixed
from kmix_tf.mixing.carrying import (
    Carried,
    carried_of,
    is_any,
    nothing_of,
    partners_in,
    require_carriable,
    with_weights_of_places,
)
from kmix_tf.mixing.draw import draw
from kmix_tf.mixing.weighting import one_weight_each, weighted
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import UniformRatio
from kmix_tf.reduction import Reduction

_MORE_BOXES = "for a mixture of mixtures would have more bounding boxes with every batch"


@register
class RecursiveMixLayer(CuttingLayer):
    """RecursiveMix: pastes the previous batch's mixtures, made smaller, into each batch, and mixes labels by area.

    Each mixture so holds a new sample, in it the mixture before, in that the one before it, and so on: an image is
    seen again at many scales, and most of a label is of the newest sample. The first batch that an iterator gives,
    which is the first of an epoch unless the dataset repeats before it is mixed, stays as it is.

    It goes through the pipeline stage alone, which hands mixtures on from batch to batch, saves them with an
    iterator's checkpoint, and mixes one batch after another:

        dataset.repeat().apply(mix(RecursiveMixLayer(num_classes=10), seed=0)).prefetch(tf.data.AUTOTUNE)

    A map would not hand anything on, so `dataset.map(layer)` and calls in training are refused, and so are
    `ChoiceLayer`, `MixModel` and `ManifoldMixModel`; `RecursiveMixModel` does the same in the training step. In a
    loop of your own, `layer.between(batch, mixed)` mixes a batch of soft labels with the one that was mixed before.
    Data to evaluate on are mapped as ever, by `layer.for_evaluation()`.

    Row i is mixed with row i of the batch before, as in the published code; with k, groups of k rows that follow each
    other are matched with those of the batch before by optimal transport. Of a longer batch before, the first rows
    are taken, of a shorter one all, over and over. Weights of samples count by the share that each sample has in the
    end; a `weight` of distances is of the newest pair alone, and is not carried on. What rides along is the new
    batch's. There are no `interpolations`, for of several mixtures of a sample none is the one to be carried on; no
    packed targets, for a mixture's labels are of many samples; and no bounding boxes, of which there would be more
    with every batch.

    Example:
        >>> layer = RecursiveMixLayer(num_classes=3)
        >>> data = tf.data.Dataset.from_tensor_slices((tf.random.uniform([12, 8, 8, 1]), tf.range(12) % 3)).batch(4)
        >>> batches = list(data.apply(mix(layer, seed=0)))
        >>> [len(set(y.numpy().argmax(axis=1))) for x, y in batches][0], batches[2][1].shape
        (3, TensorShape([4, 3]))

    Args:
        area: the largest part of an image that the previous mixture may take, in [0, 1], default 0.5: the part is
            uniform from 0 to this. 0 means no mixing.
        k: rows in a group matched by optimal transport, default 1: row by row.
        axes: how many axes a box spans: 2 (default) for images and spectrograms, 1 for signals, 3 for volumes.
        resize: "nearest" (default, as in the published code) or "area", as in `ResizeMixBlend`.
        scope, cost, solver: as in `KMixupLayer`.
        weight, num_classes, class_weight, features_only, probability, schedule, match_on, embedding, match_at,
            passthrough, masks, label_shares, seed: as in `MixLayer`. A batch that is left as it is by `probability`
            or `schedule` is carried on as it is.

    Raises:
        TypeError, ValueError: for an argument out of its range; for a call in training; on a dataset, for features
            without axes to paste into, bounding boxes, or what is ragged or sparse.
        InvalidArgumentError: on the batch, where its samples have other sizes than those of the batch before.

    Source: Yang et al. 2022, *RecursiveMix: Mixed Learning with History*, and its published code, which places boxes
    as CutMix does, cuts them at the edge and squeezes the previous image into what is left of them, at one place for
    the whole batch; here boxes keep their size, and each sample has its own place. The loss that compares the
    features of the pasted part with what was predicted before is not a matter of data: see `RecursiveMixModel`.
    """

    carries = True
    without: ClassVar[dict[str, str]] = {
        "interpolations": "for of several mixtures of a sample none is the one to be carried on",
        "targets": "for labels of mixtures are of many samples, of which no two can be packed",
        "bounding_box_format": _MORE_BOXES,
        "box_visibility": _MORE_BOXES,
        "box_weights": _MORE_BOXES,
    }
    why_without = "mixtures are mixed again, "
    made_of: ClassVar[dict[str, str]] = {**CuttingLayer.made_of, "ratio": "area and scope"}

    resize = option_of("blend", "resize")

    @property
    def area(self) -> float:
        """The largest part of an image that the previous mixture may take."""
        ratio: Any = self.ratio
        return 1 - ratio.low

    @_checks.speaks
    def __init__(
        self,
        area: float = 0.5,
        *,
        k: int = 1,
        axes: int = 2,
        resize: str = "nearest",
        scope: str = "batch",
        cost: str = "sqeuclidean",
        solver: str = "host",
        weight: Callable | None = None,
        num_classes: Any = None,
        class_weight: Any = None,
        label_shares: Any = None,
        features_only: bool = False,
        probability: float = 1.0,
        schedule: Callable | None = None,
        match_on: Any = None,
        embedding: Callable | None = None,
        match_at: str | Reduction = "full",
        passthrough: Any = None,
        masks: Any = None,
        adapted: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        super().__init__(
            OptimalTransportPairing(k, cost, solver, mutual=is_of_pairs(scope)),
            UniformRatio(1 - _checks.probability("area", area), 1.0, scope),
            ResizeMixBlend(axes, resize, scope_of_what_is_drawn(scope)),
            weight,
            num_classes=num_classes,
            class_weight=class_weight,
            label_shares=label_shares,
            features_only=features_only,
            probability=probability,
            schedule=schedule,
            match_on=match_on,
            embedding=embedding,
            match_at=match_at,
            passthrough=passthrough,
            masks=masks,
            adapted=adapted,
            seed=seed,
            **checked_keras_options(type(self), kwargs),
        )

    def mixed(
        self, x: Any, y: Any = None, sample_weight: Any = None, training: bool | None = None, *told: Any, **named: Any
    ) -> Any:
        """Converts a batch without training, and refuses to mix it alone."""
        if trains(training):
            with _checks.speaking_as(self):
                _refuse_alone()
        return super().mixed(x, y, sample_weight, training)

    @_checks.speaks
    def nothing_carried(self, spec: tuple[Any, ...]) -> Carried:
        """What comes before the first batch of a dataset whose elements have these specs: x, y and sample weights."""
        read = tf.function(lambda *parts: carried_of(self._carriable(*parts)), autograph=False)
        return nothing_of(read.get_concrete_function(*spec).structured_outputs)

    @tf.autograph.experimental.do_not_convert
    @_checks.speaks
    def carry(
        self, carried: Carried, batch: tuple[Any, ...], seed: Any = None, step: Any = None
    ) -> tuple[Carried, Any]:
        """Mixes a batch, `(x, y, sample_weight)`, with what is carried; gives what is to be carried on, and it."""
        ours = self._carriable(*batch)
        theirs = partners_in(carried, ours)
        decisions = self.decisions
        drawn = draw(
            decisions, self._sides(ours, theirs), self._seed(seed, ours), self._chance(step, is_any(carried))
        )
        mixed = apply(ours, theirs, drawn._replace(weight=None), decisions.blend, rules=self._rules)
        counted = mixed if drawn.weight is None else weighted(mixed, drawn.weight)
        return carried_of(mixed), counted.write()

    def _carriable(self, x: Any, y: Any = None, sample_weight: Any = None) -> Batch:
        """A batch as its mixtures will be: of their dtypes, and with a weight for each target where there are any."""
        batch = require_carriable(self._read(x, y, sample_weight, training=True))
        self._warn_of_integers(batch)
        batch = one_weight_each(unmixed(batch), None, apart=True)
        return with_weights_of_places(batch, image_of(batch.tensors(FEATURES), self.axes).shape[1 : 1 + self.axes])


def _refuse_alone() -> NoReturn:
    raise _checks.problem(
        "each batch is mixed with what was made of the one before, which a map does not hand on. Received: a batch "
        "alone, in training. Use dataset.apply(kmix_tf.mix(layer)) instead of dataset.map(layer); in a loop of your "
        "own, layer.between(batch, mixed_before); to evaluate, dataset.map(layer.for_evaluation())."
    )
