import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmix_tf
from kmix_tf.analysis.toys import alternating_line
from kmix_tf.cli import main
from kmix_tf.cli.audit import measuring


def refuse_constant(name):
    raise AssertionError(f"{name} is no strict JSON")


def test_the_alternating_line_is_told_that_mixup_fails(audit):
    for n in (3, 9, 40):
        _, report = audit(f"line{n}", *alternating_line(n))
        assert report["verdict"]["level"] == "mixup fails here"
        assert report["suggestion"]["code"].startswith("LocalMixupLayer(alpha=0.2, weight=ThresholdWeight(1)")
        assert report["measures"]["steepness"]["full"] == "infinity"
        assert any("meet in a point" in warning["text"] for warning in report["warnings"])


def test_digits_are_told_that_mixing_is_safe(audit, digits):
    _, report = audit("digits", *digits(1797))
    assert report["verdict"]["level"] == "safe"
    assert report["suggestion"]["k"] == 16 and 0.2 <= report["suggestion"]["alpha"] <= 4
    assert report["data"]["classes"] == [str(i) for i in range(10)] and report["data"]["encoding"] is None


def test_rings_within_one_another_are_told_to_mix_with_care(audit):
    generator = np.random.default_rng(0)
    radius, angle = np.repeat([1.0, 3.0], 150), 2 * np.pi * generator.random(300)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) + 0.1 * generator.normal(size=(300, 2))
    _, report = audit("rings", x, np.array(["inner", "outer"])[(radius == 3).astype(int)])
    assert report["verdict"]["level"] == "mix locally / with care" and report["suggestion"]["alpha"] < 1
    texts = [warning["text"] for warning in report["warnings"]]
    assert any("mixtures within class outer are nearer to a sample of class inner" in text for text in texts)
    assert report["data"]["encoding"] == {"inner": 0, "outer": 1}


def test_what_is_suggested_runs_on_the_data(audit, digits):
    x, y = digits(1797)
    _, report = audit("digits", x, y)
    found = report["suggestion"]
    for code in (found["code"], *(other["code"] for other in found["alternatives"])):
        layer = eval(code, vars(kmix_tf).copy())
        mixed, labels, *_ = layer(tf.constant(x[:64], tf.float32), tf.constant(y[:64]))
        assert mixed.shape == (64, 8, 8) and labels.shape == (64, 10)
    assert isinstance(layer, keras.layers.Layer)


def test_the_command_writes_a_page_and_strict_json_and_prints_a_table(tmp_path, capfd):
    x, y = alternating_line(9)
    np.savez(tmp_path / "line.npz", x=x, y=y)
    command = [sys.executable, "-m", "kmix_tf", "audit", "line.npz"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "Verdict: mixup fails here" in shown.stdout and "ThresholdWeight(1)" in shown.stdout
    assert "reading: 100%" in shown.stderr and "measured: 100%" in shown.stderr
    written = (tmp_path / "audit" / "report.json").read_text()
    report = json.loads(written, parse_constant=refuse_constant)
    assert (tmp_path / "audit" / "report.html").stat().st_size > 5000
    assert main(["audit", str(tmp_path / "line.npz"), "--out", str(tmp_path / "again"), "--json"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out, parse_constant=refuse_constant) == report
    assert "measured" not in printed.err


def test_a_seed_repeats_a_report_and_another_draws_another_sample(audit, digits, tmp_path, capsys):
    np.savez(tmp_path / "digits.npz", **dict(zip("xy", digits(300), strict=True)))
    arguments = [
        "audit",
        str(tmp_path / "digits.npz"),
        "--max-samples",
        "120",
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    printed = []
    for seed in (1, 1, 2):
        assert main([*arguments, "--seed", str(seed)]) == 0
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == printed[1] and printed[0]["measures"] != printed[2]["measures"]
    assert printed[0]["data"]["samples"] == 300 and printed[0]["data"]["measured"] == 120
    near = printed[0]["measures"]["closeness"]["examples"][0]
    x, y = digits(300)
    # Places are those in the dataset, not in the sample.
    assert np.linalg.norm(x[near["first"]] - x[near["second"]]) == pytest.approx(near["distance"], rel=1e-5)
    assert y[near["first"]] != y[near["second"]]


def test_contradictory_copies_constants_scales_and_imbalance_are_warned_of(audit):
    generator = np.random.default_rng(0)
    y = (np.arange(300) < 20).astype(int)
    x = generator.normal(size=(300, 4)) * [1, 1, 1000, 0]
    x[299] = x[0]
    _, report = audit("messy", x, y)
    about = {warning["about"]: warning["text"] for warning in report["warnings"]}
    assert (
        "2 samples have an exact copy with another label, such as 0 and 299."
        in about["equal samples with different labels"]
    )
    assert "Mixing cannot fix contradictions" in about["equal samples with different labels"]
    assert "1 feature of 4 never change: 3." in about["constant features"]
    assert "Feature 2 alone makes up" in about["features of different scales"]
    assert "Class 0 has 280 samples, class 1 has 20." in about["unbalanced classes"]
    _, standardized = audit("messy", x, y, "--standardize")
    assert "features of different scales" not in {warning["about"] for warning in standardized["warnings"]}


def test_translation_and_scale_of_the_data_change_no_verdict(audit):
    generator = np.random.default_rng(1)
    y = np.arange(120) % 3
    x = generator.normal(size=(120, 3)) + 4 * np.eye(3)[y]
    reports = [audit(f"clouds{i}", scale * x + shift, y)[1] for i, (scale, shift) in enumerate([(1, 0), (1024.0, 0)])]
    first, second = (report["measures"] for report in reports)
    assert first["contradictions"] == second["contradictions"] and first["conflicts"] == second["conflicts"]
    assert second["locality"]["epsilon"] == pytest.approx(1024 * first["locality"]["epsilon"])
    assert second["closeness"]["least"] == pytest.approx(1024 * first["closeness"]["least"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.npz"], "there is no file or folder nothing.npz"),
        (["{data}", "--max-samples", "2"], "--max-samples must be from 3"),
        (["{data}", "--seed", "-1"], "--seed must be from 0"),
        (["{data}", "--out", "{data}"], "--out: cannot write into"),
        (["{data}", "--out", "/proc/none"], "--out: cannot write into /proc/none"),
        (["{equal}"], "all samples are equal"),
    ],
)
def test_what_the_caller_can_mend_is_one_line_and_status_2(arguments, message, tmp_path, capsys):
    np.savez(tmp_path / "data.npz", x=np.arange(6.0).reshape(6, 1), y=np.arange(6) % 2)
    np.savez(tmp_path / "equal.npz", x=np.ones((6, 2)), y=np.arange(6) % 2)
    places = {"data": tmp_path / "data.npz", "equal": tmp_path / "equal.npz"}
    arguments = [argument.format(**places) for argument in arguments]
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "out")]
    assert main(["audit", *arguments, *out, "--json"]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == ""


def test_running_out_of_memory_is_said_with_what_to_do(tmp_path, capsys, monkeypatch):
    def exhausted(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(measuring.course, "closeness", exhausted)
    np.savez(tmp_path / "data.npz", x=np.arange(6.0).reshape(6, 1), y=np.arange(6) % 2)
    assert main(["audit", str(tmp_path / "data.npz"), "--out", str(tmp_path), "--json"]) == 2
    assert "Lower --max-samples" in capsys.readouterr().err
