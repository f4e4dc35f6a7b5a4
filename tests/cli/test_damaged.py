"""Files that are damaged or claim what cannot be, read by all commands that read any."""

import io
import os
import struct
import warnings
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.cli import main
from kmix_tf.cli.audit import auditing
from kmix_tf.cli.demo import comparing
from kmix_tf.cli.gallery import showing

X, Y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
VALUES = X.tobytes()


def refused(capsys, command, *arguments):
    """What the command says, in one line, to what it cannot use."""
    assert main([command, *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("kmix-tf: ") and printed.err.count("\n") == 1 and "\x1b" not in printed.err
    return printed.err


@pytest.fixture(params=["audit", "demo"])
def read(request, tmp_path, capsys, monkeypatch):
    """`read(path)`: what a command says to a file that it cannot use; and `None` if it can."""

    class Read(Exception):
        pass

    def reached(*arguments, **options):
        raise Read()

    monkeypatch.setattr(auditing, "measure", reached)
    monkeypatch.setattr(comparing, "_Demo", reached)

    def run(path):
        names = {
            "audit": ["audit", "--no-trial", path],
            "demo": ["demo", "--export", tmp_path / "export", "--data", path],
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                return refused(capsys, *names[request.param], "--out", tmp_path / "out")
        except Read:
            return None

    yield run
    assert not (tmp_path / "out").exists() and not (tmp_path / "export").exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_cut_or_changed_anywhere_is_refused(save, read, tmp_path):
    save(tmp_path / "d.npz", x=X, y=Y)
    whole = (tmp_path / "d.npz").read_bytes()
    assert read(tmp_path / "d.npz") is None
    for end in range(0, len(whole) - 1, 29):
        (tmp_path / "cut.npz").write_bytes(whole[:end])
        assert "is no .npz file of plain arrays" in read(tmp_path / "cut.npz")
    # Of values, stored as they are or compressed.
    with zipfile.ZipFile(tmp_path / "d.npz") as archive:
        start = archive.getinfo("x.npy").header_offset + 60
        end = start + archive.getinfo("x.npy").compress_size - 20
    for place in range(start, end, 11):
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "changed.npz").write_bytes(bytes(changed))
        assert "is no .npz file of plain arrays" in read(tmp_path / "changed.npz")


def member(shape="(12, 2)", dtype="'<f8'", order="False", header=None, values=VALUES):
    """A .npy of any header."""
    text = (header or f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}").encode("latin1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


CLAIMS = {
    "shape": [
        "(10**9,)", "(99999999999, 2)", f"({2**70}, 2)", "(-12, -2)", "(12.0, 2)", "12", "(None, 2)", "((12, 2),)",
        "(4611686018427387904, 4)", f"(0, {2**70})", "(12, 3)", f"({'1, ' * 40})", f"({'1, ' * 70})",
    ],
    "dtype": [
        "'O'", "'<f3'", "''", "3", "None", "'|S0'", "'<U0'", "['<f8']", "'<V2000000000'", "[('a', 'O')]",
        "('<f8', (1000000, 1000000))", "[('a', '<f8'), ('a', '<f8')]",
    ],
    "header": [
        "{}", "[]", "nothing", "(" * 300, "'''", "{[]: 1}", "-" * 9000, "9" * 5000, "[" * 9000, "\n  1\n 2",
        "a" * 20_000, "{**1}", "\x00",
    ],
    "order": ["1"],
    "values": [b"", VALUES[:-1]],
}  # fmt: skip


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["x", "y"])
def test_headers_that_claim_what_cannot_be_are_refused(compression, name, read, tmp_path):
    other = io.BytesIO()
    np.save(other, Y if name == "x" else X)
    for what, claim in [(what, claim) for what, claims in CLAIMS.items() for claim in claims]:
        with zipfile.ZipFile(tmp_path / "d.npz", "w", compression) as archive:
            archive.writestr(f"{name}.npy", member(**{what: claim}))
            archive.writestr(f"{'y' if name == 'x' else 'x'}.npy", other.getvalue())
        assert "is no .npz file of plain arrays" in (read(tmp_path / "d.npz") or ""), (what, claim)


USELESS = {
    "no features": (X[:, :0], Y),
    "no samples": (X[:0], Y[:0]),
    "images of no height": (np.zeros((12, 0, 3)), Y),
    "infinite": (np.where(X == 3, np.inf, X), Y),
    "complex": (X.astype(complex), Y),
    "strings": (X.astype(str), Y),
    "dates": (X.astype("M8[s]"), Y),
    "complex classes": (X, Y.astype(complex)),
    "missing classes": (X, np.where(Y, np.nan, 0)),
    "infinite classes": (X, np.where(Y, np.inf, 0)),
    "durations for classes": (X, Y.astype("m8[s]")),
    "too few classes": (X, Y[:-1]),
    "one class": (X, np.array(3)),
    "one number": (np.array(3.0), Y),
    "records": (X, np.zeros(12, [("a", int)])),
}


@pytest.mark.parametrize(("x", "y"), USELESS.values(), ids=USELESS)
def test_arrays_that_cannot_be_learnt_from_are_refused(x, y, read, tmp_path):
    np.savez(tmp_path / "d.npz", x=x, y=y)
    assert read(tmp_path / "d.npz")


@pytest.mark.parametrize("scale", [1e16, 1e300])
def test_the_demo_refuses_numbers_that_are_infinite_when_it_squares_them(scale, tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x=scale * (X + 1), y=Y)
    assert "finite numbers of size up to 1e+15" in refused(capsys, "demo", "--data", tmp_path / "d.npz")


ERRORS = [
    (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore"), "TensorFlow cannot do this"),
    (tf.errors.InvalidArgumentError(None, None, "a shape \x1b[31m"), "TensorFlow cannot do this"),
    (MemoryError("Unable to allocate 3 TiB"), "not enough memory"),
    (OSError(28, "No space left on device", "a/b"), "a/b cannot be read or written (No space left on device)"),
]


@pytest.mark.parametrize(("error", "message"), ERRORS, ids=["exhausted", "argument", "memory", "disk"])
@pytest.mark.parametrize("command", ["audit", "demo", "gallery"])
def test_what_tensorflow_or_the_machine_cannot_do_is_one_line(command, error, message, tmp_path, capsys, monkeypatch):
    def fails(*arguments, **options):
        raise error

    for module, name in ((auditing, "measure"), (comparing, "arms"), (showing, "_sections")):
        monkeypatch.setattr(module, name, fails)
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    data = {"audit": [tmp_path / "d.npz"], "demo": ["--data", tmp_path / "d.npz"], "gallery": []}[command]
    export = ["--export", tmp_path / "export"] if command == "demo" else []
    assert message in refused(capsys, command, *data, "--out", tmp_path / "out", *export)
    assert os.listdir(tmp_path) == ["d.npz"]
