"""Kinds of images to match: real ones that packages bring along, and ones drawn by code, each in two halves.

The halves are of different material wherever there is more than one source: what is chosen on the first is judged on
the second. Faces, textures, prints and micrographs are those of scikit-image's package, which is asked for its files
alone; without it these kinds are left out.
"""

import importlib.util
import pathlib

import numpy as np
from PIL import Image, ImageDraw
from scipy import signal
from sklearn.datasets import load_digits, load_sample_images

PHOTOGRAPHS = (("china", "coffee", "rocket"), ("flower", "chelsea", "astronaut"))
TEXTURES = (("brick", "grass"), ("gravel", "grass"))
MICROGRAPHS = (("ihc",), ("retina",))
PRINTS = (("page",), ("text",))


def folder():
    """Where scikit-image keeps its pictures; None where it is not installed."""
    found = importlib.util.find_spec("skimage")
    return None if found is None else pathlib.Path(found.origin).parent / "data"


def picture(name):
    """A picture `(height, width, 3)` or `(height, width)`, float32 in [0, 1]; None where it is not to be had."""
    if name in ("china", "flower"):
        samples = load_sample_images()
        return samples.images[["china.jpg", "flower.jpg"].index(f"{name}.jpg")] / np.float32(255)
    files = [] if folder() is None else list(folder().glob(f"{name}.*g"))
    if not files:
        return None
    found = np.asarray(Image.open(files[0])).astype(np.float32) / 255
    return found[..., :3] if found.ndim == 3 else found


def pictures(names):
    found = [picture(name) for name in names]
    return [each for each in found if each is not None]


def resized(image, side):
    """An image `(h, w)` or `(h, w, c)` at another size, by bicubic interpolation."""
    channels = np.moveaxis(np.atleast_3d(image), 2, 0)
    parts = [
        Image.fromarray(np.ascontiguousarray(each, np.float32)).resize((side, side), Image.BICUBIC)
        for each in channels
    ]
    return np.stack([np.asarray(each) for each in parts], -1).reshape(side, side, *image.shape[2:])


def crops(sources, generator, side, number, zoom=True):
    """Random square parts of random pictures, at one size. zoom: False takes them pixel by pixel."""
    made = []
    for _ in range(number):
        image = sources[generator.integers(len(sources))]
        largest = min(image.shape[:2])
        size = generator.integers(min(side, largest), largest + 1) if zoom else min(side, largest)
        top, left = (generator.integers(length - size + 1) for length in image.shape[:2])
        part = image[top : top + size, left : left + size]
        made.append(part if size == side else resized(part, side))
    return np.stack(made)


def photographs(generator, side, number, half):
    return crops(pictures(PHOTOGRAPHS[half]), generator, side, number)


def faces(generator, side, number, half):
    """Faces of 25 x 25 pixels, of 50 people for each half: shifted, mirrored, then enlarged."""
    if folder() is None:
        return None
    known = np.load(folder() / "lfw_subset.npy")[50 * half : 50 * half + 50].astype(np.float32)
    made = []
    for _ in range(number):
        top, left = generator.integers(0, 4, 2)
        face = known[generator.integers(50)][top : top + 22, left : left + 22]
        made.append(resized(face[:, :: generator.choice([-1, 1])], side))
    return np.stack(made)


def textures(generator, side, number, half):
    sources = [each[:, :256] if half == 0 else each[:, 256:] for each in pictures(TEXTURES[half])]
    return crops(sources, generator, side, number, zoom=False) if sources else None


def micrographs(generator, side, number, half):
    sources = pictures(MICROGRAPHS[half])
    return crops(sources, generator, side, number) if sources else None


def prints(generator, side, number, half):
    """Printed text, pixel by pixel."""
    sources = pictures(PRINTS[half])
    sources = [np.tile(each, (2, 2)) for each in sources]
    return crops(sources, generator, side, number, zoom=False) if sources else None


def gratings(generator, side, number, half):
    """Woven textures by code: noise of one frequency and direction each, up to one wave in three pixels."""
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    angles = np.arctan2(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    made = []
    for _ in range(number):
        centre, direction = generator.uniform(0.03, 0.33), generator.uniform(-np.pi / 2, np.pi / 2)
        window = np.exp(-(((frequencies - centre) / 0.02) ** 2) - ((np.sin(angles - direction)) / 0.2) ** 2)
        noise = np.fft.ifft2(np.fft.fft2(generator.normal(size=(side, side))) * window).real
        made.append(0.5 + 0.2 * noise / noise.std() + generator.uniform(-0.2, 0.2))
    return np.stack(made).astype(np.float32)


def white_noise(generator, side, number, half):
    return generator.random((number, side, side, 3), np.float32)


def pink_noise(generator, side, number, half):
    """Noise whose amplitude falls as 1 / frequency, as that of photographs does."""
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequencies[0, 0] = 1 / side
    spectrum = np.fft.fft2(generator.normal(size=(number, side, side))) / frequencies
    noise = np.fft.ifft2(spectrum).real
    return (0.5 + 0.2 * noise / noise.std()).astype(np.float32)


def line_drawings(generator, side, number, half):
    """Some lines, circles and boxes of thin pens on white paper; pens of the second half are of one pixel."""
    made = []
    for _ in range(number):
        paper = Image.new("L", (side, side), 255)
        pen, width = ImageDraw.Draw(paper), 1 if half else int(generator.integers(1, 4))
        for _ in range(generator.integers(3, 9)):
            ends = [tuple(each) for each in generator.integers(0, side, (2, 2)).tolist()]
            box = [min(a, b) for a, b in zip(*ends, strict=True)] + [max(a, b) for a, b in zip(*ends, strict=True)]
            shape = generator.integers(3)
            if shape == 0:
                pen.line(ends, fill=0, width=width)
            elif shape == 1:
                pen.ellipse(box, outline=0, width=width)
            else:
                pen.rectangle(box, outline=0, width=width)
        made.append(np.asarray(paper) / np.float32(255))
    return np.stack(made)


def spectrograms(generator, side, number, half):
    """Logarithms of the power of sounds made by code: harmonics with vibrato, then with glides, in noise."""
    rate, hop = 16_000, 128
    time = np.arange(hop * (side - 1) + 2 * side) / rate
    made = []
    for _ in range(number):
        pitch = generator.uniform(80, 400)
        swing = np.sin(2 * np.pi * generator.uniform(3, 8) * time) if half == 0 else time / time[-1]
        phase = 2 * np.pi * np.cumsum(pitch * (1 + generator.uniform(-0.2, 0.2) * swing)) / rate
        sound = sum(np.sin(number_ * phase) / number_ for number_ in range(1, int(generator.integers(3, 25))))
        begins, ends = np.sort(generator.uniform(0, time[-1], 2))
        sound = sound * ((time > begins) & (time < ends)) + generator.uniform(0.01, 0.3) * generator.normal(
            size=time.size
        )
        power = signal.spectrogram(sound, rate, nperseg=2 * side, noverlap=2 * side - hop)[2]
        made.append(np.log(power[:side, :side].T + 1e-9))
    made = np.stack(made)
    return ((made - made.mean()) / made.std()).astype(np.float32)


def digits(generator, side, number, half):
    """Digits of 8 x 8 pixels, enlarged."""
    known = load_digits().images[half::2].astype(np.float32) / 16
    return np.stack([resized(known[row], side) for row in generator.integers(len(known), size=number)])


def hidden_maps(generator, side, number, half):
    """What a convolution of random 3 x 3 filters and a ReLU make of photographs: 8 channels."""
    images = photographs(generator, side, number, half)
    filters = np.random.default_rng(half).normal(size=(3, 3, 3, 8)).astype(np.float32)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    maps = np.stack([np.einsum("nhwcij,ijcd->nhwd", view[np.newaxis], filters)[0] for view in views])
    return np.maximum(maps - maps.mean(), 0)


KINDS = {
    "photographs": photographs,
    "faces, enlarged": faces,
    "textures": textures,
    "micrographs": micrographs,
    "printed text": prints,
    "spectrograms": spectrograms,
    "digits, enlarged": digits,
    "line drawings": line_drawings,
    "hidden maps": hidden_maps,
    "1/f noise": pink_noise,
    "gratings": gratings,
    "white noise": white_noise,
}
