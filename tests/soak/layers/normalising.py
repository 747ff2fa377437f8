"""Layers that normalise: softmax and its relatives, norms over batch, layer and group, unit length."""

from __future__ import annotations

import numpy as np

from tests.soak.layers.layer import Layer, has_rank, of_rank, sizes

EPS = 1e-5


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_vjp(g, x, axis=-1):
    p = softmax(x, axis)
    return p * (g - (g * p).sum(axis=axis, keepdims=True))


def log_softmax(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_softmax_vjp(g, x):
    return (g - softmax(x) * g.sum(axis=-1, keepdims=True),)


def log_softmax_jvp(t, x):
    return t[0] - (softmax(x) * t[0]).sum(axis=-1, keepdims=True)


def log_sum_exp(x):
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[..., None]).sum(axis=-1))


# ---------------------------------------------------------------------- zero mean, unit variance


def standardise(x, axis):
    centred = x - x.mean(axis=axis, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axis, keepdims=True) + EPS)


def standardise_vjp(g, x, axis):
    centred = x - x.mean(axis=axis, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=axis, keepdims=True) + EPS)
    hat = centred / spread
    return (g - g.mean(axis=axis, keepdims=True) - hat * (g * hat).mean(axis=axis, keepdims=True)) / spread


def norm_over(name: str, rank: int, axis: tuple[int, ...], gain_axis: int) -> Layer:
    """A layer or batch norm: over some axes, with a gain and a bias along one."""
    others = tuple(i for i in range(rank) if i != gain_axis % rank)

    def along(v):
        return np.expand_dims(v, others)

    def f(x, gain, bias):
        return standardise(x, axis) * along(gain) + along(bias)

    def vjp(g, x, gain, bias):
        hat = standardise(x, axis)
        return standardise_vjp(g * along(gain), x, axis), (g * hat).sum(axis=others), g.sum(axis=others)

    def parameters(values, x):
        return values.moderate(x.shape[gain_axis]), values(x.shape[gain_axis])

    return Layer(name, f, vjp, of_rank(rank), parameters, accepts=has_rank(rank))


def group_norm(x):  # two groups of channels
    n, c, *space = x.shape
    return standardise(x.reshape(n, 2, -1), -1).reshape(n, c, *space)


def group_norm_vjp(g, x):
    n = len(x)
    return (standardise_vjp(g.reshape(n, 2, -1), x.reshape(n, 2, -1), -1).reshape(x.shape),)


def rms_norm(x, gain):
    return gain * x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)


def rms_norm_vjp(g, x, gain):
    r = np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)
    h = g * gain
    return h / r - x * ((h * x).mean(axis=-1, keepdims=True) / r**3), (g * x / r).sum(axis=tuple(range(x.ndim - 1)))


def unit_length(x):
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True) + 1e-6)


def unit_length_vjp(g, x):
    r = np.sqrt((x * x).sum(axis=-1, keepdims=True) + 1e-6)
    y = x / r
    return ((g - y * (g * y).sum(axis=-1, keepdims=True)) / r,)


def running_norm(x, gain, mean, variance):  # a batch norm in evaluation mode: statistics are constants of the layer
    return gain * (x - mean) / np.sqrt(variance + EPS)


def running_norm_vjp(g, x, gain, mean, variance):
    r = np.sqrt(variance + EPS)
    dx = g * gain / r
    dgain = (g * (x - mean) / r).sum(axis=0)
    return dx, dgain, -dx.sum(axis=0), (g * gain * (x - mean)).sum(axis=0) * -0.5 / (r * (variance + EPS))


def temperature(x, t):
    return softmax(x / t)


def temperature_vjp(g, x, t):
    d = softmax_vjp(g, x / t)
    return d / t, np.asarray(-(d * x).sum() / (t * t))


def per_feature(values, x):
    n = x.shape[1]
    return values.moderate(n), values(n), np.abs(values.moderate(n))


ROWS = {"shape": of_rank(1, 2, 2, 3), "accepts": has_rank(1, 2, 3, 4)}

LAYERS = [
    Layer("softmax", softmax, lambda g, x: (softmax_vjp(g, x),), jvp=lambda t, x: softmax_vjp(t[0], x), **ROWS),
    Layer("softmax_over_rows", lambda x: softmax(x, 0), lambda g, x: (softmax_vjp(g, x, 0),), **ROWS),
    Layer(
        "softmax_with_temperature",
        temperature,
        temperature_vjp,
        parameters=lambda values, x: (np.abs(values.moderate()),),
        **ROWS,
    ),
    Layer("log_softmax", log_softmax, log_softmax_vjp, jvp=log_softmax_jvp, **ROWS),
    Layer(
        "log_sum_exp",
        log_sum_exp,
        lambda g, x: (g[..., None] * softmax(x),),
        jvp=lambda t, x: (t[0] * softmax(x)).sum(-1),
        **ROWS,
    ),
    norm_over("layer_norm", 2, (-1,), -1),
    norm_over("layer_norm_3d", 3, (-1,), -1),
    norm_over("batch_norm", 2, (0,), 1),
    norm_over("batch_norm_2d", 4, (0, 2, 3), 1),
    norm_over("instance_norm", 4, (2, 3), 1),
    Layer(
        "group_norm",
        group_norm,
        group_norm_vjp,
        lambda rng: (*sizes(rng, 1), 2 * int(rng.integers(1, 3)), *sizes(rng, 1)),
        accepts=lambda x: x.ndim in (2, 3, 4) and x.shape[1] % 2 == 0,
    ),
    Layer("rms_norm", rms_norm, rms_norm_vjp, parameters=lambda values, x: (values(x.shape[-1]),), **ROWS),
    Layer("unit_length", unit_length, unit_length_vjp, **ROWS),
    Layer("running_norm", running_norm, running_norm_vjp, of_rank(2), per_feature, accepts=has_rank(2)),
]
