"""Are times taken in turn, block by block, as the clock has it? A planted clock that only the calls move."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gradcheck import ArgumentError
from gradcheck.bench import checks, kernels, limits, notebooks, steps
from gradcheck.bench.facts import SCHEMA, Bench, exponent
from gradcheck.bench.measure import QUICK, Meter, Problem, Settings
from gradcheck.bench.run import prepare

SETTINGS = Settings(blocks=3, rounds=4, turn=1.0, patience=1e9)


class Clock:
    """Stands still but for calls made with `takes`; notes who was called."""

    def __init__(self):
        self.now = 0.0
        self.called = []

    def __call__(self):
        return self.now

    def takes(self, seconds, name="", result=None):
        def call():
            self.now += seconds() if callable(seconds) else seconds
            self.called.append(name)
            return result

        return call


@pytest.fixture
def clock():
    return Clock()


def problem(**calls):
    return Problem("section", "p", lambda: calls, "limit", ("mine",), ("theirs",), {"size": 1})


def taken(clock, settings=SETTINGS, yardsticks=None, **calls):
    meter = Meter([problem(**calls)], settings, yardsticks, clock)
    meter.take(["p"])
    return meter.facts()[0]


def test_ratios_are_to_the_limit_of_the_same_block(clock):
    found = taken(clock, limit=clock.takes(0.25), mine=clock.takes(0.5), theirs=clock.takes(0.1))
    assert found.costs["mine"].seconds == pytest.approx([0.5] * 3)
    assert found.costs["mine"].ratios == pytest.approx([2.0] * 3)
    assert (found.ours, found.peers, found.best_peer) == (("mine",), ("theirs",), "theirs")
    assert found.beside("mine", "theirs") == pytest.approx(5)


def test_a_machine_that_slows_down_is_in_no_ratio(clock):
    speed = [1.0]
    calls = {"limit": clock.takes(lambda: 0.2 * speed[0]), "mine": clock.takes(lambda: 0.6 * speed[0])}
    meter = Meter([problem(**calls)], SETTINGS, {}, clock)
    for speed[0] in (1.0, 3.0, 2.0):
        meter.take(["p"])
    cost = meter.facts()[0].costs["mine"]
    assert len(cost.seconds) == 9
    assert max(cost.seconds) == pytest.approx(3 * min(cost.seconds))
    assert cost.ratios == pytest.approx([3.0] * 9)


def test_short_calls_fill_a_turn_and_long_ones_are_not_repeated(clock):
    taken(clock, limit=clock.takes(0.1, "limit"), mine=clock.takes(7.0, "mine"))
    # a call to warm up and one to learn what it takes, in the first block only if it is long; then 4 rounds
    assert clock.called.count("mine") == 2 + 3 * 4
    assert clock.called.count("limit") == 2 + 3 * 4 * 10


def test_patience_ends_a_block_but_not_before_everyone_had_a_turn(clock):
    impatient = replace(SETTINGS, patience=0.0)
    taken(clock, impatient, limit=clock.takes(1.0, "limit"), mine=clock.takes(3.0, "mine"))
    assert clock.called.count("mine") == clock.called.count("limit") == 2 + 3


def test_each_round_begins_with_another(clock):
    taken(clock, replace(SETTINGS, blocks=1), limit=clock.takes(1.0, "a"), mine=clock.takes(1.0, "b"))
    assert clock.called[4:] == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_a_burst_in_one_round_is_in_no_time(clock):
    bursts = iter([1.0] * 4 + [50.0] + [1.0] * 100)
    found = taken(clock, limit=clock.takes(1.0), mine=clock.takes(lambda: next(bursts)))
    assert found.costs["mine"].seconds == pytest.approx([1.0] * 3)


def test_yardsticks_take_part_in_shorter_turns_and_are_no_costs(clock):
    found = taken(clock, yardsticks={"copy": clock.takes(0.05, "copy")}, limit=clock.takes(0.05, "limit"))
    assert found.yardsticks == {"copy": pytest.approx((0.05,) * 3)}
    assert list(found.costs) == ["limit"]
    assert clock.called.count("copy") < clock.called.count("limit") / 3


def test_dear_calls_are_made_once_in_all_if_one_asks_for_that(clock):
    found = taken(clock, replace(SETTINGS, once=5.0), limit=clock.takes(1.0, "limit"), mine=clock.takes(7.0, "mine"))
    assert clock.called.count("mine") == 1
    assert found.costs["mine"].seconds == pytest.approx([7.0] * 3)


def test_forwards_of_a_report_are_noted(clock):
    class Report:
        forward_calls = 17

    found = taken(clock, limit=clock.takes(1.0), mine=clock.takes(1.0, result=Report()))
    assert (found.costs["mine"].forwards, found.costs["limit"].forwards) == (17, None)


def test_all_that_is_asked_for_is_in_the_quick_set():
    titles = {
        section: [each.title for each in made]
        for section, made in {
            "limits": limits.problems(),
            "kernels": kernels.problems(),
            "steps": steps.problems(),
            "notebooks": notebooks.problems(),
            "checks": checks.problems(full=False),
        }.items()
    }
    assert len(titles["steps"]) == 4 * 2
    assert len(titles["kernels"]) == 7 * 2 * 2 + 2 * 2
    assert {title.split(",")[0] for title in titles["notebooks"]} == set(notebooks.NOTEBOOKS)
    every = [title for of_section in titles.values() for title in of_section]
    assert len(set(every)) == len(every)
    assert {each.title for each in checks.problems(full=True)} - set(titles["checks"]) == {"sigmoid 1000 x 1000"}


@pytest.mark.parametrize("dtype", kernels.DTYPES)
@pytest.mark.parametrize("kernel", [*kernels.OURS, *kernels.PRODUCTS])
def test_everyone_computes_the_same(kernel, dtype):
    made = kernels.calls(kernel, 100, dtype) if kernel in kernels.OURS else kernels.product_calls(kernel, dtype)
    made.pop("product", None)
    precision = 1e-12 if dtype == "float64" else 1e-4
    expected = made.pop("one line")()
    for call in made.values():
        for result, truth in zip(call(), expected, strict=True):
            np.testing.assert_allclose(np.asarray(result), truth, rtol=precision, atol=precision)


@pytest.mark.parametrize("name", notebooks.NOTEBOOKS)
def test_notebooks_lose_as_the_port_does_where_their_gradients_are_right(name):
    shown = notebooks.notebook(name)
    same = 1e-7 if name == "class-based" else 1e-9  # it clips its probabilities
    assert (shown.reproduced < same) == (name != "row-major")
    assert len(shown.written.steps) <= notebooks.POINTS
    assert shown.written.losses[0] == pytest.approx(shown.port.losses[0], rel=1e-12)
    assert sum(shown.profile.values()) == pytest.approx(1)
    if name in ("parity", "column-major"):  # seeded: what was printed is reproduced
        written = dict(zip(shown.port.steps, shown.port.losses, strict=True))
        for step, loss in zip(shown.printed.steps, shown.printed.losses, strict=True):
            if step in written:
                assert written[step] == pytest.approx(loss, rel=1e-11)


@pytest.fixture(scope="module")
def bench():
    run = prepare(only="checks: sigmoid 4 x 3")
    run._meter._settings = Settings(1, 1, 1e-4, 0.0)
    return run.measure()


class TestReport:
    def test_json_and_back(self, bench):
        again = Bench.from_json(bench.to_json())
        assert again == bench
        assert json.loads(bench.to_json())["schema"] == SCHEMA
        assert set(json.loads(bench.to_json())) == {
            "schema", "version", "date", "full", "machine", "missing", "measured", "notebooks", "seconds",
        }  # fmt: skip

    def test_limits_are_measured_whatever_is_asked_for(self, bench):
        found = {limit.title: limit for limit in limits.limits(bench.measured)}
        assert len(found) == len(limits.problems())
        assert found["matrix product 1024 x 1024, float64"].text.endswith("Gflop/s")
        assert found["copy of 10,000 numbers, float32"].text.endswith("GB/s")
        assert found["empty ufunc call"].text.endswith("a second")
        assert {title for title, limit in found.items() if limit.rate <= 0} == set()

    def test_machine_says_what_times_depend_on(self, bench):
        assert bench.machine["threads"] == 1
        assert bench.machine["versions"]["numpy"] == np.__version__
        assert bench.machine["blas"] != "unknown"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "is no JSON"),
            ("[]", 'it has no "schema"'),
            ('{"schema": 99}', "has schema 99, expected 1"),
            ('{"schema": 1}', "is no whole report of gradcheck bench: 'measured'"),
        ],
    )
    def test_catches_what_is_no_report(self, text, says, tmp_path):
        file = tmp_path / "old.json"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ArgumentError, match=r"old\.json .*") as caught:
            Bench.read(file)
        assert says in str(caught.value)


def test_nothing_to_measure_is_an_error():
    with pytest.raises(ArgumentError, match='nothing to measure has "banana" in its name'):
        prepare(only="banana")


def test_the_run_tells_as_often_as_it_promises():
    run = prepare(only="steps: 4-3-1, float64")
    assert run.total == QUICK.blocks * len(run.titles)
    assert prepare(only="notebooks: parity, its").total == QUICK.blocks * (1 + len(limits.problems())) + 5


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponents_are_those_of_the_times(power):
    assert exponent([10, 100, 5000], [3e-6 * n**power for n in (10, 100, 5000)]) == pytest.approx(power)
