"""The list of samples to mend, and what is said of data of which nothing can be."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist

from kmix_tf.cli import main
from kmix_tf.cli.audit.measuring.distances import measure_closeness


def listed(folder):
    with (folder / "report-contradictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def dirty():
    """Two copies with another label, a group of three, and a sample moved by a hundredth of a typical distance."""
    x = np.random.default_rng(0).normal(size=(120, 6))
    y = np.arange(120) % 3
    x[50], x[70], x[100] = x[0], x[11], x[12]
    x[72] = x[11]
    x[91] = x[30] + 0.001
    return x, y


def test_equal_and_nearly_equal_samples_of_different_classes_are_listed_by_row(audit):
    x, y = dirty()
    folder, report = audit("dirty", x, np.array(["ant", "bee", "cat"])[y])
    labels = np.array(["ant", "bee", "cat"])[y].tolist()
    equal = [(0, 50), (11, 70, 72), (12, 100)]
    assert [tuple(group["samples"]) for group in report["contradicting"]] == [*equal, (30, 91)]
    for group in report["contradicting"]:
        assert group["labels"] == [labels[i] for i in group["samples"]]
    assert [group["kind"] for group in report["contradicting"]] == ["equal"] * 3 + ["near"]
    assert report["contradicting"][-1]["distance"] == pytest.approx(0.001 * np.sqrt(6), rel=1e-3)
    rows = [(int(row["group"]), int(row["sample"]), row["label"], row["kind"]) for row in listed(folder)]
    expected = [(n, i, labels[i], "equal") for n, group in enumerate(equal, 1) for i in group]
    assert rows == [*expected, (4, 30, "ant", "near"), (4, 91, "bee", "near")]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Labels to mend" in page and "11, 70, 72" in page and "30, 91" in page


def test_near_duplicates_are_those_of_all_distances():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(300, 2)), np.arange(300) % 2
    found, apart = measure_closeness(x.astype(np.float32), y, 1.0), cdist(x, x)
    np.fill_diagonal(apart, np.inf)
    within = np.median(apart.min(axis=1)) / 20
    other = np.where(y[:, np.newaxis] == y, np.inf, apart)
    pairs = {tuple(sorted((i, int(other[i].argmin())))) for i in range(300) if other[i].min() <= within}
    assert found["near_within"] == pytest.approx(within, rel=1e-5)
    assert {(pair["first"], pair["second"]) for pair in found["near_duplicates"]} == pairs
    x[7] = x[8] + within / 3
    found = measure_closeness(x.astype(np.float32), y, 1.0)
    assert (7, 8) in {(pair["first"], pair["second"]) for pair in found["near_duplicates"]}


def test_of_clean_data_the_list_is_empty_also_where_an_old_one_lay(tmp_path, capsys):
    x, y = dirty()
    for clean, number in ((False, 9), (True, 0)):
        kept = np.setdiff1d(np.arange(120), [50, 70, 72, 100, 91]) if clean else np.arange(120)
        np.savez(tmp_path / "d.npz", x=x[kept], y=y[kept])
        assert main(["audit", "--no-trial", str(tmp_path / "d.npz"), "--out", str(tmp_path)]) == 0
        assert len(listed(tmp_path)) == number
        assert ("report-contradictions.csv" in capsys.readouterr().out) is not clean


def test_images_are_listed_by_their_files(tmp_path, capsys):
    generator = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(5):
            pixels = tf.constant(generator.integers(0, 256, (6, 6, 3)), tf.uint8)
            (tmp_path / "pets" / label / f"{i}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    (tmp_path / "pets" / "dogs" / "copy.png").write_bytes((tmp_path / "pets" / "cats" / "3.png").read_bytes())
    assert main(["audit", "--no-trial", str(tmp_path / "pets"), "--out", str(tmp_path / "out"), "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)["contradicting"]
    assert group == {
        "kind": "equal", "samples": ["cats/3.png", "dogs/copy.png"], "labels": ["cats", "dogs"], "distance": 0.0,
    }  # fmt: skip
    assert [row["sample"] for row in listed(tmp_path / "out")] == ["cats/3.png", "dogs/copy.png"]


X = np.random.default_rng(3).normal(size=(40, 3))
BAD = {
    "one class": (X, np.array(["a"] * 40), "all 40 samples are of class a"),
    "one row a class": (X[:10], np.arange(10), "a class must have two samples"),
    "constant features": (np.ones((40, 3)), np.arange(40) % 2, "all samples are equal"),
    "labels all distinct": (X, np.arange(40), "40 different values in 40 samples"),
    "names of high cardinality": (X, np.array([f"customer {i // 1.5:.0f}" for i in range(40)]), "different values"),
    "two samples": (X[:2], np.array([0, 1]), "at least 3 samples"),
}


@pytest.mark.parametrize("kind", ["csv", "npz"])
@pytest.mark.parametrize("name", BAD)
def test_of_data_that_have_no_answer_it_is_said_so_with_the_reason(name, kind, tmp_path, capsys):
    x, y, reason = BAD[name]
    path = tmp_path / f"data.{kind}"
    if kind == "npz":
        np.savez(path, x=x, y=y)
    else:
        rows = [",".join([*map(str, row), str(label)]) for row, label in zip(x.tolist(), y.tolist(), strict=True)]
        path.write_text("\n".join(["a,b,c,kind", *rows]))
    assert main(["audit", "--no-trial", str(path), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Verdict at alpha = 1: cannot say\n  why: ") and printed.out.count("\n") <= 15
    assert printed.err == ""
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["verdict"]["level"] == "cannot say" and reason in report["verdict"]["why"]
    assert report["format"] == 4 and report["measures"] is None and report["suggestion"] is None
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "It cannot be said whether mixing helps or hurts here" in page and "What to do" in page
    assert listed(tmp_path / "out") == []
