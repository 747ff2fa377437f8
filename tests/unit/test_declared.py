"""Does a declared pattern save what it promises, and does one that is wrong change nothing but the cost?"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from gradcheck import ArgumentError, Case, Verdict, check_jvp, check_layer, check_vjp
from gradcheck.declared import Declared
from gradcheck.shared import SharedRay
from gradcheck.structure import NONE

SIZE = 240


class Sparse:
    """``y = activation(A x)`` with three entries in each row of A, where no product of axes would say which."""

    def __init__(self, size=SIZE, activation=np.tanh, slope=lambda y: 1 - y * y, more=(), seed=0):
        rng = np.random.default_rng(seed)
        self.columns = np.array([rng.choice(size, 3, replace=False) for _ in range(size)])
        self.weights = rng.normal(size=(size, 3))
        self.x = rng.normal(size=size)
        self.activation, self.slope = activation, slope
        self.more = more  # (output, entry, weight), in addition
        self.wrong = 1.0

    @property
    def pattern(self):
        pattern = np.zeros((self.x.size, self.x.size), bool)
        pattern[np.arange(self.x.size)[:, None], self.columns] = True
        for output, entry, _ in self.more:
            pattern[output, entry] = True
        return pattern

    def f(self, x):
        z = (x[self.columns] * self.weights).sum(axis=1)
        for output, entry, weight in self.more:
            z[output] += weight * x[entry]
        return self.activation(z)

    def backward(self, g, x):
        d = g * self.slope(self.f(x))
        dx = np.zeros(x.shape)
        np.add.at(dx, self.columns, d[:, None] * self.weights)
        for output, entry, weight in self.more:
            dx[entry] += weight * d[output]
        dx[7] *= self.wrong
        return dx

    def check(self, pattern=None, **options):
        options = {} if pattern is None else {"pattern": {"x": pattern}, **options}
        return check_vjp(self.f, self.backward, self.x, **options)

    def without_pattern(self, **options):
        return check_vjp(self.f, self.backward, self.x, **options)


class Coordinates:
    """A matrix as `scipy.sparse` has it: a shape, and the places of what is stored and not zero."""

    def __init__(self, matrix):
        self.shape = matrix.shape
        self._places = np.nonzero(matrix)

    def nonzero(self):
        return self._places


def bare(report):
    """What a report says but for its cost, its replay line and the note on the pattern."""
    notes = tuple(note for note in report.notes if not note.startswith("pattern of "))
    lines = tuple(replace(line, forward_calls=0) for line in report.summaries)
    return repr(
        replace(report, notes=notes, summaries=lines, forward_calls=0, backward_calls=0, seconds=0, reproduce="")
    )


# ------------------------------------------------------------------ what it saves


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, Coordinates, lambda matrix: 2.5 * matrix])
def test_pattern_saves_nearly_all_forwards_of_a_sparse_function(form):
    sparse = Sparse(size=2000)
    given, found = sparse.check(form(sparse.pattern)), sparse.without_pattern()
    assert given.verdict is found.verdict is Verdict.MATCH
    assert given.summaries[0].judged == 2000
    assert given.forward_calls < 125
    assert found.forward_calls > 2000
    assert given.notes == found.notes == ()


def test_catches_a_wrong_entry_by_a_pattern():
    sparse = Sparse(size=2000)
    sparse.wrong = 1.0001
    report = sparse.check(sparse.pattern)
    assert [row.entry for row in report.comparisons if row.verdict is Verdict.MISMATCH] == ["x[7]"]
    assert report.forward_calls < 400


def test_auto_mode_probes_every_entry_of_what_a_pattern_makes_cheap():
    sparse = Sparse(size=12_000)
    rows = sparse.columns
    pattern = Coordinates(np.zeros((0, 0)))
    pattern.shape, pattern._places = (12_000, 12_000), (np.repeat(np.arange(12_000), 3), rows.ravel())
    report = sparse.check(pattern)
    assert (report.mode, report.verdict) == ("full", Verdict.MATCH)
    assert report.forward_calls < 300
    assert sparse.without_pattern().mode == "fast"


def test_auto_mode_chooses_anew_where_a_pattern_is_wrong():
    sparse = Sparse(size=12_000)
    empty = Coordinates(np.zeros((0, 0)))
    empty.shape = (12_000, 12_000)
    report = sparse.check(empty)
    assert report.mode == "fast"
    assert report.forward_calls < 300
    assert bare(report) == bare(sparse.without_pattern())


@pytest.mark.parametrize("generous", [0.02, 0.2, 1.0])
def test_pattern_that_declares_too_much_is_merely_slower(generous):
    sparse = Sparse()
    pattern = sparse.pattern | (np.random.default_rng(1).random((SIZE, SIZE)) < generous)
    report = sparse.check(pattern)
    assert report.verdict is Verdict.MATCH
    assert report.notes == ()
    assert report.forward_calls <= sparse.without_pattern().forward_calls * 3


# ------------------------------------------------------------------ the groups


@pytest.mark.parametrize("seed", range(5))
def test_groups_have_no_row_in_common_and_every_entry_once(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.random((30, 60)) < 0.05
    declared = Declared.of(*np.nonzero(matrix), matrix.shape)
    seen = []
    for group in declared.groups():
        columns = matrix[:, group.entries]
        assert columns.sum(axis=1).max() <= 1
        expected = np.where(columns.any(axis=1), columns.argmax(axis=1), NONE)
        assert group.share.owner.tolist() == expected.tolist()
        seen += group.entries.tolist()
    assert sorted(seen) == list(range(60))
    turned = list(declared.groups(np.arange(len(declared))[::-1]))
    assert turned[-1].entries.tolist() == next(iter(declared.groups())).entries.tolist()


def test_a_band_takes_as_many_groups_as_it_is_wide():
    matrix = np.abs(np.subtract.outer(np.arange(50), np.arange(50))) <= 2
    assert len(Declared.of(*np.nonzero(matrix), matrix.shape)) == 5


def test_what_shares_too_little_is_as_if_not_declared():
    assert Declared.of(*np.nonzero(np.ones((4, 6))), (4, 6)) is None
    sparse = Sparse()
    full = sparse.check(np.ones((SIZE, SIZE)))
    assert full.forward_calls == sparse.without_pattern().forward_calls
    assert bare(full) == bare(sparse.without_pattern())


# ------------------------------------------------------------------ wrong ones


def without(pattern, *places):
    pattern = pattern.copy()
    for place in places:
        pattern[place] = False
    return pattern


def last_of_row(sparse, row):
    return (row, int(np.flatnonzero(sparse.pattern[row])[-1]))


WRONG = {
    "one place": lambda sparse: without(sparse.pattern, last_of_row(sparse, 100)),
    "a column": lambda sparse: without(sparse.pattern, (slice(None), int(sparse.columns[5, 0]))),
    "a row": lambda sparse: without(sparse.pattern, (9, slice(None))),
    "everything": lambda sparse: np.zeros((SIZE, SIZE)),
    "transposed": lambda sparse: sparse.pattern.T,
    "shifted": lambda sparse: np.roll(sparse.pattern, 1, axis=0),
    "the diagonal": lambda sparse: np.eye(SIZE),
}


@pytest.mark.parametrize("wrong", [1.0, 1.0001])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_pattern_changes_nothing_but_the_cost_and_is_told(name, wrong):
    sparse = Sparse()
    sparse.wrong = wrong
    for seed in range(3):
        report = sparse.check(WRONG[name](sparse), seed=seed)
        assert bare(report) == bare(sparse.without_pattern(seed=seed))
        told = re.fullmatch(
            r"pattern of x: x\[(\d+)\] reaches output\[(\d+)\], which is not declared; .*", report.notes[0]
        )
        entry, output = map(int, told.groups())
        assert sparse.pattern[output, entry], "it is true"
        assert not WRONG[name](sparse)[output, entry]


@pytest.mark.parametrize("seed", range(6))
def test_catches_undeclared_entries_that_cancel_each_other(seed):
    """Moved alike by the same step, two entries that are not declared for an output leave it as it is."""
    plain = Sparse()
    groups = Declared.of(*np.nonzero(plain.pattern), (SIZE, SIZE)).entries
    one, other = (int(each) for each in groups[0][3:5])
    output = int(np.flatnonzero(~plain.pattern[:, groups[0]].any(axis=1))[0])
    for weight in (-1.0, 1.0):
        both = Sparse(more=((output, one, 1.0), (output, other, weight)))
        report = both.check(plain.pattern, seed=seed)
        assert bare(report) == bare(both.without_pattern(seed=seed))
        assert f"reaches output[{output}]" in report.notes[0]


def test_undeclared_reach_of_a_thousandth_of_the_tolerance_is_seen():
    plain = Sparse()
    entries = Declared.of(*np.nonzero(plain.pattern), (SIZE, SIZE)).entries[0]
    owned = int(np.flatnonzero(plain.pattern[:, entries[1]])[0])
    weak = Sparse(more=((owned, int(entries[0]), 1e-9),))
    report = weak.check(plain.pattern)
    assert report.notes[0].startswith(f"pattern of x: x[{entries[0]}] reaches output[{owned}]")


def test_undeclared_reach_that_large_outputs_hide_is_looked_for_farther_away():
    """Outputs of 1e13 do not show a step of 1e-5, but show a wide one."""
    plain = Sparse(activation=lambda z: z + 1e13, slope=np.ones_like)
    entries = Declared.of(*np.nonzero(plain.pattern), (SIZE, SIZE)).entries[0]
    owned = int(np.flatnonzero(plain.pattern[:, entries[1]])[0])
    more = Sparse(activation=lambda z: z + 1e13, slope=np.ones_like, more=((owned, int(entries[0]), 1.0),))
    report = more.check(plain.pattern)
    assert report.notes[0].startswith(f"pattern of x: x[{entries[0]}] reaches output[{owned}]")
    assert bare(report) == bare(more.without_pattern())


def test_right_pattern_of_what_has_no_far_points_is_given_up_with_another_note():
    def f(x):
        if np.abs(x - sparse.x).max() > 0.1:
            raise IndexError("beyond the table")
        return sparse.f(x)

    sparse = Sparse(activation=lambda z: z + 1e13, slope=np.ones_like)
    report = check_vjp(f, sparse.backward, sparse.x, pattern={"x": sparse.pattern})
    assert "changes though none of the entries declared for it is moved" in report.notes[0]
    assert bare(report) == bare(check_vjp(f, sparse.backward, sparse.x)).replace("Sparse.", "")


def test_last_bits_that_come_and_go_by_themselves_are_nobodys_reach():
    """Threads that add up in another order return other last bits: no entry is said to reach where it does not."""
    sparse = Sparse()
    calls = iter(range(10**6))

    def f(x):
        y = sparse.f(x)
        return y * (1 + 2.0**-52 * (next(calls) % 2))

    report = check_vjp(f, sparse.backward, sparse.x, pattern={"x": sparse.pattern})
    assert report.verdict is not Verdict.MISMATCH
    assert not any(" reaches " in note for note in report.notes)


def test_wrong_pattern_that_was_not_seen_accuses_nobody(monkeypatch):
    """The second line: what disagrees in a group is measured alone as well."""
    monkeypatch.setattr(SharedRay, "leak", lambda *given: None)
    sparse = Sparse()
    report = sparse.check(WRONG["one place"](sparse))
    assert report.verdict is Verdict.MATCH
    assert "what some entries do alone is not what they do together" in report.notes[0]


# ------------------------------------------------------------------ whatever is checked


def relu(z):
    return np.maximum(z, 0)


def test_kinks_are_found_as_without_a_pattern():
    sparse = Sparse(activation=relu, slope=lambda y: y > 0)
    sparse.x[sparse.columns[4]] = 0.0
    given, found = sparse.check(sparse.pattern), sparse.without_pattern()
    assert given.verdict is found.verdict is Verdict.KINK
    on_kinks = [{row.entry for row in each.comparisons if row.verdict is Verdict.KINK} for each in (given, found)]
    assert on_kinks[0] == on_kinks[1]


def test_undeclared_reach_to_one_side_only_is_found():
    sparse = Sparse()
    sparse.x[50] = 0.0

    def f(x):
        y = sparse.f(x)
        y[3] += max(x[50], 0.0)
        return y

    def backward(g, x):
        dx = sparse.backward(g, x)
        dx[50] += 0.5 * g[3]
        return dx

    for seed in range(5):
        given, found = (
            check_vjp(f, backward, sparse.x, seed=seed, **more) for more in ({"pattern": {"x": sparse.pattern}}, {})
        )
        assert given.verdict is found.verdict is Verdict.KINK
        assert given.notes[0].startswith("pattern of x: ")


def test_budget_judges_group_by_group():
    sparse = Sparse()
    given, found = sparse.check(sparse.pattern, budget=60), sparse.without_pattern(budget=60)
    assert given.forward_calls <= 60
    assert 0 < given.summaries[0].judged < SIZE
    assert given.summaries[0].judged > found.summaries[0].judged
    for budget in (1, 5, 10, 20, 40, 80):
        assert sparse.check(sparse.pattern.T, budget=budget).verdict is not Verdict.MISMATCH


@pytest.mark.parametrize("kind", ["float32", "complex64", "complex128"])
def test_precisions_and_complex_numbers(kind):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=30) + (1j * rng.normal(size=30) if kind[0] == "c" else 0)).astype(kind)
    band = np.eye(30, dtype=bool) | np.eye(30, k=1, dtype=bool)

    def f(x):
        return x * np.roll(x, -1)

    def backward(g, x):
        return g * np.roll(x, -1).conj() + np.roll(g * x.conj(), 1)

    right, wrong = band.copy(), band
    right[29, 0] = True
    report = check_vjp(f, backward, x, pattern={"x": right})
    assert report.verdict is Verdict.MATCH
    assert report.summaries[0].judged == 30
    assert not any("pattern" in note for note in report.notes)
    told = check_vjp(f, backward, x, pattern={"x": wrong})
    assert told.verdict is Verdict.MATCH
    assert any(re.match(r"pattern of x: x\[0\](\.real|\.imag)? reaches output\[29\]", note) for note in told.notes)


def test_rows_are_those_of_all_floating_point_outputs_and_names_those_of_several_primals():
    def f(x, w):
        return np.tanh(x), np.arange(3), np.outer(w, [1.0, 2.0])

    def backward(g, x, w):
        return g[0] * (1 - np.tanh(x) ** 2), g[2] @ [1.0, 2.0]

    x, w = np.linspace(-1, 1, 10), np.linspace(1, 2, 6)
    of_x, of_w = np.zeros((22, 10)), np.zeros((22, 6))
    of_x[:10] = np.eye(10)
    of_w[10:] = np.repeat(np.eye(6), 2, axis=0)
    assert check_vjp(f, backward, x, w, pattern={"x": of_x, "w": of_w}).notes == ()
    report = check_vjp(f, backward, x, w, pattern={"x": of_x, "w": of_w[::-1]})
    assert report.ok
    assert re.match(r"pattern of w: w\[\d\] reaches output\[2\]\[\d, \d\], which is not declared", report.notes[0])


class Gather:
    """A layer whose weights are picked: forward and backward as a user's own."""

    def __init__(self, wrong=False):
        self.W, self.dW = np.random.default_rng(2).normal(size=(8, 5)), None
        self.picked = np.random.default_rng(3).integers(0, 40, 60)
        self.wrong = wrong

    def forward(self, x):
        self.x = x
        return x * self.W.ravel()[self.picked]

    def backward(self, dout):
        d = np.zeros(40)
        np.add.at(d, self.picked, dout * self.x)
        d[11] += self.wrong
        self.dW = d.reshape(8, 5)
        return dout * self.W.ravel()[self.picked]


def test_parameters_of_a_layer():
    x = np.linspace(0.5, 1.5, 60)
    pattern = np.zeros((60, 40))
    pattern[np.arange(60), Gather().picked] = 1
    assert check_layer(Gather(), x, pattern={"W": pattern}).notes == ()
    wrong = check_layer(Gather(wrong=True), x, pattern={"W": pattern})
    assert [row.entry for row in wrong.comparisons if row.verdict is Verdict.MISMATCH] == ["W[2, 1]"]
    told = check_layer(Gather(), x, pattern={"W": np.roll(pattern, 1, axis=0)})
    assert told.ok
    assert told.notes[0].startswith("pattern of W: W[")


def test_pushforward_and_transposes_take_a_pattern():
    sparse = Sparse()

    def jvp(tangents, x):
        return (1 - sparse.f(x) ** 2) * (tangents[0][sparse.columns] * sparse.weights).sum(axis=1)

    for report in (
        check_jvp(sparse.f, jvp, sparse.x, pattern={"x": sparse.pattern}),
        check_vjp(sparse.f, sparse.backward, sparse.x, jvp=jvp, pattern={"x": sparse.pattern}),
    ):
        assert report.verdict is Verdict.MATCH
        assert report.forward_calls - report.backward_calls < 120  # a jvp's gradient takes a call for each entry
        assert not any(note.startswith("pattern") for note in report.notes)
        assert report.reproduce.endswith("seed=0, pattern=pattern)")


def test_case_takes_a_pattern():
    sparse = Sparse()
    case = Case.vjp("sparse", sparse.f, sparse.backward, sparse.x, pattern={"x": sparse.pattern})
    assert case.run(mode="full").forward_calls < 120


# ------------------------------------------------------------------ what cannot be used


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (np.eye(12), r"pattern was ndarray; expected a dict of matrices, by the names .*: \{'x': matrix\}"),
        ({"y": np.ones((12, 4))}, r"pattern names 'y', which is none of what is differentiated; there are 'x'"),
        (
            {"x": np.ones((4, 12))},
            r"pattern\['x'\] has shape \(4, 12\); expected \(12, 4\): a row for each .*transpose it",
        ),
        (
            {"x": np.ones((3, 4))},
            r"has shape \(3, 4\); expected \(12, 4\): .*f returns \(12\), a column .* x \(shape \(2, 2\)\)",
        ),
        (
            {"x": np.ones((12, 2, 2))},
            r"pattern\['x'\] has shape \(12, 2, 2\) and dtype float64; expected a matrix of bool",
        ),
        ({"x": [[1, 0], [1]]}, r"pattern\['x'\] is no matrix \(.*\); give one of booleans or numbers"),
        ({"x": None}, r"pattern\['x'\] has shape \(\) and dtype object; expected a matrix"),
        ({"x": np.full((12, 4), "a")}, r"pattern\['x'\] has shape \(12, 4\) and dtype <U1; expected a matrix"),
    ],
)
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_what_is_no_pattern_is_refused(pattern, message, mode):
    with pytest.raises(ArgumentError, match=message):
        check_vjp(lambda x: np.tile(x.ravel(), 3), lambda g, x: g, np.ones((2, 2)), pattern=pattern, mode=mode)
