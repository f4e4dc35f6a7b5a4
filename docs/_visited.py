"""The built site as a visitor finds it: no link leads nowhere, images have words, questions have answers nearby."""

import html.parser
import pathlib
import re
import urllib.parse

# What somebody asks who has never seen the project, and where the answer is: a page, or a section of one.
ANSWERS = {
    "Which mix for my table?": "guides/tables.html",
    "Why is my training accuracy low?": "faq.html#why-is-my-training-accuracy-low",
    "How do I use class weights?": "guides/imbalance.html",
    "Does it work with JAX?": "guides/back_ends.html",
    "How do I resume?": "guides/resuming.html",
    "What does it cost?": "costs.html",
    "What did you reproduce?": "reproduced.html",
}
CLICKS = 2


class _Page(html.parser.HTMLParser):
    """Its anchors, links and images; `links` holds those of the text, without menus."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.all_links: list[str] = []
        self.links: list[str] = []
        self.images: list[tuple[str, str | None]] = []
        self._depth = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self._depth += tag == "article"
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.all_links.append(found["href"])
            self.links += [found["href"]] if self._depth else []
        if tag == "img":
            self.images.append((found.get("src") or "", found.get("alt")))

    def handle_endtag(self, tag):
        self._depth -= tag == "article"


def faults(site: pathlib.Path) -> list[str]:
    """What is wrong, a sentence each."""
    pages = {_name(file, site): _Page(file.read_text()) for file in sorted(site.rglob("*.html"))}
    return [*_broken_links(pages, site), *_poor_images(pages, site), *_far_answers(pages)]


def _name(file: pathlib.Path, site: pathlib.Path) -> str:
    return file.relative_to(site).as_posix()


def _target(page: str, link: str) -> tuple[str, str] | None:
    """Page and anchor; None of other sites."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    path = urllib.parse.unquote(urllib.parse.urljoin(page, parts.path)) if parts.path else page
    return path.lstrip("/") or "index.html", urllib.parse.unquote(parts.fragment)


def _broken_links(pages: dict[str, _Page], site: pathlib.Path) -> list[str]:
    found = []
    for name, page in pages.items():
        for link in dict.fromkeys(page.all_links):
            target = _target(name, link)
            if target is None:
                continue
            path, anchor = target
            if not (site / path).is_file():
                found.append(f"{name} links to {link}, which is no file.")
            elif anchor and path in pages and anchor not in pages[path].anchors:
                found.append(f"{name} links to {link}, but {path} has no such place.")
    return found


def _poor_images(pages: dict[str, _Page], site: pathlib.Path) -> list[str]:
    found = []
    for name, page in pages.items():
        for source, words in page.images:
            target = _target(name, source)
            if target is not None and not (site / target[0]).is_file():
                found.append(f"{name} shows {source}, which is no file.")
            # Where nobody wrote words, Sphinx takes the file's name for them. A thumbnail stands beside its
            # title, and whoever hears the page would hear it twice.
            is_thumbnail = words == "" and re.search(r"/sphx_glr_\w+_thumb\.\w+$", source)
            has_words = (words or "").strip() and not re.search(r"\.(png|svg|jpe?g|gif)$", words)
            if not has_words and not is_thumbnail:
                found.append(f"{name} shows {source} without words for who cannot see it.")
    return found


def _far_answers(pages: dict[str, _Page]) -> list[str]:
    near = _within(pages, "index.html", CLICKS)
    found = []
    for question, place in ANSWERS.items():
        page, _, anchor = place.partition("#")
        if page not in near:
            found.append(f"{question} {page} is not within {CLICKS} clicks of the front page.")
        elif anchor and anchor not in pages[page].anchors:
            found.append(f"{question} {page} has no place {anchor}.")
    return found


def _within(pages: dict[str, _Page], start: str, clicks: int) -> set[str]:
    """Pages that so many clicks on links of the text reach."""
    near = {start}
    for _ in range(clicks):
        links = {(name, link) for name in near & pages.keys() for link in pages[name].links}
        near |= {target[0] for target in (_target(*each) for each in links) if target is not None}
    return near & pages.keys()
