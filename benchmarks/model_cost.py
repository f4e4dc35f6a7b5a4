"""What mixing in the training step costs: time per step of `MixModel.fit`, beside the plain model's, in one run; and
what `ApproximateMixupModel` costs, which mixes nothing.

    python benchmarks/model_cost.py            # the tables on the terminal
    python benchmarks/model_cost.py --write    # also into benchmarks/model_cost.md and .json
    python benchmarks/model_cost.py --json     # for machines
    python benchmarks/model_cost.py --quick    # that it runs: tiny sizes, numbers of no worth

All contestants train the same small residual network on the same batches in every round, one after another. A ratio
is taken within a round, so what slows a whole round down falls out of it. Exact derivatives need frozen batch
normalisation; their ratio is to plain training of the network that is so frozen. What mixing in the data stage costs,
and five mixtures of a batch beside a batch five times as large, is in `training.py`.
"""

from collections.abc import Callable
from typing import Any

import harness
import keras
import networks
import numpy as np
import tensorflow as tf

from kmix_tf import (
    AdaMixupModel,
    AlignMixBlend,
    ApproximateMixupModel,
    AttentiveMixLayer,
    AutoMixModel,
    CoMixupLayer,
    CutMixLayer,
    DecoupledMixupLoss,
    FeatureSaliency,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    ManifoldMixModel,
    MixModel,
    MultiMixLayer,
    PuzzleMixLayer,
    RecursiveMixLayer,
    RecursiveMixModel,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
    StyleMixBlend,
)

TITLE = "What mixing in the training step costs"
DECOUPLED = "KMixupLayer(1), DecoupledMixupLoss()"
PLAIN, CLEAN = "plain fit", "PuzzleMixLayer(), clean_weight=1"
FROZEN = "plain fit, normalisation frozen"
DIFFERENCES = "ApproximateMixupModel(derivatives='differences'): 3 x the batch"
EXACT = "ApproximateMixupModel(), normalisation frozen"
CURVED = "ApproximateMixupModel(terms=('r1_r3', 'r2')), normalisation frozen"
# What a contestant's ratio is to, where it is not to PLAIN.
BESIDE = {FROZEN: FROZEN, EXACT: FROZEN, CURVED: FROZEN}
STEPS = 5

# Makes the network to train.
Make = Callable[[], keras.Model]


def frozen(model):
    """The model, its normalisation not trained."""
    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return model


def approximating(make: Make, images, labels):
    models = {
        DIFFERENCES: ApproximateMixupModel(make(), 1.0, derivatives="differences", seed=0),
        EXACT: ApproximateMixupModel(frozen(make()), 1.0, seed=0),
        CURVED: ApproximateMixupModel(frozen(make()), 1.0, terms=("r1_r3", "r2"), seed=0),
    }
    for model in models.values():
        model.adapt(images, labels)
    return models


def mixing(make: Make, *_):
    layers = {
        "KMixupLayer(1)": KMixupLayer(1, num_classes=10),
        "KMixupLayer(16, solver='graph')": KMixupLayer(16, solver="graph", num_classes=10),
        "KMixupLayer(16), on the host": KMixupLayer(16, num_classes=10),
        "LocalMixupLayer()": LocalMixupLayer(num_classes=10),
        "CutMixLayer()": CutMixLayer(num_classes=10),
        "FMixLayer()": FMixLayer(num_classes=10),
        "SaliencyMixLayer(): two passes": SaliencyMixLayer(num_classes=10),
        "PuzzleMixLayer(): two passes": PuzzleMixLayer(num_classes=10),
        CLEAN: PuzzleMixLayer(num_classes=10),
        "PuzzleMixLayer(transport=False)": PuzzleMixLayer(transport=False, num_classes=10),
        "PuzzleMixLayer(solver='graph')": PuzzleMixLayer(solver="graph", num_classes=10),
        "MultiMixLayer(5): 5 x the batch": MultiMixLayer(5, num_classes=10),
        "PuzzleMixLayer(interpolations=5): 5 x the batch": PuzzleMixLayer(interpolations=5, num_classes=10),
    }
    return {
        name: MixModel(make(), layer, seed=0, clean_weight=float(name == CLEAN)) for name, layer in layers.items()
    }


def compared(make: Make, *_):
    """The methods that others compare with; Puzzle Mix and Co-Mixup for reference."""
    soft = {"num_classes": 10}

    def step(layer, **options):
        return MixModel(make(), layer, seed=0, **options)

    def hidden(mix):
        places = {"input": KMixupLayer(1, 2.0, **soft), "stage_2": mix}
        return ManifoldMixModel(make(), list(places), places, seed=0)

    halves = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(32, 3, strides=2, padding="same")])
    whole = keras.Sequential(
        [keras.Input((16, 16, 32)), keras.layers.Conv2DTranspose(3, 3, strides=2, padding="same")]
    )
    attended = keras.layers.Conv2D(16, 3, strides=4, padding="same")
    network = keras.Sequential([keras.Input((32, 32, 3)), attended])
    return {
        "ResizeMixLayer()": step(ResizeMixLayer(**soft)),
        "GridMixLayer()": step(GridMixLayer(**soft)),
        "SmoothMixLayer()": step(SmoothMixLayer(**soft)),
        "AttentiveMixLayer(saliency=FeatureSaliency(of one convolution))": step(
            AttentiveMixLayer(saliency=FeatureSaliency(network), **soft)
        ),
        "PuzzleMixLayer(): two passes": step(PuzzleMixLayer(**soft)),
        "CoMixupLayer(), clean_weight=1": step(CoMixupLayer(**soft), clean_weight=1.0),
        "AlignMixBlend() at the last map, half of the steps": hidden(
            KMixupLayer(1, 2.0, blend=AlignMixBlend(), **soft)
        ),
        "StyleMixBlend(of two convolutions)": step(KMixupLayer(1, blend=StyleMixBlend(halves, whole), **soft)),
        "RecursiveMixModel": RecursiveMixModel(make(), RecursiveMixLayer(**soft), seed=0),
        "KMixupLayer(1), clean_weight=1 (RegMixup)": step(KMixupLayer(1, 20.0, **soft), clean_weight=1.0),
        DECOUPLED: step(KMixupLayer(1, **soft)),
        "AdaMixupModel": AdaMixupModel(make(), KMixupLayer(1, **soft), seed=0),
        "AutoMixModel": AutoMixModel(make(), "stage_1", KMixupLayer(1, 2.0, **soft), seed=0),
        "AutoMixModel(block='samix')": AutoMixModel(
            make(), "stage_1", KMixupLayer(1, 2.0, **soft), block="samix", variance_weight=0.2, seed=0
        ),
        "AutoMixModel(train_block=False)": AutoMixModel(
            make(), "stage_1", KMixupLayer(1, 2.0, **soft), train_block=False, seed=0
        ),
    }


TABLES = {
    "mixing": ("Mixes of the papers", mixing),
    "compared": ("Methods that others compare with", compared),
    "approximate": ("The approximate loss, which mixes nothing", approximating),
}


def contestants(table, make, images, labels):
    """Compiled models by name; those whose name or table says so take the labels as they are."""
    models = {PLAIN: make(), **TABLES[table][1](make, images, labels)}
    if table == "approximate":
        models[FROZEN] = frozen(make())
    for name, model in models.items():
        is_sparse = table == "approximate" or name == PLAIN
        loss = keras.losses.SparseCategoricalCrossentropy if is_sparse else keras.losses.CategoricalCrossentropy
        loss = DecoupledMixupLoss if name == DECOUPLED else loss
        model.compile("sgd", loss(from_logits=True), jit_compile=False)
    return models


def fitting(model, data, steps):
    """A contestant: so many steps of `fit`. It is warm once this returns."""
    model.fit(data, steps_per_epoch=2, verbose=0)
    return lambda: model.fit(data, steps_per_epoch=steps, verbose=0)


def measured(table, quick, rounds):
    batch, steps = (8, 1) if quick else (128, STEPS)
    generator = np.random.default_rng(0)
    images = generator.random((batch, 32, 32, 3), dtype=np.float32)
    labels = generator.integers(0, 10, batch)
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    models = contestants(table, lambda: networks.residual_network(2 if quick else 16), images, labels)
    runs = {name: fitting(model, data, steps) for name, model in models.items()}
    times = harness.interleaved(runs, rounds or (1 if quick else 7), table)
    return harness.compared(times, {name: BESIDE.get(name, PLAIN) for name in models}, steps)


def measure(quick: bool, rounds: int | None) -> dict[str, Any]:
    return {table: measured(table, quick, rounds) for table in TABLES}


def markdown(results: dict[str, Any]) -> str:
    parts = [
        "A residual network of 10 convolutions, not compiled by XLA, batches of 128 32x32x3 images, rounds of "
        f"{STEPS} steps; time per step in ms (median), and its ratio to plain `fit` in the same round (median, "
        "quartiles in brackets); where normalisation is frozen, to plain `fit` with it frozen, too."
    ]
    for table, rows in results.items():
        lines = [[name, f"{row['ms']:.1f}", harness.cell(row, 3)] for name, row in rows.items()]
        parts.append(f"## {TABLES[table][0]}\n\n{harness.table(['', 'ms', 'ratio'], lines)}")
    return "\n\n".join(parts)


harness.main(__name__, __doc__)
