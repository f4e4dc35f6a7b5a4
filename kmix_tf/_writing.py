"""What is written stands beside its place until it is whole, and only then takes the place of what was there.

An error, a full disk or an interrupt leaves what was there as it was, and nothing else. Of a process that is killed,
a folder whose name begins with `.kmix-tf-` may stay.
"""

import contextlib
import errno
import io
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._stopping import held, undoing

_PREFIX = ".kmix-tf-"
# What makes a folder a SavedModel. It goes first and comes last, so that nobody reads half of one, half of another.
_HEAD = "saved_model.pb"
# What belongs to a SavedModel: an old one's would be read with a new one that has none. All else is somebody's own.
_PARTS = (_HEAD, "saved_model.pbtxt", "fingerprint.pb", "keras_metadata.pb", "variables", "assets")
# Causes that TensorFlow tells by their words alone.
_CAUSES = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


def write_files(contents: Mapping[pathlib.Path, str | bytes]) -> None:
    """Writes files, text as UTF-8: all of them, or none.

    Raises:
        OSError: naming the file.
    """
    groups: dict[pathlib.Path, dict[str, str | bytes]] = {}
    for path, content in contents.items():
        # Where the file is to which a link leads.
        real = _real(path)
        groups.setdefault(real.parent, {})[real.name] = content
    with contextlib.ExitStack() as stack:
        scratches = {folder: stack.enter_context(_scratch(folder)) for folder in groups}
        for folder, files in groups.items():
            for name, content in files.items():
                with _naming(folder / name, scratches[folder]):
                    _write(scratches[folder] / name, content)
        with held():
            for folder, scratch in scratches.items():
                with _naming(folder, scratch):
                    _install(scratch, folder)


def _write(path: pathlib.Path, content: str | bytes) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")


@contextlib.contextmanager
def replacing(path: str | os.PathLike, is_quiet: bool = False) -> Iterator[str]:
    """A path to write to by somebody else's means, a file or a folder; then it takes the place of `path`.

    Of a folder that is there, other files stay. Files written beside it come along. A path of another file system of
    TensorFlow's, such as `gs://bucket/model`, is written to as it is: those know no renaming in one step.

    Args:
        is_quiet: whether what is printed meanwhile is left out; else it names `path`.

    Raises:
        OSError: naming the path, for what the file system refuses.
    """
    text = os.fsdecode(path).removeprefix("file://")
    if "://" in text:
        with _told(text, text, is_quiet):
            yield text
        return
    target = _real(text)
    is_there = target.is_dir()
    with _scratch(target if is_there else target.parent, text) as scratch:
        place = scratch / (target.name or "root")
        with _naming(text, scratch, place):
            with _told(str(place), text, is_quiet):
                yield str(place)
            if is_there and not place.is_dir():
                raise _refused(errno.EISDIR, target)
            with held():
                _install(*((place, target) if is_there else (scratch, target.parent)))


def _real(path: str | os.PathLike) -> pathlib.Path:
    return pathlib.Path(os.path.realpath(path))


@contextlib.contextmanager
def _scratch(folder: pathlib.Path, name: Any = None) -> Iterator[pathlib.Path]:
    """A new folder within `folder`, which is made where it is not; then it is gone, and after an error what was made.

    On one file system, nothing is copied when what was written is moved.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    with contextlib.ExitStack() as stack:
        try:
            with held(), _naming(name or folder):
                folder.mkdir(parents=True, exist_ok=True)
                scratch = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder, ignore_cleanup_errors=True)
                stack.enter_context(undoing(lambda: _unmake(made)))
                stack.enter_context(undoing(scratch.cleanup))
            with scratch as path:
                yield pathlib.Path(path)
        except BaseException:
            _unmake(made)
            raise


def _unmake(folders: Sequence[pathlib.Path]) -> None:
    """Takes these folders away, from within outwards, unless there is something in them."""
    for each in folders:
        with contextlib.suppress(OSError):
            each.rmdir()


def _install(new: pathlib.Path, folder: pathlib.Path) -> None:
    """Moves what is in `new` into `folder`, in the place of what has its names there: all of it, or nothing."""
    names = sorted(os.listdir(new), key=lambda name: name == _HEAD)
    for name in names:
        _prepare(new / name, folder / name)
    if len(names) == 1 and not (folder / names[0]).is_dir():
        # In one step, so that somebody always finds the old one or the new.
        os.replace(new / names[0], folder / names[0])
        return
    gone = [name for name in dict.fromkeys((*_PARTS, *names)) if _HEAD in names or name in names]
    gone = [name for name in gone if os.path.lexists(folder / name)]
    old = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    away = [(folder / name, old / name) for name in gone]
    _move([*away, *((new / name, folder / name) for name in names)], old)


def _move(moves: list[tuple[pathlib.Path, pathlib.Path]], old: pathlib.Path) -> None:
    """Renames one after another, or undoes it. What was kept in `old` is lost only if neither is needed any more."""
    begun = []
    try:
        for move in moves:
            begun.append(move)
            os.rename(*move)
    except BaseException:
        for before, after in reversed(begun):
            if os.path.lexists(after) and not os.path.lexists(before):
                os.rename(after, before)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)


def _prepare(new: pathlib.Path, old: pathlib.Path) -> None:
    """Gives the new one the old one's permissions, unless it may not take its place."""
    if not old.exists():
        return
    if old.is_dir() != new.is_dir():
        raise _refused(errno.EISDIR if old.is_dir() else errno.ENOTDIR, old)
    if not (old.is_dir() or os.access(old, os.W_OK)):
        raise _refused(errno.EACCES, old)
    with contextlib.suppress(OSError):  # Not all file systems have permissions.
        shutil.copymode(old, new)


def _refused(number: int, path: Any) -> OSError:
    return OSError(number, os.strerror(number), str(path))


@contextlib.contextmanager
def _naming(path: Any, scratch: pathlib.Path | None = None, place: pathlib.Path | None = None) -> Iterator[None]:
    """Errors of writing within it name `path`, rather than where it was written meanwhile or nothing at all."""
    try:
        yield
    except OSError as error:
        is_ours = error.filename is None or scratch is None or _is_within(error.filename, scratch)
        if error.errno is None or not is_ours:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    except tf.errors.OpError as error:
        if scratch is None or str(scratch) not in error.message:
            raise
        cause = next((number for number in _CAUSES if os.strerror(number) in error.message), errno.EIO)
        raise _refused(cause, path) from error
    except (TypeError, ValueError) as error:
        if place is not None:
            told = [arg.replace(str(place), str(path)) if isinstance(arg, str) else arg for arg in error.args]
            error.args = tuple(told)
        raise


def _is_within(name: Any, folder: pathlib.Path) -> bool:
    return isinstance(name, (str, os.PathLike)) and folder in (pathlib.Path(name), *pathlib.Path(name).parents)


@contextlib.contextmanager
def _told(place: str, path: str, is_quiet: bool) -> Iterator[None]:
    """What is printed within it names `path` for `place`, or is not printed."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        if not is_quiet:
            sys.stdout.write(printed.getvalue().replace(place, path))
