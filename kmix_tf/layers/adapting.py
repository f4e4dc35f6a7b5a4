"""The part of a layer that learns from data before it mixes."""

import functools
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch.batch import Batch
from kmix_tf.batch.leaf import TARGETS
from kmix_tf.blend import BlendStrategy
from kmix_tf.layers.adaptation import Adaptation, batches_of, column_scales, matched_alpha, with_progress
from kmix_tf.maths.theta import checked_alphas
from kmix_tf.mixing.draw import Decisions, Sides, paired
from kmix_tf.mixing.measure import measure, reduced
from kmix_tf.pairing import Pairing, PairingStrategy
from kmix_tf.ratio import BetaRatio
from kmix_tf.reduction import Reduction


class Adapts:
    """The part of `MixLayer` that learns from data: `adapt`, and what it found."""

    pairing: PairingStrategy
    ratio: Any
    blend: BlendStrategy
    match_on: Any
    embedding: Any
    match_at: str | Reduction
    _adaptation: Adaptation

    def _read(self, x: Any, y: Any, sample_weight: Any, training: bool | None, by_class: bool | None = None) -> Batch:
        raise NotImplementedError

    @property
    def decisions(self) -> Decisions:
        raise NotImplementedError

    @property
    def adapted(self) -> dict[str, Any] | None:
        """What `adapt` learnt, as `get_config` gives it; None if nothing."""
        return self._adaptation.get_config()

    @property
    def matched_alpha(self) -> float | None:
        """The alpha that `adapt(match_alpha=True)` learnt and ratios are drawn with; None if it did not."""
        return self._adaptation.alpha

    @property
    def matched_alpha_error(self) -> float | None:
        """The standard error of `matched_alpha`; None if nothing was learnt, or nothing is known of larger alphas."""
        return self._adaptation.alpha_error

    @property
    def matched_perturbation(self) -> float | None:
        """xi, the root mean square perturbation reached with `matched_alpha`, in what distances are measured on."""
        return self._adaptation.perturbation

    @property
    def matched_perturbation_error(self) -> float | None:
        """The standard error of `matched_perturbation`."""
        return self._adaptation.perturbation_error

    @property
    def plain_perturbation(self) -> float | None:
        """xi of plain mixup with `alpha`, which `adapt(match_alpha=True)` was to reach."""
        return self._adaptation.plain_perturbation

    @_checks.speaks
    def adapt(
        self,
        data: Any,
        batch_size: int = 256,
        steps: int | None = None,
        scale: bool = True,
        match_alpha: bool = False,
        largest: float | None = None,
        precision: float = 0.03,
    ) -> None:
        """Learns from data before it mixes: the scales of columns and, on request, the alpha of k-mixup.

        Distances are then measured with every column, an entry of a feature's last axis, at standard deviation 1: the
        columns of a table differ in units. Mixing itself is not touched. What is learnt is saved with the layer. Call
        it before the layer is mapped: pipelines made before keep what they were made with.

        Args:
            data: a finite dataset of batches as the layer takes them, or arrays of features, or of features and
                targets. Arrays are shuffled, in whatever order they come. Batches of a dataset are taken for those
                that training will meet, shuffled as there: of data sorted by class, pairs are those of a class, and
                alpha is another. Where labels show that, it is warned of.
            batch_size: for arrays; that of training. steps: how many batches to take; default all. Of a dataset they
                are the first ones, and should speak for all.
            scale: whether to learn scales, in one pass.
            match_alpha: whether to replace alpha by alpha_k, with which this layer's pairs perturb as much as random
                ones do with alpha: `matched_alpha`. It takes as many passes as the precision needs, at most 10,000
                batches and one pass.
            largest: alpha_k is at most this, a finite number >= alpha > 0: where such a perturbation is out of reach,
                no error but this is taken, the paper's threshold gamma. `matched_perturbation` then says what is
                reached, and `plain_perturbation` what was asked for. Default None: without bound.
            precision: the part of alpha_k within which two standard errors shall be, > 0, default 0.03. What falls
                short of it is warned of; `matched_alpha_error` is the standard error.

        Raises:
            ValueError: for an empty dataset, or if no alpha_k exists, with the largest perturbation that is reached.

        Source: k-mixup, Algorithm 1, for alpha_k.

        Example:
            >>> table = np.random.default_rng(0).normal(size=(128, 3)) * [1, 100, 1e4]
            >>> layer = MixLayer(OptimalTransportPairing(8), BetaRatio(0.5))
            >>> layer.adapt(table, batch_size=64, match_alpha=True)
            >>> layer.matched_alpha > 0.5, layer.matched_alpha_error < 0.03 * layer.matched_alpha
            (True, True)
        """
        if self.blend.gathers:
            raise _checks.problem(
                "there must be pairs to learn scales or an alpha for. "
                f"Received: {self.blend.shown}, which makes none."
            )
        batches = batches_of(data, _checks.integer("batch_size", batch_size, minimum=1), steps)
        ratio, precision = self.ratio, _checks.positive("precision", precision)
        if match_alpha and not isinstance(ratio, BetaRatio):
            _checks.refuse("ratio", "a BetaRatio where match_alpha=True", ratio)
        if largest is not None and not match_alpha:
            _checks.refuse("largest", "None where match_alpha=False", largest)
        learnt = Adaptation(**(self.adapted or {}))
        if scale:
            shown = with_progress(batches, f"{type(self).__name__}: scales of columns")
            learnt.scales = column_scales(self._looked_at(element, None)[0] for element in shown)
        if match_alpha and isinstance(ratio, BetaRatio):
            alpha, largest = checked_alphas(ratio.alpha, largest)
            look = functools.partial(self._looked_at, scales=learnt.scales)
            learnt = learnt.with_alpha(matched_alpha(batches, look, self._partners, alpha, largest, precision))
        self._adaptation = learnt

    def _looked_at(self, element: Any, scales: Any) -> tuple[list[tf.Tensor], Any]:
        """The features of a batch that distances are measured on, and its targets."""
        x, *rest = element if isinstance(element, tuple) else (element,)
        batch = self._read(x, rest[0] if rest else None, None, training=False)
        return measure(batch, self.match_on, self.embedding, scales), batch.part(TARGETS)

    def _partners(self, features: list[tf.Tensor], seed: tf.Tensor, targets: Any) -> Pairing:
        """Partners as in training, by what `match_at` says; their costs are measured exactly."""
        return paired(self.pairing, reduced(Sides(features, features, targets), self.match_at, self.decisions), seed)
