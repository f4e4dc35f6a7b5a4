"""What Co-Mixup costs beside Puzzle Mix and plain training, and what its sweeps do to the energy.

    python benchmarks/comixup.py                # the tables on the terminal
    python benchmarks/comixup.py --write        # also into benchmarks/comixup.md

Parts are of 32x32 crops of two photographs (scikit-learn's), with the spectral residual as saliency, and of random
saliency. "As they are" are sweeps one after another, as in the published code, each of whose steps is best for what
the others show; "kept" is the best seen so far, which the package gives. The saliency shown is in units of one
image's: blocks that are taken at random show 1.

Time is of batches of 32x32x3 images: of the mix by itself, saliency included, in a map of one thread; and of a step
of `MixModel.fit`, with a small residual network, beside the plain model's in the same round.
"""

import argparse
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from model_cost import residual_network
from puzzle import photographs
from tqdm import tqdm

from kmix_tf import CoMixupBlend, CoMixupLayer, KMixupLayer, MixModel, PuzzleMixLayer, SpectralResidualSaliency
from kmix_tf.blend.comixup import course, joint_energy, masks_of, swept
from kmix_tf.blend.comixup.parts import energy_of_part, most_salient
from kmix_tf.blend.puzzle.energy import block_saliency

RNG = np.random.default_rng(0)
PART, SWEEPS = 20, 4


def photograph_saliency(number):
    return SpectralResidualSaliency()([photographs(number)], None).numpy()


def random_saliency(number):
    return RNG.exponential(size=(number, 32, 32)).astype(np.float32) ** 4


def as_they_are(energy, start):
    """Masks before the first sweep, and after each."""
    pairs = np.stack([start, start], axis=-1)
    seen = [pairs]
    for sweep in range(SWEEPS):
        pairs = swept(pairs, energy, sweep > 0)
        seen.append(pairs)
    return seen


def kept(energy, start):
    """The best so far; without the last sweep, which parts outputs that show the same."""
    return [np.stack([start, start], axis=-1), *(each.pairs for each in course(energy, start, SWEEPS + 1))][:-1]


def sweep_table(parts):
    lines = [
        "| saliency | sweeps | energy at first | after 1 | after 2 | after 3 | after 4 | sweeps that raised it "
        "| images in a mixture | saliency shown |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    settings = CoMixupBlend().settings
    for name, make in (("photographs", photograph_saliency), ("random", random_saliency)):
        found = {"as they are": [], "kept": []}
        for _ in tqdm(range(parts), desc=name):
            saliency = make(PART)
            cells = block_saliency(tf.constant(saliency), 4).numpy()
            energy = energy_of_part(cells, most_salient(saliency), settings, RNG)
            start = RNG.integers(0, PART, (PART, 4, 4))
            for kind, sweeps in zip(found, (as_they_are, kept), strict=True):
                masks = [masks_of(each, PART) for each in sweeps(energy, start)]
                last = masks[3]
                several = (last.sum(axis=(1, 2)) > 0).sum(axis=1).mean()
                shown = np.sum(np.moveaxis(cells, 0, -1) * last) / PART
                found[kind].append([*(joint_energy(each, energy) for each in masks), several, shown])
        for kind, rows in found.items():
            rows = np.array(rows)
            energies = " | ".join(f"{value:.1f}" for value in rows[:, : SWEEPS + 1].mean(axis=0))
            raised = (np.diff(rows[:, : SWEEPS + 1], axis=1) > 1e-9).mean()
            ends = " | ".join(f"{value:.2f}" for value in rows[:, -2:].mean(axis=0))
            lines.append(f"| {name} | {kind} | {energies} | {raised:.0%} | {ends} |")
    return lines


def quartiles(times):
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.0f} [{low:.0f}, {high:.0f}]"


def mix_table(rounds, batch):
    images, labels = photographs(batch), tf.one_hot(np.arange(batch) % 10, 10)
    layers = {
        "KMixupLayer(1)": KMixupLayer(1),
        "PuzzleMixLayer(blocks=4)": PuzzleMixLayer(blocks=4),
        "CoMixupLayer()": CoMixupLayer(),
        "CoMixupLayer(sweeps=1)": CoMixupLayer(sweeps=1),
        "CoMixupLayer(part=10)": CoMixupLayer(part=10),
        "CoMixupLayer(blocks=8)": CoMixupLayer(blocks=8),
    }
    lines = ["| mix | ms a batch |", "|---|--:|"]
    for name, layer in layers.items():
        data = iter(tf.data.Dataset.from_tensors((images, labels)).repeat().map(layer))
        next(data)
        times = []
        for _ in range(rounds if layer is not layers["CoMixupLayer(blocks=8)"] else 3):
            start = time.perf_counter()
            next(data)
            times.append((time.perf_counter() - start) * 1e3)
        lines.append(f"| {name} | {quartiles(times)} |")
    return lines


def step_table(rounds, batch):
    steps = 2
    images = np.tile(photographs(batch).numpy(), (steps, 1, 1, 1))
    labels = np.arange(steps * batch) % 10
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    plain = residual_network()
    plain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    models = {"plain fit": plain}
    for name, layer, weight in (
        ("KMixupLayer(1)", KMixupLayer(1, num_classes=10), 0.0),
        ("PuzzleMixLayer(blocks=4), clean_weight=1", PuzzleMixLayer(blocks=4, num_classes=10), 1.0),
        ("CoMixupLayer()", CoMixupLayer(num_classes=10), 0.0),
        ("CoMixupLayer(), clean_weight=1", CoMixupLayer(num_classes=10), 1.0),
    ):
        models[name] = MixModel(residual_network(), layer, seed=0, clean_weight=weight)
        models[name].compile("sgd", loss)
    times = {name: [] for name in models}
    for number in tqdm(range(rounds + 1), desc="steps"):
        for name, model in models.items():
            start = time.perf_counter()
            model.fit(images, labels, batch_size=batch, verbose=0)
            if number:
                times[name].append((time.perf_counter() - start) * 1e3 / steps)
    lines = ["| training | ms a step | to plain fit |", "|---|--:|--:|"]
    for name, each in times.items():
        ratios = [one / other for one, other in zip(each, times["plain fit"], strict=True)]
        lines.append(f"| {name} | {quartiles(each)} | {statistics.median(ratios):.2f} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/comixup.md")
    arguments = parser.parse_args()
    lines = [
        f"TensorFlow {tf.__version__}, {os.cpu_count()} cores. Of {arguments.parts} parts of {PART} images in 4 x 4 "
        "blocks, means of the energy of all mixtures, with the defaults; images and saliency after 3 sweeps, before "
        "mixtures of the same images are parted.",
        "",
        *sweep_table(arguments.parts),
        "",
        f"Batches of {arguments.batch} images: median [quartiles] of {arguments.rounds} (of 8 x 8 blocks, of 3).",
        "",
        *mix_table(arguments.rounds, arguments.batch),
        "",
        *step_table(arguments.rounds, arguments.batch),
    ]
    print("\n".join(lines))
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        heading = "# What Co-Mixup costs\n\nMeasured by `python benchmarks/comixup.py --write`.\n\n"
        path.write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
