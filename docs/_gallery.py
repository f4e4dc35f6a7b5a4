"""The gallery: examples/ in sections by need, run at build, with links to and from the pages that speak of them."""

import pathlib
import re
import shutil
import warnings

import _learnt

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Examples are copied here and run here, so that what they write does not lie among them.
COPY = DOCS / "_build" / "examples"

# What cannot be installed beside the newest TensorFlow: the tests of other environments run these. Their pictures are
# what they draw there; what each shows is said for those who cannot see it.
ELSEWHERE = {
    "addons_pipeline": "Three rows of digits: as they are; turned and cut out; mixed after that",
    "torch_dataloader": "Two rows of digits: as the loader gives them, and mixed",
}

_ROW = re.compile(r"^   \* - (.+)\n     - (.+)$", re.M)
_SCRIPT = re.compile(r"`([^`<]+) <(\w+)\.py>`__")
_LINK = re.compile(r"\]\((?:\.\./)+examples/(\w+)\.py\)")
_PRINTED = re.compile(r"^\.\. rst-class:: sphx-glr-script-out\n\n \.\. code-block:: none\n((?:\n| {4}.*)+)", re.M)
_DOWNLOAD = "\n.. _sphx_glr_download_"


def sections(readme: str) -> dict[str, list[str]]:
    """Names of examples by what the reader has, in the order of the README's table."""
    rows = {head: [name for _, name in _SCRIPT.findall(cell)] for head, cell in _ROW.findall(readme)}
    return {head: names for head, names in rows.items() if names}


def folder_of(head: str) -> str:
    return re.sub(r"\W+", "_", head.lower())


README = (ROOT / "examples" / "README.rst").read_text()
SECTIONS = sections(README)
PAGES = {name: f"/gallery/{folder_of(head)}/{name}" for head, names in SECTIONS.items() for name in names}


class AsListed:
    """The order of examples in a section; sphinx-gallery imports it by name."""

    def __init__(self, folder):
        pass

    def __call__(self, file):
        return list(PAGES).index(pathlib.Path(file).stem)


def copy():
    """The examples, a folder for each section, with the README's links as links of the site."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    (COPY / "README.rst").write_text(header(README))
    for head, names in SECTIONS.items():
        folder = COPY / folder_of(head)
        folder.mkdir()
        (folder / "README.rst").write_text(f"{head}\n{'-' * len(head)}\n")
        for name in names:
            (folder / f"{name}.py").write_text((ROOT / "examples" / f"{name}.py").read_text() + _thumbnail(name))


def header(readme: str) -> str:
    linked = _SCRIPT.sub(lambda link: f":doc:`{link[1]} <{PAGES[link[2]]}>`", readme)
    return linked.replace("`distributed <distributed>`__", ":doc:`Many workers </guides/many_workers>`")


def _thumbnail(name: str) -> str:
    return f'\n# sphinx_gallery_thumbnail_path = "_static/gallery/{name}.png"\n' if name in ELSEWHERE else ""


def fresh(gallery_conf, file):
    """Before each example: no layer of another one has taken a name, and no figure is open."""
    import keras
    import matplotlib.pyplot as plt

    # Keras says so of each dataset that it fits.
    warnings.filterwarnings("ignore", message=".*shuffle=True. was passed")
    keras.backend.clear_session()
    plt.close("all")


def printed(page: str) -> str:
    """All that an example printed, from its page in the gallery."""
    return "\n".join(line[4:] for block in _PRINTED.findall(page) for line in block.splitlines())


def check(app):
    """What examples printed is what they should: else the build fails."""
    for name, page in PAGES.items():
        if name not in ELSEWHERE:
            _learnt.check(name, printed((DOCS / f"{page[1:]}.rst").read_text()))


def with_links(app, page, source):
    """Pages that name a file of examples/ lead to its page, and that leads back to them."""
    if page.startswith("gallery/"):
        source[0] = source[0].replace(_DOWNLOAD, "\n" + _foot(page.split("/")[-1]) + _DOWNLOAD, 1)
    else:
        source[0] = _LINK.sub(lambda link: f"]({PAGES[link[1]]}.rst)", source[0])


def _foot(name: str) -> str:
    """What is said below an example: its picture, where it was run elsewhere, and what to read on."""
    picture = f".. image:: /_static/gallery/{name}.png\n   :alt: {ELSEWHERE[name]}\n\n" if name in ELSEWHERE else ""
    guides = ", ".join(f":doc:`/{page}`" for page in speaking_of(name))
    return picture + (f"Read on: {guides}.\n" if guides else "")


def speaking_of(name: str) -> list[str]:
    """Pages written by hand that link an example."""
    pages = sorted([*DOCS.glob("*.md"), *DOCS.glob("guides/*.md")])
    found = [page for page in pages if name in _LINK.findall(page.read_text())]
    return [str(page.relative_to(DOCS).with_suffix("")) for page in found]
