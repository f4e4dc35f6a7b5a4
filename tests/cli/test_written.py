"""What commands write takes the place of the last one when it is whole, and never else."""

import os
import pathlib
import subprocess

import numpy as np
import pytest

from kmix_tf.cli import main, terminal
from kmix_tf.cli.demo import comparing, training
from kmix_tf.cli.gallery import showing

X, Y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2


def refused(capsys, command, *arguments):
    """What the command says, in one line, to what it cannot use."""
    assert main([command, *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("kmix-tf: ") and printed.err.count("\n") == 1 and "\x1b" not in printed.err
    return printed.err


@pytest.fixture
def full(monkeypatch):
    """A disk that takes one letter of each of the files after the first so many."""

    def fill(after):
        write, count = pathlib.Path.write_text, []

        def limited(path, text, **options):
            count.append(path)
            if len(count) > after:
                write(path, text[:1], **options)
                raise OSError(28, os.strerror(28))
            return write(path, text, **options)

        monkeypatch.setattr(pathlib.Path, "write_text", limited)

    return fill


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("after", [0, 1])
def test_an_audit_that_cannot_be_written_leaves_the_last_one(after, full, tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    out = tmp_path / "out"
    assert main(["audit", "--no-trial", str(tmp_path / "d.npz"), "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    before = contents(tmp_path)
    full(after)
    message = refused(capsys, "audit", "--no-trial", tmp_path / "d.npz", "--out", out, "--seed", "1", "--json")
    assert str(out / ("report.json", "report.html")[after]) in message and "No space left on device" in message
    assert contents(tmp_path) == before and set(os.listdir(out)) == {
        "report.json",
        "report.html",
        "report-contradictions.csv",
    }


def test_a_gallery_that_cannot_be_written_leaves_the_last_one(full, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(showing, "_sections", lambda *arguments: [])
    path = tmp_path / "gallery.html"
    path.write_text("the last one")
    full(0)
    assert f"{path} cannot be read or written (No space left" in refused(capsys, "gallery", "--out", path)
    assert os.listdir(tmp_path) == ["gallery.html"] and path.read_text() == "the last one"


@pytest.fixture
def quick_demo(tmp_path, monkeypatch):
    """`quick_demo(*options)`: the demo without training."""

    class Course:
        def __init__(self, *arguments):
            pass

        def results(self):
            found = {"figures": [], "export": {"path": "", "largest_difference_served": 0.0}}
            return found, {"pairs": b"png"}

    monkeypatch.setattr(comparing, "_Demo", Course)
    monkeypatch.setattr(comparing, "_told", lambda results: ["told"])
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    return ["demo", "--data", tmp_path / "d.npz", "--out", tmp_path / "out", "--export", tmp_path / "export"]


def test_a_demo_that_cannot_be_written_leaves_the_last_one(full, quick_demo, tmp_path, capsys):
    assert main([*map(str, quick_demo), "--json"]) == 0
    before = contents(tmp_path)
    assert {path.name for path in before} == {"d.npz", "results.json", "results.md", "pairs.png"}
    capsys.readouterr()
    full(1)
    assert str(tmp_path / "out" / "results.md") in refused(capsys, *quick_demo)
    assert contents(tmp_path) == before


def test_where_the_demo_cannot_write_is_said_before_the_work(quick_demo, tmp_path, capsys):
    (tmp_path / "export").write_text("mine")
    assert "--export must be a folder" in refused(capsys, *quick_demo)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [("audit", "report.html"), ("compare", "report.json"), ("demo", "pairs.png"), ("gallery", "gallery.html")],
)
def test_a_folder_where_a_file_is_to_be_is_refused_before_the_work(command, name, quick_demo, tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    (tmp_path / "out" / name / "mine").mkdir(parents=True)
    arguments = {"demo": quick_demo[1:], "gallery": []}.get(command, [tmp_path / "d.npz"])
    message = refused(capsys, command, *arguments, "--out", tmp_path / "out")
    assert message.startswith(f"kmix-tf: --out: {tmp_path / 'out' / name}") and "it is a folder" in message
    assert os.listdir(tmp_path / "out") == [name]


def test_a_disk_that_takes_nothing_is_refused_before_the_work(quick_demo, tmp_path, capsys, monkeypatch):
    def full(path, content):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    for option in ("--out", "--export"):
        message = refused(capsys, *quick_demo, option, tmp_path / "new")
        assert "No space left on device" in message and message.startswith("kmix-tf: --out")
        assert not (tmp_path / "new").exists()


def test_an_export_of_the_demo_that_is_not_served_does_not_take_the_last_ones_place(tmp_path, monkeypatch):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "saved_model.pb").write_text("the last one")

    class Model:
        def predict(self, x, verbose):
            return x

        def export(self, path):
            pathlib.Path(path).mkdir()
            (pathlib.Path(path) / "saved_model.pb").write_text("new")

    for answer in (subprocess.CompletedProcess([], 1, "", "it broke"), subprocess.CompletedProcess([], 0, "3.5", "")):
        monkeypatch.setattr(training, "_served", lambda *arguments, answer=answer: answer)
        with pytest.raises(terminal.UserError, match=r"it broke|3\.5"):
            training.export_and_serve(Model(), tmp_path / "export", X)
        assert contents(tmp_path) == {tmp_path / "export" / "saved_model.pb": b"the last one"}
    monkeypatch.setattr(training, "_served", lambda *arguments: subprocess.CompletedProcess([], 0, "0.0", ""))
    assert training.export_and_serve(Model(), tmp_path / "export", X) == 0
    assert contents(tmp_path) == {tmp_path / "export" / "saved_model.pb": b"new"}
