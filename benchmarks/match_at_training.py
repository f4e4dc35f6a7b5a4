"""What matching on pooled images does to what networks learn: test errors, paired by seed.

    python benchmarks/match_at_training.py            # the table on the terminal
    python benchmarks/match_at_training.py --write    # also into benchmarks/match_at_training.md and .json

match_at.py measures how much farther apart such pairs are; here a small network is trained on them. With one
seed all arms have the same split, first weights and order of batches, and differ in the mix alone. --rounds says how
many seeds.
"""

import functools
import statistics

import keras
import numpy as np
from harness import main, table
from match_at_images import crops, pictures, resized
from scipy import signal
from sklearn.datasets import load_digits
from tqdm import tqdm

from kmix_tf import KMixupLayer, Pooled
from kmix_tf.paired import Trainer, batches, paired_difference, scores

TITLE = "Training on less"
SIDE, DIGIT, BATCH, SEEDS = 64, 48, 64, 5
# Steps, rate and noise were first tried with seed 0 and all arms, then chosen with seed 1000, by whether there is
# room above and below the errors of no mixing and of k = 1 alone.
FULL = {"train": 640, "test": 600, "steps": 400, "width": 8}
QUICK = {"train": 64, "test": 40, "steps": 4, "width": 2}
ARMS = {
    "no mixing": None,
    "k = 1": {"k": 1},
    "full": {"k": 16, "match_at": "full"},
    "Pooled(8)": {"k": 16, "match_at": Pooled(8)},
}
BESIDE = "full"


def digits_on_photographs(generator, number):
    """Digits, enlarged, somewhere on crops of photographs in colour; none comes twice."""
    known = load_digits()
    rows = generator.permutation(len(known.images))[:number]
    images = 0.4 * crops(pictures(("china", "flower")), generator, SIDE, number)
    for image, row in zip(images, rows, strict=True):
        ink = np.clip(resized(known.images[row].astype(np.float32) / 16, DIGIT), 0, 1)[..., np.newaxis]
        top, left = generator.integers(0, SIDE - DIGIT + 1, 2)
        part = image[top : top + DIGIT, left : left + DIGIT]
        part[...] = (1 - ink) * part + ink * generator.uniform(0.5, 1, 3)
    return images.astype(np.float32), known.target[rows]


def rising(generator, time):
    return voiced(generator, time, generator.uniform(0.5, 1.5) * time / time[-1])


def falling(generator, time):
    return voiced(generator, time, -generator.uniform(0.4, 0.7) * time / time[-1])


def steady(generator, time):
    return voiced(generator, time, 0 * time)


def vibrato(generator, time):
    return voiced(generator, time, generator.uniform(0.1, 0.25) * np.sin(2 * np.pi * generator.uniform(8, 20) * time))


def band(generator, time):
    """Noise of a band of frequencies."""
    low = generator.uniform(0.05, 0.6)
    return signal.lfilter(*signal.butter(2, [low, low + 0.1], "band"), generator.normal(size=time.size))


def clicks(generator, time):
    """Short bursts of noise, evenly spaced."""
    phase = (generator.uniform(5, 20) * time + generator.uniform()) % 1
    return generator.normal(size=time.size) * (phase < 0.1)


SOUNDS = (rising, falling, steady, vibrato, band, clicks)


def voiced(generator, time, bend):
    """Some harmonics of a pitch that moves by the share `bend`."""
    phase = 2 * np.pi * np.cumsum(generator.uniform(500, 2000) * (1 + bend)) * (time[1] - time[0])
    return sum(np.sin(each * phase) / each for each in range(1, int(generator.integers(2, 6))))


def spectrograms(generator, number):
    """Logarithms of the power of six kinds of sounds that begin and end anywhere, in much noise."""
    rate, hop, window = 16_000, 128, 2 * SIDE
    time = np.arange(hop * (SIDE - 1) + window) / rate
    labels = generator.integers(0, len(SOUNDS), number)
    made = []
    for label in labels:
        sound = SOUNDS[label](generator, time)
        begins = generator.uniform(0, 0.6) * time[-1]
        sound = sound / sound.std() * ((time > begins) & (time < begins + generator.uniform(0.3, 0.6) * time[-1]))
        sound = sound + generator.uniform(0.2, 1) * generator.normal(size=time.size)
        power = signal.spectrogram(sound, rate, nperseg=window, noverlap=window - hop)[2]
        made.append(np.log(power[:SIDE, :SIDE].T + 1e-9))
    made = np.stack(made)[..., np.newaxis]
    return ((made - made.mean()) / made.std()).astype(np.float32), labels


SETS = {"digits on photographs": (digits_on_photographs, 3, 10), "spectrograms": (spectrograms, 1, len(SOUNDS))}


def network(channels, classes, width):
    """Three convolutions, from 64 x 64 places to 8 x 8, and a table of what is where."""
    layers = [keras.Input((SIDE, SIDE, channels))]
    for deeper in (1, 2, 4):
        layers.append(keras.layers.Conv2D(deeper * width, 5, 2, "same", activation="relu"))
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(classes)])


def errors(trainer, data, classes, seed, train, steps):
    """Test error of each arm, in per cent."""
    x, y = data
    y = y.astype(np.int32)
    labels = np.eye(classes, dtype=np.float32)[y[:train]]
    found = {}
    for name, options in ARMS.items():
        layer = None if options is None else KMixupLayer(**options, num_classes=classes)
        mixed = batches(x[:train], labels, BATCH, seed, layer)
        found[name] = scores(trainer.run(mixed, steps, seed), x[train:], y[train:])["error"]
    return found


def compared(rows):
    """Of the errors of each seed: means, and how far each arm is from exact matching."""
    found = {}
    for name in ARMS:
        ours = [row[name] for row in rows]
        found[name] = {"errors": ours, "mean": statistics.mean(ours)}
        if name != BESIDE:
            apart = [row[name] - row[BESIDE] for row in rows]
            of = paired_difference(apart)
            found[name] |= {"difference": of.mean}
            if len(rows) > 1:
                error = statistics.stdev(apart) / len(rows) ** 0.5
                found[name] |= {"standard_error": error, "interval": [of.low, of.high]}
    return found


def measure(quick, rounds):
    sizes, seeds, found = QUICK if quick else FULL, rounds or (2 if quick else SEEDS), {}
    for title, (made, channels, classes) in SETS.items():
        make = functools.partial(network, channels, classes, sizes["width"])
        rate = functools.partial(keras.optimizers.schedules.CosineDecay, 2e-3, sizes["steps"])
        trainer = Trainer(make, lambda rate=rate: keras.optimizers.Adam(rate()))
        rows = []
        for seed in tqdm(range(seeds), desc=title, disable=None):
            data = made(np.random.default_rng([seed, 64]), sizes["train"] + sizes["test"])
            rows.append(errors(trainer, data, classes, seed, sizes["train"], sizes["steps"]))
        found[title] = compared(rows)
    return {"seeds": seeds, **sizes, "sets": found}


def markdown(results):
    rows = []
    for title, arms in results["sets"].items():
        for name, row in arms.items():
            line = [f"{title}, {name}", f"{row['mean']:.2f}", *[""] * 2]
            if "difference" in row:
                line[2] = f"{row['difference']:+.2f}"
            if "standard_error" in row:
                line[2] += f" ± {row['standard_error']:.2f}"
                line[3] = "[{:+.2f}, {:+.2f}]".format(*row["interval"])
            rows.append(line)
    text = [
        f"Test errors in per cent, means of {results['seeds']} seeds: {results['train']} samples of {SIDE} x {SIDE}",
        f"to learn from, {results['test']} to test on, three convolutions, {results['steps']} steps of {BATCH} each.",
        "`full` and `Pooled(8)` are `match_at` of `KMixupLayer(16)`. Differences to `full` are in points, of runs",
        "with the same split, first weights and order of batches, with standard errors; then 95 % intervals by",
        "Student's t. One that holds 0 does not show that arms are alike, only that they are hardly farther apart",
        "than its ends.",
        "",
        table(["", "test error", f"difference to `{BESIDE}`", "95 % interval"], rows),
    ]
    return "\n".join(text)


main(__name__, __doc__)
