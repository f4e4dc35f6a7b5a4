"""What is written takes the place of what was there once it is whole; if that fails, the old stays, and no litter."""

import errno
import os
import pathlib
import stat

import pytest

from kmix_tf import _writing
from kmix_tf._writing import replacing, write_files


class Full(OSError):
    """A disk without room, as Python tells it in the middle of a file: without a name."""

    def __init__(self):
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tree(folder):
    """All that is in a folder, hidden files too: contents by path, None for folders."""
    paths = sorted(pathlib.Path(folder).rglob("*"))
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in paths}


def test_files_are_written_with_the_permissions_of_new_files_or_of_those_they_replace(tmp_path):
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o640)
    before = os.umask(0o027)
    try:
        write_files({tmp_path / "old": "new é", tmp_path / "b" / "c" / "new": b"\xff"})
    finally:
        os.umask(before)
    assert tree(tmp_path) == {"old": "new é".encode(), "b": None, "b/c": None, "b/c/new": b"\xff"}
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("old", "b/c/new", "b")]
    assert modes == [0o640, 0o640, 0o750]


@pytest.mark.parametrize("which", [0, 1])
def test_of_several_files_all_or_none_are_written_and_the_error_names_the_one(which, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    before, written = tree(tmp_path), []
    write = pathlib.Path.write_text

    def full(path, text, **options):
        written.append(path)
        write(path, text[:1], **options)
        if len(written) > which:
            raise Full()
        return write(path, text, **options)

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(OSError) as caught:
        write_files({tmp_path / "a": "new", tmp_path / "b": "new", tmp_path / "c" / "d": "new"})
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "ab"[which])
    assert tree(tmp_path) == before
    # Nothing was ever written where it was to stand.
    assert all(path.parent != tmp_path for path in written)


def test_a_file_is_written_where_its_link_leads_and_one_that_may_not_be_written_stays(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    write_files({tmp_path / "link": "new"})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "file").read_text() == "new"
    with pytest.raises(IsADirectoryError, match="there"):
        write_files({tmp_path / "there": "new"})
    (tmp_path / "link").write_text("kept")
    (tmp_path / "there" / "file").chmod(0o444)
    if not os.access(tmp_path / "link", os.W_OK):  # root may write anywhere
        with pytest.raises(PermissionError):
            write_files({tmp_path / "link": "new"})
        assert (tmp_path / "link").read_text() == "kept"


@pytest.mark.parametrize("fails", range(4))
@pytest.mark.parametrize("error", [Full, KeyboardInterrupt])
def test_a_rename_that_fails_or_is_interrupted_undoes_those_before(fails, error, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    before, rename, done = tree(tmp_path), os.rename, []

    def sometimes(*paths):
        done.append(paths)
        if len(done) == fails + 1:
            raise error()
        rename(*paths)

    monkeypatch.setattr(os, "rename", sometimes)
    with pytest.raises(error if error is KeyboardInterrupt else OSError):
        write_files({tmp_path / "a": "new", tmp_path / "b": "new"})
    assert tree(tmp_path) == before and len(done) > fails


def test_what_could_not_be_brought_back_is_not_thrown_away(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("old")
    rename, done = os.rename, []

    def gone(*paths):
        done.append(paths)
        if len(done) > 2:
            raise Full()
        rename(*paths)

    monkeypatch.setattr(os, "rename", gone)
    with pytest.raises(OSError):
        write_files({tmp_path / "a": "new", tmp_path / "b": "new"})
    assert sorted(filter(None, tree(tmp_path).values())) == [b"old", b"old"]


def test_the_folder_beside_is_on_the_same_file_system(tmp_path, monkeypatch):
    """Else renaming would copy, which may fail half-way. Of a folder that is there, the parent need not be ours."""
    (tmp_path / "there").mkdir()
    with replacing(tmp_path / "there") as place:
        assert (tmp_path / "there") in pathlib.Path(place).parents
        pathlib.Path(place).mkdir()
        assert not set(os.listdir(tmp_path / "there")) - {pathlib.Path(place).parent.name}
        assert stat.S_IMODE(pathlib.Path(place).parent.stat().st_mode) == 0o700
    with replacing(tmp_path / "new") as place:
        assert pathlib.Path(place).parent.parent == tmp_path
        pathlib.Path(place).write_text("")
    assert _writing._PREFIX not in "".join(tree(tmp_path))
