"""The command `kmix-tf compare`, in a process of its own and within this one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kmix_tf.cli import main, trials
from kmix_tf.cli.compare import comparing
from kmix_tf.cli.compare.page import compare_page, differences
from kmix_tf.paired import Difference
from kmix_tf.trial.findings import Finding, Trial


def table(path, y, rows=60):
    generator = np.random.default_rng(0)
    lines = [f"{a},{b},{label}" for (a, b), label in zip(generator.normal(size=(rows, 2)), y, strict=True)]
    path.write_text("\n".join(["a,b,y", *lines]), encoding="utf-8")
    return path


def run(capsys, *arguments):
    status = main([*map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def finding(name, low, high, verdict):
    found = Difference((low + high) / 2, low, high, 0.1, 5)
    differences = {"error": found, "loss": found._replace(mean=0.125)} if verdict else {}
    return Finding(name, 5.0, 0.1, 2.0, 1.0, 100.0, differences, verdict, f"KMixupLayer(1, alpha={len(name)})")


@pytest.fixture
def found():
    plain, good, bad = ("no mixing", 0, 0, ""), ("good", -3.0, -1.0, "better"), ("bad <b>", 2.0, 4.0, "worse")
    made = tuple(finding(*each) for each in (plain, good, bad))
    return Trial("mixing helps", "good is better.", made, "good", made[1].code, "classes", True, 5, 100, 60)


@pytest.fixture
def quick(monkeypatch, found):
    """The command without its training; what the trial was given."""
    given = {}

    def tried(x, y, **options):
        given.update(x=x, y=y, **options)
        return found

    monkeypatch.setattr(comparing, "compare_mixes", tried)
    return given


@pytest.mark.matrix
def test_a_process_of_its_own_tells_what_it_found_on_a_small_table(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 2))
    path = tmp_path / "t.csv"
    lines = [f"{a},{b},{'yes' if a > 0 else 'no'}" for a, b in x]
    path.write_text("\n".join(["a,b,y", *lines]), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "kmix_tf",
        "compare",
        str(path),
        "--minutes",
        "0.01",
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(
        [*command, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "o" / "report.json").read_text(encoding="utf-8"))
    assert report["splits"] == 3 and [each["name"] for each in report["findings"]][:2] == ["no mixing", "mixup 0.2"]
    assert report["findings"][0]["error"] < 40
    assert "<svg" in (tmp_path / "o" / "report.html").read_text(encoding="utf-8")


def test_the_winner_and_its_code_are_told_in_text_page_and_json(tmp_path, capsys, quick):
    path = table(tmp_path / "t.csv", ["yes", "no"] * 30)
    status, out, err = run(capsys, "compare", path, "--out", tmp_path / "o", "--minutes", "3", "--seed", "4")
    assert status == 0 and err == ""
    code = "KMixupLayer(1, alpha=4)"
    assert f"    classes, y = np.unique(y, return_inverse=True)\n    {code}\n" in out and "Mixing helps" in out
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert (
        "+0.12 (\u22123.00 to \u22121.00)" in page and code in page and "bad &lt;b&gt;" in page and "<b>" not in page
    )
    report = json.loads((tmp_path / "o" / "report.json").read_text(encoding="utf-8"))
    assert report["format"] == 1 and report["best"] == "good" and report["data"]["rows"] == 60
    assert (quick["minutes"], quick["seed"], quick["standardize"], quick["task"]) == (3.0, 4, True, "auto")
    assert quick["x"].shape == (60, 2) and set(quick["y"]) == {"yes", "no"}


def test_targets_that_are_numbers_are_read_as_they_are(tmp_path, capsys, quick):
    values = np.round(np.random.default_rng(1).normal(size=60), 3)
    path = table(tmp_path / "t.csv", values)
    status, _, _ = run(capsys, "compare", path, "--out", tmp_path / "o", "--no-standardize", "--task", "regression")
    assert status == 0 and quick["standardize"] is False
    np.testing.assert_array_equal(quick["y"], values)


def test_several_labels_and_images_are_read_from_arrays(tmp_path, capsys, quick):
    x, y = np.zeros((30, 5, 5)) + np.arange(30)[:, None, None], np.eye(4, dtype=int)[np.arange(30) % 4] ^ 1
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert run(capsys, "compare", tmp_path / "a.npz", "--out", tmp_path / "o")[0] == 0
    np.testing.assert_array_equal(quick["y"], y)
    assert quick["x"].shape == (30, 5, 5)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (["a"] * 60, "all 60 rows are of class a"),
        (["a"] * 59 + ["b"], "fewer than two classes have at least 5 rows"),
        ([f"id{i}" for i in range(60)], "all 60 labels are distinct"),
    ],
)
def test_where_nothing_can_be_learnt_a_sentence_says_so(tmp_path, capsys, y, words):
    path = table(tmp_path / "t.csv", y)
    status, out, err = run(capsys, "compare", path, "--out", tmp_path / "o")
    assert status == 0 and err == "" and "Cannot say" in out and words in out
    report = json.loads((tmp_path / "o" / "report.json").read_text(encoding="utf-8"))
    assert report["verdict"] == "cannot say" and report["findings"] == []
    assert words in (tmp_path / "o" / "report.html").read_text(encoding="utf-8")


def test_features_that_are_not_finite_are_refused_in_a_line(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n1,2,0\n3,inf,1\n" + "1,2,0\n3,4,1\n" * 20, encoding="utf-8")
    status, out, err = run(capsys, "compare", path, "--out", tmp_path / "o")
    assert status == 2 and out == "" and err.count("\n") == 1 and "line 3, column 'b'" in err


def test_targets_that_do_not_fit_the_task_are_refused_in_a_line(tmp_path, capsys):
    path = table(tmp_path / "t.csv", ["a", "b"] * 30)
    status, _, err = run(capsys, "compare", path, "--out", tmp_path / "o", "--task", "regression")
    assert status == 2 and err.count("\n") == 1 and "y must be numbers for task='regression'" in err


def test_the_interrupt_key_ends_with_one_line(tmp_path, capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparing, "compare_mixes", interrupted)
    status, out, err = run(capsys, "compare", table(tmp_path / "t.csv", ["a", "b"] * 30), "--out", tmp_path / "o")
    assert status == 130 and out == "" and err.strip() == "kmix-tf: stopped."
    assert not (tmp_path / "o").exists()


def test_progress_ends_at_the_end_and_never_goes_back():
    steps = []
    tell = trials._teller(lambda count, what: steps.append(count))
    for share in (0.0, 0.3, 0.2, 0.999, 1.0):
        tell(share, "x")
    assert sum(steps) == 100 and min(steps) >= 0


def test_the_figure_has_every_mix_and_no_mixing_has_none(found):
    drawn = differences(found)
    assert all(name in drawn for name in ("good", "bad &lt;b&gt;")) and "no mixing" in drawn
    assert differences(Trial("cannot say", "why.")) is None


def test_a_page_without_findings_is_a_page():
    report = {
        **json.loads(Trial("cannot say", "why.").to_json()),
        "data": {"name": "d", "rows": 5, "kept": 5, "shape": [2], "notes": []},
        "setting": {"seed": 0, "standardize": True},
        "prepare": None,
    }
    page = compare_page(report, Trial("cannot say", "why."))
    assert "Cannot say" in page and "<figure>" not in page and "why." in page
