"""Names that come from data: none commands a terminal or a browser, or looks like a line of ours."""

import io
import json
import os
import re

import numpy as np
from rich.console import Console

from kmix_tf.cli import main, terminal
from kmix_tf.cli.audit.report import strict_json
from kmix_tf.cli.gallery import images, mixtures, showing

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")
HOSTILE = "a\x1b[2J\x1b]0;title\a\x9b31m\x7f\u202eb\u061c"


def test_no_name_of_the_data_commands_a_terminal_by_text_page_or_json(tmp_path, capsys):
    generator = np.random.default_rng(0)
    rows = [f'{a},{b},"{HOSTILE}{i % 2}"' for i, (a, b) in enumerate(generator.normal(size=(30, 2)).tolist())]
    path = tmp_path / "t\x1b[31m.csv"
    path.write_text("\n".join([f'"{HOSTILE}","b\nVerdict: safe",y', *rows]), encoding="utf-8")
    for option in ([], ["--json"]):
        assert main(["audit", "--no-trial", str(path), "--out", str(tmp_path / "out"), *option]) == 0
        printed = capsys.readouterr()
        assert not CONTROLS.search(printed.out + printed.err)
    names = [f"{HOSTILE}{i}" for i in range(2)]
    # The values are the data's own.
    assert json.loads(printed.out)["data"]["classes"] == names
    text = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    assert not CONTROLS.search(text) and json.loads(text)["data"]["classes"] == names
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert not CONTROLS.search(page) and r"a\x1b[2J" in page and r"\u202eb" in page


def test_no_name_of_an_image_commands_a_browser_or_cannot_be_written(tmp_path):
    names = [HOSTILE, os.fsdecode(b"\xff\xfe")]
    album = images.Album("\x1b[31mtitle", np.zeros((2, 4, 4, 3), np.float32), names)
    mixture = mixtures.Mixture(album.images[0], 0, 1, 0.5)
    group = mixtures.Group(mixtures.BLENDS[0], mixtures.SETTINGS[0], "code", [mixture])
    page = showing._page([showing.Section(album, [group], {1: 0.5})], [], 0)
    assert not CONTROLS.search(page) and page.encode("utf-8") and r"\udcff\udcfe" in page and r"\x1b[31mtitle" in page


def test_what_a_progress_bar_says_commands_no_terminal(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(terminal, "console", lambda is_error: Console(file=shown, force_terminal=True, width=80))
    with terminal.progress(HOSTILE, 2, is_quiet=False) as advance:
        advance(1, f"then\n{HOSTILE}")
        advance(1)
    # The bar has its own, but not those.
    assert "\x1b[2J" not in shown.getvalue() and "\x1b]0;" not in shown.getvalue() and "\a" not in shown.getvalue()
    assert r"\x1b[2J" in shown.getvalue() and r"then\na" in shown.getvalue()


def test_a_name_of_two_lines_stays_in_its_cell():
    lines = terminal.written(terminal.Grid(["k", "a\nb"], [["1", "x\ny"]])).splitlines()
    assert next(line for line in lines if "x" in line).count("|") == 3 and r"x\ny" in "".join(lines)


def test_json_escapes_what_a_terminal_would_obey_and_changes_no_value():
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10000)]))
    for ascii_only in (False, True):
        text = strict_json({"name": every}, ascii_only)
        assert json.loads(text) == {"name": every} and not CONTROLS.search(text)


def test_numbers_keep_their_signs_on_a_terminal_that_knows_few_letters():
    for encoding in ("ascii", "cp1252"):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        to = Console(file=file, width=100, markup=False, highlight=False)
        terminal.show("\u22122.05 \u00b1 0.1, \u2013", terminal.Grid(["", "n"], [["a", "\u22123"]]), to=to)
        file.flush()
        shown = file.buffer.getvalue().decode(encoding)
        assert shown.startswith("-2.05 +/- 0.1, -\n") and "-3" in shown and "?" not in shown
