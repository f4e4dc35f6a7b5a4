"""Files that stay in the folder that somebody named: one from elsewhere must not show others of this disk."""

import pathlib
from collections.abc import Iterable

from kmix_tf.cli.terminal import UserError


def refuse_links_out(folder: pathlib.Path, entries: Iterable[pathlib.Path]) -> None:
    """Refuses links among them that lead out of the folder; what it is itself reached by may be one.

    Raises:
        UserError: naming the link.
    """
    real = folder.resolve()
    for entry in entries:
        if entry.is_symlink() and not entry.resolve().is_relative_to(real):
            raise UserError(
                f"{entry} is a link that leads out of {folder}, where other files than these data may be. Take it "
                "out, or put a copy in its place (cp -rL) if it is meant."
            )


def within(folder: pathlib.Path, name: object) -> pathlib.Path:
    """A file of that folder by its mere name, as another file gives it.

    Raises:
        ValueError: for a path, or what is no name.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or pathlib.PurePath(name).name != name:
        raise ValueError(f"a file of it must be named without its folder. Received: {name!r}")
    return folder / name
