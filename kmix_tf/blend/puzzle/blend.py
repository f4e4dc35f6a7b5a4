"""The blend: masks of least energy, and the blocks of both images moved to where they are seen."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, at_least_float32
from kmix_tf._images import has_places_of, image_of, joined, those
from kmix_tf.blend.base import Blended
from kmix_tf.blend.linear import interpolate_leaves, interpolate_places
from kmix_tf.blend.puzzle.blocks import (
    COUNTS,
    Size,
    allowed_counts,
    are_known,
    draw_count,
    require_blocks_fit,
    sizes_of,
)
from kmix_tf.blend.puzzle.drawn import solve_one_of
from kmix_tf.blend.puzzle.puzzle import Pairs, Puzzle, PuzzleSettings, checked_settings, solve_puzzle
from kmix_tf.blend.salient import SalientBlend
from kmix_tf.saliency.asking import ask_pair
from kmix_tf.seeding import as_seed


@register
class PuzzleMixBlend(SalientBlend):
    """Shows, block by block, whichever of two images is salient there, and moves salient blocks to where they show.

    Each block has a label z from {0, 1/d, ..., 1}, d = n_labels - 1: the share of the sample. Masks minimise

        sum_i [z_i s'_i + (1 - z_i) s_i] + b sum_ij [(z_i - z_j)^2 + gamma phi_ij(z_i, z_j)]
        - eta / n sum_i log Binomial(z_i d; d, ratio)

    over n blocks i and neighbours ij, with s and s' the saliency of sample and partner in shares, phi how much what
    is shown differs across a border, and b = beta / (16 blocks) (beta / 16 for one axis). The minimum is exact: a
    minimum cut. Then each image's blocks are rearranged to show the most of its saliency, less `t_eps` times the
    squared distances, in shares of the side: an assignment, exact as well. The authors approximate both, and do one
    after the other once, as here. Targets follow the mask's mean, not the ratio drawn.

    With several interpolations, saliency and smoothness of a pair are shared, and the masks for descending ratios are
    nested: no block's share of the sample grows. Transport, which follows, moves other blocks for each.

    Images and maps of several leaves that have the image's height and width are puzzled alike; other leaves are mixed
    linearly with the ratio realised. Targets that are maps of the image's size are puzzled with it, block by block. A
    mixture of an image with itself is the image only without transport.

    Example:
        >>> x = np.zeros([2, 8, 8], np.float32)
        >>> x[0, :, :4], x[1, :, 4:] = 1, 2
        >>> x = tf.constant(x)
        >>> blend = PuzzleMixBlend(blocks=2, transport=False, saliency=lambda features, targets: features[0])
        >>> blended = blend([x], [x], tf.constant([1, 0]), tf.constant([0.5, 0.5]), seed=1)
        >>> blended.x[0][0, 0].numpy().tolist()  # the left half is salient in one, the right half in the other
        [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]

    Args:
        axes: of the image: 2 (default) for images and spectrograms, 1 for signals.
        blocks: along each axis, an integer from 2 to 64; default None: one of 2, 4, 8, 16 for each batch, drawn from
            those that divide the sizes of all axes. Where none divides (odd sizes), it is drawn from 2 and those that
            leave two places or more to a block, and blocks differ by one place; then only blocks of one size change
            places.
        n_labels: how many shares there are, from 2 to 17, default 3: 0, 1/2 and 1.
        beta: how smooth masks are, >= 0, default 1.2.
        gamma: how much of this is for borders between what looks different, >= 0, default 0.5. Above 1, pairs may
            want a border so much that no cut can say so: the factor of (z_i - z_j)^2 is not let below 0.
        eta: how near the masks' means are to the ratio, >= 0, default 0.2. 0: masks follow saliency alone.
        neigh_size: places on each side of a border, and along it, over which images are averaged for phi; an
            integer >= 1, default 4, and at most a block.
        transport: whether blocks are moved; default True.
        t_eps: what moving a block costs, >= 0, default 0.8; the paper's xi.
        transport_blocks: masks of fewer blocks along an axis are cut for transport into cells, about so many along
            the axis; from 1 to 64, default 8, the authors' 4 places of 32. 1 moves whole blocks of the mask.
        value_range: the least and the greatest value of pixels, of which phi's differences are shares; default
            None, those of the batch.
        saliency: a callable `(features, targets) -> float (batch, *axes)`, >= 0, such as `GradientSaliency`; default
            None: of the model being trained in `MixModel`, `SpectralResidualSaliency(axes)` elsewhere.
        solver: "host" (default), SciPy in a host callback; or "graph", which XLA compiles. Both find the same masks
            (capacities are integers, a part in 2^19 of their mean exact), and the same rearrangements of up to 100
            blocks; of more, "graph" exchanges two at a time until no exchange is worth its way. See
            benchmarks/puzzle.md for what they take.

    Call:
        `blend(first, second, partner, ratio, seed, saliency=None)`. saliency: None to ask the source, which then gets
        no targets; or a pair of tensors `(batch, *axes)`, of `first` and of `second`. Returns `Blended`.

    Raises:
        TypeError, ValueError: for other arguments; on a call, for features without these axes, images smaller than
            the blocks are many, or saliency of another shape.
        InvalidArgumentError: on the batch, where sizes or negative saliency only show then. The saliency of a sample
            with NaN is taken for uniform.

    Source: Kim, Choo and Song 2020, *Puzzle Mix*; scales and defaults of their published code, for CIFAR-100.
    multi-mix, eq. (5) and Section III-A3, for several interpolations.
    """

    blocks: int | None
    n_labels: int
    beta: float
    gamma: float
    eta: float
    neigh_size: int
    transport: bool
    t_eps: float
    transport_blocks: int
    value_range: tuple[float, float] | None
    solver: str

    @_checks.speaks
    def __init__(
        self,
        axes: int = 2,
        *,
        blocks: int | None = None,
        n_labels: int = 3,
        beta: float = 1.2,
        gamma: float = 0.5,
        eta: float = 0.2,
        neigh_size: int = 4,
        transport: bool = True,
        t_eps: float = 0.8,
        transport_blocks: int = 8,
        value_range: Any = None,
        saliency: Callable | None = None,
        solver: str = "host",
    ):
        settings = checked_settings(
            axes=axes,
            blocks=blocks,
            n_labels=n_labels,
            beta=beta,
            gamma=gamma,
            eta=eta,
            neigh_size=neigh_size,
            transport=transport,
            t_eps=t_eps,
            transport_blocks=transport_blocks,
            value_range=value_range,
            solver=solver,
        )
        super().__init__(settings.axes, saliency)
        vars(self).update(settings._asdict())
        self.runs_on_host = self.solver == "host"

    @property
    def settings(self) -> PuzzleSettings:
        """All the numbers that the puzzle goes by."""
        return PuzzleSettings(*(getattr(self, name) for name in PuzzleSettings._fields))

    @_checks.speaks
    def __call__(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        ratio: tf.Tensor,
        seed: Any,
        saliency: Any = None,
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        images = [image_of(side, self.axes) for side in (first, second)]
        of_both = ask_pair(self.saliency, first, second, saliency, self.axes)
        ratio = tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 else ratio
        pairs = _paired(images, of_both, partner, ratio)
        sizes = sizes_of(images[0], self.axes)
        puzzle = self._solved(pairs, sizes, as_seed(seed))
        mask, realised = self._shares(puzzle.labels, ratio, sizes)
        alike = [has_places_of(leaf, images[0], self.axes) for leaf in first]
        ours, theirs = those(alike, first, second)
        puzzled = self._puzzled(ours, theirs, partner, mask, puzzle)
        ours, theirs = those([not is_so for is_so in alike], first, second)
        linear = interpolate_leaves(ours, theirs, partner, realised)
        return Blended(joined(alike, puzzled, linear), realised, mask, puzzle.places)

    def _solved(self, pairs: Pairs, sizes: list[Size], seed: tf.Tensor) -> Puzzle:
        """The puzzle, of the fixed number of blocks or one that is drawn."""
        unit = self._unit(pairs.images)
        if self.settings.blocks is not None:
            pairs = _require_size(pairs, sizes, self.settings.blocks)
            return solve_puzzle(pairs, unit, self.settings.blocks, self.settings)
        pairs = _require_size(pairs, sizes, COUNTS[0])
        allowed = _allowed(sizes)
        counts = [each for index, each in enumerate(COUNTS) if not isinstance(allowed, list) or allowed[index]]
        if len(counts) == 1:
            return solve_puzzle(pairs, unit, counts[0], self.settings)
        drawn = tf.gather(COUNTS, draw_count(tf.convert_to_tensor(allowed), seed))
        chosen = tf.reduce_sum(tf.cast(tf.constant(counts) < drawn, tf.int32))
        return solve_one_of(pairs, unit, counts, chosen, self.settings)

    def _unit(self, images: Sequence[tf.Tensor]) -> tf.Tensor:
        if self.settings.value_range is not None:
            low, high = self.settings.value_range
            return tf.constant(high - low, at_least_float32(images[0]).dtype)
        ends = [[reduce(at_least_float32(image)) for image in images] for reduce in (tf.reduce_max, tf.reduce_min)]
        return tf.maximum(*ends[0]) - tf.minimum(*ends[1])

    def _shares(self, labels: tf.Tensor, ratio: tf.Tensor, sizes: list[Size]) -> tuple[tf.Tensor, tf.Tensor]:
        """The mask `(*ratio's shape, *sizes)` and its means, of the ratio's shape: counted, not averaged."""
        most = self.settings.n_labels - 1
        labels = tf.reshape(labels, tf.concat([tf.shape(ratio), tf.stack(sizes)], 0))
        labels.set_shape([*ratio.shape, *(size if isinstance(size, int) else None for size in sizes)])
        total = tf.reduce_sum(labels, axis=range(ratio.shape.rank, labels.shape.rank))
        every = tf.cast(most * tf.reduce_prod(tf.stack(sizes)), tf.float32)
        return tf.cast(labels, tf.float32) / most, tf.cast(total, tf.float32) / every

    def _puzzled(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        mask: tf.Tensor,
        puzzle: Puzzle,
    ) -> list[tf.Tensor]:
        if not puzzle.places:
            return interpolate_leaves(first, second, partner, mask, self.axes)
        return interpolate_places(first, second, partner, mask, puzzle.places)


def _paired(
    images: Sequence[tf.Tensor], saliency: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor
) -> Pairs:
    """Several partners of a sample are as many pairs with a ratio each; one partner may have several ratios."""
    if partner.shape.rank == 2:
        partner = tf.reshape(partner, [tf.size(partner)])
        ratio = tf.reshape(ratio, tf.stack([1, tf.size(partner)]))
    ratio = tf.cast(ratio, tf.float32)
    return Pairs(images, saliency, partner, ratio if ratio.shape.rank == 2 else ratio[tf.newaxis])


def _allowed(sizes: list[Size]) -> list[bool] | tf.Tensor:
    """Which counts may be drawn: a list where sizes are known, or else what the batch will tell."""
    if not are_known(sizes):
        return allowed_counts(sizes)
    with tf.init_scope():
        return allowed_counts(sizes).numpy().tolist()


def _require_size(pairs: Pairs, sizes: list[Size], blocks: int) -> Pairs:
    return pairs._replace(images=after(require_blocks_fit(sizes, blocks), list(pairs.images)))
