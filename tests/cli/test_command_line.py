"""What is common to all commands: help, one line for what is wrong, plain text for pipes, bars for who watches."""

import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from kmix_tf.cli import main, pages, terminal

# Words, a table and a bar that says where it is, as a command shows them.
SHOWN = """
from kmix_tf.cli.terminal import Grid, heading, progress, show
with progress("reading [red]x", 3, {is_quiet}) as advance:
    advance(2, "measuring")
    advance()
show(heading("Verdict"), "[bold]a[/bold] :smile: \\x1b[31mred", Grid(["k", "share"], [["1", "5 % ± 1"]]))
"""


def run_shown(is_quiet=False, **streams):
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "TF_CPP_MIN_LOG_LEVEL": "3"}
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", SHOWN.format(is_quiet=is_quiet)], env=environment, check=True, **streams
    )


def watched(is_quiet=False):
    """What a terminal gets: of stdout and stderr."""
    told = []
    for stream in ("stdout", "stderr"):
        ours, theirs = pty.openpty()
        other = "stderr" if stream == "stdout" else "stdout"
        run_shown(is_quiet, **{stream: theirs, other: subprocess.DEVNULL})
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:  # Linux says so that nothing is left.
            pass
        os.close(ours)
        told.append(b"".join(parts).decode())
    return told


def test_a_pipe_gets_plain_text_and_no_bar():
    done = run_shown(capture_output=True, text=True)
    lines = [line.strip() for line in done.stdout.splitlines()]
    # Markup, names of pictures and control characters are shown as they are written.
    assert lines[:2] == ["Verdict", r"[bold]a[/bold] :smile: \x1b[31mred"]
    assert "| 1 | 5 % ± 1 |" in lines and done.stdout.isprintable() is False and "\x1b" not in done.stdout
    assert "\x1b" not in done.stderr and "measuring" not in done.stderr


def test_a_terminal_gets_a_bar_on_stderr_unless_it_is_to_be_quiet():
    out, err = watched()
    assert "measuring" in err and "100%" in err and "3/3" in err
    assert "measuring" not in out and "Verdict" in out and "|" not in out
    assert r"\x1b[31mred" in out and "\x1b[31m" not in out
    quiet = watched(is_quiet=True)[1]
    assert "measuring" not in quiet


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


def test_the_package_needs_none_of_them():
    code = "import sys\nfor name in ('click', 'rich', 'jinja2', 'markupsafe'):\n    sys.modules[name] = None\n"
    # Keras 3 brings Rich itself, and Keras 2 and TensorFlow bring MarkupSafe.
    code = "import keras, " + code.replace("import sys", "sys") + "import kmix_tf, kmix_tf.cli, kmix_tf.__main__"
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].endswith("pip install 'kmix_tf[cli]'")


def test_a_page_escapes_what_it_is_given_and_refuses_what_it_is_not():
    filters = {name: lambda value, *rest: (value, value) for name in ("png", "shares", "caption", "parts_caption")}
    page = pages.render("gallery.html", filters, sections=[], scenes=[], seed="<b>&", k=1, interpolations=1)
    assert "Seed &lt;b&gt;&amp;:" in page and "<b>&" not in page
    with pytest.raises(pages.jinja2.UndefinedError, match="seed"):
        pages.render("gallery.html", filters, sections=[], scenes=[], k=1, interpolations=1)
