"""Is a slower kernel told from a machine that others use? Planted timings, on a clock that only the calls move."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.bench.compare import MARGIN, compare
from gradcheck.bench.document import changes
from gradcheck.bench.facts import Bench
from gradcheck.bench.measure import Meter, Problem, Settings

MACHINE = {
    "processor": "P",
    "cores": 2,
    "system": "Linux",
    "blas": "openblas",
    "threads": 1,
    "python": "3.11.7",
    "versions": {"numpy": "2.0"},
}
PARTS = ("python", "memory", "products", "arrays")
KERNELS = {f"kernel {k}": np.random.default_rng(k).dirichlet(np.ones(len(PARTS))) for k in range(15)}
"""Of what each is made: its shares of the machine's parts."""


class Machine:
    """A clock, and calls that take their shares of parts which others slow down, with bursts."""

    def __init__(self, seed, loads=(1.0, 1.0, 1.0, 1.0), noise=0.0):
        self.now = 0.0
        self._rng = np.random.default_rng(seed)
        self._loads, self._noise = np.array(loads), noise

    def clock(self):
        return self.now

    def takes(self, shares, times=1.0):
        def call():
            burst = 1 + self._noise * self._rng.exponential(size=len(PARTS))
            self.now += 0.01 * times * float(shares @ (self._loads * burst))

        return call


def run(machine, slower=(), times=1.5, again=(), whos=KERNELS):
    problems = [
        Problem(
            "kernels",
            title,
            lambda title=title, shares=shares: {
                "limit": machine.takes(np.eye(4)[1], 0.5),
                "kernel": machine.takes(shares, times if title in slower else 1.0),
            },
            "limit",
            ("kernel",),
        )
        for title, shares in whos.items()
    ]
    yardsticks = {part: machine.takes(np.eye(4)[k]) for k, part in enumerate(PARTS)}
    meter = Meter(problems, Settings(5, 5, 0.05, 1e9), yardsticks, machine.clock)
    meter.take(list(whos))
    if again:
        meter.take(again)
    return Bench("0", "a day", False, MACHINE, (), tuple(meter.facts()), (), 1.0)


def flagged(comparison):
    return {change.title for change in comparison.slower}


@pytest.mark.parametrize("seed", range(10))
def test_two_honest_runs_differ_in_nothing(seed):
    noise = [0.02, 0.1, 0.3][seed % 3]
    old, new = run(Machine(seed, noise=noise)), run(Machine(100 + seed, noise=noise))
    assert flagged(compare(old, new)) == set()
    assert not compare(old, new).faster


@pytest.mark.parametrize("seed", range(10))
def test_a_kernel_that_works_half_as_much_again_is_slower(seed):
    old, new = run(Machine(seed, noise=0.05)), run(Machine(100 + seed, noise=0.05), slower={"kernel 7"})
    (change,) = compare(old, new).slower
    assert change.title == "kernel 7"
    assert change.growth == pytest.approx(1.5, rel=0.1)
    assert MARGIN < change.at_least < change.growth < change.at_most
    assert [change.title for change in compare(new, old).faster] == ["kernel 7"]


@pytest.mark.parametrize("part", range(len(PARTS)))
@pytest.mark.parametrize("by", [0.5, 2.0])
def test_a_machine_of_which_one_part_slows_down_is_nobodys_fault(part, by):
    loads = np.where(np.arange(len(PARTS)) == part, by, 1.0)
    comparison = compare(run(Machine(0, noise=0.02)), run(Machine(1, loads, noise=0.02)))
    assert flagged(comparison) == set()
    assert not comparison.faster
    # beside their limits alone some would have changed
    assert max(max(each.now / each.before, each.before / each.now) for each in comparison.changes) > MARGIN


def test_it_is_said_that_a_part_of_the_machine_slowed_down():
    even = compare(run(Machine(0)), run(Machine(1, (2, 2, 2, 2))))
    assert set(even.drift) == set(PARTS)
    assert list(even.drift.values()) == pytest.approx([2.0] * 4)
    assert len(changes(even).paragraphs) == 1
    uneven = compare(run(Machine(0)), run(Machine(1, (1, 1, 1, 2))))
    assert uneven.drift["arrays"] == pytest.approx(2)
    assert "arrays 2.00 times as long, memory 1.00 times as long" in changes(uneven).paragraphs[0]


def test_a_slower_kernel_is_found_on_a_machine_that_is_slower_as_well():
    comparison = compare(run(Machine(0, noise=0.02)), run(Machine(1, (2, 2, 2, 2), 0.02), slower={"kernel 7"}))
    assert flagged(comparison) == {"kernel 7"}


def test_what_noise_leaves_open_is_not_said():
    comparison = compare(run(Machine(0, noise=2.0)), run(Machine(1, noise=2.0), slower={"kernel 7"}, times=1.2))
    assert flagged(comparison) == set()


def test_who_is_suspected_by_bad_luck_is_cleared_by_more_blocks():
    old = run(Machine(0, noise=0.02))
    kernel = {"kernel 7": KERNELS["kernel 7"]}

    class Unlucky(Machine):
        """Slows the kernel down, and nothing else, for as long as the first five blocks take."""

        def takes(self, shares, times=1.0):
            calm, unlucky = super().takes(shares, times), super().takes(shares, 1.5)
            return lambda: (unlucky if self.now < 5.5 and shares is kernel["kernel 7"] else calm)()

    assert flagged(compare(old, run(Unlucky(1, noise=0.02), whos=kernel))) == {"kernel 7"}
    assert flagged(compare(old, run(Unlucky(1, noise=0.02), whos=kernel, again=["kernel 7"]))) == set()


def test_another_machine_is_said_and_not_judged_unless_asked():
    old, new = run(Machine(0)), run(Machine(1), slower={"kernel 7"})
    elsewhere = replace(old, machine={**MACHINE, "blas": "mkl", "threads": 2})
    comparison = compare(elsewhere, new)
    assert comparison.differences == ("blas: mkl then, openblas now", "threads: 2 then, 1 now")
    assert not comparison.judged
    assert not comparison.slower
    assert any("--any-machine" in paragraph for paragraph in changes(comparison).paragraphs)
    assert flagged(compare(elsewhere, new, any_machine=True)) == {"kernel 7"}
    newer = replace(old, machine={**MACHINE, "versions": {"numpy": "1.26"}})
    assert compare(newer, new).differences == ("numpy: 1.26 then, 2.0 now",)
    assert flagged(compare(newer, new)) == {"kernel 7"}


def test_what_only_one_report_has_is_not_compared():
    few = {title: KERNELS[title] for title in ("kernel 1", "kernel 2")}
    comparison = compare(run(Machine(0)), run(Machine(1), whos=few))
    assert {change.title for change in comparison.changes} == set(few)


def test_the_section_names_what_changed():
    old, new = run(Machine(0, noise=0.02)), run(Machine(1, noise=0.02), slower={"kernel 7"})
    section = changes(compare(old, new))
    assert section.paragraphs[-1].startswith("Of 15 costs 1 became slower than in the report of a day, and 0 faster")
    (row,) = section.tables[0].rows
    assert row[:3] == ("SLOWER", "kernels: kernel 7", "kernel")
    assert float(row[4]) > float(row[3])
