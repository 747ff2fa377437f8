"""Is nothing explained that cannot be? Right gradients of the catalogue, spoilt by random numbers: nothing fits them."""

import inspect

import numpy as np
import pytest

from gradcheck import Verdict, check_vjp
from reference_impls.known_bugs import activations, dense, losses, normalisers, sequences

BATCHES, EACH = 5, 100
LAYERS = list({
    bug.code: bug
    for theme in (activations, losses, dense, normalisers, sequences)
    for bug in theme.BUGS
    if bug.forward is not None and bug.layer != "rnn"
}.values())  # fmt: skip


def relative(g, size, rng):
    return g * (1 + 0.3 * rng.normal(size=g.shape))


def small(g, size, rng):
    return g * (1 + 1e-3 * rng.normal(size=g.shape))


def absolute(g, size, rng):
    return g + 0.3 * size * rng.normal(size=g.shape)


def replaced(g, size, rng):
    return size * rng.normal(size=g.shape)


def one(g, size, rng):
    g = g.copy()
    g.flat[rng.integers(g.size)] += size * (0.5 + rng.random())
    return g


def few(g, size, rng):
    return np.where(rng.random(g.shape) < 0.3, g + size * rng.normal(size=g.shape), g)


def row(g, size, rng):
    g = g.copy()
    i = rng.integers(len(g))
    g[i] += size * rng.normal(size=g[i].shape)
    return g


KINDS = (relative, small, absolute, replaced, one, few, row)


def spoilt(bug, kind, seed):
    """Return the right backward with the same random numbers in it at every call, under its own signature."""

    def backward(*args):
        gradients, rng = bug.code(*args), np.random.default_rng(seed)
        if isinstance(gradients, tuple):
            return tuple(kind(g, np.abs(g).max(), rng) for g in gradients)
        return kind(gradients, np.abs(gradients).max(), rng)

    backward.__signature__ = inspect.signature(bug.code)
    return backward


@pytest.mark.parametrize("batch", range(BATCHES))
def test_none_of_a_hundred_random_corruptions_is_explained(batch):
    told, wrong = [], 0
    for seed in range(batch * EACH, (batch + 1) * EACH):
        bug, kind = LAYERS[seed % len(LAYERS)], KINDS[seed % len(KINDS)]
        with np.errstate(all="ignore"):
            report = check_vjp(bug.forward, spoilt(bug, kind, seed), *bug.inputs, wrt=0, contract=False)
        wrong += report.verdict is Verdict.MISMATCH
        told += [(seed, bug.layer, kind.__name__, found.text) for found in report.explanations]
    assert wrong >= 0.97 * EACH, "the corruptions have to be seen"
    assert told == [], "fewer than 1 %"
