"""Objects of every public class that can be saved, of which each version keeps configurations, and layers' mixtures.

Add to these; and change none, or it can no longer be told what an older version saved.
"""

import keras
import numpy as np

import kmix_tf as k

SEED = 5


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Images `(8, 8, 8, 1)` and labels of 3 classes: what layers mix, with the seed."""
    generator = np.random.default_rng(7)
    return generator.random((8, 8, 8, 1), dtype=np.float32), generator.integers(0, 3, 8).astype(np.int32)


def _mix(**decisions: object) -> k.MixLayer:
    return k.MixLayer(**decisions, num_classes=3)


def _network() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Conv2D(2, 3, name="hidden"), layers.Flatten(), layers.Dense(3, name="head")]
    )


def _rescaled() -> k.RescaledModel:
    """One that has learnt its means: others are not saved."""
    model = k.RescaledModel(_network(), alpha=0.5, output="logits")
    model.adapt(*batch())
    return model


# Each takes `batch()`.
LAYERS = {
    "MixLayer": lambda: k.MixLayer(num_classes=3, class_weight={0: 2.0}, seed=1),
    "KMixupLayer": lambda: k.KMixupLayer(3, 0.5, scope="group", cost="euclidean", num_classes=3, seed=1),
    "KMixupLayer, graph": lambda: k.KMixupLayer(4, solver="graph", match_at=k.Pooled(2), num_classes=3),
    "KMixupLayer, projected": lambda: k.KMixupLayer(4, match_at=k.Projected(8), num_classes=3),
    "KMixupLayer, adapted": lambda: k.KMixupLayer(4, adapted={"scales": [[2.0]], "alpha": 0.7}, num_classes=3),
    "KMixupLayer, scheduled": lambda: k.KMixupLayer(
        2, probability=0.9, schedule=k.MixSchedule(5, warmup=1, off_after=9), num_classes=3
    ),
    "MultiMixLayer": lambda: k.MultiMixLayer(3, 0.7, k=2, num_classes=3),
    "MultiMixLayer, batch augmentation": lambda: k.MultiMixLayer(3, baseline="batch_augmentation", num_classes=3),
    "LocalMixupLayer": lambda: k.LocalMixupLayer(0.5, k.ThresholdWeight("quantile:0.4"), num_classes=3),
    "LocalMixupLayer, packed": lambda: k.LocalMixupLayer(weight=k.ExponentialWeight(0.1), targets="packed"),
    "CutMixLayer": lambda: k.CutMixLayer(0.5, scope="sample", num_classes=3, label_shares=k.RemixShares([9, 3, 1])),
    "CutMixLayer, pairs": lambda: k.CutMixLayer(scope="pair", k=2, num_classes=3),
    "FMixLayer": lambda: k.FMixLayer(decay=2.0, scope="sample", num_classes=3),
    "ResizeMixLayer": lambda: k.ResizeMixLayer((0.2, 0.7), resize="area", scope="sample", num_classes=3),
    "GridMixLayer": lambda: k.GridMixLayer(grid=2, scope="sample", num_classes=3),
    "SmoothMixLayer": lambda: k.SmoothMixLayer(interpolations=2, num_classes=3),
    "SaliencyMixLayer": lambda: k.SaliencyMixLayer(
        saliency=k.SpectralResidualSaliency(size=8), interpolations=2, num_classes=3
    ),
    "AttentiveMixLayer": lambda: k.AttentiveMixLayer(grid=2, num_classes=3),
    "PuzzleMixLayer": lambda: k.PuzzleMixLayer(blocks=2, n_labels=2, num_classes=3),
    "CoMixupLayer": lambda: k.CoMixupLayer(part=4, blocks=2, num_classes=3),
    "ChoiceLayer": lambda: k.ChoiceLayer(
        [k.KMixupLayer(2, num_classes=3), k.CutMixLayer(num_classes=3), None], [0.5, 0.3, 0.2], per="sample"
    ),
    "RandomPairing": lambda: _mix(pairing=k.RandomPairing(with_itself=True)),
    "OptimalTransportPairing": lambda: _mix(pairing=k.OptimalTransportPairing(2, mutual=True)),
    "NearestNeighborPairing": lambda: _mix(pairing=k.NearestNeighborPairing(3)),
    "SameClassPairing": lambda: _mix(pairing=k.SameClassPairing()),
    "OtherClassPairing": lambda: _mix(pairing=k.OtherClassPairing(missing="any")),
    "LabelDistancePairing": lambda: _mix(pairing=k.LabelDistancePairing(0.5)),
    "RepeatedPairing": lambda: _mix(pairing=k.RepeatedPairing(k.RandomPairing(), 2)),
    "BetaRatio": lambda: _mix(ratio=k.BetaRatio(0.3, "sample", 2)),
    "UniformRatio": lambda: _mix(ratio=k.UniformRatio(0.25, 0.75, "sample")),
    "ScaleRatio": lambda: _mix(ratio=k.ScaleRatio(0.2, 0.9, scope="sample")),
    "DistanceWarpedRatio": lambda: _mix(ratio=k.DistanceWarpedRatio(0.5)),
    "LinearBlend": lambda: _mix(blend=k.LinearBlend()),
    "AlignMixBlend": lambda: _mix(blend=k.AlignMixBlend()),
    "EqualWeight": lambda: _mix(weight=k.EqualWeight()),
    "NearestNeighborWeight": lambda: _mix(weight=k.NearestNeighborWeight(2, far="drop")),
}

# What mixes nothing by itself, or only with what the user gives.
OTHERS = {
    "RecursiveMixLayer": lambda: k.RecursiveMixLayer(0.4, num_classes=3),
    "CutMixBlend": lambda: k.CutMixBlend(scope="pair"),
    "FMixBlend": lambda: k.FMixBlend(decay=2.0),
    "ResizeMixBlend": lambda: k.ResizeMixBlend(resize="area"),
    "GridMixBlend": lambda: k.GridMixBlend(2),
    "SmoothMixBlend": lambda: k.SmoothMixBlend(axes=1),
    "SaliencyMixBlend": lambda: k.SaliencyMixBlend(axes=1),
    "AttentiveMixBlend": lambda: k.AttentiveMixBlend(2),
    "PuzzleMixBlend": lambda: k.PuzzleMixBlend(blocks=2, n_labels=2),
    "CoMixupBlend": lambda: k.CoMixupBlend(part=4, blocks=2),
    "for_evaluation": lambda: k.KMixupLayer(3, num_classes=3).for_evaluation(),
    "LocalMixupLoss": lambda: k.LocalMixupLoss("categorical_crossentropy"),
    "DecoupledMixupLoss": lambda: k.DecoupledMixupLoss(eta=0.2, from_logits=True),
    "MixAccuracy": lambda: k.MixAccuracy(threshold=0.4),
    "MixMetric": lambda: k.MixMetric(keras.metrics.CategoricalAccuracy()),
    "ExpectedCalibrationError": lambda: k.ExpectedCalibrationError(bins=12, from_logits=True),
    "MixSchedule": lambda: k.MixSchedule(5, warmup=1, off_after=9),
    "MomentumSchedule": lambda: k.MomentumSchedule(100, start=0.99),
    "MixModel": lambda: k.MixModel(_network(), k.KMixupLayer(2, num_classes=3), seed=1),
    "ManifoldMixModel": lambda: k.ManifoldMixModel(_network(), ["hidden"], k.MixLayer(num_classes=3)),
    "ApproximateMixupModel": lambda: k.ApproximateMixupModel(_network(), alpha=0.5),
    "RecursiveMixModel": lambda: k.RecursiveMixModel(_network(), k.RecursiveMixLayer(num_classes=3)),
    "AutoMixModel": lambda: k.AutoMixModel(
        _network(), "hidden", k.KMixupLayer(2, num_classes=3), variance_weight=0.1
    ),
    "MixBlock": lambda: k.MixBlock(4, symmetric=False),
    "AdaMixupModel": lambda: k.AdaMixupModel(_network(), k.MixLayer(num_classes=3), intrusion_weight=1.0),
    "GradientSaliency": lambda: k.GradientSaliency(_network(), "mse", smoothing=0.1),
    "FeatureSaliency": lambda: k.FeatureSaliency(_network(), "hidden"),
    "RescaledModel": _rescaled,
}
