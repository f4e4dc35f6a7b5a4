"""The gallery's course: mix images by every blend in every setting, and put them on one page."""

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click
import numpy as np

from kmix_tf._writing import write_files
from kmix_tf.cli import pages
from kmix_tf.cli.gallery import mixtures, objects
from kmix_tf.cli.gallery.gathered import Gathered, gather
from kmix_tf.cli.gallery.images import Album, digit_album, folder_album, photograph_album
from kmix_tf.cli.places import writable_file
from kmix_tf.cli.terminal import escaped, progress, show


class Section(NamedTuple):
    """An album, its mixtures in all settings, how far apart partners are for each k, and mixtures of more samples."""

    album: Album
    groups: list[mixtures.Group]
    distances: dict[int, float]
    gathered: Sequence[Gathered] = ()


def run_gallery(out: str, images: str | None, seed: int, as_json: bool) -> None:
    """Makes the page, and says where it is; see the command's help."""
    path = writable_file(_page_at(out))
    albums = [photograph_album(seed), digit_album(seed)] if images is None else [folder_album(images, seed)]
    sections = _sections(albums, seed, as_json)
    # Of one's own images, nobody knows what objects are where.
    scenes = objects.mixed_scenes(seed) if images is None else []
    write_files({path: _page(sections, scenes, seed)})
    if as_json:
        click.echo(escaped(json.dumps(_summary(path, sections, seed))))
    else:
        show(f"{path}: {path.stat().st_size / 1e6:.1f} MB, to open in any browser.")


def _page_at(out: str) -> pathlib.Path:
    path = pathlib.Path(out)
    return path if path.suffix.lower() in (".html", ".htm") and not path.is_dir() else path / "gallery.html"


def _sections(albums: list[Album], seed: int, is_quiet: bool) -> list[Section]:
    shown = [(entry, setting) for entry in mixtures.BLENDS for setting in mixtures.SETTINGS]
    sections = []
    with progress("mixing", len(albums) * len(shown), is_quiet) as advance:
        for album in albums:
            rows, groups = mixtures.shown_rows(album, seed), []
            for entry, setting in shown:
                advance(0, f"{entry.title}, k = {setting.k}")
                groups.append(mixtures.make_group(album, entry, setting, rows, seed))
                advance()
            distances = mixtures.partner_distances(album, seed)
            sections.append(Section(album, groups, distances, gather(album, rows, seed)))
    return sections


def _page(sections: list[Section], scenes: list[objects.Row], seed: int) -> str:
    filters: dict[str, Callable[..., Any]] = {
        "png": _png,
        "shares": shares,
        "caption": caption,
        "parts_caption": parts_caption,
    }
    many = {"k": mixtures.GROUP, "interpolations": mixtures.INTERPOLATIONS}
    return pages.render("gallery.html", filters, sections=sections, scenes=scenes, seed=seed, **many)


def _png(image: np.ndarray) -> str:
    """A data URI of an image in [0, 1], `(height, width, channels)`."""
    return pages.png_uri(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))


def shares(share: float) -> tuple[str, str]:
    """The two label weights with two digits, whose sum is 1.00 as printed."""
    percent = round(100 * share)
    return f"{percent / 100:.2f}", f"{(100 - percent) / 100:.2f}"


def caption(mixture: mixtures.Mixture, names: list[str]) -> str:
    """What the label says: '0.62 flower + 0.38 china'."""
    own, other = shares(mixture.share)
    return f"{own} {names[mixture.sample]} + {other} {names[mixture.partner]}"


def parts_caption(parts: list[tuple[int, float]], names: list[str]) -> str:
    """What the label of a mixture of any number of samples says: '0.50 flower + 0.31 china + 0.19 flower'."""
    return " + ".join(f"{share:.2f} {names[row]}" for row, share in parts)


def _summary(path: pathlib.Path, sections: list[Section], seed: int) -> dict[str, Any]:
    rows = [
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
    gathered = [
        {
            "images": section.album.title,
            "blend": gathered.title,
            "code": gathered.code,
            "captions": [parts_caption(collage.parts, section.album.names) for collage in gathered.collages],
        }
        for section in sections
        for gathered in section.gathered
    ]
    return {"page": str(path), "bytes": path.stat().st_size, "seed": seed, "rows": rows, "gathered": gathered}
