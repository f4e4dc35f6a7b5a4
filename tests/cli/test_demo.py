import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.cli import main
from kmix_tf.cli.demo.comparing import compared, summary
from kmix_tf.cli.demo.data import Data, load_file, split
from kmix_tf.cli.demo.training import Scores, score
from kmix_tf.cli.terminal import written


@pytest.fixture(scope="module")
def table_file(tmp_path_factory):
    """Three separated clouds with labels that are strings."""
    generator = np.random.default_rng(0)
    y = np.arange(240) % 3
    x = generator.normal(size=(240, 5)) + 4 * np.eye(5)[y]
    path = tmp_path_factory.mktemp("data") / "clouds.npz"
    np.savez(path, x=x, y=np.array(["red", "green", "blue"])[y])
    return path


def test_the_demo_runs_on_ones_own_data_and_says_what_it_did(table_file, tmp_path, capsys):
    out, export = tmp_path / "out", tmp_path / "export"
    arguments = ["demo", "--data", str(table_file), "--seeds", "2", "--epochs", "15", "--json"]
    assert main([*arguments, "--out", str(out), "--export", str(export)]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["setting"]["training_samples"] == 160 and results["setting"]["test_samples"] == 80
    assert set(results["table"]) == {
        "no mixup",
        "mixup",
        "mixup, rescaled",
        "k-mixup, k = 16",
        "k-mixup, k = 16, rescaled",
    }
    for method, runs in results["runs"].items():
        assert len(runs) == 2
        errors = [run["error"] for run in runs]
        assert results["table"][method]["error"]["mean"] == pytest.approx(np.mean(errors))
        # Chance is an error of 67 %; the clouds hardly overlap.
        assert np.mean(errors) < 20
    for figure in results["figures"]:
        assert pathlib.Path(figure).stat().st_size > 10_000
    assert results == json.loads((out / "results.json").read_text())
    assert (
        "clouds.npz: 160 training samples of 3 classes, 0% of them with wrong labels"
        in (out / "results.md").read_text()
    )
    assert tf.saved_model.load(str(export)).serve(np.zeros((2, 5), np.float32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "there is no file"),
        ({"x": np.zeros((4, 2))}, r"must hold arrays x and y. Received: \['x'\]"),
        ({"features": np.zeros(3)}, "must hold arrays x and y"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3, int)}, "equally long"),
        ({"x": np.zeros((4, 2)), "y": np.ones(4, int)}, r"at least two classes. Received: only \[1\]"),
        ({"x": np.zeros((4, 2)), "y": np.arange(4)}, "4 different values in 4 samples"),
        ({"x": np.full((4, 2), np.nan), "y": np.arange(4) % 2}, "must be finite numbers"),
        ({"x": np.array([["a"]] * 4), "y": np.arange(4) % 2}, "must be finite numbers"),
        ({"x": np.zeros((4, 2)), "y": np.array([0.5, 1, 0, 1])}, "must be classes"),
        ({"x": np.zeros(4), "y": np.arange(4) % 2}, r"x must be \(n, ...\)"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(arrays, message, tmp_path, capsys):
    path = tmp_path / "data.npz"
    if arrays is not None:
        np.savez(path, **arrays)
    assert main(["demo", "--data", str(path)]) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert error.startswith("kmix-tf: --data: ")
    assert re.search(message, error), error


def test_a_file_that_is_no_archive_is_refused(tmp_path, capsys):
    path = tmp_path / "data.npz"
    path.write_text("x,y\n1,2\n")
    assert main(["demo", "--data", str(path)]) == 2
    assert "no .npz file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"), [("--seeds", "0"), ("--train", "1797"), ("--wrong-labels", "1.5"), ("--epochs", "0")]
)
def test_numbers_out_of_range_are_refused(option, value, capsys):
    assert main(["demo", option, value]) == 2
    error = capsys.readouterr().err
    assert (option in error and f"{value} is not in the range" in error) or "--train must be below 1797" in error
    assert error.startswith("kmix-tf: ") and error.count("\n") == 1


def test_a_split_wrongs_the_share_of_labels_asked_for_and_repeats_with_its_seed():
    labels = np.arange(20_000) % 4
    data = Data(np.arange(20_000, dtype=np.float32)[:, np.newaxis], labels, np.arange(4), "numbers")
    clean = split(data, 15_000, 0.0, 1)
    first, again, other = (split(data, 15_000, 0.3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.y_train, again.y_train)
    np.testing.assert_array_equal(first.x_train, clean.x_train)
    assert not np.array_equal(first.y_train, other.y_train)
    np.testing.assert_array_equal(first.y_test, clean.y_test)
    # Binomial(15000, 0.3) is outside of 0.3 +- 0.02 once in 10^7 draws. Drawing among all classes would give 0.225.
    assert abs(np.mean(clean.y_train != first.y_train) - 0.3) < 0.02


def test_no_sample_is_both_trained_and_tested_on():
    marks = np.arange(50, dtype=np.float32)[:, np.newaxis]
    parts = split(Data(marks, np.arange(50) % 2, np.array([0, 1]), "marks"), 30, 0.0, 3)
    assert len(np.unique(np.concatenate([parts.x_train, parts.x_test]))) == 50
    assert parts.x_train.mean() == pytest.approx(0, abs=1e-6) and parts.x_train.std() == pytest.approx(1, abs=1e-6)


def test_a_labels_file_of_columns_is_a_vector(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros((6, 3, 3)), y=np.array([[3], [7]] * 3))
    data = load_file(str(tmp_path / "data.npz"))
    assert data.y.tolist() == [0, 1] * 3 and data.classes.tolist() == [3, 7] and data.x.shape == (6, 3, 3, 1)


def test_scores_are_what_their_names_say():
    predicted = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    scores = score(np.array([0, 1, 1, 1]), predicted)
    assert scores.error == 25
    assert scores.loss == pytest.approx(-np.log([0.8, 0.4, 0.7, 0.9]).mean())
    assert scores.calibration == pytest.approx(100 * (0.2 + 0.6 + 0.3 + 0.1) / 4)


def test_the_table_shows_mean_and_standard_deviation():
    table = summary({"a": [Scores(1.0, 2.0, 0.5), Scores(3.0, 2.0, 0.7)]})
    assert table["a"]["error"] == {"mean": 2.0, "spread": pytest.approx(2**0.5)}
    lines = written(compared(table)).splitlines()
    assert ["a", "2.0 ± 1.4", "2.0 ± 0.0", "0.60 ± 0.14"] in [re.split(r" *\| *", line)[1:-1] for line in lines]


def test_the_command_is_installed_and_knows_its_version():
    result = subprocess.run([sys.executable, "-m", "kmix_tf", "--version"], capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.startswith("kmix-tf 0.")
