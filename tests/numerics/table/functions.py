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
