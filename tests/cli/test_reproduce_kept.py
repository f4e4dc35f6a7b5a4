"""Results on disk: nothing that was measured is lost, and nothing is mixed that does not belong together."""

import fcntl
import importlib.util
import json
import os
import signal
import threading

import pytest

from kmix_tf._stopping import raising
from kmix_tf.cli.reproduce import keeping
from kmix_tf.cli.reproduce.fingerprint import fingerprint
from kmix_tf.cli.reproduce.keeping import Kept, rounded
from kmix_tf.cli.terminal import UserError
from kmix_tf.paired import AtMost, Claim, Experiment, Runs, arms_table

CELLS = {"a": {"error": 1.0}}
SOURCE = '''
"""A title"""
from kmix_tf.paired import Experiment
RATE = 0.1
STEPS = {{
    "fast": lambda: 3,
}}


class Coin:
    """A coin."""

    def flip(self):
        return {flip}


def helper(x):
    """Said in {words}."""
    return RATE * x  # {words}


def unused():
    return {unused}


def measure(seed, n):
    return {{"a": {{"error": helper(seed) + Coin().flip() + STEPS["fast"]()}}}}
'''


def measure(seed, n):
    return CELLS


def an_experiment(**options):
    claims = [Claim("small", AtMost("error", "a", 2.0), is_exact=True)]
    given = {"settings": {"n": 1}, "quick": {}, "claims": claims, **options}
    return Experiment("coins/edge", "Table 1", "A title", measure, **given)


def kept(folder, experiment=None, **options):
    experiment = experiment or an_experiment()
    return Kept(experiment, experiment.settings, folder, **options)


def test_two_processes_that_add_to_one_file_lose_no_seed(tmp_path):
    first, second = kept(tmp_path), kept(tmp_path)
    first.add(0, CELLS, 1.0)
    second.add(1, CELLS, 1.0)
    first.add(2, CELLS, 1.0)
    assert kept(tmp_path).seeds == [0, 1, 2]


def test_nobody_reads_and_adds_while_another_does(tmp_path):
    found = kept(tmp_path)
    found.add(0, CELLS, 1.0)
    other = kept(tmp_path / "other")
    other.add(2, CELLS, 1.0)
    folder = os.open(found.path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    adding = threading.Thread(target=found.add, args=(1, CELLS, 1.0))
    adding.start()
    adding.join(0.5)
    assert adding.is_alive(), "it waits"
    # What another command has read before and writes now.
    content = json.loads(found.path.read_text())
    content["seeds"] |= json.loads(other.path.read_text())["seeds"]
    found.path.write_text(json.dumps(content))
    os.close(folder)
    adding.join()
    assert kept(tmp_path).seeds == [0, 1, 2]


def test_a_scheduler_and_a_closed_terminal_stop_it_as_the_interrupt_key_does():
    for number in (signal.SIGTERM, signal.SIGHUP):
        before = signal.signal(number, signal.SIG_DFL)  # under nohup, the tests themselves ignore one of them
        try:
            with pytest.raises(KeyboardInterrupt), raising():
                os.kill(os.getpid(), number)
            assert signal.getsignal(number) is signal.SIG_DFL
        finally:
            signal.signal(number, before)


def test_under_nohup_a_closed_terminal_does_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raising():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_seed_that_could_not_be_written_is_written_with_the_next(tmp_path, monkeypatch):
    found = kept(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(keeping, "write_files", full)
        with pytest.raises(OSError, match="full"):
            found.add(0, CELLS, 1.0)
    assert not found.path.exists()
    found.add(1, CELLS, 1.0)
    assert kept(tmp_path).seeds == [0, 1]


def full(contents):
    raise OSError("the disk is full")


def test_what_begins_anew_replaces_what_is_there_only_once_something_is_measured(tmp_path):
    kept(tmp_path).add(0, CELLS, 1.0)
    found = kept(tmp_path, anew=True)
    assert found.seeds == [] and kept(tmp_path).seeds == [0]
    found.add(3, CELLS, 1.0)
    found.add(4, CELLS, 1.0)
    assert kept(tmp_path).seeds == [3, 4]


def test_results_of_another_version_may_be_read_and_not_added_to(tmp_path):
    kept(tmp_path).add(0, CELLS, 1.0)
    path = tmp_path / "coins" / "edge.json"
    path.write_text(path.read_text().replace('"version": "', '"version": "9.'))
    with pytest.raises(UserError, match="results of version '9"):
        kept(tmp_path)
    assert kept(tmp_path, to_read=True).seeds == [0]
    with pytest.raises(UserError, match="other settings"):
        kept(tmp_path, an_experiment(settings={"n": 2}), to_read=True)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"seeds": {}}', "null"])
def test_what_is_no_result_is_refused(text, tmp_path):
    (tmp_path / "coins").mkdir()
    (tmp_path / "coins" / "edge.json").write_text(text)
    with pytest.raises(UserError, match=r"edge\.json is not a result"):
        kept(tmp_path)


def test_numbers_are_rounded_to_five_digits_and_must_be_finite():
    assert rounded({"a": [1 / 3, 2, True, "x", None], "b": 123456.7}) == {
        "a": [0.33333, 2, True, "x", None],
        "b": 123460,
    }
    assert json.dumps(rounded(3.0)) == "3"
    with pytest.raises(ValueError, match="must be finite"):
        rounded([float("nan")])


def made(tmp_path, monkeypatch, flip="1", words="words", unused="0"):
    """The fingerprint of a module of `experiments` with this source."""
    path = tmp_path / f"module{len(list(tmp_path.iterdir()))}.py"
    path.write_text(SOURCE.format(flip=flip, words=words, unused=unused))
    spec = importlib.util.spec_from_file_location("experiments.made", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "experiments.made", module)
    spec.loader.exec_module(module)
    return module, lambda: fingerprint(Experiment("coins/edge", "", "", module.measure, {"n": 1}, {}))


def test_the_fingerprint_is_of_what_is_measured_and_of_nothing_else(tmp_path, monkeypatch):
    module, code = made(tmp_path, monkeypatch)
    first = code()
    assert made(tmp_path, monkeypatch, words="other words")[1]() == first
    assert made(tmp_path, monkeypatch, unused="1")[1]() == first
    assert made(tmp_path, monkeypatch, flip="2")[1]() != first
    module, code = made(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "RATE", 0.2)
    assert code() != first


def test_words_cannot_break_a_table():
    runs = Runs({}, {0: {"a|b\nc": {"error": 1.0}}})
    assert arms_table(runs).splitlines()[2] == r"| a\|b c | 1.00 |"
