"""What mixing in the training step costs: time per step of `MixModel.fit`, beside the plain model's, in one run; and
what `ApproximateMixupModel` costs, which mixes nothing.

    python benchmarks/model_cost.py                  # the tables on the terminal
    python benchmarks/model_cost.py --table compared # one of them: mixing, compared or approximate
    python benchmarks/model_cost.py --write          # also into benchmarks/model_cost.md, in place of the same tables
    python benchmarks/model_cost.py --json           # for machines

All contestants train the same small residual network on the same batches in every round, one after another. A ratio
is taken within a round, so what slows a whole round down falls out of it. Exact derivatives need frozen batch
normalisation; their ratio is to plain training of the network that is so frozen.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

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

DECOUPLED = "KMixupLayer(1), DecoupledMixupLoss()"
PLAIN, CLEAN = "plain fit", "PuzzleMixLayer(), clean_weight=1"
FROZEN = "plain fit, normalisation frozen"
DIFFERENCES = "ApproximateMixupModel(derivatives='differences'): 3 x the batch"
EXACT = "ApproximateMixupModel(), normalisation frozen"
CURVED = "ApproximateMixupModel(terms=('r1_r3', 'r2')), normalisation frozen"
# What a contestant's ratio is to, where it is not to PLAIN.
BESIDE = {FROZEN: FROZEN, EXACT: FROZEN, CURVED: FROZEN}
BATCH = 128


def residual_network(width=16, blocks=3):
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)
    for stage in range(blocks):
        shortcut = layers.Conv2D(width << stage, 1, strides=1 + (stage > 0), use_bias=False)(x)
        for strides in (1 + (stage > 0), 1):
            x = layers.Activation("relu")(layers.BatchNormalization()(x))
            x = layers.Conv2D(width << stage, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.Add(name=f"stage_{stage}")([x, shortcut])
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(layers.BatchNormalization()(x)))
    return keras.Model(inputs, layers.Dense(10)(x))


def _mixing(name, layer):
    return MixModel(residual_network(), layer, seed=0, clean_weight=float(name == CLEAN))


def frozen_network():
    model = residual_network()
    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return model


def approximating(images, labels):
    models = {
        DIFFERENCES: ApproximateMixupModel(residual_network(), 1.0, derivatives="differences", seed=0),
        EXACT: ApproximateMixupModel(frozen_network(), 1.0, seed=0),
        CURVED: ApproximateMixupModel(frozen_network(), 1.0, terms=("r1_r3", "r2"), seed=0),
    }
    for model in models.values():
        model.adapt(images, labels)
    return models


def mixing(images, labels):
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
    return {name: _mixing(name, layer) for name, layer in layers.items()}


def compared(images, labels):
    """The methods that others compare with; Puzzle Mix and Co-Mixup for reference."""
    soft = {"num_classes": 10}

    def step(layer, **options):
        return MixModel(residual_network(), layer, seed=0, **options)

    def hidden(mix):
        places = {"input": KMixupLayer(1, 2.0, **soft), "stage_2": mix}
        return ManifoldMixModel(residual_network(), list(places), places, seed=0)

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
        "RecursiveMixModel": RecursiveMixModel(residual_network(), RecursiveMixLayer(**soft), seed=0),
        "KMixupLayer(1), clean_weight=1 (RegMixup)": step(KMixupLayer(1, 20.0, **soft), clean_weight=1.0),
        DECOUPLED: step(KMixupLayer(1, **soft)),
        "AdaMixupModel": AdaMixupModel(residual_network(), KMixupLayer(1, **soft), seed=0),
        "AutoMixModel": AutoMixModel(residual_network(), "stage_1", KMixupLayer(1, 2.0, **soft), seed=0),
        "AutoMixModel(block='samix')": AutoMixModel(
            residual_network(), "stage_1", KMixupLayer(1, 2.0, **soft), block="samix", variance_weight=0.2, seed=0
        ),
        "AutoMixModel(train_block=False)": AutoMixModel(
            residual_network(), "stage_1", KMixupLayer(1, 2.0, **soft), train_block=False, seed=0
        ),
    }


TITLES = {
    "mixing": "Mixes of the papers",
    "compared": "Methods that others compare with",
    "approximate": "The approximate loss, which mixes nothing",
}
TABLES = {"mixing": mixing, "compared": compared, "approximate": approximating}


def contestants(table, images, labels):
    models = {PLAIN: residual_network(), **TABLES[table](images, labels)}
    if table == "approximate":
        models[FROZEN] = frozen_network()
    for name, model in models.items():
        is_sparse = table == "approximate" or name == PLAIN
        loss = keras.losses.SparseCategoricalCrossentropy if is_sparse else keras.losses.CategoricalCrossentropy
        loss = DecoupledMixupLoss if name == DECOUPLED else loss
        model.compile("sgd", loss(from_logits=True), jit_compile=False)
    return models


def seconds(model, data, steps):
    start = time.perf_counter()
    model.fit(data, steps_per_epoch=steps, verbose=0)
    return (time.perf_counter() - start) / steps


def measure(table, rounds, steps):
    generator = np.random.default_rng(0)
    images = generator.random((BATCH, 32, 32, 3), dtype=np.float32)
    labels = generator.integers(0, 10, BATCH)
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    models = contestants(table, images, labels)
    for model in models.values():
        seconds(model, data, 2)
    times = {name: [] for name in models}
    for _ in tqdm(range(rounds), desc=f"{table}: rounds"):
        for name, model in models.items():
            times[name].append(seconds(model, data, steps))
    return times


def summary(times):
    """Median milliseconds, and median and quartiles of the ratio to plain fit within each round."""
    rows = {}
    for name, values in times.items():
        plain = times[BESIDE.get(name, PLAIN)]
        low, middle, high = statistics.quantiles([a / b for a, b in zip(values, plain, strict=True)], n=4)
        rows[name] = {"ms": 1e3 * statistics.median(values), "ratio": middle, "quartiles": [low, high]}
    return rows


def markdown(rows, rounds, steps):
    lines = [
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores, no accelerator, not "
        f"compiled by XLA. A residual network of 10 convolutions, batches of {BATCH} 32x32x3 images, "
        f"{rounds} rounds of {steps} steps; time per step in ms (median), and its ratio to plain `fit` in the same "
        "round (median, quartiles in brackets); where normalisation is frozen, to plain `fit` with it frozen, too.",
        "",
        "| | ms | ratio |",
        "|---|--:|--:|",
    ]
    for name, row in rows.items():
        low, high = row["quartiles"]
        lines.append(f"| {name} | {row['ms']:.1f} | {row['ratio']:.3f} [{low:.3f}, {high:.3f}] |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="+", choices=TABLES, help="which; default all")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps a round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/model_cost.md")
    arguments = parser.parse_args()
    names = arguments.table or list(TABLES)
    rows = {name: summary(measure(name, arguments.rounds, arguments.steps)) for name in names}
    tables = {name: markdown(each, arguments.rounds, arguments.steps) for name, each in rows.items()}
    print(json.dumps(rows) if arguments.json else "\n\n".join(tables.values()))
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        path.write_text(written(path.read_text() if path.exists() else "", tables))


def written(page, tables):
    """The page, with these tables in place of those of the same names."""
    _, *parts = page.split("\n## ")
    found = {part.split("\n")[0]: part.split("\n", 1)[1].strip() for part in parts}
    found |= {TITLES[name]: table for name, table in tables.items()}
    heading = "# What mixing in the training step costs\n\nMeasured by `python benchmarks/model_cost.py --write`."
    ordered = [(title, found[title]) for title in TITLES.values() if title in found]
    return "\n\n".join([heading, *(f"## {title}\n\n{text}" for title, text in ordered)]) + "\n"


if __name__ == "__main__":
    main()
