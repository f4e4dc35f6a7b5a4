"""Every layer with every option of consequence, for the tests that all of them must pass."""

import keras
import pytest
import tensorflow as tf

from kmix_tf import (
    AlignMixBlend,
    AttentiveMixBlend,
    AttentiveMixLayer,
    BetaRatio,
    ChoiceLayer,
    CoMixupLayer,
    CutMixBlend,
    CutMixLayer,
    DistanceWarpedRatio,
    DistributionRatio,
    ExponentialWeight,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    LabelDistancePairing,
    LocalMixupLayer,
    MixLayer,
    MixSchedule,
    MultiMixLayer,
    NearestNeighborPairing,
    NearestNeighborWeight,
    OptimalTransportPairing,
    OtherClassPairing,
    Pooled,
    PuzzleMixLayer,
    RemixShares,
    RepeatedPairing,
    ResizeMixLayer,
    SaliencyMixLayer,
    SameClassPairing,
    SmoothMixLayer,
    StyleCutMixBlend,
    StyleMixBlend,
    ThresholdWeight,
    UniformRatio,
)


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def arcsine(shape, seed):
    return tf.sin(tf.random.stateless_uniform(shape, seed, alg="philox") * 1.5707963) ** 2


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def first_rows(x):
    return x[:, :2]


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def brightness(features, targets):
    return tf.reduce_sum(tf.abs(tf.cast(features[0], tf.float32)), axis=-1)


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def folded(image):
    return tf.nn.space_to_depth(image, 2)


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def unfolded(features):
    return tf.nn.depth_to_space(features, 2)


# Each takes images (batch, 4, 6, 1) and integer labels of 3 classes, and works under XLA unless its name says "host".
LAYERS = {
    "mixup": lambda: MixLayer(num_classes=3, seed=3),
    "mixup of samples": lambda: MixLayer(ratio=BetaRatio(0.3, "sample"), num_classes=3),
    "host k-mixup": lambda: KMixupLayer(4, num_classes=3),
    "k-mixup": lambda: KMixupLayer(4, 0.4, scope="group", solver="graph", num_classes=3),
    "euclidean k-mixup": lambda: KMixupLayer(3, cost="euclidean", solver="graph", num_classes=3),
    "nearest neighbours": lambda: MixLayer(NearestNeighborPairing(3), num_classes=3),
    "same class": lambda: MixLayer(SameClassPairing(), num_classes=3),
    "other class": lambda: MixLayer(OtherClassPairing(missing="any"), BetaRatio(2.0), num_classes=3),
    "repeated": lambda: MixLayer(RepeatedPairing(OptimalTransportPairing(2, solver="graph"), 3), num_classes=3),
    "any distribution": lambda: MixLayer(ratio=DistributionRatio(arcsine, "sample", 2), num_classes=3),
    "warped": lambda: MixLayer(ratio=DistanceWarpedRatio(0.5, interpolations=2), num_classes=3),
    "near targets": lambda: MixLayer(LabelDistancePairing(1e-3), num_classes=3),
    "remix": lambda: CutMixLayer(scope="sample", num_classes=3, label_shares=RemixShares([9, 3, 1])),
    "multi-mix": lambda: MultiMixLayer(3, 0.7, num_classes=3),
    "batch augmentation": lambda: MultiMixLayer(3, k=2, solver="graph", baseline="batch_augmentation", num_classes=3),
    "local": lambda: LocalMixupLayer(num_classes=3),
    "local threshold": lambda: LocalMixupLayer(0.5, ThresholdWeight("quantile:0.4"), num_classes=3),
    "local neighbours": lambda: LocalMixupLayer(weight=NearestNeighborWeight(2), k=2, solver="graph", num_classes=3),
    "cutmix": lambda: CutMixLayer(num_classes=3, scope="sample"),
    "cutmix of signals": lambda: CutMixLayer(0.5, axes=1, interpolations=2, num_classes=3),
    "fmix": lambda: FMixLayer(num_classes=3, scope="sample"),
    "fmix of signals": lambda: FMixLayer(0.5, axes=1, decay=1.5, interpolations=2, num_classes=3),
    "resizemix": lambda: ResizeMixLayer(num_classes=3, scope="sample"),
    "resizemix of signals": lambda: ResizeMixLayer(
        (0.2, 1.0), axes=1, resize="area", interpolations=2, num_classes=3
    ),
    "gridmix": lambda: GridMixLayer(scope="sample", num_classes=3),
    "smoothmix": lambda: SmoothMixLayer(num_classes=3, interpolations=2),
    "attentivemix": lambda: AttentiveMixLayer(grid=3, num_classes=3, interpolations=2),
    "attentivemix by brightness": lambda: MixLayer(
        ratio=UniformRatio(0.5, 0.75), blend=AttentiveMixBlend(2, saliency=brightness), num_classes=3
    ),
    "saliencymix": lambda: SaliencyMixLayer(num_classes=3, interpolations=2),
    "saliencymix by brightness": lambda: SaliencyMixLayer(k=2, solver="graph", saliency=brightness, num_classes=3),
    "alignmix": lambda: MixLayer(ratio=BetaRatio(2.0, "sample"), blend=AlignMixBlend(), num_classes=3),
    "stylemix": lambda: MixLayer(blend=StyleMixBlend(folded, unfolded), num_classes=3),
    "style cutmix": lambda: MixLayer(blend=StyleCutMixBlend(folded, unfolded, scope="sample"), num_classes=3),
    "host co-mixup": lambda: CoMixupLayer(part=4, num_classes=3),
    "host puzzle mix": lambda: PuzzleMixLayer(num_classes=3),
    "puzzle mix": lambda: PuzzleMixLayer(blocks=2, n_labels=2, interpolations=2, solver="graph", num_classes=3),
    "packed": lambda: LocalMixupLayer(weight=ExponentialWeight(0.1), targets="packed", num_classes=3),
    "packed classes": lambda: CutMixLayer(interpolations=2, targets="packed"),
    "seldom": lambda: KMixupLayer(2, solver="graph", probability=0.5, num_classes=3),
    "seldom several": lambda: MultiMixLayer(2, k=2, solver="graph", probability=0.5, num_classes=3),
    "embedded": lambda: KMixupLayer(4, solver="graph", embedding=first_rows, num_classes=3),
    "pooled": lambda: LocalMixupLayer(k=4, solver="graph", match_at=Pooled(2), num_classes=3),
    "adapted": lambda: KMixupLayer(4, solver="graph", adapted={"scales": [[2.0]], "alpha": 0.7}, num_classes=3),
    "half precision": lambda: KMixupLayer(4, solver="graph", num_classes=3, dtype="mixed_float16"),
    "all at once": lambda: KMixupLayer(
        4, 0.8, solver="graph", interpolations=5, blend=CutMixBlend(), weight=ExponentialWeight(1e-3), num_classes=3
    ),
    "scheduled": lambda: KMixupLayer(
        2, solver="graph", schedule=MixSchedule(5, warmup=1, off_after=9), num_classes=3, name="scheduled"
    ),
    "choice": lambda: ChoiceLayer(
        [
            KMixupLayer(2, solver="graph", num_classes=3),
            LocalMixupLayer(num_classes=3),
            CutMixLayer(num_classes=3),
            None,
        ],
        [0.25, 0.25, 0.25, 0.25],
    ),
    "choice for each sample": lambda: ChoiceLayer(
        [MultiMixLayer(2, num_classes=3), CutMixLayer(interpolations=2, num_classes=3)], per="sample", probability=0.8
    ),
    "swapping pairs": lambda: CutMixLayer(scope="pair", k=2, solver="graph", num_classes=3),
}


# One of each kind of mix, targets and draw; what the others add is asked with the matrix.
REPRESENTATIVES = [
    "k-mixup",
    "multi-mix",
    "local",
    "cutmix",
    "fmix",
    "resizemix",
    "saliencymix",
    "puzzle mix",
    "all at once",
    "scheduled",
    "choice",
]


def rows(names):
    """All layers, those besides these in the matrix."""
    return [pytest.param(name, marks=[pytest.mark.matrix] * (name not in names)) for name in LAYERS]


@pytest.fixture(params=rows(REPRESENTATIVES))
def every(request):
    """The name of a layer and what makes it."""
    return request.param, LAYERS[request.param]


@pytest.fixture(params=rows([name for name in REPRESENTATIVES if name != "puzzle mix"]))
def every_compiled(request):
    """As `every`, for what compiles. That Puzzle Mix compiles, and once, test_puzzlemix and its blend's tests ask."""
    return request.param, LAYERS[request.param]


@pytest.fixture(scope="session")
def layers():
    """All of them: name to maker."""
    return LAYERS


@pytest.fixture(params=["representatives", pytest.param("the others", marks=pytest.mark.matrix)])
def half(request):
    """Some of them, for tests that take many at once: name to maker."""
    first = request.param == "representatives"
    return {name: make for name, make in LAYERS.items() if (name in REPRESENTATIVES) == first}
