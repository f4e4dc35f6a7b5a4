"""Google Speech Commands (Warden, 2018): spoken words of one second, as spectrograms."""

import itertools

import numpy as np
import tensorflow as tf

from experiments.data.catalogued import catalogued
from experiments.data.common import Data, checked

RATE = 16_000
# 20 ms every 10 ms, which gives 101 times and 161 frequencies.
_FRAME, _STEP = 320, 160
_ADVICE = (
    "Prepare speech_commands with tensorflow-datasets where there is a network, and name its folder by --data-dir."
)


def speech_commands(data_dir=None, limit=None):
    """Spectrograms, float16 `(n, 160, 101, 1)`: in float32 the whole would take 6 GB.

    Of tensorflow-datasets, with its 12 classes: ten words, silence, and any other word. The papers (Zhang et al.,
    2018, and those that follow it) have the first version's 30 words, which it does not hold: errors do not compare.

    Args:
        data_dir: that of tensorflow-datasets. None: its usual folder, or a download of 2.4 GB.
        limit: how many utterances of each part to take. None: all.

    Raises:
        DataNotFound: naming what was tried. ImportError: without tensorflow-datasets.
    """
    splits = catalogued("Speech Commands", "speech_commands", ("train", "test"), data_dir, [], _ADVICE)
    (x_train, y_train), (x_test, y_test) = (_part(itertools.islice(split, limit)) for split in splits)
    return checked(Data(x_train, y_train, x_test, y_test, 12, "Speech Commands"), (160, 101, 1))


def _part(utterances, together=512):
    features, labels = [], []
    utterances = iter(utterances)
    while some := list(itertools.islice(utterances, together)):
        waves = np.stack([one_second(wave) for wave, _ in some])
        features.append(spectrograms(waves).numpy().astype(np.float16))
        labels += [label for _, label in some]
    return np.concatenate(features or [np.zeros((0, 160, 101, 1), np.float16)]), np.array(labels)


def one_second(wave):
    """The first 16,000 values of integers of 16 bits, in [-1, 1], with zeros behind what is shorter."""
    wave = np.asarray(wave, np.float32)[:RATE] / 2**15
    return np.pad(wave, (0, RATE - len(wave)))


def spectrograms(waves):
    """Normalised spectrograms `(n, 160, 101, 1)`, float32, of waves `(n, 16000)`.

    Logarithms of 1 + magnitudes of short-time Fourier transforms, with mean 0 and deviation 1 in each utterance. The
    papers say "normalized spectrograms" of 160 x 101 at 16 kHz and no more: window (Hamming), logarithm, and leaving
    out the last of 161 frequencies are ours.
    """
    half = _FRAME // 2
    padded = tf.pad(tf.cast(waves, tf.float32), [[0, 0], [half, half]], "REFLECT")
    transformed = tf.signal.stft(padded, _FRAME, _STEP, _FRAME, tf.signal.hamming_window)
    power = tf.transpose(tf.math.log1p(tf.abs(transformed))[..., :160], [0, 2, 1])
    mean, variance = tf.nn.moments(power, [1, 2], keepdims=True)
    return (tf.math.divide_no_nan(power - mean, tf.sqrt(variance)))[..., tf.newaxis]
