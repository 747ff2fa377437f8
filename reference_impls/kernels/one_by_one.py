"""How does a network learn from one example after the other at nearly the speed of batches? Its weights wait.

Stochastic gradient descent updates all weights after every example: two passes over them and two more to write, for a
product with a single row. But what the next example needs is not the new weights, only its product with them. After the
examples 0 to t - 1 of a block, with inputs a_s and cotangents d_s of a layer,

    W_t = W_0 - rate * sum of outer(a_s, d_s)        b_t = b_0 - rate * sum of d_s

so that its output and the gradient for its input are

    a_t W_t + b_t = (a_t W_0 + b_0) - rate * sum of (a_t . a_s + 1) d_s
    d_t W_t^T     =  d_t W_0^T      - rate * sum of (d_t . d_s) a_s

The sums are short. For the first layer, whose inputs are known beforehand, both products are matrix products over the
whole block, as is the update of all weights at its end. Every example still sees what those before it have done: the
numbers are those of updating after each, in another order of addition. A block of one is updating after each.
"""
# ruff: noqa: N803, N806  # matrices are capitals, as in the formulae above

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from reference_impls.kernels._blocks import BLOCK, Array, ones, scratch
from reference_impls.kernels.layers import linear, linear_input_gradient
from reference_impls.kernels.losses import bce_with_logits_backward

EXAMPLES = 64
"""In a block: fewer, and the weights are written more often; more, and the sums get long."""
FEW_WEIGHTS = 2**8
"""Up to here, blocks of one: to update after each example costs little more and is the same to the last bit."""

FEW_OUTPUTS = 4
"""A number costs a quarter of what the calls cost that take any amount of them."""

Arrays = tuple[Array, ...]
Pass = Callable[[Arrays, Arrays, Arrays, Arrays, Array, Any], None]

__all__ = ["compiled_pass", "descend_one_by_one", "loop_pass", "numpy_pass"]


def descend_one_by_one(
    X: Array,
    Y: Array,
    weights: Sequence[Array],
    biases: Sequence[Array],
    learning_rate: Any,
    *,
    one_pass: Pass | None = None,
    examples: int | None = None,
) -> None:
    """Take a step down the gradient of each example's loss in turn, in place.

    The network has ReLU layers and a sigmoid under the binary cross-entropy, summed over the outputs.

    Parameters
    ----------
    X, Y : ndarray
        (num_examples, features) and (num_examples, outputs).
    weights, biases : sequence of ndarray
        (features_in, features_out) and (1, features_out) of every layer, changed in place.
    learning_rate : float
        The same for all.
    one_pass : callable, optional
        What goes through a block: `numpy_pass` unless given, or `compiled_pass()`.
    examples : int, optional
        In a block; 64 unless given, or 1 where weights are few and the pass is not compiled.

    Examples
    --------
    >>> W, b = np.zeros((1, 1)), np.zeros((1, 1))
    >>> descend_one_by_one(np.ones((2, 1)), np.ones((2, 1)), [W], [b], 1.0)
    >>> W  # 0.5 for the first example, and sigmoid(-1) for the second
    array([[0.76894142]])
    """
    if examples is None:
        examples = EXAMPLES if one_pass or max(W.size for W in weights) > FEW_WEIGHTS else 1
    dtype = np.result_type(X, *weights, *biases)
    X, Y, rate = X.astype(dtype, copy=False), Y.astype(dtype, copy=False), dtype.type(learning_rate)
    W, b, n = tuple(weights), tuple(biases), 0
    laid_out = all(array.flags.c_contiguous for array in W + b)
    for start in range(0, len(X), examples):
        x, y = X[start : start + examples], Y[start : start + examples]
        if len(x) != n:
            n = len(x)
            inputs, cotangents = _room(n, weights, dtype)
        if not laid_out:  # a compiler wants them all of one type
            W, b = tuple(map(np.ascontiguousarray, weights)), tuple(map(np.ascontiguousarray, biases))
        x.dot(x.T, inputs[0])
        linear(x, W[0], b[0], out=cotangents[0])
        (one_pass or numpy_pass)(W, b, inputs, cotangents, y, rate)
        for layer, d in enumerate(cotangents):
            _descend_product(weights[layer], inputs[layer] if layer > 0 else x, d, rate)
            _descend_product(biases[layer], ones((n, 1), dtype), d, rate)


def _room(n: int, weights: Sequence[Array], dtype: np.dtype[Any]) -> tuple[Arrays, Arrays]:
    """Return what a pass over `n` examples fills in: inputs, instead of the first their products, and cotangents."""
    hidden = [scratch((n, len(W)), dtype, 10 + layer) for layer, W in enumerate(weights[1:])]
    cotangents = [scratch((n, W.shape[1]), dtype, 100 + layer) for layer, W in enumerate(weights)]
    return (scratch((n, n), dtype, 1), *hidden), tuple(cotangents)


def _descend_product(parameter: Array, a: Array, d: Array, rate: Any) -> None:
    """Do ``parameter -= rate * a.T @ d``, as many rows at a time as make a block: they do not leave the cache."""
    if parameter.size <= BLOCK:
        _descend(parameter, a.T.dot(d, scratch(parameter.shape, d.dtype)), rate)
        return
    rows = max(BLOCK // parameter.shape[1], 1)
    for start in range(0, len(parameter), rows):
        part = parameter[start : start + rows]
        step = scratch(part.shape, d.dtype)
        np.matmul(a.T[start : start + rows], d, out=step)  # where `dot` would copy the part of `a`
        _descend(part, step, rate)


def _descend(parameter: Array, gradient: Array, rate: Any) -> None:
    """Take the step in place, rounded as in ``parameter -= rate * gradient``, and use the gradient up."""
    np.multiply(gradient, rate, gradient)
    np.subtract(parameter, gradient, parameter)


def numpy_pass(weights: Arrays, biases: Arrays, inputs: Arrays, cotangents: Arrays, Y: Array, rate: Any) -> None:
    """Go through a block of examples in order, at weights that stay.

    Parameters
    ----------
    weights, biases : tuple of ndarray
        Of every layer, before the block.
    inputs : tuple of ndarray
        (examples, features_in) of every layer, filled in. Of the first, whose inputs are known, their products with one
        another instead, (examples, examples).
    cotangents : tuple of ndarray
        (examples, features_out) of every layer, filled in; those of the first hold its outputs at these weights.
    Y : ndarray
        (examples, outputs).
    rate : floating
        The learning rate, of the dtype of all these.
    """
    last = len(weights) - 1
    for t in range(len(Y)):
        now, past = slice(t, t + 1), slice(t)
        for layer in range(last + 1):
            a, d = inputs[layer][now], cotangents[layer][now]
            if layer > 0:
                linear(a, weights[layer], biases[layer], out=d)
            if t > 0:
                alike = a[:, past] if layer == 0 else a.dot(inputs[layer][past].T)
                np.subtract(d, (alike * rate + rate).dot(cotangents[layer][past]), d)
            if layer < last:
                np.maximum(d, 0.0, out=inputs[layer + 1][now])
        _logit_gradients(d, Y[now])
        for layer in range(last, 0, -1):
            d, below = cotangents[layer][now], cotangents[layer - 1][now]
            linear_input_gradient(d, weights[layer], out=below)
            if t > 0:
                alike = d.dot(cotangents[layer][past].T)
                np.subtract(below, (alike * rate).dot(inputs[layer][past]), below)
            np.multiply(below, inputs[layer][now] > 0.0, below)


def _logit_gradients(z: Array, y: Array) -> None:
    """Put `bce_with_logits_backward` in the place of one example's logits; one by one, for less, if they are few."""
    if z.size > FEW_OUTPUTS:
        bce_with_logits_backward(z, y, out=z)
        return
    for j, (logit, label) in enumerate(zip(z[0], y[0], strict=True)):
        rest = np.exp(-abs(logit))
        rest /= 1.0 + rest
        z[0, j] = (1.0 - label) - rest if math.copysign(1.0, logit) > 0 else rest - label


def loop_pass(  # noqa: PLR0912  # a compiler wants it in one piece
    weights: Arrays, biases: Arrays, inputs: Arrays, cotangents: Arrays, Y: Array, rate: Any
) -> None:
    """Do what `numpy_pass` does, number by number: for a compiler."""
    last = len(weights) - 1
    for t in range(len(Y)):
        for layer in range(last + 1):
            a, d = inputs[layer][t], cotangents[layer][t]
            if layer > 0:
                d[:] = biases[layer][0]
                for i in range(len(a)):
                    for j in range(len(d)):
                        d[j] += a[i] * weights[layer][i, j]
            for s in range(t):
                alike = rate
                if layer == 0:
                    alike += rate * a[s]
                else:
                    for i in range(len(a)):
                        alike += rate * a[i] * inputs[layer][s, i]
                for j in range(len(d)):
                    d[j] -= alike * cotangents[layer][s, j]
            if layer < last:
                for j in range(len(d)):
                    inputs[layer + 1][t, j] = 0 if d[j] <= 0 else d[j]
        for j in range(Y.shape[1]):
            z = cotangents[last][t, j]
            rest = math.exp(-abs(z))
            rest /= 1 + rest
            cotangents[last][t, j] = (1 - Y[t, j]) - rest if math.copysign(1, z) > 0 else rest - Y[t, j]
        for layer in range(last, 0, -1):
            a, d, below = inputs[layer][t], cotangents[layer][t], cotangents[layer - 1][t]
            for i in range(len(below)):
                below[i] = 0
                for j in range(len(d)):
                    below[i] += d[j] * weights[layer][i, j]
            for s in range(t):
                alike = rate - rate
                for j in range(len(d)):
                    alike += rate * d[j] * cotangents[layer][s, j]
                for i in range(len(below)):
                    below[i] -= alike * inputs[layer][s, i]
            for i in range(len(below)):
                below[i] = below[i] if a[i] > 0 else 0


@cache
def compiled_pass() -> Pass:
    """Return `numpy_pass` in machine code: takes numba (``pip install 'gradcheck[numba]'``), and seconds at first."""
    numba = importlib.import_module("numba")
    compiled: Pass = numba.njit(loop_pass, fastmath={"reassoc", "contract"}, cache=True)
    return compiled
