"""Does the engine meet its specification, the table? Every row, right and wrong, as data.

The right pullback gets the expected verdict and is never accused; what comes out is as near to the truth as the row's
budget asks. A wrong one never passes, and no entry is accused that is right.
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from gradcheck import Report, Verdict, check_grad, check_jvp, check_vjp, full, summarise
from tests.numerics.table import (
    ROWS,
    convolutions,
    elementary,
    linear_algebra,
    low_precision,
    normalisers,
    reductions,
    rounded,
    saturated,
    scales,
    softmaxes,
)
from tests.numerics.table.row import COARSE, gradients, spoilt, twins, vanishes

pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow", "ignore:invalid value", "ignore:divide by zero", "ignore:underflow"
)

UNDECIDED_IN_FAST_MODE = {
    "gelu-tail": "one projection for all entries, one of them on a staircase of its own",
    "entropy-term-near-0": "entries of 1e-300",
    "nan-to-num-guard": "a clamp at 1e-30, which every step crosses for one entry",
    "argument-1e8": "few digits are left in x",
    "relu-at-1e-12": "every step of a projection crosses the kink",
    "kinks-at-every-distance": "the same",
    "hypot-of-1e-200": "the same",
    "|x|^1.5": "the one-sided slopes meet slowly, at 0",
    "norm-at-0": "no direction is free of the kink",
    "norm-at-0-along-an-axis": "the same",
    "standard-deviation-of-equal-values": "the same",
}
"""Right rows that a projection cannot decide; mode="full" does."""

KNOWN: dict[str, dict[str, str]] = {
    "twin": {
        "arctan2-on-an-axis-one-argument": "a bend within the coarsest steps of a flat entry is taken for a staircase's step",
    },
}
"""Where the engine does not do yet what a row asks: by test, by row."""

ONE_VARIABLE = [*elementary.ROWS, *saturated.ROWS, *scales.ROWS, *rounded.ROWS]
PROJECTED = [
    *ONE_VARIABLE,
    *softmaxes.ROWS,
    *normalisers.ROWS,
    *reductions.ROWS,
    *convolutions.ROWS,
    *linear_algebra.ROWS,
    *low_precision.ROWS,
]
"""The topics whose wrong twins are projected too; a projection costs little, and finding out why it disagrees much."""

FEW = 8
"""So many outputs are pushed forward one by one."""


def parametrize(test, rows=ROWS):
    known = KNOWN.get(test, {})
    return pytest.mark.parametrize(
        "row",
        [
            pytest.param(
                row, id=row.id, marks=pytest.mark.xfail(strict=True, reason=known[row.id]) if row.id in known else ()
            )
            for row in rows
        ],
    )


def parametrize_twins(test, chosen=lambda twin: True):
    """Go through the wrong twins; a wrong sign only where nobody has thought of a better mistake."""
    known = KNOWN.get(test, {})
    return pytest.mark.parametrize(
        "twin",
        [
            pytest.param(
                twin,
                id=twin.id,
                marks=pytest.mark.xfail(strict=True, reason=known[twin.id]) if twin.id in known else (),
            )
            for row in ROWS
            for twin in twins(row)
            if chosen(twin) and (twin.name != "sign" or set(row.wrong) <= {"sign"})
        ],
    )


@pytest.fixture(autouse=True)
def every_entry_listed(monkeypatch):
    """Reports list the worst entries; here every one is looked at."""
    for module in (full, summarise):
        monkeypatch.setattr(module, "OTHERS_KEPT", 10**6)


@functools.cache
def right(row, seed=0, mode="full") -> Report:
    return check_vjp(row.f, row.vjp, *row.inputs, mode=mode, seed=seed)


class Entry(NamedTuple):
    """One entry of a twin's gradient, beside the truth."""

    difference: float
    truth: float
    largest: float
    """Of its array's true entries."""
    accused: bool


def entries(row, report) -> list[Entry]:
    """Pair a wrong report's entries with the true ones, which the right report of the same seed has."""
    truth = {(c.name, c.index): c.analytic for c in right(row).comparisons}
    largest = {name: max(abs(value) for (of, _), value in truth.items() if of == name) for name, _ in truth}
    return [
        Entry(abs(c.analytic - true), abs(true), largest[c.name], c.verdict is Verdict.MISMATCH)
        for c in report.comparisons
        for true in (truth[c.name, c.index],)
    ]


def expected(row):
    """A slope of which rounding leaves a digit or two may be undecided."""
    return {Verdict(row.expect), Verdict.INCONCLUSIVE} if row.accuracy >= COARSE else {Verdict(row.expect)}


# ------------------------------------------------------------------ the right pullback


@parametrize("right")
def test_right_pullback_has_the_expected_verdict_and_the_numbers_are_within_budget(row):
    for seed in (0,) if row in ONE_VARIABLE else (0, 1):
        report = right(row, seed)
        assert report.verdict in expected(row), f"{row.why}\n{report}"
        if row.expect == "match" and not vanishes(row):
            for name in {c.name for c in report.comparisons}:
                judged = [c for c in report.comparisons if c.name == name and c.verdict.ok]
                budget = row.accuracy * max((abs(c.analytic) for c in judged), default=0.0)
                assert all(c.error <= budget for c in judged), f"{row.why}\n{report}"


@parametrize("fast")
def test_right_pullback_is_not_accused_by_projections(row):
    report = right(row, mode="fast")
    undecided = row.expect == "inconclusive" or row.id in UNDECIDED_IN_FAST_MODE or row.accuracy >= COARSE
    assert report.ok or (undecided and report.verdict is Verdict.INCONCLUSIVE), f"{row.why}\n{report}"
    assert report.verdict is not Verdict.KINK or row.expect == "kink", f"{row.why}\n{report}"


def split(row):
    """Return the row's floating inputs, and a function that puts the constants back among them."""
    floating = [k for k, x in enumerate(row.inputs) if np.asarray(x).dtype.kind == "f"]

    def complete(params):
        inputs = list(row.inputs)
        for k, array in zip(floating, params, strict=True):
            inputs[k] = array
        return inputs

    return [row.inputs[k] for k in floating], complete


HIDDEN_IN_A_SUM = ("relu-at-1e-12", "kinks-at-every-distance", "max-of-nearly-equal")
"""Entries so near to a kink that the noise of the sum hides on which side: any slope between is legal then."""


@parametrize("sum")
def test_right_gradient_of_the_sum_is_not_accused(row):
    """The entries' values add up: the noise of the largest drowns what the smallest do."""
    params, complete = split(row)

    def loss(params):
        outputs = row.f(*complete(params))
        return sum(np.sum(output) for output in (outputs if isinstance(outputs, tuple) else (outputs,)))

    def grad(params):
        outputs = row.f(*complete(params))
        ones = tuple(map(np.ones_like, outputs)) if isinstance(outputs, tuple) else np.ones_like(outputs)
        return gradients(row.vjp, ones, *complete(params))

    report = check_grad(loss, grad, params)
    kinked = row.expect == "kink" or row.id in HIDDEN_IN_A_SUM
    allowed = {Verdict.MATCH, Verdict.INCONCLUSIVE} | ({Verdict.KINK} if kinked else set())
    assert report.verdict in allowed, f"{row.why}\n{report}"


def pushed_forward(row):
    """Tell whether a row is one of few enough outputs; float16 has no pushforward that is exact enough to be judged."""
    with np.errstate(all="ignore"):
        outputs = row.f(*row.inputs)
    few = sum(np.size(output) for output in (outputs if isinstance(outputs, tuple) else (outputs,))) <= FEW
    return few and all(np.asarray(x).dtype != np.float16 for x in row.inputs)


@parametrize("jvp", [row for row in ROWS if row.expect != "kink" and pushed_forward(row)])
def test_right_jvp_is_not_accused(row):
    """The pullbacks of all basis cotangents make up the Jacobian, and that the pushforward."""

    def jvp(tangents, *inputs):
        outputs = row.f(*inputs)
        parts = outputs if isinstance(outputs, tuple) else (outputs,)
        moved = [tangent for tangent, x in zip(tangents, inputs, strict=True) if np.asarray(x).dtype.kind == "f"]
        pushed = [np.zeros(np.shape(part), np.result_type(part)) for part in parts]
        for which, part in enumerate(pushed):
            for index in np.ndindex(part.shape):
                basis = [np.zeros(np.shape(other), np.result_type(other)) for other in parts]
                basis[which][index] = 1
                pulled = gradients(row.vjp, tuple(basis) if isinstance(outputs, tuple) else basis[0], *inputs)
                part[index] = sum(np.sum(g * t) for g, t in zip(pulled, moved, strict=True))
        return tuple(pushed) if isinstance(outputs, tuple) else pushed[0]

    report = check_jvp(row.f, jvp, *row.inputs, mode="full")
    assert report.verdict in expected(row), f"{row.why}\n{report}"


# ------------------------------------------------------------------ wrong twins


@parametrize_twins("twin")
def test_catches_the_wrong_twin_and_accuses_no_right_entry(twin):
    row = twin.row
    report = check_vjp(row.f, twin.vjp, *row.inputs, mode="full")
    assert not report.ok, f"{row.why}\n{report}"
    if twin.accused:
        nan = any(c.kind == "finite" for c in report.violations)
        assert report.verdict is (Verdict.CONTRACT if nan else Verdict.MISMATCH), f"{row.why}\n{report}"
    if row.expect == "match" and report.verdict is Verdict.MISMATCH:
        for entry in entries(row, report):
            assert entry.difference > 1e-7 * entry.truth or not entry.accused, f"{row.why}\n{report}"
            wrong = entry.difference > max(0.005, row.accuracy) * entry.largest
            assert entry.accused or not wrong, f"{row.why}\n{report}"


@parametrize_twins("fast-twin", lambda twin: twin.row in PROJECTED and twin.name != "one-percent")
def test_projections_catch_the_wrong_twin_or_keep_their_word(twin):
    """A projection decides for a whole array: an error that passes lies below what the report says it could have seen."""
    row, cotangents = twin.row, []

    def vjp(*arguments):
        cotangents.append(arguments[0])
        return twin.vjp(*arguments)

    report = check_vjp(row.f, vjp, *row.inputs, mode="fast")
    if report.ok:
        pairs = zip(
            gradients(twin.vjp, cotangents[0], *row.inputs), gradients(row.vjp, cotangents[0], *row.inputs), strict=True
        )
        error = max(np.max(np.abs(wrong - true), initial=0.0) for wrong, true in pairs)
        assert error < report.detection_limit, f"{row.why}\n{report}"
    exact = row.expect == "match" and row not in rounded.ROWS and row.id not in UNDECIDED_IN_FAST_MODE
    if exact and twin.accused:
        assert report.verdict in (Verdict.MISMATCH, Verdict.CONTRACT), f"{row.why}\n{report}"


@parametrize("limit", [row for row in ROWS if row.expect == "match" and row.accuracy >= COARSE])
def test_error_of_one_percent_that_passes_lies_below_the_limit(row):
    """Where rounding leaves a digit or two, an error of 1 % may pass; the report must say that it could."""
    report = check_vjp(row.f, spoilt(row, lambda g: 1.01 * g), *row.inputs, mode="full")
    if report.ok:
        assert max(entry.difference for entry in entries(row, report)) < report.detection_limit, f"{row.why}\n{report}"


@parametrize("every-entry", [row for row in ONE_VARIABLE if row.expect == "match"])
def test_every_entry_of_the_wrong_sign_is_never_passed(row):
    """The smallest entry too: where its slope cannot be told from its opposite, the check must not say that it can."""
    for number, entry in enumerate(right(row).comparisons):
        beside = 1e-6 * max(abs(c.analytic) for c in right(row).comparisons if c.name == entry.name)
        if abs(entry.analytic) <= beside:  # what is none beside the others may be passed over, or not
            continue
        names = [summary.name for summary in right(row).summaries]

        def vjp(*arguments, entry=entry, names=names):
            arrays = gradients(row.vjp, *arguments)
            arrays[names.index(entry.name)][entry.index] *= -1
            return tuple(arrays) if len(arrays) > 1 else arrays[0]

        report = check_vjp(row.f, vjp, *row.inputs, mode="full")
        assert not report.ok, f"entry {number}, {entry.entry}; {row.why}\n{report}"


# ------------------------------------------------------------------ the table itself


def test_table_is_a_specification():
    assert len({row.id for row in ROWS}) == len(ROWS) >= 170
    assert all(row.why for row in ROWS)
    assert {row.expect for row in ROWS} == {"match", "kink", "inconclusive"}
    named = {name for known in KNOWN.values() for name in known} | set(UNDECIDED_IN_FAST_MODE)
    assert named <= {row.id for row in ROWS} | {twin.id for row in ROWS for twin in twins(row)}


def test_unaccused_twins_exist():
    assert all(row.unaccused <= set(row.wrong) for row in ROWS)
