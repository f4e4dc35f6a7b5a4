"""The gallery's command line and its course."""

import argparse
import json
import pathlib
from typing import Any

from kmix_tf import _extras
from kmix_tf.cli.gallery.images import Album, GalleryError, load_digits, load_folder, load_photographs
from kmix_tf.cli.gallery.mixtures import all_settings, distances, make_group, shown_rows
from kmix_tf.cli.gallery.page import Section, caption, render


def add_parser(commands: Any) -> None:
    """Adds `gallery` to the commands of `kmix-tf`."""
    parser = commands.add_parser(
        "gallery",
        help="show what each blend makes of real images, on one page",
        description="Mixes real images by every blend, with random and with matched partners, with one and with "
        "several mixtures of each pair, and writes them to one page with their labels' weights and the code that "
        "made them. The page needs nothing but itself.",
    )
    parser.add_argument(
        "--out", default="gallery.html", metavar="FILE.html|DIR", help="the page, or its folder (gallery.html)"
    )
    parser.add_argument(
        "--images", metavar="FOLDER", help="your own images, named by their subfolders; default: scikit-learn's"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON only, no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Makes the gallery; 0 on success."""
    if not 0 <= arguments.seed < 2**31:
        raise GalleryError(f"--seed must be from 0 to {2**31 - 1}. Received: {arguments.seed}.")
    path = _writable(arguments.out)
    albums = _albums(arguments)
    sections = _sections(albums, arguments.seed, arguments.json)
    path.write_text(render(sections, arguments.seed), encoding="utf-8")
    if arguments.json:
        print(json.dumps(_summary(path, sections, arguments.seed)))
    else:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, to open in any browser.")
    return 0


def _writable(out: str) -> pathlib.Path:
    """The page's path, whose folder exists and may be written to: known before minutes of work, not after.

    Raises:
        GalleryError: if it cannot be.
    """
    path = pathlib.Path(out)
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        path = path / "gallery.html"
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        raise GalleryError(f"--out: {path} cannot be written ({error.strerror}).") from error
    return path


def _albums(arguments: argparse.Namespace) -> list[Album]:
    if arguments.images is not None:
        return [load_folder(arguments.images, arguments.seed)]
    return [load_photographs(arguments.seed), load_digits(arguments.seed)]


def _sections(albums: list[Album], seed: int, is_quiet: bool) -> list[Section]:
    tqdm = _extras.require("tqdm", "examples", "kmix-tf gallery").tqdm
    sections = []
    with tqdm(total=len(albums) * len(all_settings()), unit="row", disable=is_quiet) as bar:
        for album in albums:
            rows, groups = shown_rows(album, seed), []
            for entry, setting in all_settings():
                bar.set_description(f"{entry.title}, k = {setting.k}")
                groups.append(make_group(album, entry, setting, rows, seed))
                bar.update()
            sections.append(Section(album, groups, distances(album, seed)))
        bar.set_description("done")
    return sections


def _summary(path: pathlib.Path, sections: list[Section], seed: int) -> dict[str, Any]:
    mixtures = [
        {
            "images": section.album.title,
            "blend": group.entry.title,
            "k": group.setting.k,
            "interpolations": group.setting.interpolations,
            "code": group.code,
            "captions": [caption(mixture, section.album.names) for mixture in group.mixtures],
        }
        for section in sections
        for group in section.groups
    ]
    return {"page": str(path), "bytes": path.stat().st_size, "seed": seed, "rows": mixtures}
