"""Our docstrings in the forms that napoleon reads: what it would take for an odd paragraph is written out for it."""

import re

# Sections that napoleon parses by itself; in all other text, "name: words" with deeper lines below is an item.
_PARSED = {"Args:", "Attributes:", "Returns:", "Raises:", "Yields:", "Example:", "Examples:"}
_NAMES_GO_ON = re.compile(r"^\s+(\w+, )+\w+,$")
_ITEM = re.compile(r"^\s*([a-z_][\w, ]*): \S")
_HEADER = re.compile(r"^[A-Z]\w+:$")
_SOURCE = re.compile(r"^Source: ")


def for_napoleon(lines: list[str]) -> list[str]:
    """The lines of a docstring, rewritten."""
    lines = [line if ">>>" in line else line.replace("|", r"\|") for line in lines]
    return _items(_paragraphs(_whole_names(lines)))


def _whole_names(lines: list[str]) -> list[str]:
    """Names of arguments that go on in the next line, in one: "a, b,\n    c: words"."""
    out: list[str] = []
    for line in lines:
        if out and _NAMES_GO_ON.match(out[-1]):
            out[-1] += " " + line.strip()
        else:
            out.append(line)
    return out


def _paragraphs(lines: list[str]) -> list[str]:
    """ "Source: ..." is one paragraph, however its further lines are indented."""
    out: list[str] = []
    in_source = False
    for line in lines:
        in_source = bool(_SOURCE.match(line)) or (in_source and line.startswith(" "))
        out.append(_SOURCE.sub("**Source:** ", line.lstrip()) if in_source else line)
    return out


def _items(lines: list[str]) -> list[str]:
    """Items outside of parsed sections, as a list."""
    out: list[str] = []
    section, depth = "", None
    for number, line in enumerate(lines):
        if _HEADER.match(line):
            section = line
        elif line and not line.startswith(" "):
            section = ""
        indent = len(line) - len(line.lstrip())
        if section in _PARSED or not line.strip():
            depth = depth if line.strip() == "" and section not in _PARSED else None
            out.append(line)
        elif _begins_item(lines, number, depth, indent):
            if depth is None and out and out[-1].strip():
                out.append("")
            depth = indent
            out.append(" " * indent + "- " + line.strip())
        elif depth is not None and indent > depth:
            out.append(" " * (depth + 2) + line.strip())
        else:
            if depth is not None and out[-1].strip():
                out.append("")
            depth = None
            out.append(line)
    return out


def _begins_item(lines: list[str], number: int, depth: int | None, indent: int) -> bool:
    """Whether a line is "name: words" and belongs to a list: a deeper line follows, or an item stood before."""
    if not _ITEM.match(lines[number]):
        return False
    if depth is not None:
        return indent == depth
    following = [line for line in lines[number + 1 : number + 8] if line.strip()]
    for line in following:
        deeper = len(line) - len(line.lstrip())
        if deeper > indent:
            return True
        if deeper < indent or not _ITEM.match(line):
            return False
    return False
