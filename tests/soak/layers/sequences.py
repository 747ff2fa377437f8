"""Layers for sequences: recurrent cells and attention."""

from __future__ import annotations

import numpy as np

from tests.soak.layers.elementwise import sigmoid
from tests.soak.layers.layer import Layer, has_rank, of_rank
from tests.soak.layers.normalising import softmax

MATRIX = {"shape": of_rank(2, largest=3), "accepts": has_rank(2)}


def width(values) -> int:
    return int(values.rng.integers(1, 4))


# ---------------------------------------------------------------------- one step


def rnn_step(x, h, w, u, b):
    return np.tanh(x @ w + h @ u + b)


def rnn_step_vjp(g, x, h, w, u, b):
    dz = g * (1 - rnn_step(x, h, w, u, b) ** 2)
    return dz @ w.T, dz @ u.T, x.T @ dz, h.T @ dz, dz.sum(axis=0)


def rnn_step_jvp(t, x, h, w, u, b):
    dz = t[0] @ w + x @ t[2] + t[1] @ u + h @ t[3] + t[4]
    return (1 - rnn_step(x, h, w, u, b) ** 2) * dz


def rnn_parameters(values, x):
    n = width(values)
    return values(len(x), n), values(x.shape[1], n), values(n, n), values(n)


def _lstm_gates(x, h, c, w, u, b):
    i, f, o, a = np.split(x @ w + h @ u + b, 4, axis=1)
    i, f, o, a = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(a)
    return i, f, o, a, f * c + i * a


def lstm_step(x, h, c, w, u, b):
    *_, o, _, new = _lstm_gates(x, h, c, w, u, b)
    return o * np.tanh(new), new


def lstm_step_vjp(g, x, h, c, w, u, b):
    i, f, o, a, new = _lstm_gates(x, h, c, w, u, b)
    t = np.tanh(new)
    dnew = g[1] + g[0] * o * (1 - t * t)
    dz = np.concatenate(
        [dnew * a * i * (1 - i), dnew * c * f * (1 - f), g[0] * t * o * (1 - o), dnew * i * (1 - a * a)], axis=1
    )
    return dz @ w.T, dz @ u.T, dnew * f, x.T @ dz, h.T @ dz, dz.sum(axis=0)


def lstm_parameters(values, x):
    n = int(values.rng.integers(1, 3))
    return values(len(x), n), values(len(x), n), values(x.shape[1], 4 * n), values(n, 4 * n), values(4 * n)


def _gru_gates(x, h, wz, uz, wr, ur, wn, un):
    z, r = sigmoid(x @ wz + h @ uz), sigmoid(x @ wr + h @ ur)
    return z, r, np.tanh(x @ wn + (r * h) @ un)


def gru_step(x, h, wz, uz, wr, ur, wn, un):
    z, _, n = _gru_gates(x, h, wz, uz, wr, ur, wn, un)
    return (1 - z) * n + z * h


def gru_step_vjp(g, x, h, wz, uz, wr, ur, wn, un):
    z, r, n = _gru_gates(x, h, wz, uz, wr, ur, wn, un)
    dn = g * (1 - z) * (1 - n * n)
    dz = g * (h - n) * z * (1 - z)
    drh = dn @ un.T
    dr = drh * h * r * (1 - r)
    dx = dz @ wz.T + dr @ wr.T + dn @ wn.T
    dh = g * z + drh * r + dz @ uz.T + dr @ ur.T
    return dx, dh, x.T @ dz, h.T @ dz, x.T @ dr, h.T @ dr, x.T @ dn, (r * h).T @ dn


def gru_parameters(values, x):
    i, n = x.shape[1], int(values.rng.integers(1, 3))
    return values(len(x), n), *(values(m, n) for _ in range(3) for m in (i, n))


# ---------------------------------------------------------------------- through time


def rnn(x, w, u):  # x (time, batch, features), from a state of zeros
    h, states = np.zeros((x.shape[1], w.shape[1]), x.dtype), []
    for step in x:
        h = np.tanh(step @ w + h @ u)
        states.append(h)
    return np.stack(states)


def rnn_vjp(g, x, w, u):
    states = rnn(x, w, u)
    dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
    dh = np.zeros_like(states[0])
    for t in reversed(range(len(x))):
        dz = (g[t] + dh) * (1 - states[t] ** 2)
        dx[t], dw = dz @ w.T, dw + x[t].T @ dz
        if t:
            du = du + states[t - 1].T @ dz
        dh = dz @ u.T
    return dx, dw, du


def rnn_over_time_parameters(values, x):
    n = width(values)
    return values(x.shape[2], n), values(n, n)


# ---------------------------------------------------------------------- attention


def attention(x, k, v, mask):
    scores = np.where(mask, x @ k.T / np.sqrt(x.dtype.type(x.shape[1])), -np.inf)
    return softmax(scores) @ v


def attention_vjp(g, x, k, v, mask):
    root = np.sqrt(x.dtype.type(x.shape[1]))
    p = softmax(np.where(mask, x @ k.T / root, -np.inf))
    dp = g @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / root
    return ds @ k, ds.T @ x, p.T @ g, None


def attention_parameters(values, x):
    keys = width(values)
    mask = values.rng.random((len(x), keys)) < 0.7
    mask[:, 0] = True  # something to attend to
    return values(keys, x.shape[1]), values(keys, width(values)), mask


def self_attention(x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    return softmax(q @ k.T / np.sqrt(x.dtype.type(q.shape[1]))) @ v


def self_attention_vjp(g, x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    root = np.sqrt(x.dtype.type(q.shape[1]))
    p = softmax(q @ k.T / root)
    dp = g @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / root
    dq, dk, dv = ds @ k, ds.T @ q, p.T @ g
    return dq @ wq.T + dk @ wk.T + dv @ wv.T, x.T @ dq, x.T @ dk, x.T @ dv


def self_attention_parameters(values, x):
    inner = width(values)
    return values(x.shape[1], inner), values(x.shape[1], inner), values(x.shape[1], width(values))


LAYERS = [
    Layer("rnn_step", rnn_step, rnn_step_vjp, parameters=rnn_parameters, jvp=rnn_step_jvp, **MATRIX),
    Layer("lstm_step", lstm_step, lstm_step_vjp, parameters=lstm_parameters, **MATRIX),
    Layer("gru_step", gru_step, gru_step_vjp, parameters=gru_parameters, **MATRIX),
    Layer("rnn", rnn, rnn_vjp, of_rank(3, largest=3), rnn_over_time_parameters, accepts=has_rank(3)),
    Layer("attention", attention, attention_vjp, parameters=attention_parameters, **MATRIX),
    Layer("self_attention", self_attention, self_attention_vjp, parameters=self_attention_parameters, **MATRIX),
]
