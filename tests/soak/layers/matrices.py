"""Layers of linear algebra: inverse, solve, determinant, factors and eigenvalues."""

from __future__ import annotations

import numpy as np

from tests.soak.layers.layer import Layer, has_rank

WELL = 1e3  # matrices up to this condition number


def _square(rng):
    n = int(rng.integers(1, 4))
    return n, n


def _away_from_singular(x):
    size = np.abs(x).max(initial=0.0) or 1.0
    return x + x.dtype.type(4 * size) * np.eye(len(x), dtype=x.dtype)


def _is_well(x):
    if x.ndim != 2 or x.shape[0] != x.shape[1] or not np.all(np.isfinite(x)) or not np.any(x):
        return False
    return bool(np.linalg.cond(x.astype(float)) < WELL)


def inverse_vjp(g, x):
    y = np.linalg.inv(x).T
    return (-y @ g @ y,)


def inverse_jvp(t, x):
    y = np.linalg.inv(x)
    return -y @ t[0] @ y


def solve_vjp(g, x, b):
    db = np.linalg.solve(x.T, g)
    return -db @ np.linalg.solve(x, b).T, db


def solve_jvp(t, x, b):
    return np.linalg.solve(x, t[1] - t[0] @ np.linalg.solve(x, b))


def determinant_vjp(g, x):
    return (g * np.linalg.det(x) * np.linalg.inv(x).T,)


def log_determinant(x):
    return np.linalg.slogdet(x)[1]


def trace_of_power(x):
    return np.trace(x @ x @ x)


def cholesky(x):  # of a matrix that is positive definite whatever x is
    return np.linalg.cholesky(x @ x.T + np.eye(len(x), dtype=x.dtype))


def cholesky_vjp(g, x):
    lower = cholesky(x)
    inverse = np.linalg.inv(lower)
    middle = np.tril(lower.T @ np.tril(g))
    middle[np.diag_indices(len(x))] *= 0.5
    ds = inverse.T @ middle @ inverse
    return ((ds + ds.T) @ x,)


def eigenvalues(x):
    return np.linalg.eigvalsh((x + x.T) / 2)


def eigenvalues_vjp(g, x):
    _, vectors = np.linalg.eigh((x + x.T) / 2)
    return ((vectors * g) @ vectors.T,)


def _spread_out(x):
    # eigenvalues that stay apart: where two meet, f has a kink of its own
    size = np.abs(x).max(initial=0.0) or 1.0
    return (x + 5 * size * np.diag(np.arange(len(x)))).astype(x.dtype)


def gram_vjp(g, x):
    return ((g + g.T) @ x,)


def singular_values_vjp(g, x):
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return ((u * g) @ vt,)


SQUARE = {"shape": _square, "into": _away_from_singular, "accepts": _is_well, "lowest": "float32"}

LAYERS = [
    Layer("inverse", np.linalg.inv, inverse_vjp, jvp=inverse_jvp, **SQUARE),
    Layer(
        "solve",
        np.linalg.solve,
        solve_vjp,
        parameters=lambda values, x: (values(len(x), int(values.rng.integers(1, 3))),),
        jvp=solve_jvp,
        **SQUARE,
    ),
    Layer("determinant", np.linalg.det, determinant_vjp, **SQUARE),
    Layer("log_determinant", log_determinant, lambda g, x: (g * np.linalg.inv(x).T,), **SQUARE),
    Layer(
        "trace_of_cube",
        trace_of_power,
        lambda g, x: (3 * g * (x @ x).T,),
        _square,
        accepts=lambda x: x.ndim == 2 and x.shape[0] == x.shape[1],
    ),
    Layer("cholesky", cholesky, cholesky_vjp, _square, accepts=has_rank(2), lowest="float32"),
    Layer(
        "eigenvalues",
        eigenvalues,
        eigenvalues_vjp,
        _square,
        into=_spread_out,
        accepts=lambda x: False,
        lowest="float32",
    ),
    Layer(
        "singular_values",
        lambda x: np.linalg.svd(x, compute_uv=False),
        singular_values_vjp,
        _square,
        into=_spread_out,
        accepts=lambda x: False,
        lowest="float32",
    ),
    Layer("gram", lambda x: x @ x.T, gram_vjp, _square, accepts=has_rank(2), lowest="float32"),
]
