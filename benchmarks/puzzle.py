"""What Puzzle Mix costs, and how good its masks are: both solvers, against a linear program and iterated modes.

    python benchmarks/puzzle.py                # the tables on the terminal
    python benchmarks/puzzle.py --write        # also into benchmarks/puzzle.md and .json
    python benchmarks/puzzle.py --json         # for machines

Masks are of pairs of 32x32 crops of two photographs (scikit-learn's), with the spectral residual as saliency, and of
random puzzles. Least energies are a linear program's in float64 (HiGHS), which has the same optimum as the cut.
Iterated conditional modes, which set one block after another to its best label until none changes, are there to see
what an exact minimum is worth. With 16 blocks, "graph" moves blocks by exchanges of two instead of exactly; how much
of what moving gains this reaches is measured, too. Time is per batch of 128 images of 32x32x3, in a compiled or plain
graph.
"""

import math
import time

import harness
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

TITLE = "What Puzzle Mix costs"
SIZE, LABELS, ETA = 32, 3, 0.2
BLOCKS, BATCH = (2, 4, 8, 16), 128
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


def gap_rows(number):
    """For both kinds of puzzles and some numbers of blocks: how far masks are from the least energy."""
    rows = []
    for name, make in (("photographs", photograph_energies), ("random", random_energies)):
        for blocks in (4, 8, 16):
            found, differing = gaps(make, blocks, number)
            told = {
                solver: [float(gap.mean()), float(np.quantile(gap, 0.95)), float(gap.max())]
                for solver, gap in found.items()
            }
            rows.append({"puzzles": name, "blocks": blocks, "differing": differing, "mean, 95 %, max": told})
    return rows


def transport_gain(number):
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
    reached = reached if reached.size else np.ones(1)
    return {
        "gain": float(best.mean()),
        "reached": float(reached.mean()),
        "worst 5 %": float(np.quantile(reached, 0.05)),
        "least": float(reached.min()),
        "images": int((best > 1e-5).sum()),
    }


def mixers(batch, blocks, transport):
    """A call of each solver, of a compiled or plain graph; and what only pastes, without a cut or a move."""
    images = photographs(batch)
    saliency = SpectralResidualSaliency()([images], None)
    partner = tf.constant(RNG.permutation(batch), tf.int32)
    found = {}
    for solver in ("host", "graph"):
        blend = PuzzleMixBlend(blocks=blocks, transport=transport, solver=solver)
        mix = tf.function(
            lambda seed, ratio, blend=blend: blend(
                [images], [images], partner, tf.fill([batch], ratio), seed, (saliency, saliency)
            ).x[0],
            jit_compile=solver == "graph",
        )
        found[solver] = lambda mix=mix: mix(
            tf.constant([0, int(RNG.integers(2**31))]), tf.constant(RNG.uniform(0.05, 0.95), tf.float32)
        ).numpy()
    return found


def time_rows(rounds, batch, numbers):
    """Of some numbers of blocks, with transport and without: ms of both solvers, and seconds of the first call."""
    rows = []
    for blocks in numbers:
        for transport in (False, True):
            calls, first = mixers(batch, blocks, transport), {}
            for solver, call in calls.items():
                start = time.perf_counter()
                call()
                first[solver] = time.perf_counter() - start
            times = harness.interleaved(calls, rounds, f"{blocks} blocks, {'with' if transport else 'no'} transport")
            quartiles = {name: np.quantile(each, [0.5, 0.25, 0.75]).tolist() for name, each in times.items()}
            rows.append({"blocks": blocks, "transport": transport, "ms": quartiles, "first": first["graph"]})
    return rows


def measure(quick, rounds):
    number, batch = (2, 8) if quick else (100, BATCH)
    return {
        "puzzles": number,
        "batch": batch,
        "gaps": gap_rows(number),
        "transport": transport_gain(number),
        "times": time_rows(rounds or (1 if quick else 11), batch, BLOCKS[2:3] if quick else BLOCKS),
    }


def goals(results):
    """A third of what 8 x 8 blocks with transport took before: 26 ms."""
    of = {(row["blocks"], row["transport"]): row["ms"]["host"][0] for row in results["times"]}
    because = "the same without a move: what is cut and pasted"
    name = f"Puzzle Mix, {results['batch']} x 32x32x3, 8 x 8 blocks moved"
    return [harness.goal(name, of[8, True], 8.7, "ms", of[8, False], because)]


def markdown(results):
    head = ["puzzles", "host: mean", "95 %", "max", "graph: max", "masks that differ", "modes: mean", "95 %", "max"]
    rows = []
    for each in results["gaps"]:
        host, graph, modes = (each["mean, 95 %, max"][name] for name in ("host", "graph", "modes"))
        own = [f"{number:.1e}" for number in (*host, graph[2])]
        name = f"{each['puzzles']}, {each['blocks']}x{each['blocks']} blocks"
        rows.append([name, *own, each["differing"], *(f"{number:.2f}" for number in modes)])
    moved = results["transport"]
    times = []
    for each in results["times"]:
        cells = ["{:.1f} [{:.1f}, {:.1f}]".format(*each["ms"][solver]) for solver in ("host", "graph")]
        times.append([each["blocks"], "yes" if each["transport"] else "no", *cells, f"{each['first']:.1f}"])
    return "\n".join(
        [
            f"Energy above the least there is, of {results['puzzles']} puzzles each, as a share of the saliency in "
            "dispute, sum |s - s'|; a mask's least energy is that of a linear program.",
            "",
            harness.table(head, rows),
            "",
            f"Moving 256 blocks of photographs gains {moved['gain']:.3f} of the saliency on average; exchanges of "
            f"two reach {moved['reached']:.1%} of the gain on average, {moved['worst 5 %']:.1%} in the worst 5 %, "
            f"{moved['least']:.1%} at worst, of {moved['images']} images for which moving gains anything.",
            "",
            f"Time per batch of {results['batch']} images of 32x32x3, saliency not counted: median [quartiles].",
            "",
            harness.table(["blocks", "transport", "host: ms", "graph: ms", "first call of graph: s"], times),
        ]
    )


harness.main(__name__, __doc__)
