"""Functions that several rows share, each written once."""

import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[float])
erfc = np.vectorize(math.erfc, otypes=[float])
gamma = np.vectorize(math.gamma, otypes=[float])


def sigmoid(z):
    """The textbook's: rounds badly for large negative z, and is what people write."""
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z):
    e = np.exp(-np.abs(z))
    return e / (1 + e) ** 2


def stable_sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_vjp(g, z):
    p = softmax(z)
    return p * (g - np.sum(g * p, axis=-1, keepdims=True))


def log_softmax(z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_sum_exp(z):
    top = z.max(axis=-1)
    return top + np.log(np.exp(z - top[..., None]).sum(axis=-1))


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def norm(x):
    return np.sqrt(np.sum(x**2))
