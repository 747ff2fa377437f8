"""Softmax, its logarithm and its kin: outputs that share all inputs, and the terms that people leave out."""

import numpy as np

from tests.numerics.table.functions import log_softmax, log_sum_exp, one_hot, softmax, softmax_vjp
from tests.numerics.table.row import Row

RNG = np.random.default_rng(21)
Z = RNG.normal(size=(3, 4))


def at_largest(g, z):
    dz = np.zeros_like(z)
    dz[np.arange(len(z)), z.argmax(axis=1)] = g
    return dz


def log_softmax_vjp(g, z):
    return g - softmax(z) * g.sum(axis=-1, keepdims=True)


def diagonal_only(g, z):
    return g * softmax(z) * (1 - softmax(z))


def tempered_vjp(g, z, t):
    dz = softmax_vjp(g, z / t)
    return dz / t, -np.sum(dz * z) / t**2


def log_cum_sum_exp(z):
    return np.array([log_sum_exp(z[: k + 1]) for k in range(len(z))])


def log_cum_sum_exp_vjp(g, z):
    out = log_cum_sum_exp(z)
    return np.array([np.sum(g[k:] * np.exp(z[k] - out[k:])) for k in range(len(z))])


def weighted_log_sum_exp(a, b):
    top = a.max()
    return top + np.log(np.sum(b * np.exp(a - top)))


def weighted_log_sum_exp_vjp(g, a, b):
    share = np.exp(a - weighted_log_sum_exp(a, b))
    return g * b * share, g * share


def attention(q, k, v):
    return softmax(q @ k.T / np.sqrt(q.shape[1])) @ v


def attention_vjp(g, q, k, v, *, scaled=True, keys="right"):
    scale = 1 / np.sqrt(q.shape[1])
    p = softmax(q @ k.T * scale)
    ds = softmax_vjp(g @ v.T, q @ k.T * scale) * (scale if scaled else 1)
    return ds @ k, (ds.T if keys == "right" else ds) @ q, p.T @ g


def causal_vjp(g, z, masked=True):
    allowed = np.tril(np.ones(z.shape, bool))
    p = softmax(np.where(allowed, z, -1e9))
    dz = p * (g - np.sum(g * p, axis=-1, keepdims=True))
    return dz if masked else dz + ~allowed * 0.1 * g


def entropy(z):
    p = softmax(z)
    return -np.sum(p * np.log(p), axis=-1)


def entropy_vjp(g, z, *, full=True):
    p = softmax(z)
    logs = np.log(p)
    if not full:
        return -g[:, None] * p * (logs + 1)
    return -g[:, None] * p * (logs - np.sum(p * logs, axis=-1, keepdims=True))


GUMBEL = -np.log(-np.log(np.linspace(0.1, 0.9, 12).reshape(3, 4)))

ROWS = [
    Row(
        "softmax",
        softmax,
        softmax_vjp,
        (Z,),
        "a cotangent of ones is in its null space: the sum says nothing",
        wrong={"diagonal-only": diagonal_only, "no-correction": lambda g, z: g * softmax(z)},
    ),
    Row(
        "softmax-saturated",
        softmax,
        softmax_vjp,
        (np.array([[30.0, 0.0, -30.0], [0.1, 0.0, -0.1]]),),
        "slopes of 1e-13 beside 0.2",
        wrong={"diagonal-only": diagonal_only},
    ),
    Row(
        "softmax-tail",
        softmax,
        softmax_vjp,
        (np.array([[40.0, 0.0]]),),
        "all slopes are 4e-18, and 1 - p is 0 in float64: jax#40344",
        wrong={"not-saturated": lambda g, z: 0.25 * g},
        expect="inconclusive",
    ),
    Row(
        "log-softmax",
        log_softmax,
        log_softmax_vjp,
        (Z,),
        "the sum over the cotangent couples all entries",
        wrong={
            "identity": lambda g, z: g.copy(),
            "softmax-of-the-wrong-axis": lambda g, z: g - softmax(z.T).T * g.sum(axis=-1, keepdims=True),
        },
    ),
    Row(
        "log-softmax-large",
        log_softmax,
        log_softmax_vjp,
        (Z * 100,),
        "probabilities of 1e-80",
        wrong={"identity": lambda g, z: g.copy()},
    ),
    Row(
        "log-sum-exp",
        log_sum_exp,
        lambda g, z: g[:, None] * softmax(z),
        (Z,),
        "a maximum inside, and yet smooth",
        wrong={"hard-max": at_largest},
    ),
    Row(
        "log-sum-exp-of-equals",
        log_sum_exp,
        lambda g, z: g[:, None] * softmax(z),
        (np.zeros((2, 3)),),
        "its maximum is tied, itself it is smooth: a third for each",
        wrong={"first-takes-all": at_largest, "each-gets-all": lambda g, z: g[:, None] * np.ones_like(z)},
    ),
    Row(
        "log-sum-exp-with-a-zero-weight",
        weighted_log_sum_exp,
        weighted_log_sum_exp_vjp,
        (np.zeros(3), np.array([2.0, 0.0, 5.0])),
        "the slope by a weight of 0 is not 0: jax#22398",
        wrong={
            "zero-weight-is-dead": lambda g, a, b: (
                weighted_log_sum_exp_vjp(g, a, b)[0],
                weighted_log_sum_exp_vjp(g, a, b)[1] * (b != 0),
            )
        },
    ),
    Row(
        "log-sum-exp-far-apart",
        log_sum_exp,
        lambda g, z: g[:, None] * softmax(z),
        (np.array([[1000.0, 0.0, -1000.0], [1e8, 1e8, -1e8]]),),
        "overflows without its shift; the second row is a mean at 1e8",
        wrong={"sign": lambda g, z: -g[:, None] * softmax(z)},
    ),
    Row(
        "log-cumulative-sum-exp",
        log_cum_sum_exp,
        log_cum_sum_exp_vjp,
        (np.array([-40.0, 0.5, 3.0, -2.0]),),
        "an early prefix far below the later maximum: pytorch#196705",
        wrong={"early-prefix-dropped": lambda g, z: log_cum_sum_exp_vjp(g, z) * (z > -20)},
    ),
    Row(
        "softmax-with-temperature",
        lambda z, t: softmax(z / t),
        tempered_vjp,
        (Z, np.array(0.7)),
        "the temperature has a gradient too, a scalar array",
        wrong={"not-divided": lambda g, z, t: (softmax_vjp(g, z / t), tempered_vjp(g, z, t)[1])},
    ),
    Row(
        "gumbel-softmax",
        lambda z: softmax((z + GUMBEL) / 0.3),
        lambda g, z: softmax_vjp(g, (z + GUMBEL) / 0.3) / 0.3,
        (Z,),
        "low temperature: sharp, not yet a staircase",
        wrong={"straight-through": lambda g, z: g * one_hot((z + GUMBEL).argmax(axis=1), 4)},
    ),
    Row(
        "attention",
        attention,
        attention_vjp,
        (RNG.normal(size=(3, 2)), RNG.normal(size=(4, 2)), RNG.normal(size=(4, 3))),
        "three inputs, one softmax between two products",
        wrong={
            "scale-forgotten": lambda g, q, k, v: attention_vjp(g, q, k, v, scaled=False),
            "values-untransposed": lambda g, q, k, v: (
                *attention_vjp(g, q, k, v)[:2],
                2 * attention_vjp(g, q, k, v)[2],
            ),
        },
    ),
    Row(
        "square-attention",
        attention,
        attention_vjp,
        tuple(RNG.normal(size=(3, 3)) for _ in range(3)),
        "all shapes equal: a forgotten transpose raises nothing",
        wrong={"keys-untransposed": lambda g, q, k, v: attention_vjp(g, q, k, v, keys="wrong")},
    ),
    Row(
        "causal-softmax",
        lambda z: softmax(np.where(np.tril(np.ones(z.shape, bool)), z, -1e9)),
        causal_vjp,
        (RNG.normal(size=(4, 4)),),
        "masked with -1e9: entries that nothing reaches, beside an input of 1e9",
        wrong={"mask-leaks": lambda g, z: causal_vjp(g, z, masked=False)},
    ),
    Row(
        "entropy-of-softmax",
        entropy,
        entropy_vjp,
        (Z,),
        "a policy's bonus; the mean of the logarithms is often forgotten",
        wrong={"through-log-only": lambda g, z: entropy_vjp(g, z, full=False)},
    ),
    Row(
        "sparsemax-inside-its-face",
        lambda z: np.maximum(z - (np.sum(z[:2]) - 1) / 2, 0),
        lambda g, z: np.where(np.arange(3) < 2, g - np.mean(g[:2]), 0.0),
        (np.array([0.6, 0.5, -1.0]),),
        "a projection to the simplex with one entry off its support",
        wrong={"off-support-counts": lambda g, z: g - np.mean(g)},
    ),
]
