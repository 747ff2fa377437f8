"""Kinks that entries share: ties, norms at 0, whole layers at 0. Each entry may be legal and all of them together not."""

import numpy as np

from tests.numerics.table.functions import norm
from tests.numerics.table.row import Row

RNG = np.random.default_rng(5)


def pool(x):
    return x.reshape(-1, 2).max(axis=1)


def pool_vjp(first, second):
    """Max-pool's pullback; at a tie the first gets one share of the cotangent, the second another."""

    def vjp(g, x):
        a, b = x.reshape(-1, 2).T
        tie = a == b
        return np.stack([g * np.where(tie, first, a > b), g * np.where(tie, second, b > a)], axis=1).ravel()

    return vjp


def maximum_vjp(first, second):
    def vjp(g, a, b):
        tie = a == b
        return g * np.where(tie, first, a > b), g * np.where(tie, second, b > a)

    return vjp


def minimum_vjp(first, second):
    def vjp(g, a, b):
        tie = a == b
        return g * np.where(tie, first, a < b), g * np.where(tie, second, b < a)

    return vjp


def largest_vjp(split):
    """The pullback of a row-wise maximum: the first of the largest takes all, or they split it, or each takes all."""

    def vjp(g, x):
        ties = x == x.max(axis=1, keepdims=True)
        if split == "first":
            ties = np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]
        return g[:, None] * ties / (ties.sum(axis=1, keepdims=True) if split == "even" else 1)

    return vjp


def sort_vjp(g, x):
    dx = np.empty_like(x)
    dx[np.argsort(x, kind="stable")] = g
    return dx


def network(x, w, b, v):
    return np.maximum(x @ w + b, 0.0) @ v


def network_vjp(at_zero):
    def vjp(g, x, w, b, v):
        z = x @ w + b
        dz = np.outer(g, v) * np.where(z == 0, at_zero, z > 0)
        return dz @ w.T, x.T @ dz, dz.sum(axis=0), np.maximum(z, 0).T @ g

    return vjp


def hinge_loss(scores, labels):
    margins = np.maximum(0, scores - scores[np.arange(len(labels)), labels][:, None] + 1)
    return margins.sum() - len(labels)


def hinge_loss_vjp(at_zero, own=-1.0):
    def vjp(g, scores, labels):
        here = np.arange(len(labels))
        margins = scores - scores[here, labels][:, None] + 1
        counted = np.where(margins == 0, at_zero, margins > 0)
        counted[here, labels] = 0
        counted[here, labels] = own * counted.sum(axis=1)
        return g * counted

    return vjp


TIED = np.array([1.0, 2.0, 3.0, 3.0, 0.5, -1.0])
ILLEGAL = {"both-get-all": (1.0, 1.0), "neither-gets-any": (0.0, 0.0)}

ROWS = [
    Row(
        "max-pool-with-a-tie",
        pool,
        pool_vjp(1.0, 0.0),
        (TIED,),
        "the first takes all: legal, though a difference says 0.5 for both",
        expect="kink",
        wrong={name: pool_vjp(*shares) for name, shares in ILLEGAL.items()},
    ),
    Row(
        "max-pool-split-evenly",
        pool,
        pool_vjp(0.5, 0.5),
        (TIED,),
        "what jax does at a tie",
        expect="kink",
        wrong={"takes-from-the-other": pool_vjp(1.5, -0.5)},
    ),
    Row(
        "maximum-with-a-tie",
        np.maximum,
        maximum_vjp(0.0, 1.0),
        (TIED[:3], TIED[[0, 2, 2]]),
        "two arrays tied in two entries; the second takes all, as in ChainRules",
        expect="kink",
        wrong={name: maximum_vjp(*shares) for name, shares in ILLEGAL.items()},
    ),
    Row(
        "minimum-with-a-tie",
        np.minimum,
        minimum_vjp(0.5, 0.5),
        (np.array([0.3, -1.0]), np.array([0.3, 4.0])),
        "the concave twin of maximum",
        expect="kink",
        wrong={name: minimum_vjp(*shares) for name, shares in ILLEGAL.items()},
    ),
    Row(
        "row-maximum-with-three-equal",
        lambda x: x.max(axis=1),
        largest_vjp("first"),
        (np.array([[2.0, 2.0, 2.0], [1.0, 0.0, -1.0]]),),
        "three entries share one kink",
        expect="kink",
        wrong={"each-gets-all": largest_vjp("each")},
    ),
    Row(
        "row-maximum-split-evenly",
        lambda x: x.max(axis=1),
        largest_vjp("even"),
        (np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, -1.0, 0.0]]),),
        "four equal zeros, and two equal ones: numpy inputs of small integers are full of ties",
        expect="kink",
        wrong={"each-gets-all": largest_vjp("each")},
    ),
    Row(
        "sort-with-a-tie",
        np.sort,
        sort_vjp,
        (np.array([0.9, -1.0, 0.9, 0.3]),),
        "either order of the equal ones is legal",
        expect="kink",
        wrong={"tied-get-the-sum": lambda g, x: sort_vjp(g, x) + (x == 0.9) * 2 * np.abs(g).sum()},
        unaccused=frozenset({"tied-get-the-sum"}),
    ),
    Row(
        "clip-to-its-bounds",
        lambda x: np.clip(x, -1, 1),
        lambda g, x: g * (np.abs(x) <= 1),
        (np.array([[-1.0, 1.0, 0.0], [1.0, 3.0, -1.0]]),),
        "many kinks, none of them shared",
        expect="kink",
        wrong={"doubled": lambda g, x: 2 * g * (np.abs(x) <= 1)},
    ),
    Row(
        "sum-of-abs-at-zeros",
        lambda x: np.sum(np.abs(x)),
        lambda g, x: g * np.sign(x),
        (np.array([0.0, 0.0, -2.0, 1.5, 0.0]),),
        "the lasso's penalty of sparse weights",
        expect="kink",
        wrong={"two-at-zero": lambda g, x: g * np.where(x == 0, 2.0, np.sign(x))},
    ),
    Row(
        "norm-at-0",
        norm,
        lambda g, x: g * (x / norm(x) if np.any(x) else np.zeros_like(x)),
        (np.zeros(3),),
        "0 is the subgradient that everybody asks for: pytorch#2421, autograd#268, ChainRules.jl#538",
        expect="kink",
        wrong={"twos": lambda g, x: g * (x / norm(x) if np.any(x) else np.full(3, 2.0))},
        unaccused=frozenset({"twos"}),
    ),
    Row(
        "norm-at-0-along-an-axis",
        norm,
        lambda g, x: g * (x / norm(x) if np.any(x) else np.array([0.0, 0.0, 1.0])),
        (np.zeros(3),),
        "ForwardDiff answers with the last axis, which is a subgradient too: ChainRules.jl#538",
        expect="kink",
    ),
    Row(
        "rows-norms-one-of-them-0",
        lambda x: np.sqrt(np.sum(x**2, axis=1)),
        lambda g, x: g[:, None] * x / np.maximum(np.sqrt(np.sum(x**2, axis=1)), 1e-300)[:, None],
        (np.array([[3.0, 4.0], [0.0, 0.0]]),),
        "pairwise distances with a point on itself",
        expect="kink",
        wrong={
            "squared": lambda g, x: g[:, None] * 2 * x,
            "beyond": lambda g, x: g[:, None] * np.where(x == 0, 1.5, x / 5),
        },
    ),
    Row(
        "hypot-at-0",
        np.hypot,
        lambda g, a, b: (g * a / np.maximum(np.hypot(a, b), 1e-300), g * b / np.maximum(np.hypot(a, b), 1e-300)),
        (np.array([0.0, 3.0]), np.array([0.0, 4.0])),
        "the two arguments' norm, at 0 in one entry",
        expect="kink",
        wrong={"both-ones": lambda g, a, b: (g * np.where(a == 0, 1, a / 5), g * np.where(b == 0, 1, b / 5))},
    ),
    Row(
        "max-norm-with-a-tie",
        lambda x: np.max(np.abs(x)),
        lambda g, x: g * np.sign(x) * (np.arange(x.size) == np.argmax(np.abs(x))),
        (np.array([-2.0, 1.0, 2.0]),),
        "tied with opposite signs",
        expect="kink",
        wrong={"each-gets-all": lambda g, x: g * np.sign(x) * (np.abs(x) == 2)},
    ),
    Row(
        "range",
        lambda x: x.max() - x.min(),
        lambda g, x: g * (np.arange(4) == x.argmax()) - g * (np.arange(4) == x.argmin()),
        (np.array([0.5, -1.0, 0.5, 0.1]),),
        "a tie at the top, none at the bottom",
        expect="kink",
        wrong={"each-gets-all": lambda g, x: g * (x == x.max()) - g * (x == x.min()) * 1.0},
    ),
    Row(
        "layer-of-zero-pre-activations",
        network,
        network_vjp(0.0),
        (np.array([[0.0, 0.0, 0.0], [1.0, -0.5, 2.0]]), RNG.normal(size=(3, 4)), np.zeros(4), RNG.normal(size=4)),
        "a zero input and zero biases put every unit on its kink at once",
        expect="kink",
        wrong={"minus-one": network_vjp(-1.0), "two": network_vjp(2.0)},
        # their kinks bend both ways: a chain of legal sides may add up to anything, and so may this
        unaccused=frozenset({"minus-one", "two"}),
    ),
    Row(
        "relu-network-unit-on-its-kink",
        lambda x, w: np.maximum(x @ w, 0.0),
        lambda g, x, w: ((g * (x @ w > 0)) @ w.T, x.T @ (g * (x @ w > 0))),
        (np.array([[1.0, 1.0], [-1.0, 2.0]]), np.array([[1.0, 2.0], [-1.0, 0.5]])),
        "one unit at exactly 0, by integers that cancel",
        expect="kink",
        wrong={"mask-forgotten": lambda g, x, w: (g @ w.T, x.T @ g)},
    ),
    Row(
        "hinge-loss-on-its-margin",
        hinge_loss,
        hinge_loss_vjp(0.0),
        (np.array([[2.0, 1.0, 0.5], [0.3, -1.0, 2.0]]), np.array([0, 1])),
        "a margin of exactly 1 between two scores",
        expect="kink",
        wrong={"own-score-forgotten": hinge_loss_vjp(0.0, own=0.0), "sign": hinge_loss_vjp(0.0, own=1.0)},
    ),
    Row(
        "total-variation-of-a-flat-signal",
        lambda x: np.sum(np.abs(np.diff(x))),
        lambda g, x: g * (np.concatenate([[0], np.sign(np.diff(x))]) - np.concatenate([np.sign(np.diff(x)), [0]])),
        (np.array([1.0, 1.0, 1.0, 3.0, 2.0]),),
        "neighbours that are equal share their kinks in a chain",
        expect="kink",
        wrong={"both-up": lambda g, x: g * np.array([3.0, 0.0, -1.0, 2.0, -1.0])},
    ),
    Row(
        "distance-to-the-nearest",
        lambda x, c: np.min(np.abs(x[:, None] - c), axis=1),
        lambda g, x, c: _nearest_vjp(g, x, c),
        (np.array([0.5, 2.2]), np.array([0.0, 1.0, 3.0])),
        "a point half-way between two centres: k-means",
        expect="kink",
        wrong={"all-centres": lambda g, x, c: (_nearest_vjp(g, x, c)[0], -np.sign(x[:, None] - c).T @ g)},
    ),
]


def _nearest_vjp(g, x, c):
    apart = x[:, None] - c
    chosen = np.sign(apart) * (np.arange(len(c)) == np.abs(apart).argmin(axis=1)[:, None])
    return g * chosen.sum(axis=1), -chosen.T @ g
