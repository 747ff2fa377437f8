"""The engine's specification on layers whose outputs share their inputs, and on low precision, by closed forms."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import Verdict, check_vjp

RNG = np.random.default_rng(21)


class Row(NamedTuple):
    """One layer, its pullback in closed form, and the pullbacks that people write in its place."""

    id: str
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    point: tuple[Any, ...]
    wrong: dict[str, Callable[..., Any]]
    right: Verdict = Verdict.MATCH


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_vjp(g, z):
    p = softmax(z)
    return p * (g - np.sum(g * p, axis=-1, keepdims=True))


def log_softmax(z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_softmax_vjp(g, z):
    return g - softmax(z) * g.sum(axis=-1, keepdims=True)


def log_sum_exp(z):
    top = z.max(axis=-1)
    return top + np.log(np.exp(z - top[..., None]).sum(axis=-1))


def normalise(x, scale, shift):
    return scale * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) + shift


def normalise_vjp(g, x, scale, shift, *, through_mean=True, through_variance=True):
    spread = np.sqrt(x.var(axis=0) + 1e-5)
    hat = (x - x.mean(axis=0)) / spread
    dhat = g * scale
    dx = dhat.copy()
    if through_mean:
        dx -= dhat.mean(axis=0)
    if through_variance:
        dx -= hat * (dhat * hat).mean(axis=0)
    return dx / spread, (g * hat).sum(axis=0), g.sum(axis=0)


def norm(x):
    return np.sqrt(np.sum(x**2))


def sort_vjp(g, x):
    dx = np.empty_like(x)
    dx[np.argsort(x)] = g
    return dx


def median_vjp(g, x):
    middle = np.argsort(x)[len(x) // 2]
    return g * (np.arange(len(x)) == middle)


def at_largest(g, x):
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(axis=1)] = g
    return dx


def matmul_vjp(g, a, b):
    return g @ b.T, a.T @ g


def convolve(x, k):
    return np.convolve(x, k, mode="valid")


def convolve_vjp(g, x, k):
    return np.convolve(g, k[::-1], mode="full"), np.convolve(x[::-1], g, mode="valid")


def cross_entropy(z, labels):
    return -log_softmax(z)[np.arange(len(labels)), labels].mean()


def cross_entropy_vjp(g, z, labels, *, over=None):
    p = softmax(z)
    p[np.arange(len(labels)), labels] -= 1
    return g * p / (over or len(labels))


Z = RNG.normal(size=(3, 4))
TALL = RNG.normal(size=(6, 3))
ROWS = [
    Row(
        "softmax",
        softmax,
        softmax_vjp,
        (Z,),
        {"diagonal-only": lambda g, z: g * softmax(z) * (1 - softmax(z)), "no-correction": lambda g, z: g * softmax(z)},
    ),
    Row(
        "softmax-saturated",
        softmax,
        softmax_vjp,
        (np.array([[30.0, 0.0, -30.0], [0.1, 0.0, -0.1]]),),
        {"diagonal-only": lambda g, z: g * softmax(z) * (1 - softmax(z))},
    ),
    Row(
        "log-softmax",
        log_softmax,
        log_softmax_vjp,
        (Z,),
        {
            "identity": lambda g, z: g.copy(),
            "softmax-of-the-wrong-axis": lambda g, z: g - softmax(z.T).T * g.sum(axis=-1, keepdims=True),
        },
    ),
    Row("log-softmax-large", log_softmax, log_softmax_vjp, (Z * 100,), {"identity": lambda g, z: g.copy()}),
    Row(
        "log-sum-exp",
        log_sum_exp,
        lambda g, z: g[:, None] * softmax(z),
        (Z,),
        {"hard-max": lambda g, z: at_largest(g, z)},
    ),
    Row(
        "cross-entropy",
        cross_entropy,
        cross_entropy_vjp,
        (Z, np.array([0, 3, 1])),
        {
            "not-divided-by-the-batch": lambda g, z, labels: cross_entropy_vjp(g, z, labels, over=1),
            "sign": lambda g, z, labels: -cross_entropy_vjp(g, z, labels),
        },
    ),
    Row(
        "batch-norm",
        normalise,
        normalise_vjp,
        (TALL, RNG.normal(size=3), RNG.normal(size=3)),
        {
            "mean-as-constant": lambda g, *a: normalise_vjp(g, *a, through_mean=False),
            "variance-as-constant": lambda g, *a: normalise_vjp(g, *a, through_variance=False),
            "both-as-constants": lambda g, *a: normalise_vjp(g, *a, through_mean=False, through_variance=False),
        },
    ),
    Row(
        "batch-norm-of-offset-data",
        normalise,
        normalise_vjp,
        (TALL + 1e4, RNG.normal(size=3), RNG.normal(size=3)),
        {"mean-as-constant": lambda g, *a: normalise_vjp(g, *a, through_mean=False)},
    ),
    Row(
        "norm",
        norm,
        lambda g, x: g * x / norm(x),
        (Z,),
        {"squared": lambda g, x: 2 * g * x, "not-normalised": lambda g, x: g * x},
    ),
    Row(
        "norm-near-0",
        norm,
        lambda g, x: g * x / norm(x),
        (1e-6 * Z,),
        {"guarded-by-epsilon": lambda g, x: g * x / (norm(x) + 1e-6)},
    ),
    Row(
        "normalised",
        lambda x: x / norm(x),
        lambda g, x: (g - x * np.sum(g * x) / np.sum(x**2)) / norm(x),
        (Z,),
        {"length-as-constant": lambda g, x: g / norm(x)},
    ),
    Row(
        "sort",
        np.sort,
        sort_vjp,
        (np.array([0.9, -1.0, 2.0, 0.3]),),
        {"inverse-permutation": lambda g, x: g[np.argsort(x)], "unsorted": lambda g, x: g.copy()},
    ),
    Row(
        "median",
        np.median,
        median_vjp,
        (np.array([0.3, -1.0, 2.0, 0.9, 0.5]),),
        {"mean": lambda g, x: g * np.full(5, 0.2)},
    ),
    Row("max", lambda x: x.max(axis=1), at_largest, (Z,), {"everyone": lambda g, x: np.repeat(g[:, None], 4, axis=1)}),
    Row(
        "matmul",
        np.matmul,
        matmul_vjp,
        (Z, RNG.normal(size=(4, 2))),
        {
            "factor": lambda g, a, b: (g @ b.T, 2 * a.T @ g),
            "one-entry": lambda g, a, b: (g @ b.T, a.T @ g + np.eye(4, 2) * 1e-3),
        },
    ),
    Row(
        "square-matmul",
        np.matmul,
        matmul_vjp,
        (Z[:, :3], TALL[:3]),
        {"transpose-forgotten": lambda g, a, b: (g @ b, a.T @ g)},
    ),
    Row(
        "convolution",
        convolve,
        convolve_vjp,
        (RNG.normal(size=7), RNG.normal(size=3)),
        {"kernel-not-flipped": lambda g, x, k: (np.convolve(g, k, mode="full"), convolve_vjp(g, x, k)[1])},
    ),
    Row(
        "broadcast-sum",
        lambda x, b: x + b,
        lambda g, x, b: (g.copy(), g.sum(axis=0)),
        (TALL, np.zeros(3)),
        {"mean": lambda g, x, b: (g.copy(), g.mean(axis=0))},
    ),
    Row("mean", np.mean, lambda g, x: np.full(x.shape, g / x.size), (Z,), {"sum": lambda g, x: np.full(x.shape, g)}),
    Row(
        "variance",
        np.var,
        lambda g, x: 2 * g * (x - x.mean()) / x.size,
        (Z,),
        {"unbiased": lambda g, x: 2 * g * (x - x.mean()) / (x.size - 1)},
    ),
    Row("product", np.prod, lambda g, x: g * np.prod(x) / x, (Z,), {"sum-rule": lambda g, x: g * np.ones_like(x)}),
    Row(
        "cumulative-sum",
        np.cumsum,
        lambda g, x: np.cumsum(g[::-1])[::-1],
        (Z[0],),
        {"forward-again": lambda g, x: np.cumsum(g)},
    ),
    Row(
        "inverse-matrix",
        np.linalg.inv,
        lambda g, a: -np.linalg.inv(a).T @ g @ np.linalg.inv(a).T,
        (TALL[:3] + 3 * np.eye(3),),
        {"transposes-forgotten": lambda g, a: -np.linalg.inv(a) @ g @ np.linalg.inv(a)},
    ),
    Row(
        "log-determinant",
        lambda a: np.linalg.slogdet(a)[1],
        lambda g, a: g * np.linalg.inv(a).T,
        (TALL[:3] + 3 * np.eye(3),),
        {"transpose-forgotten": lambda g, a: g * np.linalg.inv(a)},
    ),
    Row(
        "two-outputs",
        lambda x: (np.sin(x), np.cos(x)),
        lambda g, x: g[0] * np.cos(x) - g[1] * np.sin(x),
        (Z,),
        {"second-forgotten": lambda g, x: g[0] * np.cos(x), "sign": lambda g, x: g[0] * np.cos(x) + g[1] * np.sin(x)},
    ),
    Row(
        "relu-network-unit-on-its-kink",
        lambda x, w: np.maximum(x @ w, 0.0),
        lambda g, x, w: ((g * (x @ w > 0)) @ w.T, x.T @ (g * (x @ w > 0))),
        (np.array([[1.0, 1.0], [-1.0, 2.0]]), np.array([[1.0, 2.0], [-1.0, 0.5]])),
        {"mask-forgotten": lambda g, x, w: (g @ w.T, x.T @ g)},
        Verdict.KINK,
    ),
]
rows = pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])
WRONG = [pytest.param(row, twin, id=f"{row.id}-{name}") for row in ROWS for name, twin in row.wrong.items()]


@rows
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_right_pullback_passes(row, mode):
    for seed in (0, 1):
        report = check_vjp(row.f, row.vjp, *row.point, mode=mode, seed=seed)
        assert report.verdict is row.right, str(report)


@pytest.mark.parametrize(("row", "twin"), WRONG)
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_wrong_pullback_is_a_mismatch(row, twin, mode):
    report = check_vjp(row.f, twin, *row.point, mode=mode)
    assert report.verdict is Verdict.MISMATCH, str(report)


# ------------------------------------------------------------------ low precision

LOW = [
    row
    for row in ROWS
    if row.id
    in (
        "softmax",
        "log-softmax",
        "cross-entropy",
        "batch-norm",
        "norm",
        "matmul",
        "convolution",
        "variance",
        "two-outputs",
    )
]


def lowered(point, dtype):
    return tuple(array.astype(dtype) if array.dtype.kind == "f" else array for array in point)


def cast(f, dtype):
    """Return f with its floating inputs and outputs in a dtype: a layer that insists on it."""

    def g(*arrays):
        result = f(*(np.asarray(a).astype(dtype) if np.asarray(a).dtype.kind == "f" else a for a in arrays))
        return (
            tuple(np.asarray(r).astype(dtype) for r in result)
            if isinstance(result, tuple)
            else np.asarray(result).astype(dtype)
        )

    return g


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in LOW])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_right_low_precision_layer_is_not_accused(row, dtype):
    report = check_vjp(row.f, row.vjp, *lowered(row.point, dtype))
    assert report.ok, str(report)


@pytest.mark.parametrize(
    ("row", "twin"), [pytest.param(row, twin, id=f"{row.id}-{name}") for row in LOW for name, twin in row.wrong.items()]
)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_wrong_low_precision_layer_is_caught(row, twin, dtype):
    report = check_vjp(row.f, twin, *lowered(row.point, dtype))
    assert report.verdict is Verdict.MISMATCH, str(report)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in LOW if row.id != "two-outputs"])
def test_layer_that_insists_on_float32_is_judged_all_the_same(row):
    """Differences in float32 are all there is then: less is seen, and nobody is accused for it."""
    point = lowered(row.point, np.float32)
    right = check_vjp(cast(row.f, np.float32), cast(row.vjp, np.float32), *point)
    assert right.verdict in (Verdict.MATCH, Verdict.INCONCLUSIVE), str(right)
    for twin in row.wrong.values():
        assert not check_vjp(cast(row.f, np.float32), cast(twin, np.float32), *point).ok


def test_backward_that_is_right_only_in_float64_is_caught():
    """A cancellation that float64 hides: (1 + x**2) - 1 is 0 in float32 where x is 1e-4."""
    x = np.array([1e-4, 2e-4, -1e-4], np.float32)
    assert check_vjp(lambda x: x**3, lambda g, x: g * 3 * x**2, x).verdict is Verdict.MATCH
    report = check_vjp(lambda x: x**3, lambda g, x: g * 3 * ((1 + x**2) - 1), x)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert "right in float64, wrong in float32" in str(report)


@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
def test_one_wrong_entry_of_a_float32_backward_is_caught(factor):
    x = np.linspace(-2, 2, 12, dtype=np.float32)
    weights = np.ones(12, np.float32)
    weights[7] = factor
    report = check_vjp(np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2) * weights, x)
    assert [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [(7,)]
