"""Do wrong guesses of which entries share an evaluation ever change a verdict? Functions made to fool the guess.

Each is an honest layer with one coupling between entries that hides from the evaluations that look for it. A right
backward must not be accused, and one that forgets the coupling must be caught, as it is where every entry is judged by
itself.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gradcheck import Verdict, check_vjp, full
from gradcheck.shared import Movable, SharedRay

SEEDS = 10
X = np.random.default_rng(1).normal(size=(8, 6))
W = np.random.default_rng(3).normal(size=(6, 4))
FIVE = (5, 2)  # the entry that reaches what is the first's


@dataclass(frozen=True)
class Fooling:
    """What a coupling adds to the first output, its gradient by x, and the point."""

    value: Any
    gradient: Any
    x: Any = None
    scale: float = 1.0
    """Of the first row: what is large there hides what is small."""
    offset: float = 0.0


def at_five(slope):
    gradient = np.zeros(X.shape)
    gradient[FIVE] = slope
    return gradient


def moved(x):
    return x[FIVE] - X[FIVE]


def window(width):
    def value(x):
        return moved(x) * np.exp(-((moved(x) / width) ** 2))

    return Fooling(value, lambda x: at_five((1 - 2 * (moved(x) / width) ** 2) * np.exp(-((moved(x) / width) ** 2))))


def same_cell(x):
    return np.array_equal(np.floor(4 * x[7]), np.floor(4 * X[7]))


def larger(x):
    return x[FIVE] - 0.2 > X[FIVE] - 0.5


def raising(x):
    if np.abs(x - X).max() > 1.0:
        raise KeyError("no such place in the table")
    return x[FIVE]


def root(x):
    return np.sqrt(moved(x) + 0.3)


SIZES = X * np.logspace(-8, 8, X.size).reshape(X.shape)
COUPLINGS = {
    "one pair": Fooling(lambda x: x[FIVE], lambda x: at_five(1.0)),
    "a weak pair": Fooling(lambda x: 1e-3 * x[FIVE], lambda x: at_five(1e-3)),
    "a small slope beside large ones": Fooling(lambda x: x[FIVE], lambda x: at_five(1.0), scale=1e4),
    "near the point only": window(1e-2),
    "at certain values only": Fooling(lambda x: x[FIVE] * same_cell(x), lambda x: at_five(1.0)),
    "through a max": Fooling(lambda x: max(x[FIVE] - 0.2, X[FIVE] - 0.5), lambda x: at_five(float(larger(x)))),
    "the largest of a row": Fooling(
        lambda x: x[5].max(), lambda x: (x == x[5].max()) * (np.arange(8) == 5)[:, None] * 1.0
    ),
    "NaN far away, hidden by where": Fooling(
        lambda x: np.where(np.isfinite(root(x)), root(x), 0.0), lambda x: at_five(0.5 / root(x))
    ),
    "NaN far away": Fooling(root, lambda x: at_five(0.5 / root(x))),
    "raising far away": Fooling(raising, lambda x: at_five(1.0)),
    "sizes from 1e-8 to 1e8": Fooling(lambda x: x[FIVE], lambda x: at_five(1.0), x=SIZES),
    "outputs of 1e9": Fooling(lambda x: x[FIVE], lambda x: at_five(1.0), offset=1e9),
}


def elementwise(x):
    return np.tanh(x)


def elementwise_vjp(g, x):
    return g * (1 - np.tanh(x) ** 2)


def rows(x):
    return np.tanh(x) @ W


def rows_vjp(g, x):
    return g @ W.T * (1 - np.tanh(x) ** 2)


LAYERS = {"elementwise": (elementwise, elementwise_vjp), "rows": (rows, rows_vjp)}


def fooled(layer, fooling):
    """Return a function with a coupling, its right backward, and the one that forgets it."""
    own, own_vjp = LAYERS[layer]
    scale = np.where(np.arange(8) == 0, fooling.scale, 1.0)[:, None]

    def f(x):
        with np.errstate(invalid="ignore"):
            y = own(x) * scale
            y[0, 0] += fooling.value(x) + fooling.offset
        return y

    def forgets(g, x):
        return own_vjp(g * scale, x)

    def right(g, x):
        return forgets(g, x) + g[0, 0] * fooling.gradient(x)

    return f, right, forgets, X if fooling.x is None else fooling.x


def verdicts(f, vjp, x, seeds=SEEDS, **options):
    return Counter(check_vjp(f, vjp, x, mode="full", seed=seed, **options).verdict for seed in range(seeds))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", COUPLINGS)
def test_right_backward_is_not_accused(layer, name):
    f, right, _, x = fooled(layer, COUPLINGS[name])
    assert set(verdicts(f, right, x)) == {Verdict.MATCH}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", COUPLINGS)
def test_catches_a_forgotten_coupling(layer, name):
    f, right, forgets, x = fooled(layer, COUPLINGS[name])
    for seed in range(SEEDS):
        error: list[float] = []

        def wrong(g, x, error=error):
            error.append(np.abs(right(g, x) - forgets(g, x)).max())
            return forgets(g, x)

        limit = check_vjp(f, right, x, mode="full", seed=seed).detection_limit
        report = check_vjp(f, wrong, x, mode="full", seed=seed)
        assert error[0] > limit, "the example is no example"
        assert report.verdict is Verdict.MISMATCH, f"seed {seed}: {report}"
        accused = {c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH}
        assert len(accused) == 1, f"seed {seed}: {report}"
        assert right(np.ones((8, W.shape[1] if layer == "rows" else 6)), x)[next(iter(accused))] != 0


def test_right_entry_behind_many_wrong_ones_is_not_accused():
    """So many are measured alone; that the next reaches another's output is seen a hair's breadth from the point only."""
    f, right, _, x = fooled("elementwise", window(1e-6))
    wrong = np.arange(X.size).reshape(X.shape) < X[: FIVE[0]].size + FIVE[1]

    for seed in range(SEEDS):
        report = check_vjp(f, lambda g, x: np.where(wrong, 1.1, 1.0) * right(g, x), x, mode="full", seed=seed)
        assert {c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH} == {
            *map(tuple, np.argwhere(wrong).tolist())
        }


def batch_norm(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def batch_norm_vjp(g, x):
    y = batch_norm(x)
    return (g - g.mean(0) - y * (g * y).mean(0)) / np.sqrt(x.var(0) + 1e-5)


def rare(x):
    return abs(np.sum(x - X)) < 1e-2


def test_batch_norm_in_a_rare_branch():
    """Wherever the detector's wide moves lead, entries are treated one by one."""

    def f(x):
        return batch_norm(x) if rare(x) else np.tanh(x)

    def forgets(g, x):
        return g / np.sqrt(x.var(0) + 1e-5)

    assert set(verdicts(f, batch_norm_vjp, X, seeds=4)) == {Verdict.MATCH}
    assert set(verdicts(f, forgets, X, seeds=4)) == {Verdict.MISMATCH}


def test_coupling_below_the_last_bit_of_its_output_accuses_nobody():
    """An output of 1e13 hides a slope of 1e-2, at every step that is taken; alone, the entry may be anything."""
    hidden = Fooling(lambda x: 1e-2 * x[FIVE], lambda x: at_five(1e-2), offset=1e13)
    for layer in LAYERS:
        f, right, forgets, x = fooled(layer, hidden)
        for vjp in (right, forgets):
            assert Verdict.MISMATCH not in verdicts(f, vjp, x, seeds=4)


# ------------------------------------------------------------------ each guard, and what slips through without it


def tie(claim):
    """A coupling with a kink at the point: half of the moves do not show it."""
    kinked = Fooling(lambda x: np.maximum(moved(x), 0.0), lambda x: at_five(claim))
    return fooled("elementwise", kinked)[:2]


def own_output(claim):
    """An output that one entry reaches, to one side of the point only."""

    def f(x):
        return rows(x), np.maximum(x[FIVE] - X[FIVE], 0.0)

    return f, lambda g, x: rows_vjp(g[0], x) + g[1] * at_five(claim)


def corner(offset):
    """Affine, but for a kink at the point in one output; another is large and steep."""
    size = np.where(np.arange(8) == 0, offset, 0.0)

    def f(x):
        kinked = np.abs(x - X)[:, 2] * (np.arange(8) == 3)
        return x @ W, kinked, size + (1 + 1e-4 * size) * x.sum(1)

    def vjp(g, x):
        gradient = g[0] @ W.T + ((1 + 1e-4 * size) * g[2])[:, None]
        gradient[3, 2] += g[1][3]
        return gradient

    return f, vjp


def narrow(width=1e-6):
    return fooled("elementwise", window(width))[:2]


def hidden_below():
    """A slope of 1e-2 below the last bit of another's output."""
    hidden = Fooling(lambda x: 1e-2 * x[FIVE], lambda x: at_five(1e-2), offset=1e13)
    return fooled("rows", hidden)[:2]


def steep():
    """A backward that forgets a slope, small beside that of the output's own entry."""
    f, _, forgets, _ = fooled("elementwise", Fooling(lambda x: 0.1 * x[FIVE], lambda x: at_five(0.1), scale=1e6))
    return f, forgets


def one_sum_is_straight(point, name, step):
    level = point.everywhere().level(step)
    return abs(level.jump) <= level.jump_noise


EVEN = property(lambda movable: True)

# the place of the guard, what stands there instead, the example, and what it must be called
GUARDS = {
    "disagreeing entries are measured alone": (full._Sharing, "_verify", lambda *given: None, tie(0.3), Verdict.KINK),
    "and at the finest step": (full._Sharing, "_may_hide", lambda *given: False, narrow(), Verdict.MATCH),
    "outputs that nobody should reach": (SharedRay, "strays", lambda ray: False, own_output(0.0), Verdict.KINK),
    "one side is enough where f is affine": (full, "_is_affine", lambda *given: True, corner(0.0), Verdict.KINK),
    "every pair is looked at beside steep slopes": (Movable, "is_even", EVEN, steep(), Verdict.MISMATCH),
    "each output is straight": (full, "_is_affine", one_sum_is_straight, corner(1e13), Verdict.KINK),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_each_guard_is_needed(guard, monkeypatch):
    owner, name, instead, (f, vjp), expected = GUARDS[guard]
    assert set(verdicts(f, vjp, X)) == {expected}
    monkeypatch.setattr(owner, name, instead)
    assert set(verdicts(f, vjp, X)) != {expected}, "nothing slips through without it"


@pytest.mark.parametrize("guard", GUARDS)
def test_examples_are_called_the_same_entry_by_entry(guard, monkeypatch):
    *_, (f, vjp), expected = GUARDS[guard]
    monkeypatch.setattr(full, "_rays", lambda *given, **options: None)
    assert set(verdicts(f, vjp, X, seeds=4)) == {expected}


# ------------------------------------------------------------------ what it costs


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_vjp(g, x):
    return g * sigmoid(x) * (1 - sigmoid(x))


def dense(x, w, b):
    return x @ w + b


def dense_vjp(g, x, w, b):
    return g @ w.T, x.T @ g, g.sum(axis=0)


def windows(x, size):
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))


def conv(x, w, b):
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:]), w) + b[:, None, None]


def conv_vjp(g, x, w, b):
    dx = np.zeros_like(x)
    for i, j in np.ndindex(w.shape[2:]):
        dx[:, :, i : i + g.shape[2], j : j + g.shape[3]] += np.einsum("nohw,oc->nchw", g, w[:, :, i, j])
    return dx, np.einsum("nohw,nchwij->ocij", g, windows(x, w.shape[2:])), g.sum((0, 2, 3))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def attention(q, k, v):
    return softmax(q @ k.T) @ v


def attention_vjp(g, q, k, v):
    p, dp = softmax(q @ k.T), g @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return ds @ k, ds.T @ q, p.T @ g


COSTS = {
    "sigmoid, 12 entries": (sigmoid, sigmoid_vjp, [(4, 3)], 12),
    "sigmoid, 1,000,000 entries": (sigmoid, sigmoid_vjp, [(1000, 1000)], 12),
    "dense 32 x 64 x 64": (dense, dense_vjp, [(32, 64), (64, 64), (64,)], 200),
    "dense 64 x 256 x 256": (dense, dense_vjp, [(64, 256), (256, 256), (256,)], 620),
    "conv 3 to 4 channels": (conv, conv_vjp, [(2, 3, 8, 8), (4, 3, 3, 3), (4,)], 140),
    "attention of 16 by 16": (attention, attention_vjp, [(16, 8), (16, 8), (16, 8)], 360),
}


@pytest.mark.parametrize("name", COSTS)
def test_forwards_of_a_right_gradient(name):
    f, vjp, shapes, forwards = COSTS[name]
    inputs = [np.random.default_rng(k).normal(size=shape) for k, shape in enumerate(shapes)]
    for seed in range(1 if "1,000,000" in name else 4):
        report = check_vjp(f, vjp, *inputs, mode="full", seed=seed)
        assert report.verdict is Verdict.MATCH
        assert report.forward_calls <= forwards
        assert sum(line.judged for line in report.summaries) == sum(x.size for x in inputs)


def test_catches_one_wrong_entry_among_those_that_share():
    def wrong(g, x, w, b):
        dx, dw, db = dense_vjp(g, x, w, b)
        dw[7, 3] *= 1.01
        return dx, dw, db

    inputs = [np.random.default_rng(k).normal(size=shape) for k, shape in enumerate([(32, 64), (64, 64), (64,)])]
    report = check_vjp(dense, wrong, *inputs, mode="full")
    assert [(c.name, c.index) for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [("w", (7, 3))]
    assert report.summaries[1].forward_calls <= 115  # the rest is spent on what it looks like
