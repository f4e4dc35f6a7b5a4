"""What is common to all commands: help, one line for what is wrong, plain text for pipes, bars for who watches."""

import json
import sys

import numpy as np
import pytest

from kmix_tf.cli import main, pages, terminal

# Words, a table and a bar that says where it is, as a command shows them. One stream, or none, is a terminal, others
# are pipes; each is read while it is written, for it holds only so much.
SHOWN = """
import json, os, pty, sys, threading
os.environ.update(TERM="xterm-256color", COLUMNS="80")
for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(name, None)
terminal, is_quiet = json.loads(sys.argv[1])
told, readers, answer = {1: [], 2: []}, [], os.fdopen(os.dup(1), "w")

def read(end, parts):
    try:
        while part := os.read(end, 65536):
            parts.append(part)
    except OSError:  # Linux says so of a terminal of which nothing is left.
        pass

for stream in told:
    ours, theirs = pty.openpty() if stream == terminal else os.pipe()
    os.dup2(theirs, stream)
    os.close(theirs)
    readers.append(threading.Thread(target=read, args=(ours, told[stream])))
    readers[-1].start()
sys.stdout, sys.stderr = (open(stream, "w", encoding=sys.stdout.encoding, closefd=False) for stream in told)

from kmix_tf.cli.terminal import Grid, heading, progress, show
with progress("reading [red]x", 3, is_quiet) as advance:
    advance(2, "measuring")
    advance()
show(heading("Verdict"), "[bold]a[/bold] :smile: \\x1b[31mred", Grid(["k", "share"], [["1", "5 % ± 1"]]))

for stream, file in ((1, sys.stdout), (2, sys.stderr)):
    file.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
for reader in readers:
    reader.join()
json.dump([b"".join(parts).decode() for parts in told.values()], answer)
answer.flush()
"""


@pytest.fixture
def shown(elsewhere):
    """`shown(terminal, is_quiet)`: what comes on stdout and stderr where stream 1 or 2, or neither, is a terminal."""
    return lambda terminal, is_quiet=False: json.loads(elsewhere(SHOWN, json.dumps([terminal, is_quiet])))


def test_a_pipe_gets_plain_text_and_no_bar(shown):
    out, err = shown(terminal=None)
    lines = [line.strip() for line in out.splitlines()]
    # Markup, names of pictures and control characters are shown as they are written.
    assert lines[:2] == ["Verdict", r"[bold]a[/bold] :smile: \x1b[31mred"]
    assert "| 1 | 5 % ± 1 |" in lines and out.isprintable() is False and "\x1b" not in out
    assert "\x1b" not in err and "measuring" not in err


def test_a_terminal_gets_a_bar_on_stderr_unless_it_is_to_be_quiet(shown):
    out, err = shown(terminal=1)[0], shown(terminal=2)[1]
    assert "measuring" in err and "100%" in err and "3/3" in err
    assert "measuring" not in out and "Verdict" in out and "|" not in out
    assert r"\x1b[31mred" in out and "\x1b[31m" not in out
    assert "measuring" not in shown(terminal=2, is_quiet=True)[1]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("bell\a, back\b, \x9b31m, \u202egnp", r"bell\x07, back\x08, \x9b31m, \u202egnp"),
        ("two\nlines, 犬, é, ± 1\N{NO-BREAK SPACE}%", "two\nlines, 犬, é, ± 1\N{NO-BREAK SPACE}%"),
    ],
)
def test_control_characters_are_spelt_out_and_letters_are_kept(words, shown):
    assert terminal.plain(words) == shown


def test_names_in_data_do_not_command_the_terminal(tmp_path, capsys):
    generator = np.random.default_rng(0)
    names = np.array(["a\x1b[31m", "b\x1b]0;title\a"])[np.arange(30) % 2]
    np.savez(tmp_path / "d.npz", x=generator.normal(size=(30, 2)), y=names)
    for option in ([], ["--json"]):
        assert main(["audit", "--no-trial", str(tmp_path / "d.npz"), "--out", str(tmp_path / "out"), *option]) == 0
        printed = capsys.readouterr()
        assert "\x1b" not in printed.out + printed.err and "\a" not in printed.out
    assert main(["audit", "no\x1b[31m\nfile.npz"]) == 2
    assert capsys.readouterr().err == "kmix-tf: there is no file or folder no\\x1b[31m file.npz.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command. See kmix-tf --help."),
        (["nothing"], "No such command 'nothing'."),
        (["audit"], "Missing argument 'DATA...'. See kmix-tf audit --help."),
        (["audit", "x.npz", "--seed", "one"], "'one' is not a valid integer range."),
        (["gallery", "--unknown"], "--unknown"),
        (["gallery", "stray"], "stray"),
        (["demo", "--wrong-labels", "nan"], "--wrong-labels"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("kmix-tf: ") and message in printed.err and printed.err.count("\n") == 1
    assert printed.out == ""


def test_help_names_commands_and_defaults(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {command}" in shown for command in ("audit", "compare", "demo", "gallery"))
    assert main(["audit", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "default: 10000" in shown
        and "[default: (the last)]" in shown
        and "a saved tf.data or Hugging Face dataset" in shown
    )


def test_who_interrupts_gets_no_traceback(capsys, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("kmix_tf.cli.gallery.showing.run_gallery", interrupt)
    assert main(["gallery"]) == 130
    assert capsys.readouterr().err == "kmix-tf: stopped.\n"


@pytest.mark.parametrize("library", ["click", "rich", "jinja2"])
def test_without_a_library_one_line_says_what_to_install(library, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["--version"]) == 2
    error = capsys.readouterr().err
    assert f"needs {library}" in error and "pip install 'kmix_tf[cli]'" in error and error.count("\n") == 1


def test_the_package_needs_none_of_them(elsewhere):
    # Keras 3 brings Rich itself, and Keras 2 and TensorFlow bring MarkupSafe.
    code = """
import contextlib, io, keras, runpy, sys
for name in ("click", "rich", "jinja2", "markupsafe"):
    sys.modules[name] = None
import kmix_tf, kmix_tf.cli
sys.argv[1:] = ["--version"]
with contextlib.redirect_stderr(io.StringIO()) as error:
    try:
        runpy.run_module("kmix_tf", run_name="__main__")
    except SystemExit as end:
        print(end.code, error.getvalue().splitlines()[-1])
"""
    status, said = elsewhere(code).split(maxsplit=1)
    assert status == "2" and said.rstrip().endswith("pip install 'kmix_tf[cli]'")


def test_a_page_escapes_what_it_is_given_and_refuses_what_it_is_not():
    filters = {name: lambda value, *rest: (value, value) for name in ("png", "shares", "caption", "parts_caption")}
    page = pages.render("gallery.html", filters, sections=[], scenes=[], seed="<b>&", k=1, interpolations=1)
    assert "Seed &lt;b&gt;&amp;:" in page and "<b>&" not in page
    with pytest.raises(pages.jinja2.UndefinedError, match="seed"):
        pages.render("gallery.html", filters, sections=[], scenes=[], k=1, interpolations=1)
