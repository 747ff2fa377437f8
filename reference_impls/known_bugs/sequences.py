"""How do layers over sequences go wrong? Steps cut off, paths in time, gates, attention, indices, orders."""
# ruff: noqa: N803, N806  # matrices are capitals

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reference_impls.known_bugs._bug import Array, Bug, normal
from reference_impls.known_bugs.activations import sigmoid, softmax

Indices = npt.NDArray[np.int64]


def rnn(x: Array, W: Array, U: Array) -> Array:
    """Return the states of ``h[t] = tanh(x[t] @ W + h[t - 1] @ U)``."""
    h, states = np.zeros(U.shape[0]), []
    for step in x:
        h = np.tanh(step @ W + h @ U)
        states.append(h)
    return np.array(states)


def rnn_backward(dh: Array, x: Array, W: Array, U: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of `rnn`."""
    states = np.vstack([np.zeros(U.shape[0]), rnn(x, W, U)])
    dx, dW, dU, later = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros(U.shape[0])
    for t in reversed(range(len(x))):
        dz = (dh[t] + later) * (1 - states[t + 1] ** 2)
        dx[t], dW, dU = dz @ W.T, dW + np.outer(x[t], dz), dU + np.outer(states[t], dz)
        later = dz @ U.T
    return dx, dW, dU


def lstm_cell(z: Array, c: Array) -> Array:
    """Return the state of an LSTM cell with its gates' inputs z (4, n), in the order i, f, o, g."""
    i, f, o = sigmoid(z[:3])
    g = np.tanh(z[3])
    return np.asarray(o * np.tanh(f * c + i * g))


def lstm_cell_backward(dh: Array, z: Array, c: Array) -> tuple[Array, Array]:
    """Return the gradients of `lstm_cell`."""
    i, f, o = sigmoid(z[:3])
    g = np.tanh(z[3])
    new = f * c + i * g
    dnew = dh * o * (1 - np.tanh(new) ** 2)
    di, df, do = dnew * g * i * (1 - i), dnew * c * f * (1 - f), dh * np.tanh(new) * o * (1 - o)
    dg = dnew * i * (1 - g**2)
    return np.stack([di, df, do, dg]), dnew * f


def attention(q: Array, k: Array, v: Array) -> Array:
    """Return the scaled dot-product attention."""
    return softmax(q @ k.T / np.sqrt(q.shape[1])) @ v


def attention_backward(dy: Array, q: Array, k: Array, v: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of `attention`."""
    scale = np.sqrt(q.shape[1])
    p = softmax(q @ k.T / scale)
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / scale
    return ds @ k, ds.T @ q, p.T @ dy


def embedding(W: Array, index: Indices) -> Array:
    """Return the rows of W at an index."""
    return np.asarray(W[index])


def embedding_backward(dy: Array, W: Array, index: Indices) -> Array:
    """Return the gradient of `embedding`."""
    dW = np.zeros_like(W)
    np.add.at(dW, index, dy)
    return dW


def cumsum(x: Array) -> Array:
    """Return the running sum."""
    return np.cumsum(x)


def cumsum_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `cumsum`."""
    return np.cumsum(dy[::-1])[::-1]


def sort(x: Array) -> Array:
    """Return x in ascending order."""
    return np.sort(x)


def sort_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `sort`."""
    order = np.argsort(x)
    return np.asarray(dy[np.argsort(order)])


def reversed_in_time(x: Array) -> Array:
    """Return x with its steps reversed, scaled by their number."""
    return x[::-1] * np.arange(1.0, len(x) + 1)[:, None]


def reversed_in_time_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `reversed_in_time`."""
    return np.asarray((dy * np.arange(1.0, len(x) + 1)[:, None])[::-1])


def last_state(x: Array, w: Array) -> Array:
    """Return the last state of ``h = h / 2 + w x[t]``."""
    return np.asarray(np.sum(0.5 ** np.arange(len(x))[::-1, None] * x, axis=0) * w)


def last_state_backward(dh: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return the gradients of `last_state`."""
    weights = 0.5 ** np.arange(len(x))[::-1, None]
    dx, first = np.zeros_like(x), 0
    for t in range(first, len(x)):
        dx[t] = weights[t] * dh * w
    return dx, dh * np.sum(weights * x, axis=0)


SERIES = (normal(5, 3), normal(3, 4), 0.5 * normal(4, 4))
CELL = (normal(4, 5), normal(5))
QKV = (normal(4, 3), normal(5, 3), normal(5, 2))
TABLE = (normal(6, 3), np.array([0, 2, 2, 5, 1]))

BUGS = (
    Bug(
        "rnn without the recurrent path", rnn_backward, "(dh[t] + later)", "dh[t]", "no gradient from later steps",
        "mismatch", "independent", "treated as if the output of each depended on its own input alone", rnn,
        inputs=SERIES,
    ),
    Bug(
        "rnn, recurrent weights not transposed", rnn_backward, "later = dz @ U.T", "later = dz @ U", "square, so legal",
        "mismatch", "", "", rnn, inputs=SERIES,
    ),
    Bug(
        "rnn, truncated one step early", last_state_backward, "first = np.zeros_like(x), 0",
        "first = np.zeros_like(x), 1",
        "range(1, T)",
        "mismatch", "zero", "x[0, :] is zero", last_state, inputs=(normal(5, 3), normal(3)),
    ),
    Bug(
        "lstm gates swapped", lstm_cell_backward, "np.stack([di, df, do, dg])", "np.stack([df, di, do, dg])",
        "another order of the gates",
        "mismatch", "permuted", "(1, 0, 2, 3)", lstm_cell, inputs=CELL,
    ),
    Bug(
        "lstm, sigmoid for the candidate", lstm_cell_backward, "dnew * i * (1 - g**2)", "dnew * i * g * (1 - g)",
        "a sigmoid's derivative for a tanh's",
        "mismatch", "elementwise", "tanh(z) * (1 - tanh(z)) in place of 1 - tanh(z)**2", lstm_cell, inputs=CELL,
    ),
    Bug(
        "lstm, a gate's derivative forgotten", lstm_cell_backward, "dnew * c * f * (1 - f)", "dnew * c",
        "the factor f * (1 - f)",
        "mismatch", "elementwise", "sigmoid(z) * (1 - sigmoid(z)) is missing", lstm_cell, inputs=CELL,
    ),
    Bug(
        "attention without 1/sqrt(d)", attention_backward, "keepdims=True)) / scale", "keepdims=True))",
        "in the forward only",
        "mismatch", "factor", "sqrt(3)", attention, inputs=QKV,
    ),
    Bug(
        "attention without the softmax Jacobian", attention_backward,
        "ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / scale", "ds = dp / scale", "the scores' gradient itself",
        "mismatch", "", "", attention, inputs=QKV,
    ),
    Bug(
        "attention, keys' gradient transposed", attention_backward, "ds.T @ q", "ds @ q",
        "legal where queries and keys are as many",
        "mismatch", "", "", attention, inputs=(normal(4, 3), normal(4, 3, seed=1), normal(4, 2)),
    ),
    Bug(
        "embedding with =", embedding_backward, "np.add.at(dW, index, dy)", "dW[index] = dy",
        "repeated indices overwrite each other",
        "mismatch", "repeats", "more than once", embedding, inputs=TABLE,
    ),
    Bug(
        "embedding with +=", embedding_backward, "np.add.at(dW, index, dy)", "dW[index] += dy",
        "buffered: repeated indices count once",
        "mismatch", "repeats", "more than once", embedding, inputs=TABLE,
    ),
    Bug(
        "cumsum not reversed", cumsum_backward, "np.cumsum(dy[::-1])[::-1]", "np.cumsum(dy)", "the forward again",
        "mismatch", "not transposed", "reversed", cumsum, inputs=(normal(6),),
    ),
    Bug(
        "sort without the inverse permutation", sort_backward, "dy[np.argsort(order)]", "dy[order]",
        "the order for its inverse",
        "mismatch", "permuted", "inverse permutation", sort, inputs=(normal(6),),
    ),
    Bug(
        "reversed once too few", reversed_in_time_backward, "(dy * np.arange(1.0, len(x) + 1)[:, None])[::-1]",
        "dy * np.arange(1.0, len(x) + 1)[:, None]", "the flip forgotten on the way back",
        "mismatch", "flipped", "flipped along axis 0", reversed_in_time, inputs=(normal(5, 3),),
    ),
)  # fmt: skip
"""The bugs of these layers."""
