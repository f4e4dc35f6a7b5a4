import io
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmix_tf
from kmix_tf.analysis.toys import alternating_line
from kmix_tf.cli import main
from kmix_tf.cli.audit import auditing, measuring


def refuse_constant(name):
    raise AssertionError(f"{name} is no strict JSON")


def test_the_alternating_line_is_told_that_strong_mixing_fails(audit):
    for n in (3, 9, 40):
        _, report = audit(f"line{n}", *alternating_line(n), "--alpha", "32")
        assert report["verdict"]["level"] == "mixup fails here" and report["verdict"]["alpha"] == 32
        assert report["verdict"]["rule"]["name"] == "labels contradicted"
        assert report["suggestion"]["code"].startswith("LocalMixupLayer(alpha=0.2, weight=")
        if n == 40:  # whose ends are contradicted at alpha = 1, too
            continue
        # Which decides nothing where another alpha is asked for.
        _, weak = audit(f"line{n}", *alternating_line(n))
        assert weak["verdict"]["level"] != "mixup fails here" and weak["verdict"]["alpha"] == 1
        assert any(remark.startswith("At alpha = 32 it would fail") for remark in weak["verdict"]["remarks"])
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
    command = [sys.executable, "-m", "kmix_tf", "audit", "--no-trial", "line.npz", "--alpha", "32"]
    # Without a screen, whatever backend figures elsewhere have.
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | {"MPLBACKEND": "gtk3agg"}
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert shown.returncode == 0, shown.stderr
    assert "Verdict at alpha = 32: mixup fails here" in shown.stdout and "ThresholdWeight(1)" in shown.stdout
    assert shown.stdout.count("\n") <= 15
    # No one watches.
    assert "measured" not in shown.stderr and "%" not in shown.stderr
    written = (tmp_path / "audit" / "report.json").read_text()
    report = json.loads(written, parse_constant=refuse_constant)
    assert (tmp_path / "audit" / "report.html").stat().st_size > 5000
    assert (
        main(
            [
                "audit",
                "--no-trial",
                str(tmp_path / "line.npz"),
                "--alpha",
                "32",
                "--out",
                str(tmp_path / "again"),
                "--json",
            ]
        )
        == 0
    )
    printed = capfd.readouterr()
    assert json.loads(printed.out, parse_constant=refuse_constant) == report
    assert "measured" not in printed.err
    # To the byte, in another process, figures included.
    for name in ("report.json", "report.html", "report-contradictions.csv"):
        assert (tmp_path / "audit" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_seed_repeats_a_report_and_another_draws_another_sample(audit, digits, tmp_path, capsys):
    np.savez(tmp_path / "digits.npz", **dict(zip("xy", digits(300), strict=True)))
    arguments = [
        "audit",
        "--no-trial",
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
        "Of 300 samples searched, 2 have an exact copy with another label, such as 0 and 299."
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
        (["{text}"], "text.npz is no .npz file of plain arrays (File is not a zip file)."),
        (["{empty}"], "must be a folder with one subfolder of images for each class"),
        (["{data}", "{data}"], "DATA must be an .npz with x and y, two .npy files (x first)"),
        (["{data}", "--target", "y"], "--target does not apply to an .npz file."),
        (["{data}", "--image-size", "8", "--drop", "y"], "--drop and --image-size do not apply to an .npz file."),
        (["{data}", "--image-size", "0"], "Invalid value for '--image-size': 0 is not in the range 1<=x<=4096."),
        (["{data}", "--max-samples", "2"], "Invalid value for '--max-samples': 2 is not in the range 3<=x<=1000000."),
        (["{data}", "--seed", "-1"], "Invalid value for '--seed': -1 is not in the range 0<=x<=4294967295."),
        (["{data}", "--out", "{data}"], "data.npz, which is a file."),
        (["{data}", "--out", "/proc/none"], "--out: cannot write into /proc/none"),
        (["{data}", "--alpha", "0"], "Invalid value for '--alpha': 0.0 is not in the range 0.01<=x<=1000."),
    ],
)
def test_what_the_caller_can_mend_is_one_line_and_status_2(arguments, message, tmp_path, capsys):
    np.savez(tmp_path / "data.npz", x=np.arange(6.0).reshape(6, 1), y=np.arange(6) % 2)
    (tmp_path / "text.npz").write_text("x,y\n1,2\n")
    (tmp_path / "empty").mkdir()
    places = {name: tmp_path / f"{name}.npz" for name in ("data", "text")} | {"empty": tmp_path / "empty"}
    arguments = [argument.format(**places) for argument in arguments]
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "out")]
    assert main(["audit", *arguments, *out, "--json"]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == ""


def exhausted(*arguments, **options):
    # As NumPy does, with a subclass.
    raise type("ArrayMemoryError", (MemoryError,), {})


@pytest.mark.parametrize(
    ("place", "name"),
    [(measuring, "measure_closeness"), (auditing, "look_through"), (auditing, "report_page"), (auditing, "build")],
)
def test_running_out_of_memory_is_said_with_what_to_do_wherever_it_happens(
    place, name, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(place, name, exhausted)
    np.savez(tmp_path / "data.npz", x=np.arange(6.0).reshape(6, 1), y=np.arange(6) % 2)
    assert (
        main(
            [
                "audit",
                "--no-trial",
                str(tmp_path / "data.npz"),
                "--out",
                str(tmp_path),
                "--max-samples",
                "5",
                "--json",
            ]
        )
        == 2
    )
    printed = capsys.readouterr()
    assert "not enough memory for 5 samples" in printed.err and "Lower --max-samples." in printed.err
    assert not (tmp_path / "report.json").exists() and printed.out == ""


def test_a_folder_that_may_not_be_written_to_is_refused_before_the_work(tmp_path, capsys, monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    monkeypatch.setattr(auditing, "_audit", lambda request: pytest.fail("it was worked in vain"))
    np.savez(tmp_path / "data.npz", x=np.arange(6.0).reshape(6, 1), y=np.arange(6) % 2)
    assert main(["audit", "--no-trial", str(tmp_path / "data.npz"), "--out", str(tmp_path), "--json"]) == 2
    assert f"--out: cannot write into {tmp_path} (Permission denied)." in capsys.readouterr().err


def test_a_disk_that_fills_up_is_said_in_one_line(tmp_path, capsys, monkeypatch):
    def full(path, *arguments, **options):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    np.savez(tmp_path / "data.npz", x=np.arange(6.0).reshape(6, 1), y=np.arange(6) % 2)
    assert main(["audit", "--no-trial", str(tmp_path / "data.npz"), "--out", str(tmp_path), "--json"]) == 2
    printed = capsys.readouterr()
    assert "No space left on device" in printed.err and printed.err.count("\n") == 1 and printed.out == ""


def test_a_class_too_rare_for_the_sample_is_named_in_the_report(audit):
    generator = np.random.default_rng(0)
    names = np.array(["often", "also", "rarely"])[np.where(np.arange(300) == 7, 2, np.arange(300) % 2)]
    x = generator.normal(size=(300, 3)) + 3 * (names == "also")[:, np.newaxis]
    missed = 0
    for seed in range(4):
        _, report = audit("rare", x, names, "--max-samples", "40", "--seed", str(seed))
        assert report["data"]["classes"] == ["also", "often", "rarely"]
        rows = {row["class"]: row for row in report["measures"]["balance"]["classes"]}
        assert rows["rarely"]["samples"] == 1 and sum(row["measured"] for row in rows.values()) == 40
        about = {warning["about"]: warning["text"] for warning in report["warnings"]}
        assert ("classes not measured" in about) == (rows["rarely"]["measured"] == 0)
        missed += "classes not measured" in about
        # Three classes are three classes, whichever were drawn.
        assert "num_classes=3" in report["suggestion"]["code"]
    assert missed > 0


def test_a_table_of_strings_and_a_folder_of_images_are_audited_from_the_command_line(tmp_path, capsys):
    lines = ["length,width,kind", *(f"{i % 7},{i % 5 + 9 * (i % 2)},{'moth' if i % 2 else 'fly'}" for i in range(30))]
    (tmp_path / "insects.csv").write_text("\n".join(lines))
    for label, shade in (("dark", 20), ("light", 200)):
        (tmp_path / "shades" / label).mkdir(parents=True)
        for i in range(8):
            pixels = tf.fill((6, 6, 3), tf.constant(shade + 3 * i, tf.uint8))
            (tmp_path / "shades" / label / f"{i}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    reports = {}
    for name in ("insects.csv", "shades"):
        assert main(["audit", "--no-trial", str(tmp_path / name), "--out", str(tmp_path / "out"), "--json"]) == 0
        reports[name] = json.loads(capsys.readouterr().out)
    assert reports["insects.csv"]["data"]["encoding"] == {"fly": 0, "moth": 1}
    assert reports["insects.csv"]["measures"]["scales"]["widest"] == "width"
    near = reports["shades"]["measures"]["closeness"]["examples"][0]
    assert {near["first"], near["second"]} == {"dark/7.png", "light/0.png"}
    # 180 less 21 of 255, in each of 6 x 6 x 3 values.
    assert near["distance"] == pytest.approx((180 - 21) / 255 * np.sqrt(108), rel=1e-5)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") % 4 == 0 and page.count("<img") > 0


def run(tmp_path, *options, name="data.npz"):
    x = np.random.default_rng(0).normal(size=(24, 3))
    np.savez(tmp_path / name, x=x, y=np.array(["katze", "犬"])[np.arange(24) % 2])
    return main(["audit", "--no-trial", str(tmp_path / name), "--out", str(tmp_path / "out"), *options])


def test_a_terminal_that_lacks_letters_shows_question_marks_and_json_escapes(tmp_path, monkeypatch):
    shown = {}
    for option in ((), ("--json",)):
        raw = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
        assert run(tmp_path, *option, name="犬.npz") == 0
        sys.stdout.flush()
        shown[option] = raw.getvalue().decode("ascii")
    assert shown[()].startswith("?.npz: 24 samples")
    report = json.loads(shown["--json",])
    assert report["data"]["classes"] == ["katze", "犬"]
    assert report == json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))


def test_where_memory_is_short_fewer_samples_are_measured_and_a_note_says_so(tmp_path, capsys, monkeypatch):
    measured, sizes = auditing.measure, []

    def short(sample, *arguments):
        sizes.append(len(sample.x))
        return exhausted() if len(sample.x) > 6 else measured(sample, *arguments)

    monkeypatch.setattr(auditing, "measure", short)
    assert run(tmp_path, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert sizes == [24, 12, 6] and (report["data"]["samples"], report["data"]["measured"]) == (24, 6)
    assert report["data"]["notes"] == ["Memory was short, so that 6 samples were measured of the 24 read."]
    near = report["measures"]["closeness"]["examples"][0]
    with np.load(tmp_path / "data.npz") as data:
        distance = np.linalg.norm(data["x"][near["first"]] - data["x"][near["second"]])
    assert distance == pytest.approx(near["distance"], rel=1e-4)


def test_labels_that_contradict_one_another_are_never_called_safe(audit):
    x = np.repeat(np.random.default_rng(0).random((20, 2)), 2, axis=0)
    folder, report = audit("contradictory", x, np.arange(40) % 2)
    assert report["verdict"]["level"] == "labels contradict one another"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert (
        "Labels contradict one another, which mixing cannot mend" in page
        and page.count("contradicted: not measured") == 3
    )
    # One in four of those searched: a warning, and a verdict on the others.
    few = np.concatenate([x[:10], 5 + np.random.default_rng(1).random((30, 2))])
    _, report = audit("less", few, np.arange(40) % 2)
    assert report["verdict"]["level"] != "labels contradict one another"
    assert report["verdict"]["reasons"][0].startswith("25.0 % of the samples have an equal one with another label")


def test_the_page_says_how_to_encode_labels_before_the_layer(audit):
    folder, report = audit("named", np.random.default_rng(0).normal(size=(24, 3)), np.array(["_a", "b"] * 12))
    page = (folder / "report.html").read_text(encoding="utf-8")
    line = "classes, y = np.unique(y, return_inverse=True)"
    assert report["suggestion"]["prepare"] == line and page.index(line) < page.index("MixupLayer(")
