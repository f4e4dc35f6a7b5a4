"""`kmix-tf reproduce` on experiments of the tests: seeds are kept, resumed, judged, and not mixed with others."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

EXPERIMENT = '''"""A coin that lands on its edge"""

import pathlib
import time

from kmix_tf.paired import AtMost, Claim, Experiment, More


def measure(seed, shift, wait_at):
    with open("asked.txt", "a") as file:
        print(seed, file=file)
    if seed == wait_at and not pathlib.Path("go").exists():
        time.sleep(600)
    if pathlib.Path("broken").exists() and seed == 2:
        raise ArithmeticError("the coin is gone")
    bent = 10.0 + seed + shift + 0.1 * (seed % 2)
    return {"fair": {"heads": 10.0 + seed}, "bent": {"heads": bent, "curve": [1, 2]}}


def draw(runs):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot(runs.values("bent", "curve").mean(axis=0))
    return figure


EXPERIMENT = Experiment(
    name="coins/edge",
    items="Table 1",
    title="A coin that lands on its edge",
    measure=measure,
    settings={"shift": 2.0, "wait_at": -1},
    quick={"shift": 0.5},
    seeds=4,
    claims=[
        Claim("the bent coin shows heads more often", More("heads", "bent", "fair"), "3", unit="heads"),
        Claim("the fair coin shows heads at most ten times", AtMost("heads", "fair", 10.5), unit="heads"),
        Claim("it is bent a lot", More("heads", "bent", "fair"), above=5.0, unit="heads", is_exact=True, ours=True),
    ],
    paper={"bent": {"heads": 13}},
    draw=draw,
)
'''
CATALOGUE = """from typing import NamedTuple

PAPERS = {"coins": "On Coins"}


class Item(NamedTuple):
    paper: str
    name: str
    experiment: str = ""
    why: str = ""


ITEMS = [Item("coins", "Table 1", "coins/edge"), Item("coins", "Figure 1", "", "a drawing of a coin")]


def purse(runs):
    return "".join(f"{name}: seeds {found.seeds}\\n" for name, found in runs.items())


PAGES = {"purse": ("What is in the purse", purse), "nothing": ("Nothing", lambda runs: "")}
"""


FAR = '''"""Coins that are not here"""

from kmix_tf.paired import DataNotFound, Experiment


def coins(data_dir):
    if data_dir is None:
        raise DataNotFound("Coins: not found. Tried:\\n  - the sofa\\nName a purse by --data-dir.")


def measure(seed, data_dir):
    coins(data_dir)
    return {"found": {"coins": float(len(data_dir))}}


EXPERIMENT = Experiment(
    name="coins/NAME", items="Table 2", title="Coins that are not here", measure=measure, settings={}, quick={},
    reads_data=coins, elsewhere="WHERE",
)
'''


@pytest.fixture
def place(tmp_path):
    """A folder with one experiment in it."""
    folder = tmp_path / "experiments" / "coins"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").write_text("")
    (folder / "edge.py").write_text(EXPERIMENT)
    (folder.parent / "catalogue.py").write_text(CATALOGUE)
    # By which it is known for a clone of this repository.
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = kmix_tf\n")
    return tmp_path


# Processes that measure are forked, for to begin them anew takes seconds; those of the tests of interrupts are not.
PROGRAM = """
import contextlib, io, json, multiprocessing, sys
from kmix_tf.cli import main
context = multiprocessing.get_context("fork")
multiprocessing.get_context = lambda kind: context
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as error:
    status = main(["reproduce", *sys.argv[1:]])
print(json.dumps([status, out.getvalue(), (error.getvalue().strip().splitlines() or [""])[-1]]))
"""


@pytest.fixture
def reproduce(elsewhere, place):
    """`reproduce(*arguments)`: exit status, stdout, the last line of stderr."""
    return lambda *arguments: json.loads(elsewhere(PROGRAM, *arguments, folder=place).splitlines()[-1])


def asked(place):
    path = place / "asked.txt"
    return sorted(int(line) for line in path.read_text().split()) if path.exists() else []


def kept(place, folder="results"):
    return json.loads((place / folder / "coins" / "edge.json").read_text())


def test_seeds_are_measured_once_and_judged(reproduce, place):
    status, out, _ = reproduce("coins", "--seeds", "2", "--jobs", "2")
    assert status == 0 and asked(place) == [0, 1]
    found = kept(place)
    assert found["seeds"]["1"]["cells"] == {"fair": {"heads": 11}, "bent": {"heads": 13.1, "curve": [1, 2]}}
    assert found["settings"] == {"shift": 2.0, "wait_at": -1}
    assert {"kmix_tf", "tensorflow", "keras", "machine"} <= set(found["seeds"]["0"]["with"])
    # Differences of 2 and 2.1: mean 2.05, t of 41 with one degree of freedom.
    first = found["claims"][0]
    assert first["mean"] == 2.05 and first["verdict"] == "holds" and first["p"] == pytest.approx(0.0155, abs=1e-4)
    assert "| the bent coin shows heads more often | 3 | 12.6 against 10.5: +2.05 heads" in out
    # 10 and 11 at most 10.5: nobody knows. And 2.05 is not above 5, whatever chance does.
    assert [claim["verdict"] for claim in found["claims"][1:]] == ["undecided", "does not"]
    page = (place / "results" / "coins" / "edge.md").read_text()
    assert "| bent | 12.6 ± 0.78 (13) |" in page and "![A coin that lands on its edge](edge.png)" in page
    assert (place / "results" / "coins" / "edge.png").read_bytes().startswith(b"\x89PNG")
    summary = (place / "RESULTS.md").read_text()
    assert "Claims of the papers: 1 hold, 1 are undecided. Claims of our own: 1 do not." in summary
    assert "| it is bent a lot (ours) |" in summary
    assert "| coins | Figure 1 | - | a drawing of a coin |" in summary
    assert "`kmix-tf reproduce coins/edge`" in summary
    assert "[What is in the purse](results/purse.md)" in summary and "nothing.md" not in summary
    assert (place / "results" / "purse.md").read_text() == "coins/edge: seeds [0, 1]\n"

    status, _, _ = reproduce("coins/edge", "--jobs", "1")
    assert status == 0 and asked(place) == [0, 1, 2, 3], "what was done is not done again"
    assert kept(place)["seeds"]["0"] == found["seeds"]["0"]

    # Words may be otherwise, what is measured may not; refused, results are left as they were.
    module = place / "experiments" / "coins" / "edge.py"
    module.write_text(EXPERIMENT.replace("more often", "more often by far").replace("10.0 + seed}", "10.0 + seed }"))
    assert reproduce("coins/edge", "--jobs", "1")[0] == 0
    module.write_text(EXPERIMENT.replace("0.1 * (seed % 2)", "0.2 * (seed % 2)"))
    status, _, error = reproduce("coins/edge", "--seeds", "5")
    assert status == 2 and "edge.json has results of other code of the experiment" in error
    module = place / "experiments" / "coins" / "edge.py"
    module.write_text(EXPERIMENT.replace('"shift": 2.0', '"shift": 3.0'))
    before = kept(place)
    status, _, error = reproduce("coins/edge", "--seeds", "5", "--jobs", "1")
    assert status == 2 and "other settings (shift: 2.0, not 3.0)" in error and "--anew" in error
    assert kept(place) == before
    status, _, _ = reproduce("coins/edge", "--anew", "--seeds", "1", "--jobs", "1")
    assert status == 0 and list(kept(place)["seeds"]) == ["0"] and kept(place)["settings"]["shift"] == 3.0


def test_a_quick_run_has_a_folder_of_its_own_and_one_seed_gives_no_test(reproduce, place):
    status, out, _ = reproduce("all", "--quick")
    assert status == 0 and kept(place, "results/quick")["settings"]["shift"] == 0.5
    assert not (place / "RESULTS.md").exists() and not (place / "results" / "coins").exists()
    assert "One seed gives no test" in out and "is no evidence" in out
    claim = kept(place, "results/quick")["claims"][0]
    assert claim["verdict"] == "not tested" and claim["p"] is None


def test_an_interrupted_run_goes_on(reproduce, place):
    module = place / "experiments" / "coins" / "edge.py"
    module.write_text(EXPERIMENT.replace('"wait_at": -1', '"wait_at": 1'))
    command = [sys.executable, "-m", "kmix_tf", "reproduce", "coins/edge", "--jobs", "2"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Tests that run in the background ignore interrupts, and so would what they begin.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, cwd=place, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    )
    path = place / "results" / "coins" / "edge.json"
    for _ in range(3000):  # five minutes, on a busy machine
        if path.exists() and len(kept(place)["seeds"]) == 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=150)
    assert process.returncode == 130 and "kmix-tf: stopped." in error
    assert sorted(kept(place)["seeds"]) == ["0", "2", "3"]
    (place / "go").touch()
    assert reproduce("coins/edge")[0] == 0
    assert sorted(kept(place)["seeds"]) == ["0", "1", "2", "3"] and asked(place) == [0, 1, 1, 2, 3]


INTERRUPTED = """
import multiprocessing, os, time
from kmix_tf.cli import main
from kmix_tf.cli.reproduce import command
from kmix_tf.cli.reproduce.keeping import Kept
add, write_pages = Kept.add, command.write_pages
def added(self, *arguments):
    add(self, *arguments)
    raise KeyboardInterrupt
def is_there(process):
    # Not is_alive, which may never learn of an end that another thread has waited for at the same time.
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
def written(*arguments):
    # Those that were ended need a moment; those that were not are asleep for minutes.
    left, until = True, time.monotonic() + 20
    while left and time.monotonic() < until:
        time.sleep(0.1)
        left = [each for each in multiprocessing.active_children() if is_there(each)]
    print("left when pages are written:", left)
    write_pages(*arguments)
Kept.add, command.write_pages = added, written
print(main(["reproduce", "coins/edge", "--jobs", "2"]))
"""


def test_an_interrupt_while_a_seed_is_written_ends_what_is_being_measured_at_once(elsewhere, place):
    module = place / "experiments" / "coins" / "edge.py"
    module.write_text(EXPERIMENT.replace('"wait_at": -1', '"wait_at": 1'))
    assert elsewhere(INTERRUPTED, folder=place).splitlines()[-2:] == ["left when pages are written: []", "130"]
    assert list(kept(place)["seeds"]) == ["0"]


# What is said on stderr comes on stdout.
FULL = """
import contextlib, errno, os, pathlib, sys, tempfile
tempfile.tempdir = sys.argv[1]
from kmix_tf.cli import main
from kmix_tf.cli.reproduce import command, keeping
write_files = keeping.write_files
def full(contents):
    for path in contents:
        if "results" in path.parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    write_files(contents)
keeping.write_files = command.write_files = full
with contextlib.redirect_stderr(sys.stdout):
    main(["reproduce", "coins/edge", "--jobs", "1", "--seeds", "2"])
"""


def test_on_a_disk_that_stays_full_what_was_measured_is_put_elsewhere(place, tmp_path, elsewhere):
    (tmp_path / "other").mkdir()
    said_last = elsewhere(FULL, tmp_path / "other", folder=place).splitlines()[-1]
    (rescued,) = (tmp_path / "other").glob("kmix-tf-*/edge.json")
    said = f"kmix-tf: results/coins/edge.json cannot be written (No space left on device). Move {rescued} there: "
    assert said_last.startswith(said)
    assert list(json.loads(rescued.read_text())["seeds"]) == ["0", "1"]


def test_a_seed_that_fails_is_named_and_the_others_stay(reproduce, place):
    (place / "broken").touch()
    status, _, error = reproduce("coins/edge", "--jobs", "1")
    assert status == 2 and error.endswith("seed 2 of coins/edge failed. ArithmeticError: the coin is gone")
    assert sorted(kept(place)["seeds"]) == ["0", "1", "3"]
    page = (place / "results" / "coins" / "edge.md").read_text()
    assert "seeds 0, 1, 3." in page


def test_names_that_mean_nothing_list_those_that_do(reproduce, place):
    status, _, error = reproduce("coins/egde")
    assert status == 2 and "no experiment 'coins/egde'. There are: all; coins; coins/edge." in error
    status, _, error = reproduce()
    assert status == 2 and "--list shows what there is" in error
    (place / "results" / "coins").mkdir(parents=True)
    (place / "results" / "coins" / "edge.json").write_text('{"x": 1}')
    status, _, error = reproduce("coins/edge")
    assert status == 2 and "edge.json is not a result of kmix-tf reproduce" in error
    status, out, _ = reproduce("--list")
    assert status == 0 and "a drawing of a coin" in out and "coins/edge" in out


def test_what_needs_data_that_are_not_there_is_left_out_with_a_word_and_is_refused_by_name(reproduce, place):
    folder = place / "experiments" / "coins"
    (folder / "lost.py").write_text(FAR.replace("NAME", "lost").replace("WHERE", ""))
    why = "Coins: not found. Tried: - the sofa Name a purse by --data-dir."
    status, out, error = reproduce("all", "--quick", "--jobs", "1")
    assert status == 0 and error == f"coins/lost is left out: {why}"
    assert "coins/edge" in out and "coins/lost" not in out and not (place / "results/quick/coins/lost.md").exists()
    status, _, error = reproduce("coins/lost", "coins/edge")
    assert status == 2 and error == f"kmix-tf: coins/lost: {why}" and not (place / "results/coins").exists()
    assert reproduce("coins", "--quick", "--data-dir", "purse")[0] == 0
    assert (place / "results/quick/coins/lost.md").exists()
    # What was measured is told without its data.
    status, out, error = reproduce("all", "--quick")
    assert status == 0 and "coins/lost" in out and not error


def test_what_is_run_elsewhere_is_asked_for_by_its_name(reproduce, place):
    (place / "experiments" / "coins" / "far.py").write_text(
        FAR.replace("NAME", "far").replace("WHERE", "years of it")
    )
    status, out, error = reproduce("all", "--quick", "--data-dir", "purse", "--jobs", "1")
    assert status == 0 and error == "coins/far is left out: years of it. Ask for it by its name."
    assert "coins/edge" in out and "coins/far" not in out
    status, out, _ = reproduce("coins/far", "--quick", "--data-dir", "purse", "--jobs", "1")
    assert status == 0 and "coins/far" in out
