"""What a model was trained through, and what of it eq. (22) does not hold for."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

from kmix_tf.blend import LinearBlend
from kmix_tf.layers import MixLayer, Stage
from kmix_tf.models.approximate import ApproximateMixupModel
from kmix_tf.models.manifold.model import ManifoldMixModel
from kmix_tf.models.manifold.split import INPUT
from kmix_tf.models.mixing import MixModel
from kmix_tf.pairing import (
    NearestNeighborPairing,
    OptimalTransportPairing,
    OtherClassPairing,
    RandomPairing,
    RepeatedPairing,
    SameClassPairing,
)


class Training(NamedTuple):
    """How a model was mixed.

    source: a mix layer, or the model that approximates one. clean_weight: what the loss on the unmixed batch counts
    besides. hidden: names of hidden layers that were mixed instead of the input. step: the last that was trained, for
    schedules, or None where nobody counted.
    """

    source: Any
    clean_weight: float = 0.0
    hidden: tuple[str, ...] = ()
    step: int | None = None

    @property
    def doubts(self) -> list[str]:
        """What eq. (22) does not hold for, a sentence each."""
        found = [] if not self.hidden else [_of_hidden(self.hidden)]
        members = self.source.members() if isinstance(self.source, Stage) else []
        return list(dict.fromkeys([*found, *(doubt for member in members for doubt in doubts_of(member))]))


def trained_through(model: Any) -> Iterator[Training]:
    """The mixes that a model holds, as its wrapper or among its layers."""
    if isinstance(model, MixModel):
        yield Training(model.layer, model.clean_weight, step=_last_step(model))
        yield from trained_through(model.model)
    elif isinstance(model, ManifoldMixModel):
        hidden = tuple(name for name in model.mix_layers if name != INPUT)
        for mixer in dict.fromkeys(model.mixers):
            yield Training(mixer, hidden=hidden, step=_last_step(model))
        yield from trained_through(model.model)
    elif isinstance(model, ApproximateMixupModel):
        yield Training(model)
        yield from trained_through(model.model)
    elif isinstance(model, Stage):
        yield Training(model)
    elif isinstance(model, keras.Model):
        for layer in model.layers:
            yield from trained_through(layer)


def _last_step(model: Any) -> int | None:
    """The number of the last step that a model was trained; None if there was none."""
    count = int(model._counter.steps.numpy())
    return count - 1 if count else None


def unwrapped(model: Any) -> Any:
    """The model that answers, within what trained it."""
    is_wrapper = isinstance(model, (MixModel, ManifoldMixModel, ApproximateMixupModel))
    return unwrapped(model.model) if is_wrapper else model


def doubts_of(layer: MixLayer) -> list[str]:
    """What eq. (22) does not hold for in a mix, whatever its ratios."""
    found = []
    if not isinstance(layer.blend, LinearBlend):
        found.append(f"eq. (22) is derived for linear mixing; the layer's blend is a {layer.blend.shown}")
    pairing = _of_pairing(layer.pairing)
    if pairing is not None:
        found.append(f"eq. (22) is derived for partners drawn from all of the data alike; {pairing}")
    if not layer.weight.counts_alike:
        found.append(
            "eq. (22) is derived for mixtures that all count the same; the layer's weight is "
            f"{layer.weight.shown}, and the mixtures that count shrink less, and to other means, than all of them"
        )
    if layer.class_weight is not None:
        found.append("eq. (22) is derived for classes that count alike; the layer's class_weight is not in it")
    if layer.label_shares is not None:
        found.append(
            "eq. (22) is derived for labels mixed as the inputs are; the layer's label_shares say otherwise, and "
            "targets shrink by another factor"
        )
    return found


def _of_hidden(names: tuple[str, ...]) -> str:
    return (
        "eq. (22) is derived for mixing at the input, and shrinks what comes in; the model's hidden layers "
        f"{', '.join(map(repr, names))} were mixed, which saw inputs as they are. So its predictions are not those "
        "of the equation: compare them by evaluate_both, or do without"
    )


def _of_pairing(pairing: Any) -> str | None:
    """How partners are chosen, if not alike often from all of the data."""
    if isinstance(pairing, RepeatedPairing):
        return _of_pairing(pairing.pairing)
    if isinstance(pairing, RandomPairing) or (isinstance(pairing, OptimalTransportPairing) and pairing.k == 1):
        return None
    said = f"the layer's pairing is {pairing.shown}"
    if isinstance(pairing, (OptimalTransportPairing, NearestNeighborPairing)):
        said = f"{said} with k={pairing.k}"
        return (
            f"{said}, with which inputs and targets shrink to means of their neighbourhood, not to the overall ones"
        )
    if isinstance(pairing, SameClassPairing):
        return f"{said}, with which inputs shrink to the mean of their class, and targets not at all"
    if isinstance(pairing, OtherClassPairing):
        return f"{said}, with which inputs and targets shrink to the means of all other classes"
    return said
