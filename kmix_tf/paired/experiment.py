"""What is to be found out: arms that are measured with each seed, and claims about them."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kmix_tf.paired.differences import FAILS, HOLDS, Difference, paired_difference, verdict

# Of one seed: by arm and measure a number, or lists of numbers for a figure.
Cells = Mapping[str, Mapping[str, Any]]


class Runs:
    """What was measured: the cells of each seed, in the order of the seeds."""

    def __init__(self, settings: Mapping[str, Any], cells: Mapping[int, Cells]):
        self.settings = settings
        self.cells = dict(sorted(cells.items()))

    @property
    def seeds(self) -> list[int]:
        """Those that were measured."""
        return list(self.cells)

    @property
    def arms(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(arm for cells in self.cells.values() for arm in cells))

    def measures(self, arm: str | None = None) -> list[str]:
        """Those that are numbers, of an arm or of any."""
        found = (row for cells in self.cells.values() for name, row in cells.items() if arm in (None, name))
        return list(dict.fromkeys(name for row in found for name, value in row.items() if np.isscalar(value)))

    def values(self, arm: str, measure: str) -> np.ndarray:
        """`(seeds, ...)`, float64."""
        return np.array([cells[arm][measure] for cells in self.cells.values()], dtype=np.float64)

    def mean(self, arm: str, measure: str) -> Any:
        """Over seeds."""
        return self.values(arm, measure).mean(axis=0)

    def spread(self, arm: str, measure: str) -> Any:
        """Standard deviation over seeds; NaN of one."""
        values = self.values(arm, measure)
        return values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)[()]


class Judged(NamedTuple):
    """A claim, what was found, and the verdict."""

    claim: "Claim"
    found: Difference
    verdict: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence that numbers can contradict.

    Args:
        says: the sentence, as the paper has it, with the arms and measures that are compared here.
        effect: of one seed's cells, a number that is more than `above` if the sentence is right there.
        paper: the paper's own number for it, or "" where it prints none.
        above: what the effect must exceed; below 0 for "no worse than by so much".
        unit: of the effect, such as "points" of error.
        is_exact: whether nothing random is in it: it then holds or not, with one seed and without a test.
        ours: whether it is a sentence of this package's and not of the paper.
    """

    says: str
    effect: Callable[[Cells], float]
    paper: str = ""
    above: float = 0.0
    unit: str = "points"
    is_exact: bool = False
    ours: bool = False

    def judge(self, runs: Runs) -> Judged:
        """What the runs say of it."""
        effects = [float(self.effect(cells)) for cells in runs.cells.values()]
        # The chance of what was found if the claim were just not true.
        found = paired_difference(effects)._replace(p=paired_difference(effects, self.above).p)
        if self.is_exact:
            return Judged(self, found, HOLDS if min(effects) > self.above else FAILS)
        return Judged(self, found, verdict(found, self.above))


class Less(NamedTuple):
    """An effect of a `Claim`: by how much an arm has less of a measure than another."""

    measure: str
    arm: str
    than: str

    def __call__(self, cells: Cells) -> float:
        return float(cells[self.than][self.measure] - cells[self.arm][self.measure])


class More(Less):
    """An effect of a `Claim`: by how much an arm has more of a measure than another."""

    def __call__(self, cells: Cells) -> float:
        return -super().__call__(cells)


class AtMost(NamedTuple):
    """An effect of a `Claim`: by how much an arm's measure stays below a bound."""

    measure: str
    arm: str
    bound: float

    def __call__(self, cells: Cells) -> float:
        return float(self.bound - cells[self.arm][self.measure])


class AtLeast(AtMost):
    """An effect of a `Claim`: by how much an arm's measure is above a bound."""

    def __call__(self, cells: Cells) -> float:
        return -super().__call__(cells)


class DataNotFound(RuntimeError):
    """A data set is not on this machine and could not be fetched; says what was tried, and what to do."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One table or figure of a paper, or several that are one.

    Args:
        name: of the command, "k-mixup/table-9": its module is experiments/k_mixup/table_9.py.
        items: what it reproduces, as the paper numbers it, "Table 9, Figure 1".
        title: in a line.
        measure: `measure(seed, **settings)` returns the cells of a seed. Everything random in it follows from the
            seed; it runs in a process of its own, so it is a function of a module.
        settings: all numbers on which the result depends, but for the seed; JSON can hold them.
        quick: those that are otherwise with --quick, which takes a few seconds and is no evidence.
        seeds, quick_seeds: how many, if the command doesn't say.
        claims: what the paper says.
        paper: its numbers, by arm and measure, which the table shows beside ours.
        table: Markdown of the runs. None: a row an arm, a column a measure.
        draw: draws the runs with Matplotlib and returns the Figure. None: there is no figure.
        notes: what a reader must know: what differs from the paper, and why.
        reads_data: `reads_data(data_dir)` reads data that are not bundled, from a folder (None: from where they
            usually are, or a download), or raises `DataNotFound`; `measure` then takes `data_dir=`. It is called once
            before seeds are measured at the same time, so that one process downloads. None: the data are bundled.
        elsewhere: why its full size is not run on two cores, for which it must be asked by its own name; "" if it is.
    """

    name: str
    items: str
    title: str
    measure: Callable[..., Cells]
    settings: Mapping[str, Any]
    quick: Mapping[str, Any]
    claims: Sequence[Claim] = ()
    seeds: int = 5
    quick_seeds: int = 1
    paper: Cells = dataclasses.field(default_factory=dict)
    table: Callable[[Runs], str] | None = None
    draw: Callable[[Runs], Any] | None = None
    notes: str = ""
    reads_data: Callable[[str | None], Any] | None = None
    elsewhere: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", self.name):
            raise ValueError(f"Experiment: name must be like k-mixup/table-9. Received: name={self.name!r}.")
        unknown = sorted(set(self.quick) - set(self.settings))
        if unknown:
            raise ValueError(f"Experiment {self.name}: quick must name settings that there are. Received: {unknown}.")

    def settings_of(self, is_quick: bool) -> dict[str, Any]:
        """Of a full run or a quick one."""
        return {**self.settings, **(self.quick if is_quick else {})}

    def judged(self, runs: Runs) -> list[Judged]:
        """What the runs say of each claim."""
        return [claim.judge(runs) for claim in self.claims]
