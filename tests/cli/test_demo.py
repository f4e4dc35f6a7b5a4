import json
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.analysis import perturbation
from kmix_tf.cli import main
from kmix_tf.cli.demo.arms import LARGEST, arms, kmixup, mixup
from kmix_tf.cli.demo.data import Data, load_file, split
from kmix_tf.cli.demo.telling import apart, compared, differences, sentences, summary
from kmix_tf.cli.demo.training import Scores
from kmix_tf.cli.terminal import UserError, written


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
    assert list(results["table"]) == ["no mixing", "mixup 0.2", "mixup 1", "k-mixup 0.2", "k-mixup 1"]
    for method, runs in results["runs"].items():
        assert len(runs) == 2
        errors = [run["error"] for run in runs]
        assert results["table"][method]["error"]["mean"] == pytest.approx(np.mean(errors))
        # Chance is an error of 67 %; the clouds hardly overlap.
        assert np.mean(errors) < 20
    for each in results["differences"]:
        first, second = ([run[each["column"]] for run in results["runs"][each[arm]]] for arm in ("arm", "than"))
        assert each["less_by"]["mean"] == pytest.approx(np.mean(second) - np.mean(first))
    assert all(len(errors) == 2 for errors in results["toy"]["errors"].values())
    for figure in results["figures"]:
        assert pathlib.Path(figure).stat().st_size > 10_000
    assert results == json.loads((out / "results.json").read_text())
    assert "clouds.npz: 160 training samples of 3 classes; 80 test samples" in (out / "results.md").read_text()
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


def test_columns_that_are_constant_in_training_are_left_out():
    """0.1 in float32 leaves a spread by rounding, divided by which another value becomes hundreds of thousands."""
    generator = np.random.default_rng(0)
    x = np.stack([generator.normal(size=60), np.full(60, 0.1), np.full(60, -3.0)], axis=1).astype(np.float32)
    order = np.random.default_rng(3).permutation(60)
    x[order[40:], 1] = 0.11
    parts = split(Data(x, np.arange(60) % 2, np.array([0, 1]), "table"), 40, 0.0, 3)
    assert parts.x_train.shape == (40, 1) and parts.x_test.shape == (20, 1) and np.abs(parts.x_test).max() < 10
    with pytest.raises(UserError, match="all constant"):
        split(Data(x[:, 2:], np.arange(60) % 2, np.array([0, 1]), "table"), 40, 0.0, 3)


def test_images_are_scaled_as_a_whole_and_keep_all_pixels():
    x = np.random.default_rng(0).normal(5, 3, size=(40, 4, 4, 1)).astype(np.float32)
    x[:, 0] = 0
    parts = split(Data(x, np.arange(40) % 2, np.array([0, 1]), "images"), 30, 0.0, 3)
    assert parts.x_train.shape == (30, 4, 4, 1) and parts.x_train.dtype == np.float32
    assert parts.x_train.mean() == pytest.approx(0, abs=1e-6) and parts.x_train.std() == pytest.approx(1, abs=1e-6)
    order = np.random.default_rng(3).permutation(40)
    mean, spread = x[order[:30]].mean(), x[order[:30]].std()
    np.testing.assert_allclose(parts.x_test, (x[order[30:]] - mean) / spread, atol=1e-5)


def test_a_labels_file_of_columns_is_a_vector(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros((6, 3, 3)), y=np.array([[3], [7]] * 3))
    data = load_file(str(tmp_path / "data.npz"))
    assert data.y.tolist() == [0, 1] * 3 and data.classes.tolist() == [3, 7] and data.x.shape == (6, 3, 3, 1)


def test_k_mixup_perturbs_as_much_as_the_mixup_it_is_named_after():
    x = np.random.default_rng(0).normal(size=(400, 8))
    chosen = arms(x, (0.2, 0.5))
    for alpha in (0.2, 0.5):
        assert chosen[mixup(alpha)].alpha == alpha and chosen[kmixup(alpha)].alpha > alpha
        # Each side is known within a few percent.
        ours = perturbation(x, chosen[kmixup(alpha)].k, chosen[kmixup(alpha)].alpha)
        assert ours == pytest.approx(perturbation(x, 1, alpha), rel=0.05)
    near = arms(np.repeat(np.eye(2), 50, axis=0), (1.0,))[kmixup(1.0)]
    assert near.alpha == LARGEST, "matched pairs are nearly all alike here: nothing perturbs as much"


def a_score(error, attacked=50.0, calibration=3.0):
    return Scores(error, attacked, calibration, 2.0, 0.5)


def test_the_table_shows_mean_and_standard_deviation():
    table = summary({"a": [a_score(1.0), a_score(3.0)]})
    assert table["a"]["error"] == {"mean": 2.0, "spread": pytest.approx(2**0.5)}
    lines = written(compared(table)).splitlines()
    cells = [re.split(r" *\| *", line)[1:-1] for line in lines]
    assert ["a", "2.0 ± 1.4", "50.0 ± 0.0", "3.0 ± 0.0", "2.0 ± 0.0", "0.50 ± 0.00"] in cells


def test_what_got_better_is_what_the_interval_says():
    scores = {name: [a_score(9.0), a_score(9.5), a_score(9.0)] for name in ("mixup 0.2", "k-mixup 0.2", "k-mixup 1")}
    scores["no mixing"] = [a_score(10.0), a_score(10.5), a_score(9.9)]
    scores["mixup 1"] = [a_score(12.0, calibration=9.0), a_score(9.4, calibration=9.1), a_score(9.1, calibration=9.0)]
    found = differences(scores)
    told = sentences(found)
    # 1, 1 and .9 less than without mixing; 0 against one another.
    assert "mixup 0.2 than no mixing in error (-1.0)" in told[0]
    assert "k-mixup 1 than mixup 1 in calibration error (-6.0)" in told[0]
    assert told[1] == "Worse: mixup 1 than no mixing in calibration error (+6.0)."
    assert {each["verdict"] for each in found if each["column"] == "attacked"} == {"undecided"}
    assert "| mixup 0.2 than no mixing | 1.0 (0.8 to 1.1) |" in re.sub(" +", " ", written(apart(found)))
    one = {name: runs[:1] for name, runs in scores.items()}
    assert sentences(differences(one)) == ["One seed says nothing of chance: run two or more to see what got better."]


def test_the_command_is_a_module_that_knows_its_version(elsewhere):
    program = "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('kmix_tf', run_name='__main__')"
    assert elsewhere(program).startswith("kmix-tf 0.")
