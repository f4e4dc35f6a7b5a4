"""Where a command will write: known to be possible before the work, not after it."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence

from kmix_tf._stopping import held
from kmix_tf.cli.terminal import UserError

# A full disk makes files, but takes nothing in.
_SOMETHING = bytes(4096)


def writable_folder(path: str, option: str = "--out", files: Sequence[str] = ()) -> pathlib.Path:
    """A folder to write into, which need not be there yet.

    Args:
        files: names of files that will be written there.

    Raises:
        UserError: naming the option, if nothing can be written there, or not one of the files.
    """
    folder = pathlib.Path(path)
    try:
        with held(), _tried(folder):
            _write_something(folder)
    except FileExistsError as error:
        raise UserError(f"{option} must be a folder. Received: {path}, which is a file.") from error
    except OSError as error:
        raise UserError(f"{option}: cannot write into {path} ({error.strerror}).") from error
    for name in files:
        _require_replaceable(folder / name, option)
    return folder


def writable_file(path: pathlib.Path, option: str = "--out") -> pathlib.Path:
    """A file to write, which need not be there yet; raises as `writable_folder`."""
    try:
        with held(), _tried(path.parent):
            _write_something(path.parent)
    except OSError as error:
        raise UserError(f"{option}: {path} cannot be written ({error.strerror}).") from error
    _require_replaceable(path, option)
    return path


def _write_something(folder: pathlib.Path) -> None:
    probe = tempfile.mkdtemp(prefix=".kmix-tf-", dir=folder)
    try:
        (pathlib.Path(probe) / "probe").write_bytes(_SOMETHING)
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _require_replaceable(path: pathlib.Path, option: str) -> None:
    if path.is_dir():
        raise UserError(f"{option}: {path} cannot be written (it is a folder). Move it away, or give another place.")
    if path.exists() and not os.access(path, os.W_OK):
        raise UserError(f"{option}: {path} cannot be written (Permission denied).")


@contextlib.contextmanager
def _tried(folder: pathlib.Path) -> Iterator[None]:
    """A folder that is there within it; afterwards, what was made for that is gone."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()
