"""What Puzzle Mix costs, and how good its masks are: both solvers, against a linear program and iterated modes.

    python benchmarks/puzzle.py                # the tables on the terminal
    python benchmarks/puzzle.py --write        # also into benchmarks/puzzle.md

Masks are of pairs of 32x32 crops of two photographs (scikit-learn's), with the spectral residual as saliency, and of
random puzzles. Least energies are a linear program's in float64 (HiGHS), which has the same optimum as the cut.
Iterated conditional modes, which set one block after another to its best label until none changes, are there to see
what an exact minimum is worth. With 16 blocks, "graph" moves blocks by exchanges of two instead of exactly; how much
of what moving gains this reaches is measured, too. Time is per batch of 128 images of 32x32x3, in a compiled or plain
graph.
"""

import argparse
import math
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from scipy import optimize, sparse
from sklearn.datasets import load_sample_images
from tqdm import tqdm

from kmix_tf import SpectralResidualSaliency
from kmix_tf.blend.puzzle.blend import PuzzleMixBlend
from kmix_tf.blend.puzzle.energy import PairEnergy, block_saliency, mask_energy, pair_energy
from kmix_tf.blend.puzzle.minimum_cut import cut_problem, minimum_cut
from kmix_tf.blend.puzzle.transport import transport_plan, way_costs

SIZE, LABELS, ETA = 32, 3, 0.2
RNG = np.random.default_rng(0)


def photographs(number):
    """Crops of 128 pixels, four pixels made one, in [0, 1]."""
    crops = []
    for index in range(number):
        image = load_sample_images().images[index % 2]
        top, left = (RNG.integers(0, side - 4 * SIZE) for side in image.shape[:2])
        crop = image[top : top + 4 * SIZE, left : left + 4 * SIZE] / 255
        crops.append(crop.reshape(SIZE, 4, SIZE, 4, 3).mean(axis=(1, 3)))
    return tf.constant(np.stack(crops).astype(np.float32))


def photograph_energies(number, blocks):
    images = photographs(number)
    saliency = SpectralResidualSaliency()([images], None)
    partner = tf.constant(np.roll(np.arange(number), -1), tf.int32)
    options = {"blocks": blocks, "beta": 1.2, "gamma": 0.5, "neigh_size": 4}
    return pair_energy([images] * 2, [saliency] * 2, partner, tf.constant(1.0), **options)


def random_energies(number, blocks):
    first, second = RNG.exponential(size=(2, number, blocks, blocks))
    first, second = (each / each.sum(axis=(1, 2), keepdims=True) for each in (first, second))
    weight = 1.2 / 16 / blocks
    edges = [(number, blocks - 1, blocks), (number, blocks, blocks - 1)]
    smooth = [weight * RNG.uniform(0, 1.5, size=shape) for shape in edges]
    wide = [each.astype(np.float32) for each in (second - first, *smooth)]
    return PairEnergy(tf.constant(wide[0]), tuple(map(tf.constant, wide[1:])))


def parts(energy, index):
    return [each[index].numpy().astype(np.float64) for each in (energy.pull, *energy.smooth)]


def log_chances(ratio):
    label, draws = np.arange(LABELS), LABELS - 1
    choose = [math.comb(draws, each) for each in label]
    return np.log(choose * np.float64(ratio) ** label * (1 - np.float64(ratio)) ** (draws - label))


def least_energy(energy, index, ratio):
    """Of one puzzle, by a linear program over its binary levels and the differences of neighbours' levels."""
    pull, *smooth = parts(energy, index)
    draws, chances = LABELS - 1, log_chances(ratio)
    node = np.arange(pull.size).reshape(pull.shape)
    below = np.concatenate([node[:-1].ravel(), node[:, :-1].ravel()])
    above = np.concatenate([node[1:].ravel(), node[:, 1:].ravel()])
    weight = np.concatenate([each.ravel() for each in smooth])
    around = np.bincount(below, weight, pull.size) + np.bincount(above, weight, pull.size)
    own = [(label / draws) * (1 - label / draws) for label in range(LABELS)]
    cost = [
        pull.ravel() / draws - ETA / pull.size * (chances[t + 1] - chances[t]) - around * (own[t + 1] - own[t])
        for t in range(draws)
    ]
    level = pull.size * np.arange(draws)
    tails = (below[:, None, None] + level[:, None] + 0 * level).ravel()
    heads = (above[:, None, None] + 0 * level[:, None] + level).ravel()
    number, nodes = tails.size, pull.size * draws
    rows, ones = np.arange(number), np.ones(number)
    steps = sparse.coo_matrix((np.r_[ones, -ones], (np.r_[rows, rows], np.r_[tails, heads])), (number, nodes))
    apart = -sparse.eye(number)
    bounds = sparse.bmat([[steps, apart], [-steps, apart]]).tocsr()
    prices = np.concatenate([*cost, np.repeat(weight, draws**2) / draws**2])
    solution = optimize.linprog(prices, bounds, np.zeros(2 * number), bounds=(0, 1), method="highs")
    return solution.fun - ETA * chances[0]


def iterated_modes(energy, index, ratio):
    """A mask from which no change of one block saves energy."""
    pull, *smooth = parts(energy, index)
    padded = [
        np.pad(each, [(1, 1) if other == axis else (0, 0) for other in (0, 1)]) for axis, each in enumerate(smooth)
    ]
    share, prior = np.arange(LABELS) / (LABELS - 1), -ETA / pull.size * log_chances(ratio)
    mask = np.argmin(pull[..., None] * share + prior, axis=-1)
    while True:
        before = mask.copy()
        for block in np.ndindex(*pull.shape):
            cost = pull[block] * share + prior
            for axis, step in ((0, -1), (0, 1), (1, -1), (1, 1)):
                other = tuple(at + step * (axis == number) for number, at in enumerate(block))
                if 0 <= other[axis] < pull.shape[axis]:
                    edge = tuple(at + (step > 0) * (axis == number) for number, at in enumerate(block))
                    cost = cost + padded[axis][edge] * (share - share[mask[other]]) ** 2
            mask[block] = np.argmin(cost)
        if (mask == before).all():
            return mask


def gaps(make, blocks, number):
    """Of both solvers, and of iterated modes: energies above the least, relative to the spread a mask can make."""
    energy, ratio = make(number, blocks), RNG.uniform(0.05, 0.95, size=number).astype(np.float32)
    problem = cut_problem(energy, tf.constant(ratio[np.newaxis]), n_labels=LABELS, eta=ETA)
    masks = {solver: minimum_cut(problem, solver).numpy() for solver in ("host", "graph")}
    masks["modes"] = np.stack([iterated_modes(energy, index, ratio[index]) for index in range(number)])
    least = np.array([least_energy(energy, index, ratio[index]) for index in tqdm(range(number), desc=str(blocks))])
    # Of the energies in question the saliency shared out is 2 at most, so a difference is a part of that order.
    whole = {
        name: mask_energy(energy, mask, ratio, n_labels=LABELS, eta=ETA).numpy() - least
        for name, mask in masks.items()
    }
    span = np.abs(energy.pull.numpy()).sum(axis=(1, 2)) + 1e-12
    differing = int((masks["host"] != masks["graph"]).any(axis=(1, 2)).sum())
    return {name: gap / span for name, gap in whole.items()}, differing


def gap_table(number):
    lines = [
        f"| puzzles ({number} each) | host: mean | 95 % | max | graph: max | masks that differ "
        "| modes: mean | 95 % | max |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, make in (("photographs", photograph_energies), ("random", random_energies)):
        for blocks in (4, 8, 16):
            found, differing = gaps(make, blocks, number)
            host, graph, modes = (found[key] for key in ("host", "graph", "modes"))
            own = f"{host.mean():.1e} | {np.quantile(host, 0.95):.1e} | {host.max():.1e} | {graph.max():.1e}"
            theirs = f"{modes.mean():.2f} | {np.quantile(modes, 0.95):.2f} | {modes.max():.2f}"
            lines.append(f"| {name}, {blocks}x{blocks} blocks | {own} | {differing} | {theirs} |")
    return lines


def transport_lines(number):
    """What exchanges of two gain of what the best rearrangement of 256 blocks gains."""
    images = photographs(number)
    saliency = tf.reshape(block_saliency(SpectralResidualSaliency()([images], None), 16), [number, 256])
    energy, ratio = photograph_energies(number, 16), RNG.uniform(0.05, 0.95, size=number).astype(np.float32)
    problem = cut_problem(energy, tf.constant(ratio[np.newaxis]), n_labels=LABELS, eta=ETA)
    share = tf.reshape(tf.cast(minimum_cut(problem), tf.float32) / (LABELS - 1), [number, 256])
    way = way_costs([SIZE, SIZE], [16, 16], 0.8)
    rows = np.arange(number)[:, np.newaxis]

    def gain(solver):
        plan = transport_plan(saliency, share, way, solver).numpy()
        kept = share.numpy() * (saliency.numpy()[rows, plan] - saliency.numpy())
        return kept.sum(axis=1) - way.numpy()[np.arange(256), plan].sum(axis=1)

    best, near = gain("host"), gain("graph")
    reached = near[best > 1e-5] / best[best > 1e-5]
    return [
        f"Moving 256 blocks of photographs gains {best.mean():.3f} of the saliency on average; exchanges of two "
        f"reach {reached.mean():.1%} of the gain on average, {np.quantile(reached, 0.05):.1%} in the worst 5 %, "
        f"{reached.min():.1%} at worst, of {reached.size} images for which moving gains anything.",
        "",
    ]


def milliseconds(function, seeds):
    times = []
    for seed in seeds:
        start = time.perf_counter()
        function(tf.constant([0, seed]), tf.random.uniform([], 0.05, 0.95)).numpy()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def time_table(rounds, batch):
    images = photographs(batch)
    saliency = SpectralResidualSaliency()([images], None)
    partner = tf.random.shuffle(tf.range(batch))
    lines = ["| blocks | transport | host: ms | graph: ms | first call of graph: s |", "|--:|---|--:|--:|--:|"]
    for blocks in (2, 4, 8, 16):
        for transport in (False, True):
            cells, first = [], 0.0
            for solver in ("host", "graph"):
                blend = PuzzleMixBlend(blocks=blocks, transport=transport, solver=solver)
                mix = tf.function(
                    lambda seed, ratio, blend=blend: blend(
                        [images], [images], partner, tf.fill([batch], ratio), seed, (saliency, saliency)
                    ).x[0],
                    jit_compile=solver == "graph",
                )
                first = milliseconds(mix, [0])[0] / 1e3
                low, middle, high = statistics.quantiles(milliseconds(mix, range(rounds)), n=4)
                cells.append(f"{middle:.1f} [{low:.1f}, {high:.1f}]")
            lines.append(f"| {blocks} | {'yes' if transport else 'no'} | {' | '.join(cells)} | {first:.1f} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--puzzles", type=int, default=100)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/puzzle.md")
    arguments = parser.parse_args()
    device = tf.config.list_physical_devices("GPU")
    where = tf.config.experimental.get_device_details(device[0])["device_name"] if device else "no accelerator"
    lines = [
        f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, {where}. Energy above the least there is, as a share "
        "of the saliency in dispute, sum |s - s'|; a mask's least energy is that of a linear program.",
        "",
        *gap_table(arguments.puzzles),
        "",
        *transport_lines(arguments.puzzles),
        f"Time per batch of {arguments.batch} images of 32x32x3, saliency not counted: median [quartiles] of "
        f"{arguments.rounds} batches.",
        "",
        *time_table(arguments.rounds, arguments.batch),
    ]
    print("\n".join(lines))
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        heading = "# What Puzzle Mix costs\n\nMeasured by `python benchmarks/puzzle.py --write`.\n\n"
        path.write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
