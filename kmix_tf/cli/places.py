"""Where a command will write: known to be possible before the work, not after it."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from kmix_tf.cli.terminal import UserError


def writable_folder(path: str, option: str = "--out") -> pathlib.Path:
    """A folder to write into, which need not be there yet.

    Raises:
        UserError: naming the option, if nothing can be written there.
    """
    folder = pathlib.Path(path)
    try:
        with _tried(folder):
            probe = folder / f".kmix-tf-{os.getpid()}"
            probe.touch()
            probe.unlink()
    except FileExistsError as error:
        raise UserError(f"{option} must be a folder. Received: {path}, which is a file.") from error
    except OSError as error:
        raise UserError(f"{option}: cannot write into {path} ({error.strerror}).") from error
    return folder


def writable_file(path: pathlib.Path, option: str = "--out") -> pathlib.Path:
    """A file to write, which need not be there yet; raises as `writable_folder`."""
    is_new = not path.exists()
    try:
        with _tried(path.parent):
            with path.open("a", encoding="utf-8"):
                pass
            if is_new:
                path.unlink()
    except OSError as error:
        raise UserError(f"{option}: {path} cannot be written ({error.strerror}).") from error
    return path


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
