"""The page: one file of HTML, with all images in it."""

import base64
import html
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf.cli.gallery.blends import GROUP, INTERPOLATIONS
from kmix_tf.cli.gallery.images import Album
from kmix_tf.cli.gallery.mixtures import Group, Mixture

_STYLE = """
:root { color-scheme: light dark; --soft: #f2f2f0; --line: #d8d8d4; --faint: #62625e; }
@media (prefers-color-scheme: dark) { :root { --soft: #262624; --line: #444440; --faint: #a8a8a2; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .3rem; }
h3 { font-size: 1.15rem; margin: 0; }
h4 { font-size: .95rem; margin: 1.1rem 0 .2rem; }
p { margin: .3rem 0 .6rem; }
article { border: 1px solid var(--line); border-radius: .6rem; padding: .9rem; margin: 1rem 0; }
code { display: block; font-size: .8rem; background: var(--soft); padding: .3rem .5rem; border-radius: .3rem;
  overflow-wrap: anywhere; }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.4rem, 1fr)); gap: .6rem; margin-top: .5rem;
  max-width: 44rem; }
figure { margin: 0; }
figure img { display: block; width: 100%; aspect-ratio: 1; border-radius: .25rem; outline: 1px solid var(--line); }
figcaption { font-size: .75rem; line-height: 1.2; padding-top: .2rem; color: var(--faint); }
figcaption span { display: flex; align-items: center; gap: .2rem; margin-top: .15rem; overflow-wrap: anywhere; }
figcaption b { flex: none; width: 2.55rem; text-align: right; font-weight: normal; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
i { flex: none; width: 1.1rem; height: 1.1rem; border-radius: .15rem; background-size: cover; }
.pixels img, .pixels i { image-rendering: pixelated; }
@media (max-width: 30rem) { body { padding: .6rem; } article { padding: .6rem; } }
.note { color: var(--faint); font-size: .9rem; }
"""


class Section(NamedTuple):
    """An album, its mixtures in all settings, and how far apart partners are for each k."""

    album: Album
    groups: list[Group]
    distances: dict[int, float]


def png(image: np.ndarray) -> str:
    """A data URI of an image in [0, 1], `(height, width, channels)`."""
    pixels = tf.cast(tf.round(tf.clip_by_value(image, 0, 1) * 255), tf.uint8)
    return "data:image/png;base64," + base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()


def shares(share: float) -> tuple[str, str]:
    """The two label weights with two digits, whose sum is 1.00 as printed."""
    percent = round(100 * share)
    return f"{percent / 100:.2f}", f"{(100 - percent) / 100:.2f}"


def caption(mixture: Mixture, names: list[str]) -> str:
    """What the label says: '0.62 flower + 0.38 china'."""
    own, other = shares(mixture.share)
    return f"{own} {names[mixture.sample]} + {other} {names[mixture.partner]}"


def render(sections: list[Section], seed: int) -> str:
    """The whole page."""
    thumbnails = "\n".join(_thumbnails(number, section) for number, section in enumerate(sections))
    body = "\n".join(_section(number, section) for number, section in enumerate(sections))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>What each mixup does to images</title>
<style>{_STYLE}{thumbnails}
</style>
</head>
<body>
<h1>What each mixup does to images</h1>
<p>Each picture is a mixture of a sample and its partner, made by <b>kmix_tf</b>. Below it are the weights of both in
its label, which the layer gives along with the image. The samples on show are the same for all blends.</p>
<p><b>k</b> says who meets whom. With k = 1, partners are random; with k = {GROUP}, groups of {GROUP} are matched by
optimal transport, so that a sample meets one that looks like it.
<b>interpolations = {INTERPOLATIONS}</b> makes {INTERPOLATIONS} mixtures of each pair, from near the sample to near
its partner; masks and boxes are nested.</p>
<p>The line above each row is what made it, with <code>images</code> of shape (batch, height, width, channels) and
one-hot <code>labels</code>; for integer labels, say <code>num_classes=</code> as well.</p>
{body}
<p class="note">Seed {seed}: <code>kmix-tf gallery --seed {seed}</code></p>
</body>
</html>
"""


def _thumbnails(number: int, section: Section) -> str:
    """A rule of style for each image that captions show, so that it is in the file once."""
    used = {row for group in section.groups for each in group.mixtures for row in (each.sample, each.partner)}
    return "\n".join(
        f".t{number}-{row} {{ background-image: url({png(section.album.images[row])}); }}" for row in sorted(used)
    )


def _section(number: int, section: Section) -> str:
    album = section.album
    near = ", ".join(f"{distance:.2f} with k = {k}" for k, distance in section.distances.items())
    articles, entries = [], dict.fromkeys(group.entry for group in section.groups)
    for entry in entries:
        groups = [_group(number, group, album) for group in section.groups if group.entry == entry]
        heading = f"<h3>{entry.title}</h3>\n<p>{html.escape(entry.explanation)}</p>"
        articles.append("\n".join(["<article>", heading, *groups, "</article>"]))
    pixels = ' class="pixels"' if max(album.images.shape[1:3]) < 32 else ""
    return "\n".join(
        [
            f"<section{pixels}>",
            f"<h2>{html.escape(album.title)}</h2>",
            f'<p class="note">A batch of {len(album.images)}. Partners differ by {near} '
            "(root mean square over pixels from 0 to 1).</p>",
            *articles,
            "</section>",
        ]
    )


def _group(number: int, group: Group, album: Album) -> str:
    k, interpolations = group.setting
    partners = "random partners" if k == 1 else f"partners matched in groups of {k}"
    times = "one mixture of each pair" if interpolations == 1 else f"{interpolations} mixtures of one pair"
    figures = "\n".join(_figure(number, mixture, album) for mixture in group.mixtures)
    return (
        f"<h4>k = {k}, interpolations = {interpolations}: {partners}, {times}</h4>\n"
        f'<code>{html.escape(group.code)}</code>\n<div class="row">\n{figures}\n</div>'
    )


def _figure(number: int, mixture: Mixture, album: Album) -> str:
    own, other = (
        f'{share}</b> <i class="t{number}-{row}"></i> {html.escape(album.names[row])}'
        for share, row in zip(shares(mixture.share), (mixture.sample, mixture.partner), strict=True)
    )
    text = html.escape(caption(mixture, album.names))
    return (
        f'<figure><img src="{png(mixture.image)}" alt="{text}" />'
        f"<figcaption><span><b>{own}</span> <span><b>+ {other}</span></figcaption></figure>"
    )
