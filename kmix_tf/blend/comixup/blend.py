"""The blend: mixtures of a part of the batch at once, of whichever samples are salient in each block."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, at_least_float32
from kmix_tf._images import has_places_of, image_of
from kmix_tf.blend.base import Blended
from kmix_tf.blend.comixup.parts import CoMixupSettings, gather_on_host
from kmix_tf.blend.puzzle.blocks import Size, at_places, block_starts, require_blocks_fit, sizes_of
from kmix_tf.blend.puzzle.energy import block_saliency
from kmix_tf.blend.salient import SalientBlend
from kmix_tf.blend.sources import mean_of_sources
from kmix_tf.saliency.asking import given_pair
from kmix_tf.saliency.source import checked
from kmix_tf.seeding import as_seed


@register
class CoMixupBlend(SalientBlend):
    """Makes as many mixtures of each part of the batch as it has samples: every block shows what is salient there.

    Where Puzzle Mix lays two images into one, this takes any number of them, and looks at all mixtures of a part
    together: salient blocks are shown, neighbours alike, and no image again and again. For masks z of mixtures j,
    images i of the part and P blocks p it lowers

        sum_jip (-s_ip - eta / P log d_i) z_jip + beta / P sum_j sum_pq 1/2 |z_jp - z_jq|^2
        + gamma / P sum_ji o_ji a_ji [a_ji > threshold P],   o_ji = sum_p z_jip,   a_j = A sum_(j' != j) o_j'

    with s the saliency in shares, d drawn from Dirichlet(alpha), and A = (1 - omega) I + omega D, D how far apart the
    most salient windows are, with mean 1 / n over the n images. Each mixture in turn gets its best blocks for what
    the others show, by swaps of two labels (minimum cuts), in up to `sweeps` sweeps. From the second sweep on a block
    may be half of each of two images that its mixture shows anyway; before the last one, mixtures of the same images
    pay for one that the other keeps.

    It says itself who is mixed and how much: a pairing, a ratio, weights of pairs, packed targets and two loaders are
    refused. A batch whose ratios are 1, as `probability` makes them, comes back as it is. Images and maps of several
    leaves that have the image's sizes are laid alike; other leaves are averaged with the shares of what is shown.
    Targets follow these shares, maps of the image's size what each place shows.

    What differs from the published code: the batch is shuffled and cut into parts of equal size, to within one, which
    leaves no few samples over. Labels start from what they were or what each block likes best, whichever is better,
    instead of the first label. The best mixtures after any sweep are given, for a sweep may raise the energy, because
    the threshold is taken one mixture at a time (how often: benchmarks/comixup.md). The three kinds of halves cost,
    beside each other and beside other images, what the smoothness says, instead of 1. There are 3 sweeps, as the
    authors advise for speed, instead of 4, and none is left out where the energy hardly changes.

    Example:
        >>> x = np.zeros([2, 8, 8], np.float32)
        >>> x[0, :, :4], x[1, :, 4:] = 1, 2
        >>> x = tf.constant(x)
        >>> blend = CoMixupBlend(blocks=2, gamma=0, eta=0, saliency=lambda features, targets: features[0])
        >>> blended = blend([x], [x], tf.constant([1, 0]), tf.constant([0.5, 0.5]), seed=1)
        >>> blended.x[0][0, 0].numpy().tolist()  # the left half is salient in one, the right half in the other
        [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]
        >>> blended.shares.numpy().tolist()
        [[0.5, 0.5], [0.5, 0.5]]

    Args:
        axes: of the image: 2 (default) for images and spectrograms, 1 for signals, 3 for volumes.
        part: at most how many samples are mixed with each other, an integer >= 2, default 20; the paper's m. A
            smaller batch is one part.
        blocks: along each axis, an integer from 2 to 64, default 4. Time grows with the blocks of an image.
        alpha: of the Dirichlet distribution, > 0, default 2: how alike the images of a part should count.
        beta: how smooth masks are, >= 0, default 0.32.
        gamma: what showing an image in several mixtures costs, >= 0, default 1.
        threshold: how much of an image, in units of a whole mixture, other mixtures show before that costs anything,
            >= 0, default 0.83; the paper's tau.
        eta: how much the draw of alpha counts, >= 0, default 0.05.
        omega: how much it counts as a repetition that images are salient in different places, in [0, 1], default
            0.001.
        sweeps: how often all mixtures are gone through, an integer >= 1, default 3.
        saliency: a callable `(features, targets) -> float (batch, *axes)`, >= 0, such as `GradientSaliency`; default
            None: of the model being trained in `MixModel`, which with `clean_weight=1` trains as the paper does;
            `SpectralResidualSaliency(axes)` elsewhere.

    Call:
        `blend(first, second, partner, ratio, seed, saliency=None)`, of which `first` is mixed, with itself. saliency:
        None to ask the source, which then gets no targets; or a pair of tensors `(batch, *axes)`, of which the first
        counts. Returns `Blended` with shares and sources. It runs on the host, in Python: see benchmarks/comixup.md.

    Raises:
        TypeError, ValueError: for other arguments; on a call, for features without these axes, images smaller than
            the blocks are many, or saliency of another shape.
        InvalidArgumentError: on the batch, where sizes or negative saliency only show then. The saliency of a sample
            with NaN is taken for uniform.

    Source: Kim, Choo, Jeong and Song 2021, *Co-Mixup*, after the published code; scales, the threshold for each
        image, halves and the parting of what is alike from their published code, whose defaults for CIFAR-100 these
        are.
    """

    gathers = True
    runs_on_host = True

    part: int
    blocks: int
    alpha: float
    beta: float
    gamma: float
    threshold: float
    eta: float
    omega: float
    sweeps: int

    @_checks.speaks
    def __init__(
        self,
        axes: int = 2,
        *,
        part: int = 20,
        blocks: int = 4,
        alpha: float = 2.0,
        beta: float = 0.32,
        gamma: float = 1.0,
        threshold: float = 0.83,
        eta: float = 0.05,
        omega: float = 0.001,
        sweeps: int = 3,
        saliency: Callable | None = None,
    ):
        super().__init__(_checks.axes(axes), saliency)
        costs = {"beta": beta, "gamma": gamma, "threshold": threshold, "eta": eta}
        settings = CoMixupSettings(
            part=_checks.integer("part", part, minimum=2),
            blocks=_checks.integer("blocks", blocks, minimum=2),
            alpha=_checks.positive("alpha", alpha),
            omega=_checks.probability("omega", omega),
            sweeps=_checks.integer("sweeps", sweeps, minimum=1),
            **{name: _checks.number(name, value) for name, value in costs.items()},
        )
        if settings.blocks > MOST_BLOCKS:
            _checks.refuse("blocks", f"an integer from 2 to {MOST_BLOCKS}", blocks)
        vars(self).update(settings._asdict())

    @property
    def settings(self) -> CoMixupSettings:
        """All the numbers that mixtures go by."""
        return CoMixupSettings(*(getattr(self, name) for name in CoMixupSettings._fields))

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
        """Mixes feature tensors; where `ratio`, float32 `(batch,)`, is 1 throughout, none of them."""
        image = image_of(first, self.axes)
        given = None if saliency is None else given_pair(saliency)[0]
        salient = self.saliency_of(first) if given is None else checked(given, image, self.axes)
        sizes = sizes_of(image, self.axes)
        (salient,) = after(require_blocks_fit(sizes, self.blocks), [salient])
        pairs = tf.cond(
            tf.reduce_any(ratio < 1),
            lambda: self._gathered(salient, as_seed(seed)),
            lambda: _unmixed(salient, self.blocks),
        )
        shares = _shares(pairs, sizes, self.blocks)
        sources = tuple(at_places(side, sizes) for side in tf.unstack(pairs, axis=-1))
        for source in sources:
            source.set_shape(salient.shape)
        mixed = [_mixed(leaf, image, self.axes, shares, sources) for leaf in first]
        return Blended(mixed, tf.linalg.diag_part(shares), shares=shares, sources=sources)

    def _gathered(self, saliency: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        cells = block_saliency(saliency, self.blocks)
        given = [cells, saliency, seed, tf.constant(self.settings, tf.float64)]
        pairs = tf.numpy_function(gather_on_host, given, tf.int32, stateful=False)
        return tf.ensure_shape(pairs, [*cells.shape, 2])


# Beyond, masks are finer than any saliency.
MOST_BLOCKS = 64


def _unmixed(saliency: tf.Tensor, blocks: int) -> tf.Tensor:
    """Each row by itself, of the shape of `_gathered`."""
    axes = saliency.shape.rank - 1
    batch = tf.shape(saliency)[0]
    rows = tf.reshape(tf.range(batch), [-1, *[1] * (axes + 1)])
    return tf.ensure_shape(tf.tile(rows, [1, *[blocks] * axes, 2]), [saliency.shape[0], *[blocks] * axes, 2])


def _shares(pairs: tf.Tensor, sizes: Sequence[Size], blocks: int) -> tf.Tensor:
    """How much of each row of the batch there is in each mixture, by places: float32 `(batch, batch)`."""
    batch = tf.shape(pairs)[0]
    area = tf.ones([1], tf.float32)
    for size in sizes:
        starts = tf.cast(block_starts(size, blocks), tf.float32)
        along = (starts[1:] - starts[:-1]) / tf.cast(size, tf.float32)
        area = tf.reshape(area[:, tf.newaxis] * along, [-1])
    rows = tf.reshape(pairs, [batch, -1])
    areas = tf.broadcast_to(tf.repeat(area / 2, 2), tf.shape(rows))
    mixtures = tf.broadcast_to(tf.range(batch)[:, tf.newaxis], tf.shape(rows))
    shares = tf.scatter_nd(tf.stack([mixtures, rows], axis=-1), areas, tf.stack([batch, batch]))
    return tf.ensure_shape(shares, [pairs.shape[0], pairs.shape[0]])


def _mixed(
    leaf: tf.Tensor, image: tf.Tensor, axes: int, shares: tf.Tensor, sources: tuple[tf.Tensor, ...]
) -> tf.Tensor:
    """A leaf laid in blocks where it has the image's places, and otherwise averaged."""
    if has_places_of(leaf, image, axes):
        return mean_of_sources(leaf, sources)
    wide = at_least_float32(leaf)
    mixed = tf.tensordot(tf.cast(shares, wide.dtype), wide, axes=1)
    mixed.set_shape(leaf.shape)
    return tf.cast(mixed, leaf.dtype) if leaf.dtype.is_floating else mixed
