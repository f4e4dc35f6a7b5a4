"""What the presets have in common: groups of k, Beta ratios, one or more interpolations."""

from typing import Any

from kmix_tf import _checks
from kmix_tf.layers.mix import MixLayer
from kmix_tf.pairing import OptimalTransportPairing, RepeatedPairing
from kmix_tf.ratio import BetaRatio

BASELINES = ("large_batch", "batch_augmentation")


class PresetLayer(MixLayer):
    """A `MixLayer` whose pairing and ratio are given by a few numbers; presets choose the defaults.

    Args:
        k, cost, solver: of `OptimalTransportPairing`.
        alpha, scope, interpolations: of `BetaRatio`.
        baseline: of `MultiMixLayer`.
        kwargs: of `MixLayer`, but pairing and ratio.
    """

    def __init__(
        self,
        *,
        k: int,
        alpha: float,
        scope: str,
        cost: str,
        solver: str,
        interpolations: int,
        baseline: str | None = None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        with _checks.speaking_as(owner):
            pairing = OptimalTransportPairing(k, cost=cost, solver=solver)
            ratio = BetaRatio(alpha, scope=scope, interpolations=interpolations)
        if baseline is not None:
            _checks.choice(owner, "baseline", baseline, BASELINES)
            pairing = RepeatedPairing(pairing, interpolations)
            ratio = BetaRatio(alpha, scope=scope) if baseline == "large_batch" else ratio
        super().__init__(pairing, ratio, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {**self._shared_config(), **self.ratio.get_config()}
        if isinstance(self.pairing, RepeatedPairing):
            return {**config, **self.pairing.pairing.get_config(), "interpolations": self.pairing.times}
        return {**config, **self.pairing.get_config()}


class MaskPresetLayer(PresetLayer):
    """A preset whose blend is made of arguments of its own; a subclass makes it."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["blend"]
        return {**config, **self.blend.get_config()}
