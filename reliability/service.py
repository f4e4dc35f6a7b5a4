"""tf.data service, its workers and dispatcher killed in mid-epoch: what comes back, and what was drawn for it.

A trial is an epoch of three jobs on one service of real processes: one that is not mixed, one that is mixed after the
workers, and one that is mixed on them. They are read in turns, so that one kill (SIGKILL, at a random moment; started
again within half a second) meets all three. A batch is a file, whose number rides along: what is lost or doubled is
counted. How many are depends on the moment, so each trial is asked for what TensorFlow says of the sharding:

- the dispatcher killed: each batch comes back as if nothing had happened, for its journal knows all;
- a worker killed, OFF, FILE, DATA: it begins again. What it had sent may come twice, and nothing else; none is lost;
- a worker killed, DYNAMIC: no batch comes twice. What this worker had taken may be lost, and nothing else.
"""

import collections
import dataclasses
import faulthandler
import functools
import itertools
import pathlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import tensorflow as tf
from harness import Row, main

# Servers are forks that read this file as well: the package, which they need not have, is imported where it is used.
sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples" / "distributed"))
from cluster import Cluster

TITLE = "tf.data service whose processes are killed"
FILES = 24
SHARDING = tf.data.experimental.service.ShardingPolicy
POLICIES = ("OFF", "DYNAMIC", "FILE", "DATA")
JOBS = ("unmixed", "after", "workers")
VICTIMS = {"worker": "A worker killed and started again", "dispatcher": "The dispatcher killed and started again"}
AGAIN = "none lost, and only what it had sent comes twice"
ASKED = {
    "OFF": AGAIN,
    "DYNAMIC": "none comes twice, and only what it had taken is lost",
    "FILE": AGAIN,
    "DATA": AGAIN,
}


@dataclasses.dataclass(frozen=True)
class Batch:
    """What came back: the number of its file, the worker that sent it, and what was drawn for it."""

    number: int
    worker: str
    draw: bytes


@dataclasses.dataclass(frozen=True)
class Trial:
    """An epoch with a kill. taken: what whoever was killed had taken by then, of each job. tapped: of the job that is
    mixed after the workers, what came back from them."""

    policy: str
    victim: str
    name: str
    seen: dict[str, list[Batch]]
    taken: dict[str, set[int]]
    tapped: list[int]

    @property
    def copies(self) -> int:
        """How often a batch comes back where nothing is killed: unsharded, each of two workers sends all."""
        return 2 if self.policy == "OFF" else 1

    def counts(self, job: str) -> list[int]:
        """How often each batch came back."""
        counted = collections.Counter(batch.number for batch in self.seen[job])
        return [counted[number] for number in range(FILES)]

    def lost(self, job: str) -> int:
        return sum(max(0, self.copies - count) for count in self.counts(job))

    def doubled(self, job: str) -> int:
        return sum(max(0, count - self.copies) for count in self.counts(job))

    def holds(self, job: str) -> bool:
        """Whether what TensorFlow says of the sharding is so."""
        counts = self.counts(job)
        if self.victim == "dispatcher":
            return counts == [self.copies] * FILES
        if self.policy == "DYNAMIC":
            gone = {number for number, count in enumerate(counts) if count == 0}
            # One may be on its way to the worker that is killed.
            return max(counts) == 1 and len(gone - self.taken[job]) <= 1
        again = collections.Counter((batch.number, batch.worker) for batch in self.seen[job])
        twice = {worker for (_, worker), count in again.items() if count > 1}
        return min(counts) >= self.copies and twice <= {self.name} and max(again.values()) <= 2


def written(folder: str) -> list[str]:
    """A file for each batch, which holds its number."""
    paths = [str(pathlib.Path(folder, f"{number:03}.tfrecord")) for number in range(FILES)]
    for number, path in enumerate(paths):
        with tf.io.TFRecordWriter(path) as writer:
            writer.write(bytes([number]))
    return paths


@tf.autograph.experimental.do_not_convert
def batch_of(record: tf.Tensor) -> Any:
    """One-hot rows, whose mixtures show ratios and partners; the number of the file; and who read it."""
    ones, number = tf.eye(4), tf.ensure_shape(tf.io.decode_raw(record, tf.uint8), [1])
    return {"x": ones, "number": tf.repeat(number, 4), "worker": tf.repeat(tf.io.read_file("worker"), 4)}, ones


def source(files: list[str], job: str) -> tf.data.Dataset:
    """The batches of a job. A worker writes down which files it has taken, before it reads them."""

    @tf.autograph.experimental.do_not_convert
    def noted(name: tf.Tensor) -> tf.Tensor:
        said = tf.print(job, name, output_stream="file://taken")
        with tf.control_dependencies([said]):
            return tf.identity(name)

    names = tf.data.Dataset.from_tensor_slices(files).map(noted)
    records = names.interleave(tf.data.TFRecordDataset, cycle_length=2)
    return records.map(batch_of, num_parallel_calls=tf.data.AUTOTUNE)


def send(cluster: Cluster, policy: str) -> Any:
    return tf.data.experimental.service.distribute(SHARDING[policy], cluster.address)


def mixing(**options: Any) -> Any:
    from kmix_tf import KMixupLayer, mix

    # Of groups of one: pairs at random, which no worker need compile anew in each epoch.
    return mix(KMixupLayer(1, scope="sample", solver="graph", passthrough=["number", "worker"]), **options)


def tapping(into: list[int]) -> Any:
    """Notes the numbers that pass."""

    def note(number: Any) -> Any:
        into.append(int(number[0]))
        return number

    def tap(x: Any, y: Any) -> Any:
        number = tf.numpy_function(note, [x["number"]], tf.uint8)
        return {**x, "number": tf.ensure_shape(number, [4])}, y

    return tf.autograph.experimental.do_not_convert(tap)


class Trials:
    """Epochs of one sharding, one after another, on a service of their own."""

    def __init__(self, policy: str, files: list[str], seed: int):
        self.policy, self.files, self.seed = policy, files, seed
        self.chance, self.tapped = random.Random(f"{policy} {seed}"), list[int]()
        self.cluster = Cluster()

    def run(self, times: int) -> list[Trial]:
        """Kills a worker so often, and the dispatcher."""
        with self.cluster:
            self.jobs = self.registered()
            return [self.trial(victim) for _ in range(times) for victim in VICTIMS]

    def registered(self) -> dict[str, tf.data.Dataset]:
        """The three jobs, known to the service."""
        sent, read = send(self.cluster, self.policy), functools.partial(source, self.files)
        came = read("after").apply(sent).map(tapping(self.tapped))
        return {
            "unmixed": read("unmixed").apply(sent),
            "after": came.apply(mixing(seed=self.seed)),
            "workers": read("workers").apply(mixing(salted=True)).apply(sent),
        }

    def trial(self, victim: str) -> Trial:
        """An epoch of all jobs in turns, and a kill after some batches of each."""
        name = self.chance.choice(self.cluster.workers) if victim == "worker" else victim
        self.file(name).unlink(missing_ok=True)
        self.tapped.clear()
        jobs = {job: iter(dataset) for job, dataset in self.jobs.items()}
        seen: dict[str, list[Batch]] = {job: [] for job in jobs}
        for _ in range(self.chance.randrange(1, 13)):
            read_in_turns(jobs, seen)
        taken, starting = self.killed(name)
        while jobs:
            read_in_turns(jobs, seen)
        starting.join()
        return Trial(self.policy, victim, name, seen, taken, list(self.tapped))

    def killed(self, name: str) -> tuple[dict[str, set[int]], threading.Timer]:
        """Kills, at any moment between two reads; what had been taken; and what starts it again, in a while."""
        time.sleep(self.chance.uniform(0, 0.1))
        self.cluster.kill(name)
        taken = {job: numbers_in(self.file(name), job) for job in JOBS}
        starting = threading.Timer(self.chance.uniform(0, 0.5), self.cluster.start, [name])
        starting.start()
        return taken, starting

    def file(self, name: str) -> pathlib.Path:
        return pathlib.Path(self.cluster.folder.name, name, "taken")


def read_in_turns(jobs: dict[str, Any], seen: dict[str, list[Batch]]) -> None:
    """A batch of each job; one that has ended is taken out."""
    for job in list(jobs):
        element = next(jobs[job], None)
        if element is None:
            del jobs[job]
        else:
            x = element[0]
            number, worker = int(x["number"][0]), x["worker"][0].numpy().decode()
            seen[job].append(Batch(number, worker, x["x"].numpy().tobytes()))


def numbers_in(file: pathlib.Path, job: str) -> set[int]:
    """The files that a worker has noted for a job."""
    lines = file.read_text().splitlines() if file.is_file() else []
    return {int(pathlib.Path(line.split()[1]).stem) for line in lines if line.split()[:1] == [job]}


def losses(trials: list[Trial], job: str) -> str:
    """What a job lost, and what came twice."""
    expected = sum(FILES * trial.copies for trial in trials)
    lost, doubled = (sum(getattr(trial, what)(job) for trial in trials) for what in ("lost", "doubled"))
    return f"{lost} lost and {doubled} doubled of {expected:,} batches"


def kill_row(trials: list[Trial]) -> Row:
    """Trials of one sharding and one victim."""
    victim, policy = trials[0].victim, trials[0].policy
    asked = ASKED[policy] if victim == "worker" else "all come back, none twice"
    held = {job: sum(trial.holds(job) for trial in trials) for job in JOBS}
    return Row(
        tried=f"{VICTIMS[victim]} in mid-epoch, sharding {policy}: {asked}",
        times=2 * len(trials),
        held=held["after"] + held["workers"],
        control=f"{held['unmixed']} of {len(trials)}: {losses(trials, 'unmixed')}",
        numbers=f"mixed after: {losses(trials, 'after')}; on workers: {losses(trials, 'workers')}",
    )


def tap_row(trials: list[Trial]) -> Row:
    """The exact comparison: the same job, under the same kill, before it was mixed."""
    held = sum(sorted(trial.tapped) == sorted(batch.number for batch in trial.seen["after"]) for trial in trials)
    tried = "Mixing after the workers, under all these kills: as many of each batch as the service sent back"
    return Row(tried, len(trials), held, numbers=f"{sum(len(each.tapped) for each in trials):,} batches")


def draw_row(trials: list[Trial], job: str, tried: str) -> Row:
    """Draws of all batches, epochs and workers: four ratios of 23 bits each, so two are never alike by chance."""
    draws = [batch.draw for trial in trials for batch in trial.seen[job]]
    return Row(f"{tried}: each batch has draws of its own", len(draws), len(set(draws)))


def is_refused(cluster: Cluster, policy: str, files: list[str]) -> bool:
    try:
        next(iter(source(files, "refused").apply(mixing(seed=0)).apply(send(cluster, policy))))
    except tf.errors.InvalidArgumentError as error:
        return "mix: a worker of tf.data service" in str(error)
    return False


def refused_row(files: list[str], times: int) -> Row:
    """A seeded mix on workers would repeat itself: refused, before and after each has been started anew."""
    asked = []
    with Cluster() as cluster:
        for _ in range(times):
            for name in (None, cluster.workers[0], "dispatcher"):
                if name:
                    cluster.kill(name)
                    cluster.start(name)
                asked += [is_refused(cluster, policy, files) for policy in POLICIES]
    return Row("A seeded mix on workers is refused, also by one that was started anew", len(asked), sum(asked))


def measure(short: bool) -> Iterator[Row]:
    # An epoch that waits for ever is one that does not hold: the servers end with this process.
    faulthandler.dump_traceback_later(300 if short else 7200, exit=True)
    times = 1 if short else 20
    with tempfile.TemporaryDirectory(prefix="records-") as folder:
        files = written(folder)
        # A trial mostly waits, for servers that look for each other every few seconds.
        with futures.ThreadPoolExecutor(len(POLICIES)) as pool:
            services = [Trials(policy, files, seed) for seed, policy in enumerate(POLICIES)]
            trials = [trial for found in pool.map(lambda each: each.run(times), services) for trial in found]
        for victim, policy in itertools.product(VICTIMS, POLICIES):
            yield kill_row([trial for trial in trials if (trial.victim, trial.policy) == (victim, policy)])
        yield tap_row(trials)
        yield draw_row(trials, "after", "Seeded, after the workers, over all epochs and kills")
        yield draw_row(trials, "workers", "Salted, on workers, over all epochs, workers and restarts")
        yield refused_row(files, 1 if short else 5)
    faulthandler.cancel_dump_traceback_later()


main(__name__, __doc__)
