"""Four directives of the cards in docs/methods: what code and measurements know, so that no page says it otherwise.

`{parameters} CutMixLayer`: arguments, defaults and their meaning, of the signature and the docstring.
`{compared}`, with a way of mixing in each line: what `results/compared` found of it.
`{cost}`, with a call in each line, such as `CutMixLayer()`: what the benchmarks say of it.
`{claims}`, with a page of `results/` in each line: how many of its claims hold.
"""

import inspect
import json
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sphinx.util.docutils import SphinxDirective

import kmix_tf

ROOT = pathlib.Path(__file__).parents[1]
CARDS = ROOT / "docs" / "methods"
PLAIN, MIXUP = "no mixup", "Input mixup"
_AS_IN = re.compile(r"^(?:default [^:;,]+; )?(?:also )?as in `(?:keras\.losses\.)?(\w+)`")
_ITEM = re.compile(r"^ {4}(\w[\w, ]*): (.*)")
_MEASURED = (
    "A batch: 128 images of 32x32x3, ms, and how many times `keras.layers.MixUp`. A step: of a small residual "
    "network, how many times plain `fit`; in brackets the middle half of all rounds, and what is below 1 is "
    "noise. On two cores, no accelerator. No number: not measured."
)


class Argument(NamedTuple):
    """name, default: as they are written; "" where there is none. text: what a docstring says of it. of: whose."""

    name: str
    default: str
    text: str
    of: str


def arguments(name: str) -> list[Argument]:
    """Those of a public class, in the order of its signature, but for what Keras adds and what `adapt` has learnt."""
    made = getattr(kmix_tf, name)
    given = list(inspect.signature(made.__init__).parameters.values())[1:]
    known = dict(_explained(name))
    return [
        Argument(one.name, "" if one.default is one.empty else repr(one.default), *known[one.name])
        for one in given
        if one.kind is not one.VAR_KEYWORD and one.name in known
    ]


def _explained(name: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Of each argument, what is said of it and where; where that is "as in `X`", what X says."""
    for names, text in _items(inspect.getdoc(getattr(kmix_tf, name)) or ""):
        found = _AS_IN.match(text)
        elsewhere = dict(_explained(found[1])) if found and hasattr(kmix_tf, found[1]) else {}
        for each in names:
            yield each, elsewhere.get(each, (text, name))


def _items(docstring: str) -> list[tuple[list[str], str]]:
    """The names and the text of each item of "Args"."""
    lines = re.sub(r"(\w,)\n +(?=\w+(?:, \w+)*: )", r"\1 ", docstring.partition("Args:\n")[2]).splitlines()
    found: list[tuple[list[str], str]] = []
    for line in lines:
        item = _ITEM.match(line)
        if line and not line.startswith(" "):
            break
        if item:
            found.append((item[1].split(", "), item[2]))
        elif line.strip() and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
    return found


def parameters_page(name: str) -> list[str]:
    """A table of what is of this class, and a folded one of what every mix takes."""
    own = [one for one in arguments(name) if one.of != "MixLayer" or name == "MixLayer"]
    shared = [one for one in arguments(name) if one not in own]
    lines = _table(("argument of " + _linked(name), "default", "what it is"), map(_of_argument, own))
    if shared:
        head = ("argument", "default", "what it is")
        lines += ["", ":::{dropdown} And what every mix takes", *_table(head, map(_of_argument, shared)), ":::"]
    return lines


def _of_argument(one: Argument) -> tuple[str, str, str]:
    return f"`{one.name}`", f"`{one.default}`" if one.default else "needed", _with_links(one.text)


def _with_links(text: str) -> str:
    """Names of ours lead to their pages."""
    return re.sub(r"`(\w+)`", lambda found: _linked(found[1]) if found[1] in kmix_tf.__all__ else found[0], text)


def _linked(name: str) -> str:
    return f"{{py:obj}}`{name} <kmix_tf.{name}>`"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    written = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in written]


def compared_page(ways: list[str]) -> list[str]:
    """Error and calibration error of ways of mixing, beside none and mixup, and whether less error is sure."""
    lines = []
    for page, title in (("digits", "300 digits"), ("photographs", "800 digits on photographs")):
        result = json.loads((ROOT / "results" / "compared" / f"{page}.json").read_text())
        verdicts = {claim["says"]: claim["verdict"] for claim in result["claims"]}
        shown = [PLAIN, MIXUP, *(way for way in ways if way != MIXUP)]
        rows = [(way, *_means(result, way), _verdict(verdicts, way)) for way in shown]
        head = (
            f"[{title}](../results/compared/{page}.md)",
            "error, %",
            "calibration error, %",
            "less error than none?",
        )
        lines += [*_table(head, rows), ""]
    return lines


def _means(result: dict, way: str) -> list[str]:
    cells = [seed["cells"][way] for seed in result["seeds"].values()]
    return [f"{sum(cell[key] for cell in cells) / len(cells):#.3g}" for key in ("error", "calibration")]


def _verdict(verdicts: dict[str, str], way: str) -> str:
    if way == PLAIN:
        return ""
    return {"holds": "yes", "does not": "no, more", "undecided": "undecided"}[
        verdicts[f"{way} has less error than {PLAIN}"]
    ]


def cost_page(calls: list[str]) -> list[str]:
    """What calls take of time, where it was measured."""
    sources = (_of_batch(), _of_step(), _of_epoch())
    rows = [(f"`{call}`", *(_cell(source, call) for source in sources)) for call in calls]
    for name, *cells in rows:
        if not any(cells):
            raise ValueError(f"no benchmark knows {name}")
    pages = ("mix_cost", "model_cost", "epoch_start")
    heads = ("a batch in the pipeline", "a step that mixes", "the start of an epoch; with its first batch")
    links = [f"[{head}](../benchmarks/{page}.md)" for head, page in zip(heads, pages, strict=True)]
    return [*_table(("", *links), rows), "", _MEASURED]


def _of_batch() -> dict[str, str]:
    measured = json.loads((ROOT / "benchmarks" / "mix_cost.json").read_text())["results"]["float32"]
    rows = measured["128 images 32x32x3"]
    return {name: f"{row['ms']:.1f} ms, {row['ratio']:.2f} times" for name, row in rows.items()}


def _of_step() -> dict[str, str]:
    tables = json.loads((ROOT / "benchmarks" / "model_cost.json").read_text())["results"]
    rows = {name: row for table in reversed(tables.values()) for name, row in table.items() if "ratio" in row}
    return {
        name: "{:.2f} times ({:.2f} to {:.2f})".format(row["ratio"], *row["quartiles"]) for name, row in rows.items()
    }


def _of_epoch() -> dict[str, str]:
    results = json.loads((ROOT / "benchmarks" / "epoch_start.json").read_text())["results"]
    firsts = results["with a batch"]
    return {name: f"{row['ms']:.0f} ms, {firsts[name]['ms']:.0f}" for name, row in results["iterator"].items()}


def _cell(measured: dict[str, str], call: str) -> str:
    """What was measured of a call, with what its name says besides: "per mixture", "two passes"."""
    for name, shown in measured.items():
        besides = re.fullmatch(
            re.escape(call) + r"(?:[:,] (per mixture|on the host|.* passes|.* x the batch))?", name
        )
        if besides:
            return f"{shown} ({besides[1]})" if besides[1] else shown
    return ""


def claims_page(pages: list[str]) -> list[str]:
    """How many claims of pages of results hold, with a link to each."""
    text, rows = (ROOT / "RESULTS.md").read_text(), []
    for page in pages:
        found = re.search(
            rf"^### (.*)\n\n\[.*\]\(results/{re.escape(page)}\.md\).*\n\n((?:\|.*\n)+)", text, re.MULTILINE
        )
        if found is None:
            raise ValueError(f"RESULTS.md knows no results/{page}.md")
        counts = (str(found[2].count(f"| **{verdict}** |")) for verdict in ("holds", "does not", "undecided"))
        rows.append((f"[{found[1]}](../results/{page}.md)", *counts))
    return _table(("claims of", "hold", "do not", "undecided"), rows)


def card_of() -> dict[str, str]:
    """By public name, the card that lists its arguments."""
    return {
        name: f"methods/{page.stem}"
        for page in sorted(CARDS.glob("*.md"))
        for name in re.findall(r"^```\{parameters\} (\w+)$", page.read_text(), re.MULTILINE)
    }


class _Directive(SphinxDirective):
    """Markdown made of the lines that a page gives."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    files: tuple[str, ...] = ()

    def made(self, lines: list[str]) -> list[str]:
        raise NotImplementedError

    def run(self):
        for file in self.files:
            self.env.note_dependency(str(ROOT / file))
        lines = self.made([*self.arguments, *self.content])
        return self.parse_text_to_nodes("\n".join(lines))


def _directive(page, *files: str) -> type[_Directive]:
    return type("Card", (_Directive,), {"made": lambda self, lines: page(lines), "files": files})


def setup(app) -> None:
    app.add_directive("parameters", _directive(lambda lines: parameters_page(lines[0])))
    compared = [f"results/compared/{page}.json" for page in ("digits", "photographs")]
    app.add_directive("compared", _directive(compared_page, *compared))
    app.add_directive(
        "cost", _directive(cost_page, *(f"benchmarks/{file}" for file in ("mix_cost.json", "model_cost.json")))
    )
    app.add_directive("claims", _directive(claims_page, "RESULTS.md"))
