"""Co-Mixup: mixtures of any number of images, made of a part of the batch at once."""

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend import CoMixupBlend
from kmix_tf.layers.mix import MixLayer
from kmix_tf.layers.options import GATHERS, OF_PAIRS, KerasOptions, checked_keras_options, option_of


@register
class CoMixupLayer(MixLayer):
    """Co-Mixup: lays salient blocks of many images into each mixture, so that all mixtures of a part are different.

    Puzzle Mix keeps what is salient of two images; here each block of a mixture takes whichever image of a part of
    the batch is salient there, and no image is shown again and again. Labels are mixed by the area shown. The authors
    train with the clean batch besides: `MixModel(model, CoMixupLayer(...), clean_weight=1.0)`, which also takes the
    saliency of the model in training; in a map, saliency is that of `saliency=`, or the spectral residual.

    Mixtures are of any number of samples, so there are no pairs: `k`, `cost`, `scope`, `interpolations`, a weight of
    distances, `label_shares`, packed targets and `between` are refused. Weights of samples, classes, several features
    and targets, maps of the image's size, `ChoiceLayer`, `probability` and schedules work as elsewhere, and so do
    batches of any size: a batch smaller than a part is one part, and one of one sample comes back as it is.

    Args:
        part: at most how many samples are mixed with each other, an integer >= 2, default 20.
        axes, blocks, alpha, beta, gamma, threshold, eta, omega, sweeps, saliency: as in `CoMixupBlend`.
        num_classes, class_weight, features_only, probability, schedule, passthrough, masks, seed: as in `MixLayer`,
            which also says what a call takes and gives.

    Raises:
        TypeError, ValueError: for an argument out of its range, or one that is of pairs; on a call, for features
            without axes to cut, or images smaller than the blocks are many.

    Source: Kim, Choo, Jeong and Song 2021, *Co-Mixup: Saliency Guided Joint Mixup with Supermodular Diversity*; see
        `CoMixupBlend` for what differs from their published code.

    Example:
        >>> layer = CoMixupLayer(num_classes=10)
        >>> x, y = layer(tf.random.uniform([6, 8, 8, 3]), tf.constant([3, 1, 4, 1, 5, 9]))
        >>> x.shape, y.shape
        (TensorShape([6, 8, 8, 3]), TensorShape([6, 10]))
    """

    without: ClassVar[dict[str, str]] = OF_PAIRS
    why_without = GATHERS
    made_of: ClassVar[dict[str, str]] = {"blend": "this layer's own options"}

    part = option_of("blend", "part")
    axes = option_of("blend", "axes")
    blocks = option_of("blend", "blocks")
    alpha = option_of("blend", "alpha")
    beta = option_of("blend", "beta")
    gamma = option_of("blend", "gamma")
    threshold = option_of("blend", "threshold")
    eta = option_of("blend", "eta")
    omega = option_of("blend", "omega")
    sweeps = option_of("blend", "sweeps")
    saliency = option_of("blend", "saliency")

    @_checks.speaks
    def __init__(
        self,
        part: int = 20,
        *,
        axes: int = 2,
        blocks: int = 4,
        alpha: float = 2.0,
        beta: float = 0.32,
        gamma: float = 1.0,
        threshold: float = 0.83,
        eta: float = 0.05,
        omega: float = 0.001,
        sweeps: int = 3,
        saliency: Callable | None = None,
        num_classes: Any = None,
        class_weight: Any = None,
        features_only: bool = False,
        probability: float = 1.0,
        schedule: Callable | None = None,
        passthrough: Any = None,
        masks: Any = None,
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        blend = CoMixupBlend(
            axes,
            part=part,
            blocks=blocks,
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            threshold=threshold,
            eta=eta,
            omega=omega,
            sweeps=sweeps,
            saliency=saliency,
        )
        super().__init__(
            blend=blend,
            num_classes=num_classes,
            class_weight=class_weight,
            features_only=features_only,
            probability=probability,
            schedule=schedule,
            passthrough=passthrough,
            masks=masks,
            seed=seed,
            **checked_keras_options(type(self), kwargs),
        )
