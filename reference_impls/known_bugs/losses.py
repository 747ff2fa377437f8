"""Which losses are differentiated wrongly? Stray factors, means over the wrong number, forgotten paths."""

from __future__ import annotations

import numpy as np

from reference_impls.known_bugs._bug import Array, Bug, normal
from reference_impls.known_bugs.activations import softmax


def bce(a: Array, y: Array) -> float:
    """Return the binary cross-entropy, summed."""
    return float(-np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)))


def bce_backward(a: Array, y: Array) -> Array:
    """Return the gradient of `bce`."""
    return -y / a + (1 - y) / (1 - a)


def mean_bce(a: Array, y: Array) -> float:
    """Return the binary cross-entropy, averaged over all elements."""
    return float(-np.mean(y * np.log(a) + (1 - y) * np.log(1 - a)))


def mean_bce_backward(a: Array, y: Array) -> Array:
    """Return the gradient of `mean_bce`."""
    return (a - y) / (a * (1 - a)) / a.size


def log2_bce(a: Array, y: Array) -> float:
    """Return the binary cross-entropy in bits, summed."""
    return float(-np.sum(y * np.log2(a) + (1 - y) * np.log2(1 - a)))


def log2_bce_backward(a: Array, y: Array) -> Array:
    """Return the gradient of `log2_bce`."""
    return np.asarray((a - y) / (a * (1 - a)) / np.log(2))


def logit_bce(z: Array, y: Array) -> float:
    """Return the binary cross-entropy of a sigmoid's input, summed."""
    return float(np.sum(np.logaddexp(0, z) - y * z))


def logit_bce_backward(z: Array, y: Array) -> Array:
    """Return the gradient of `logit_bce`."""
    a = 1 / (1 + np.exp(-z))
    return a - y


def clipped_bce(a: Array, y: Array, limit: float = 0.05) -> float:
    """Return the binary cross-entropy of predictions clipped to ``[limit, 1 - limit]``, summed."""
    return bce(np.clip(a, limit, 1 - limit), y)


def clipped_bce_backward(a: Array, y: Array, limit: float = 0.05) -> Array:
    """Return the gradient of `clipped_bce`."""
    inside = (a > limit) & (a < 1 - limit)
    a = np.clip(a, limit, 1 - limit)
    return inside * (a - y) / (a * (1 - a))


def mse(prediction: Array, target: Array) -> float:
    """Return the mean squared error."""
    return float(np.mean((prediction - target) ** 2))


def mse_backward(prediction: Array, target: Array) -> Array:
    """Return the gradient of `mse`."""
    return 2 * (prediction - target) / prediction.size


def half_squared_error(prediction: Array, target: Array) -> float:
    """Return half of the squared error, summed."""
    return float(0.5 * np.sum((prediction - target) ** 2))


def half_squared_error_backward(prediction: Array, target: Array) -> Array:
    """Return the gradient of `half_squared_error`."""
    return prediction - target


def cross_entropy(logits: Array, labels: Array) -> float:
    """Return the cross-entropy of the softmax of each row, averaged over the rows."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - chosen))


def cross_entropy_backward(logits: Array, labels: Array) -> Array:
    """Return the gradient of `cross_entropy`."""
    m = len(labels)
    gradient = softmax(logits)
    gradient[np.arange(m), labels] -= 1
    return gradient / m


def hinge(scores: Array, y: Array) -> float:
    """Return the hinge loss for labels -1 and 1, summed."""
    return float(np.sum(np.maximum(0, 1 - y * scores)))


def hinge_backward(scores: Array, y: Array) -> Array:
    """Return the gradient of `hinge`."""
    return -y * (y * scores < 1.0) * 1.0


def decayed(W: Array, X: Array, t: Array, decay: float = 0.3) -> float:  # noqa: N803  # matrices are capitals
    """Return half of the squared error of a linear model, with weight decay."""
    return float(0.5 * np.sum((X @ W - t) ** 2) + 0.5 * decay * np.sum(W**2))


def decayed_backward(W: Array, X: Array, t: Array, decay: float = 0.3) -> Array:  # noqa: N803  # as above
    """Return the gradient of `decayed`."""
    return X.T @ (X @ W - t) + decay * W


def kl(p: Array, q: Array) -> float:
    """Return the Kullback-Leibler divergence of q from p, summed."""
    return float(np.sum(p * np.log(p / q)))


def kl_backward(p: Array, q: Array) -> tuple[Array, Array]:
    """Return the gradients of `kl`."""
    return np.log(p / q) + 1, -p / q


A = np.random.default_rng(1).uniform(0.1, 0.9, (4, 2))
Y = np.array([[1, 0], [0, 0], [1, 1], [0, 1]])
WIDE = np.random.default_rng(6).uniform(0.0, 0.2, (9, 4)) ** np.array([1.0, 0.1, 1.0, 0.2])
WIDE_Y = np.random.default_rng(3).integers(0, 2, (9, 4))
LABELS = np.array([2, 0, 1, 1])
SIGNS = np.where(normal(24, seed=5) > 0, 1, -1)
DECAYED = (normal(3, 2), normal(6, 3), normal(6, 2))
P, Q = (np.random.default_rng(seed).dirichlet(np.ones(4), 3) for seed in (1, 2))

BUGS = (
    Bug(
        "stray loss factor", bce_backward, "(1 - y) / (1 - a)", "(1 - y) / (1 - a) * bce(a, y)",
        "notebook 000: the loss multiplies the second term",
        "mismatch", "factor", "the loss itself", bce, inputs=(A, Y),
    ),
    Bug(
        "sign of the loss", mse_backward, "(prediction - target)", "(target - prediction)", "target - prediction",
        "mismatch", "sign", "flipped", mse, inputs=(normal(4, 2), normal(4, 2, seed=1)),
    ),
    Bug(
        "squared error without its 2", mse_backward, "2 * (prediction", "(prediction", "the factor of the square",
        "mismatch", "factor", "1/2", mse, inputs=(normal(4, 2), normal(4, 2, seed=1)),
    ),
    Bug(
        "half squared error with a 2", half_squared_error_backward, "prediction - target", "2 * (prediction - target)",
        "the 1/2 cancels it",
        "mismatch", "factor", "2", half_squared_error, inputs=(normal(4, 2), normal(4, 2, seed=1)),
    ),
    Bug(
        "gradient of the sum, loss the mean", mean_bce_backward, " / a.size", "", "notebook 001",
        "mismatch", "factor", "a has 8 entries", mean_bce, inputs=(A, Y),
    ),
    Bug(
        "mean over rows, not over all elements", mean_bce_backward, "a.size", "len(a)",
        "notebook 003: equal for one output column",
        "mismatch", "factor", "2", mean_bce, inputs=(A, Y),
    ),
    Bug(
        "mean squared error not averaged", mse_backward, " / prediction.size", "", "m for 1",
        "mismatch", "factor", "prediction has 5 rows", mse,
        inputs=(normal(5, 1), normal(5, 1, seed=1)),
    ),
    Bug(
        "log2 for ln", log2_bce_backward, " / np.log(2)", "", "notebook 002: the loss in bits",
        "mismatch", "factor", "ln 2", log2_bce, inputs=(A, Y),
    ),
    Bug(
        "logits without the sigmoid", logit_bce_backward, "return a - y", "return z - y", "z for a in the short form",
        "mismatch", "elementwise", "z - y in place of sigmoid(z) - y", logit_bce, inputs=(normal(4, 2), Y),
    ),
    Bug(
        "sigmoid differentiated twice", logit_bce_backward, "return a - y", "return (a - y) * a * (1 - a)",
        "the short form already has it",
        "mismatch", "elementwise", "sigmoid(z) * (1 - sigmoid(z)) too many", logit_bce, inputs=(normal(4, 2), Y),
    ),
    Bug(
        "not zeroed beyond the clip", clipped_bce_backward, "inside * ", "", "notebook 003",
        "mismatch", "not zeroed", "every entry where |a| < 0.05 should be zero", clipped_bce, inputs=(WIDE, WIDE_Y),
    ),
    Bug(
        "cross-entropy without log-sum-exp", cross_entropy_backward, "gradient = softmax(logits)",
        "gradient = np.zeros_like(logits)", "the derivative of the chosen logit alone",
        "mismatch", "term", "softmax(logits) is missing", cross_entropy, inputs=(normal(4, 3), LABELS),
    ),
    Bug(
        "cross-entropy without the one-hot", cross_entropy_backward, "gradient[np.arange(m), labels] -= 1",
        "gradient = gradient", "softmax without minus one",
        "mismatch", "term", "one_hot(labels)", cross_entropy, inputs=(normal(4, 3), LABELS),
    ),
    Bug(
        "cross-entropy not averaged", cross_entropy_backward, "gradient / m", "gradient", "1/m",
        "mismatch", "factor", "logits has 5 rows", cross_entropy,
        inputs=(normal(5, 3), np.array([2, 0, 1, 1, 0])),
    ),
    Bug(
        "hinge without its label", hinge_backward, "-y * ", "-1.0 * ", "the chain factor y",
        "mismatch", "sign", "where y = -1", hinge, inputs=(0.3 * normal(24), SIGNS),
    ),
    Bug(
        "weight decay missing", decayed_backward, " + decay * W", "", "in the loss, not in the gradient",
        "mismatch", "term", "0.3 * W is missing", decayed, inputs=DECAYED, options={"wrt": "W"},
    ),
    Bug(
        "weight decay doubled", decayed_backward, "decay * W", "2 * decay * W", "the 1/2 of the loss forgotten",
        "mismatch", "term", "0.3 * W too many", decayed, inputs=DECAYED, options={"wrt": "W"},
    ),
    Bug(
        "entropy's second term", kl_backward, "np.log(p / q) + 1", "np.log(p / q)", "d(p ln p) = ln p + 1",
        "mismatch", "term", "the term 1 is missing", kl, inputs=(P, Q),
    ),
    Bug(
        "arguments swapped", kl_backward, "-p / q", "-q / p", "the order of the arguments",
        "mismatch", "elementwise", "q / p in place of", kl, inputs=(P, Q),
    ),
)  # fmt: skip
"""The bugs of these layers."""
