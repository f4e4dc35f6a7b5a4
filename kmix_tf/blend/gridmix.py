"""GridMix: each cell of a grid is the sample's or the partner's, at random; nested sets for interpolations."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._images import image_of
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.blend.cells import checked_grid, paste_cells, ranks_of, require_cells
from kmix_tf.blend.shared import SCOPES, shared_by_pairs
from kmix_tf.seeding import as_seed, random_bits


@register
class GridMixBlend(BlendStrategy):
    """Takes random cells of a grid from the partner: both images are seen all over. Targets follow the area.

    Of the cells, `grid` along each axis, as many stay the sample's own as the ratio says, to the nearest whole
    number, and any set of so many is as likely as another. With several interpolations, cells are taken in one random
    order for each pair, so those taken at a higher ratio are among those at a lower one.

    Args:
        grid: how many cells there are along each axis, an integer >= 2, default 4. Images that it does not divide
            have cells that differ by one place along an axis; targets follow the area in whole places.
        axes: how many axes after the batch's the grid spans: 2 (default) for images `(batch, height, width, ...)` and
            spectrograms `(batch, time, frequency)`, 1 for signals `(batch, time, ...)`, 3 for volumes and videos.
            Leaves of features with fewer axes are mixed linearly with the ratio realised. Of several leaves with
            these axes, all get the same cells, and targets follow the area in the first.
        scope: "sample" (default), cells for each sample; or "pair", the same ones for both samples of a pair, of
            mutual pairings: with a ratio for each pair, both swap what is in them.

    Raises:
        ValueError: for other arguments; on a call, if no leaf has these axes, or for images smaller than the grid.
        InvalidArgumentError: on the batch, for such images, if that shows only then.

    Source: Baek, Bang and Shim 2021, *GridMix: Strong regularization through local context mapping*, its mixing by a
    grid. Its other part, to predict a label for each cell, is the model's: a target of the image's height and width
    comes back mixed cell by cell. What openmixup has under this name is another mask: a hole in every cell of a
    regular grid, whose sides are sqrt(1 - ratio) of the cell's.

    Example:
        >>> x = tf.stack([tf.zeros([4, 4]), tf.ones([4, 4])])
        >>> blended = GridMixBlend(grid=2)([x], [x], tf.constant([1, 0]), tf.constant([0.75, 0.75]), seed=1)
        >>> tf.reduce_mean(blended.x[0], axis=[1, 2]).numpy().tolist()  # one cell of four is pasted
        [0.25, 0.75]
    """

    axes: int
    pastes = True

    @_checks.speaks
    def __init__(self, grid: int = 4, axes: int = 2, scope: str = "sample"):
        self.grid = checked_grid(grid)
        self.axes = _checks.axes(axes)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"

    @_checks.speaks
    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        image = require_cells(image_of(first, self.axes), self.grid, self.axes)
        keys = random_bits([tf.shape(image)[0], self.grid**self.axes], as_seed(seed))
        # Of two loaders, a sample's partner is in no pair of its own.
        if self.by_pair and second is first:
            keys = shared_by_pairs(keys, partner)
        ranks = tf.reshape(ranks_of(keys), tf.concat([tf.shape(keys)[:-1], [self.grid] * self.axes], 0))
        return paste_cells(first, second, partner, ratio, ranks, self.axes)
