"""What the presets have in common: groups of k, Beta ratios, one or more interpolations."""

from typing import Any, ClassVar

from kmix_tf.layers.mix import MixLayer
from kmix_tf.layers.options import option_of
from kmix_tf.pairing import RepeatedPairing


class PresetLayer(MixLayer):
    """A `MixLayer` whose pairing and ratio are made of a few options, which can be read from the layer."""

    made_of: ClassVar[dict[str, str]] = {
        "pairing": "k, cost and solver",
        "ratio": "alpha, scope and interpolations",
    }

    @property
    def _matching(self) -> Any:
        """The pairing that was made of the options."""
        pairing: Any = self.pairing
        return pairing.pairing if isinstance(pairing, RepeatedPairing) else pairing

    k = option_of("_matching", "k")
    cost = option_of("_matching", "cost")
    solver = option_of("_matching", "solver")
    alpha = option_of("ratio", "alpha")
    scope = option_of("ratio", "scope")
    interpolations = option_of("ratio", "interpolations")


class CuttingLayer(PresetLayer):
    """A preset whose blend is made of options as well."""

    made_of: ClassVar[dict[str, str]] = {**PresetLayer.made_of, "blend": "this layer's own options"}

    axes = option_of("blend", "axes")
