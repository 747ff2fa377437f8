"""Is a bug named in layers that nobody had in mind? The families of the catalogue, in other layers than its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gradcheck import Verdict, check_vjp


def normal(*shape, seed=0):
    return np.random.default_rng([17, seed, *shape]).normal(size=shape)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def group_norm(x):
    """Normalise each half of the columns of each row."""
    parts = x.reshape(len(x), 2, -1)
    return ((parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + 0.1)).reshape(x.shape)


def group_norm_backward(g, x, mean=True, variance=True):
    parts, g = x.reshape(len(x), 2, -1), g.reshape(len(x), 2, -1)
    std = np.sqrt(parts.var(2, keepdims=True) + 0.1)
    hat = (parts - parts.mean(2, keepdims=True)) / std
    g = g - mean * g.mean(2, keepdims=True) - variance * hat * (g * hat).mean(2, keepdims=True)
    return (g / std).reshape(x.shape)


def scan(x):
    """Return the states of ``h = tanh(x[t] + 0.7 h)``."""
    h, states = np.zeros(x.shape[1]), []
    for step in x:
        h = np.tanh(step + 0.7 * h)
        states.append(h)
    return np.array(states)


def scan_backward(g, x, back=0.7, first=0):
    states, dx, later = scan(x), np.zeros_like(x), 0.0
    for t in reversed(range(first, len(x))):
        dx[t] = (g[t] + later) * (1 - states[t] ** 2)
        later = back * dx[t]
    return dx


def circular(x, w):
    """Convolve x (n,) with w (k,) on a circle."""
    return sum(w[k] * np.roll(x, k) for k in range(len(w)))


def circular_backward(g, x, w):
    return sum(w[k] * np.roll(g, -k) for k in range(len(w))), np.array([g @ np.roll(x, k) for k in range(len(w))])


def poisson(rate, counts):
    return float(np.mean(rate - counts * np.log(rate)))


def huber(x, t):
    r = np.abs(x - t)
    return float(np.sum(np.where(r < 1, 0.5 * r**2, r - 0.5)))


def scatter(x, index):
    total = np.zeros((6, x.shape[1]))
    np.add.at(total, index, x)
    return total


def gather_rows(table, index):
    return np.tanh(table)[index]


def gather_rows_wrong(g, table, index):
    found = np.zeros_like(table)
    found[index] = g
    return found * (1 - np.tanh(table) ** 2)


def einsum(x, A):
    return np.einsum("bij,jk->bik", x, A)


@dataclass
class Planted:
    """One wrong backward, beside the right one."""

    name: str
    f: Any
    right: Any
    wrong: Any
    inputs: tuple
    explanation: str
    says: str


X = normal(4, 5)
POSITIVE = np.exp(normal(4, 3))
INDEX = np.array([4, 1, 1, 0, 4])


def cross_entropy(z, labels):
    return float(-np.mean(np.log(softmax(z)[np.arange(len(labels)), labels])))


def cross_entropy_backward(z, labels):
    return (softmax(z) - np.eye(3)[labels]) / len(labels)


def largest_of_three(x):
    return x.reshape(len(x), -1, 3).max(2)


def largest_of_three_backward(g, x, off=0):
    chosen = (x.reshape(len(x), -1, 3).argmax(2) + off) % 3
    return ((np.arange(3) == chosen[..., None]) * g[..., None]).reshape(x.shape)


def mish(z):
    return z * np.tanh(np.logaddexp(0, z))


def mish_backward(g, z):
    t = np.tanh(np.logaddexp(0, z))
    return g * (t + z * (1 - t**2) * sigmoid(z))


ROWS = [
    Planted("arctan, the output for the input", np.arctan, lambda g, x: g / (1 + x**2),
            lambda g, x: g / (1 + np.arctan(x) ** 2), (X,), "elementwise", "1 / (1 + a**2) in place of 1 / (1 + x**2)"),
    Planted("softsign, squared wrongly", lambda x: x / (1 + np.abs(x)), lambda g, x: g / (1 + np.abs(x)) ** 2,
            lambda g, x: g / (1 + x**2), (X,), "elementwise", "1 / (1 + x**2) in place of 1 / (1 + abs(x))**2"),
    Planted("exp, the input for the output", np.exp, lambda g, x: g * np.exp(x), lambda g, x: g * x, (X,),
            "elementwise", "x in place of a"),
    Planted("reciprocal, the sign", lambda x: 1 / x, lambda g, x: -g / x**2, lambda g, x: g / x**2, (POSITIVE,),
            "sign", "flipped"),
    Planted("root, without its 1/2", np.sqrt, lambda g, x: g / (2 * np.sqrt(x)), lambda g, x: g / np.sqrt(x),
            (POSITIVE,), "factor", "2 times"),
    Planted("root, upside down", np.sqrt, lambda g, x: g / (2 * np.sqrt(x)), lambda g, x: g * 2 * np.sqrt(x),
            (POSITIVE,), "elementwise", "a"),
    Planted("mish at its output", mish, mish_backward, lambda g, z: mish_backward(g, mish(z)), (X,),
            "as if", "the output in place of z"),
    Planted("mish, cotangent left out", mish, mish_backward, lambda g, z: mish_backward(np.ones_like(g), z), (X,),
            "cotangent ignored", "the cotangent is ignored"),
    Planted("mish, cotangent squared", mish, mish_backward, lambda g, z: mish_backward(g * g, z), (X,),
            "cotangent twice", "twice"),
    Planted("hard tanh, not stopped", lambda x: np.clip(x, -1, 1), lambda g, x: g * (np.abs(x) < 1), lambda g, x: g,
            (1.3 * normal(6, 5),), "not zeroed", "|x| > 1"),
    Planted("one-sided limit, not stopped", lambda x: np.minimum(x, 0.25), lambda g, x: g * (x < 0.25), lambda g, x: g,
            (normal(12, 5),), "not zeroed", "where x > 0."),
    Planted("prelu, the two sides", lambda x, s: np.where(x > 0, x, s * x),
            lambda g, x, s: (g * np.where(x > 0, 1, s), np.sum(g * np.where(x > 0, 0, x))),
            lambda g, x, s: (g * np.where(x > 0, s, 1), np.sum(g * np.where(x > 0, 0, x))),
            (X, np.array(0.2)), "sides", "exchanged"),
    Planted("swish on one side only", lambda x: np.where(x > 0, x, np.sinh(x)),
            lambda g, x: g * np.where(x > 0, 1, np.cosh(x)), lambda g, x: g * np.where(x > 0, -1, np.cosh(x)), (X,),
            "sign", "where x > 0"),
    Planted("group norm, the mean", group_norm, group_norm_backward, lambda g, x: group_norm_backward(g, x, mean=False),
            (normal(5, 12),), "path", "mean"),
    Planted("chained products, a factor transposed", lambda A, B: np.tanh(A) @ B,
            lambda g, A, B: ((g @ B.T) * (1 - np.tanh(A) ** 2), np.tanh(A).T @ g),
            lambda g, A, B: ((g @ B.T) * (1 - np.tanh(A) ** 2), g.T @ np.tanh(A)),
            (normal(3, 3), normal(3, 3, seed=1)), "transposed", "B: it is transposed"),
    Planted("batched product, axes permuted", einsum,
            lambda g, x, A: (np.einsum("bik,jk->bij", g, A), np.einsum("bij,bik->jk", x, g)),
            lambda g, x, A: (np.einsum("bik,jk->bij", g, A).transpose(0, 2, 1), np.einsum("bij,bik->jk", x, g)),
            (normal(2, 3, 3), normal(3, 3)), "transposed", "transpose(0, 2, 1)"),
    Planted("batched product, one batch only", einsum,
            lambda g, x, A: (np.einsum("bik,jk->bij", g, A), np.einsum("bij,bik->jk", x, g)),
            lambda g, x, A: (np.einsum("bik,jk->bij", g, A), x[0].T @ g[0]),
            (normal(3, 4, 3), normal(3, 2)), "part left out", "slice 0 along axis 0"),
    Planted("batched product, a batch left out", einsum,
            lambda g, x, A: (np.einsum("bik,jk->bij", g, A), np.einsum("bij,bik->jk", x, g)),
            lambda g, x, A: (np.einsum("bik,jk->bij", g, A), np.einsum("bij,bik->jk", x[1:], g[1:])),
            (normal(4, 2, 3), normal(3, 2)), "part left out", "a[0, :, :] is left out"),
    Planted("scan, no path in time", scan, scan_backward, lambda g, x: scan_backward(g, x, back=0), (normal(5, 3),),
            "entry by entry", "times 1 - a**2"),
    Planted("scan, the first step forgotten", scan, scan_backward, lambda g, x: scan_backward(g, x, first=1),
            (normal(5, 3),), "zero", "x[0, :] is zero"),
    Planted("circular convolution, correlation for it", circular, circular_backward,
            lambda g, x, w: (circular(g, w), circular_backward(g, x, w)[1]), (normal(6), normal(3)),
            "not transposed", "x: the cotangent goes through the layer as the input does"),
    Planted("circular convolution, off by one", circular, circular_backward,
            lambda g, x, w: (np.roll(circular_backward(g, x, w)[0], 1), circular_backward(g, x, w)[1]),
            (normal(6), normal(3)), "shifted", "shifted by one"),
    Planted("matrix applied, not transposed", lambda x, A: A @ np.sin(x),
            lambda g, x, A: (np.cos(x) * (A.T @ g), np.outer(g, np.sin(x))),
            lambda g, x, A: (np.cos(x) * (A @ g), np.outer(g, np.sin(x))), (normal(5), normal(5, 5)),
            "as if", "A transposed"),
    Planted("poisson, not averaged", poisson, lambda rate, counts: (1 - counts / rate) / rate.size,
            lambda rate, counts: 1 - counts / rate, (np.exp(normal(7)), np.arange(7)), "factor", "rate has 7 entries"),
    Planted("poisson, the first term alone", poisson, lambda rate, counts: (1 - counts / rate) / rate.size,
            lambda rate, counts: np.ones(7) / 7, (np.exp(normal(7)), np.arange(7)), "elementwise", "counts"),
    Planted("huber, not clipped", huber, lambda x, t: np.clip(x - t, -1, 1), lambda x, t: x - t,
            (3 * normal(12), 3 * normal(12, seed=1)), "", ""),
    Planted("scatter, the other index", scatter, lambda g, x, index: g[index], lambda g, x, index: g[: len(index)],
            (normal(5, 3), INDEX), "", ""),
    Planted("rows written, not added", gather_rows,
            lambda g, table, index: scatter(g, index)[: len(table)] * (1 - np.tanh(table) ** 2), gather_rows_wrong,
            (normal(6, 2), INDEX), "repeats", "more than once"),
    Planted("gates in another order", lambda z: np.concatenate([sigmoid(z[:, :2]), np.tanh(z[:, 2:4]), np.exp(z[:, 4:])], 1),
            lambda g, z: g * np.concatenate([sigmoid(z[:, :2]) * (1 - sigmoid(z[:, :2])), 1 - np.tanh(z[:, 2:4]) ** 2,
                                             np.exp(z[:, 4:])], 1),
            lambda g, z: (g * np.concatenate([sigmoid(z[:, :2]) * (1 - sigmoid(z[:, :2])), 1 - np.tanh(z[:, 2:4]) ** 2,
                                              np.exp(z[:, 4:])], 1))[:, [2, 3, 0, 1, 4, 5]],
            (normal(3, 6),), "permuted", "(2, 3, 0, 1, 4, 5)"),
    Planted("skip connection forgotten", lambda x, w: x + np.sin(x) * w,
            lambda g, x, w: (g * (1 + np.cos(x) * w), (g * np.sin(x)).sum(0)),
            lambda g, x, w: (g * np.cos(x) * w, (g * np.sin(x)).sum(0)), (normal(4, 3), normal(3)),
            "term", "the term cotangent is missing"),
    Planted("tanh layer, z for a", lambda X, W: np.tanh(X @ W),
            lambda g, X, W: ((g * (1 - np.tanh(X @ W) ** 2)) @ W.T, X.T @ (g * (1 - np.tanh(X @ W) ** 2))),
            lambda g, X, W: ((g * (1 - (X @ W) ** 2)) @ W.T, X.T @ (g * (1 - (X @ W) ** 2))),
            (0.5 * normal(4, 3), normal(3, 2)), "outer factor", "X and W: (1 - z**2) in place of (1 - a**2)"),
    Planted("tanh layer, its factor forgotten", lambda X, W: np.tanh(X @ np.sin(W)),
            lambda g, X, W: ((g * (1 - np.tanh(X @ np.sin(W)) ** 2)) @ np.sin(W).T,
                             np.cos(W) * (X.T @ (g * (1 - np.tanh(X @ np.sin(W)) ** 2)))),
            lambda g, X, W: (g @ np.sin(W).T, np.cos(W) * (X.T @ g)), (0.5 * normal(4, 3), normal(3, 2)),
            "outer factor", "(1 - a**2) of the tanh at the end is missing"),
    Planted("two outputs, one forgotten", lambda x: (np.sin(x), np.cos(x)), lambda g, x: g[0] * np.cos(x) - g[1] * np.sin(x),
            lambda g, x: g[0] * np.cos(x), (X,), "output left out", "the cotangent of output[1] is left out"),
    Planted("two outputs, exchanged", lambda x: (np.sin(x), np.cos(x)), lambda g, x: g[0] * np.cos(x) - g[1] * np.sin(x),
            lambda g, x: g[1] * np.cos(x) - g[0] * np.sin(x), (X,), "exchanged", "cotangents of the two outputs"),
    Planted("softmax without its sum", softmax,
            lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(-1, keepdims=True)), lambda g, x: softmax(x) * g, (X,),
            "entry by entry", "as if each output depended on its own entry alone"),
    Planted("broadcast column, not summed", lambda x, c: x * c, lambda g, x, c: (g * c, (g * x).sum(1, keepdims=True)),
            lambda g, x, c: (g * c, g * x), (normal(4, 3), normal(4, 1)), "sum missing", "sum over axis 1"),
    Planted("an integer cast inside", lambda x: x**3, lambda g, x: 3 * g * x**2,
            lambda g, x: 3 * g * np.trunc(x) ** 2, (3 * X,), "as if", "x cut to whole numbers"),
    Planted("everything beyond the limit", lambda x: np.clip(x, -0.1, 0.1), lambda g, x: 0 * g, lambda g, x: g,
            (np.sign(X) + X,), "not zeroed", "f does not change with x here"),
    Planted("three gradients in another order", lambda a, b, c: a * b**2 * np.sin(c),
            lambda g, a, b, c: (g * b**2 * np.sin(c), 2 * g * a * b * np.sin(c), g * a * b**2 * np.cos(c)),
            lambda g, a, b, c: (g * b**2 * np.sin(c), g * a * b**2 * np.cos(c), 2 * g * a * b * np.sin(c)),
            (normal(5), normal(5, seed=1), normal(5, seed=2)), "exchanged", "b and c: the gradients of b and c"),
    Planted("outer product, the wrong sum", np.multiply, lambda g, u, w: ((g * w).sum(1, keepdims=True), (g * u).sum(0)),
            lambda g, u, w: ((g * w).sum(0)[:, None], (g * u).sum(0)), (normal(4, 1), normal(4)),
            "product", "(cotangent * x2).sum(axis=0) in place of (cotangent * x2).sum(axis=1)"),
    Planted("larger of two, ties to both", np.maximum, lambda g, a, b: (g * (a >= b), g * (a < b)),
            lambda g, a, b: (g * (a >= b), g * (a <= b)), (np.array([1.0, 2.0, 0.5, 3.0]), np.array([1.0, 0.0, 0.5, 4.0])),
            "ties", "x1 and x2: it is wrong only where entries are tied"),
    Planted("largest of each row, ties to all", lambda x: x.max(1), lambda g, x: g[:, None] * (np.arange(3) == x.argmax(1)[:, None]),
            lambda g, x: g[:, None] * (x == x.max(1, keepdims=True)),
            (np.array([[2.0, 2.0, 0.0], [1.0, 0.0, -1.0], [3.0, -1.0, 3.0]]),), "ties", "tied"),
    Planted("threshold of another layer", lambda x: x * (x > 0.1) * 3, lambda g, x: 3 * g * (x > 0.1),
            lambda g, x: 3 * g * (x[::-1] > 0.1), (normal(5, 4),), "other mask", "not the forward's"),
    Planted("cached in float32", lambda x: x**3, lambda g, x: 3 * g * x**2,
            lambda g, x: (3 * g * x**2).astype(np.float16).astype(float), (X,), "precision", "float16"),
    Planted("softmax of columns for rows", softmax,
            lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(-1, keepdims=True)),
            lambda g, x: softmax(x.T).T * (g - (g * softmax(x.T).T).sum(0)), (normal(4, 4),), "other axis",
            "along the other axis"),
    Planted("centred twice on the wrong axis", lambda x: x - x.mean(1, keepdims=True), lambda g, x: g - g.mean(1, keepdims=True),
            lambda g, x: g - g.mean(0), (normal(4, 5),), "other axis", "a sum is over the wrong axis"),
    Planted("instance norm, no mean", lambda x: (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + 0.1),
            lambda g, x: group_norm_backward(g.reshape(-1, 12), x.reshape(-1, 12)).reshape(x.shape),
            lambda g, x: group_norm_backward(g.reshape(-1, 12), x.reshape(-1, 12), mean=False).reshape(x.shape),
            (normal(2, 4, 6),), "path", "through the mean over axis 2"),
    Planted("instance norm, no variance", lambda x: (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + 0.1),
            lambda g, x: group_norm_backward(g.reshape(-1, 12), x.reshape(-1, 12)).reshape(x.shape),
            lambda g, x: group_norm_backward(g.reshape(-1, 12), x.reshape(-1, 12), variance=False).reshape(x.shape),
            (normal(2, 4, 6),), "path", "through the variance over axis 2"),
    Planted("one branch with the other's derivative", lambda x: np.where(x > 0, np.sin(x), np.exp(x)),
            lambda g, x: g * np.where(x > 0, np.cos(x), np.exp(x)), lambda g, x: g * np.where(x > 0, np.cos(x), np.cos(x)),
            (normal(6, 3),), "elementwise", "cos(x) in place of exp(x) (where x < 0)"),
    Planted("weight decay in a layer", lambda x, W: np.sin(x @ W), lambda g, x, W: (
            (g * np.cos(x @ W)) @ W.T, x.T @ (g * np.cos(x @ W))), lambda g, x, W: (
            (g * np.cos(x @ W)) @ W.T, x.T @ (g * np.cos(x @ W)) + 0.01 * W), (normal(4, 3), normal(3, 2)),
            "term", "W: a term 0.01 * W too many, which does not depend on the cotangent: weight decay?"),
    Planted("cotangent forgotten in one gradient", lambda x, W: np.sin(x @ W), lambda g, x, W: (
            (g * np.cos(x @ W)) @ W.T, x.T @ (g * np.cos(x @ W))), lambda g, x, W: (
            (g * np.cos(x @ W)) @ W.T, x.T @ np.cos(x @ W)), (normal(4, 3), normal(3, 2)),
            "cotangent ignored", "W: the cotangent is ignored"),
    Planted("attention, values mixed backwards", lambda p, v: p @ np.tanh(v),
            lambda g, p, v: (g @ np.tanh(v).T, (p.T @ g) * (1 - np.tanh(v) ** 2)),
            lambda g, p, v: (g @ np.tanh(v).T, (p @ g) * (1 - np.tanh(v) ** 2)), (softmax(normal(4, 4)), normal(4, 3)),
            "as if", "v: it is the gradient for p transposed"),
    Planted("stopped above, not below", lambda x: np.clip(x, -1, 1), lambda g, x: g * (np.abs(x) < 1),
            lambda g, x: g * (x < 1), (1.3 * normal(6, 5),), "not zeroed", "should be zero: f does not change there"),
    Planted("logarithm without its 1 +", np.log1p, lambda g, x: g / (1 + x), lambda g, x: g / x, (POSITIVE,),
            "elementwise", "1 / x in place of 1 / (1 + x)"),
    Planted("tangent, the sign of its square", np.tan, lambda g, x: g * (1 + np.tan(x) ** 2),
            lambda g, x: g * (1 - np.tan(x) ** 2), (0.5 * normal(6),), "elementwise", "1 - a**2 in place of 1 + a**2"),
    Planted("three numbers, of which any may be a multiple", lambda x: np.exp(x * x),
            lambda g, x: 2 * g * x * np.exp(x * x), lambda g, x: g * np.exp(x), (normal(3),),
            "elementwise", "exp(x) in place of 2 * x * a"),
    Planted("penalty of magnitudes missing", lambda w: float(0.1 * w @ w + 0.3 * np.sum(np.abs(w))),
            lambda w: 0.2 * w + 0.3 * np.sign(w), lambda w: 0.2 * w, (normal(6),),
            "term", "the term 0.3 * sign(w) is missing: L1 penalty?"),
    # no mean and no variance is in these: what is off is said, and no more
    Planted("other weights, by a constant", lambda X, W: X @ W, lambda g, X, W: (g @ W.T, X.T @ g),
            lambda g, X, W: (g @ (W + 1).T, X.T @ g), (normal(5, 3), normal(3, 2)),
            "off along slices", "X: off by a constant along axis 1"),
    Planted("deviation, the variance's formula", lambda x: x.std(1),
            lambda g, x: g[:, None] * (x - x.mean(1, keepdims=True)) / x.shape[1] / x.std(1, keepdims=True),
            lambda g, x: 2 * g[:, None] * (x - x.mean(1, keepdims=True)) / x.shape[1], (normal(3, 6),), "", ""),
    Planted("length for its square", lambda x: np.sum(x**2, 1), lambda g, x: 2 * g[:, None] * x,
            lambda g, x: g[:, None] * x / np.linalg.norm(x, axis=1, keepdims=True), (normal(3, 6),),
            "path", "off by a multiple of x along axis 1"),
    Planted("cosine, the lengths as constants", lambda a, b: float(a @ b / np.sqrt((a @ a) * (b @ b))),
            lambda a, b: (b / np.sqrt((a @ a) * (b @ b)) - a * (a @ b) / (a @ a) ** 1.5 / np.sqrt(b @ b),
                          a / np.sqrt((a @ a) * (b @ b)) - b * (a @ b) / (b @ b) ** 1.5 / np.sqrt(a @ a)),
            lambda a, b: (b / np.sqrt((a @ a) * (b @ b)), a / np.sqrt((a @ a) * (b @ b))),
            (normal(7), normal(7, seed=1)), "term", "* a too many"),
    Planted("labels one further", cross_entropy, cross_entropy_backward,
            lambda z, labels: cross_entropy_backward(z, (labels + 1) % 3), (normal(6, 3), np.array([2, 0, 1, 1, 0, 2])),
            "", ""),
    Planted("next of three, not the largest", largest_of_three, largest_of_three_backward,
            lambda g, x: largest_of_three_backward(g, x, off=1), (np.array([0.0, 1, 2, 0, 2, 1]) + 0.01 * normal(4, 6),),
            "permuted", "its slices along axis 1 are right"),
    Planted("one row for a vector", lambda x, s: x * s, lambda g, x, s: (g * s, (g * x).sum(0)),
            lambda g, x, s: (g * s, (g * x).sum(0, keepdims=True)), (normal(4, 3), normal(3)),
            "reshaped", "s: the values are right, in another shape"),
    Planted("rows averaged, not added", gather_rows, lambda g, table, index: scatter(g, index)[: len(table)] * (
            1 - np.tanh(table) ** 2), lambda g, table, index: scatter(g, index)[: len(table)] * (1 - np.tanh(table) ** 2) / (
            np.maximum(np.bincount(index, minlength=6), 1)[:, None]), (normal(6, 5), np.array([4, 1, 1, 0, 4, 4])),
            "repeats", "are all contributions added up"),
    Planted("moving average, one step late", lambda x: np.convolve(x, [0.5, 0.3, 0.2])[: len(x)],
            lambda g, x: np.convolve(g[::-1], [0.5, 0.3, 0.2])[: len(x)][::-1],
            lambda g, x: np.append(np.convolve(g[::-1], [0.5, 0.3, 0.2])[: len(x)][::-1][1:], 0.0), (normal(7),),
            "shifted", "shifted by one along axis 0"),
]  # fmt: skip


def check(row, vjp):
    with np.errstate(all="ignore"):
        return check_vjp(row.f, vjp, *row.inputs)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_right_backward_is_confirmed_and_explains_nothing(row):
    report = check(row, row.right)
    assert report.ok, str(report)
    assert report.explanations == ()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_names_the_bug_of_a_layer_that_is_not_in_the_catalogue(row):
    report = check(row, row.wrong)
    assert report.verdict in (Verdict.MISMATCH, Verdict.CONTRACT), str(report)
    told = [(found.name, found.text) for found in report.explanations[:1]]
    if row.explanation:
        assert told, "nothing was told"
        assert told[0][0] == row.explanation
        assert row.says in told[0][1]
    else:
        assert told == []
