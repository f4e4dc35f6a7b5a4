"""What was measured lies beside what measures it. It belongs to the site as well, where each build copies it."""

import pathlib
import re
import shutil

# A page of each folder that lists the others; folders that are copied whole, without code and data.
FOLDERS = ("results", "benchmarks")
KEPT = {".md", ".png"}
_LINK = re.compile(r"(?<!!)\[([^\[\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def copy(root: pathlib.Path, docs: pathlib.Path) -> None:
    """Copies pages and figures from the checkout into the site's source, where git ignores them."""
    for folder in FOLDERS:
        shutil.rmtree(docs / folder, ignore_errors=True)
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in KEPT and "quick" not in file.relative_to(root).parts:
                _copy(file, docs / file.relative_to(root), "---\norphan: true\n---\n\n")
    _copy(root / "RESULTS.md", docs / "reproduced.md")
    _copy(root / "CHANGELOG.md", docs / "changelog.md")
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        _write(docs / "notebooks" / file.name, _seen_from_the_site(file.read_text()))


def _copy(file: pathlib.Path, to: pathlib.Path, head: str = "") -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".md":
        to.write_text(head + _only_links_of_the_site(file.read_text(), file.parent))
    else:
        shutil.copyfile(file, to)


def _write(file: pathlib.Path, text: str) -> None:
    """Leaves a file that is as it should be: a notebook that has not changed is not run again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def _seen_from_the_site(text: str) -> str:
    """Links of a notebook, which lead from its folder in the checkout to the pages."""
    return text.replace("](../docs/", "](../").replace("](../RESULTS.md)", "](../reproduced.md)")


def _only_links_of_the_site(text: str, folder: pathlib.Path) -> str:
    """Links to code and data are names there: the site has no such pages."""

    def kept(link: re.Match) -> str:
        inside = pathlib.PurePath(link[2]).suffix in KEPT and (folder / link[2]).exists()
        return link[0] if inside else link[1]

    return _LINK.sub(kept, text)
