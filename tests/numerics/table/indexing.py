"""Indexing, moving and repeating entries: where a gradient is lost, counted twice or put in the wrong place."""

import numpy as np

from tests.numerics.table.row import Row

RNG = np.random.default_rng(24)
X = RNG.normal(size=(4, 3))


def scattered(g, index, shape):
    dx = np.zeros(shape)
    np.add.at(dx, index, g)
    return dx


def assigned(g, index, shape):
    """The usual mistake: `dx[index] += g` counts a repeated index once."""
    dx = np.zeros(shape)
    dx[index] += g
    return dx


def interpolate_vjp(g, x, heights, *, slopes=True):
    grid = np.arange(len(heights))
    low = np.clip(np.floor(x).astype(int), 0, len(heights) - 2)
    share = x - grid[low]
    dheights = np.zeros_like(heights)
    np.add.at(dheights, low, g * (1 - share))
    np.add.at(dheights, low + 1, g * share)
    return (g * (heights[low + 1] - heights[low]) if slopes else np.zeros_like(x)), dheights


def bilinear(image, y, x):
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)  # raises outside the image
    a, b = y - i, x - j
    return (1 - a) * ((1 - b) * image[i, j] + b * image[i, j + 1]) + a * (
        (1 - b) * image[i + 1, j] + b * image[i + 1, j + 1]
    )


def bilinear_vjp(g, image, y, x, *, swapped=False):
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    a, b = y - i, x - j
    dimage = np.zeros_like(image)
    for di, wi in ((0, 1 - a), (1, a)):
        for dj, wj in ((0, 1 - b), (1, b)):
            np.add.at(dimage, (i + di, j + dj), g * wi * wj)
    dy = g * ((1 - b) * (image[i + 1, j] - image[i, j]) + b * (image[i + 1, j + 1] - image[i, j + 1]))
    dx = g * ((1 - a) * (image[i, j + 1] - image[i, j]) + a * (image[i + 1, j + 1] - image[i + 1, j]))
    return (dimage, dx, dy) if swapped else (dimage, dy, dx)


TOKENS = np.array([[0, 2, 2], [3, 0, 2]])

ROWS = [
    Row(
        "embedding-with-repeated-tokens",
        lambda table, tokens: table[tokens],
        lambda g, table, tokens: scattered(g, tokens, table.shape),
        (X, TOKENS),
        "one token is used three times, one never",
        wrong={"counted-once": lambda g, table, tokens: assigned(g, tokens, table.shape)},
    ),
    Row(
        "embedding-with-padding",
        lambda table, tokens: table[tokens] * (tokens != 0)[..., None],
        lambda g, table, tokens: scattered(g * (tokens != 0)[..., None], tokens, table.shape),
        (X, TOKENS),
        "token 0 is padding: its row has no gradient",
        wrong={"padding-learns": lambda g, table, tokens: scattered(g, tokens, table.shape)},
    ),
    Row(
        "scatter-add",
        lambda x: scattered(x, np.array([1, 1, 0]), (3,)),
        lambda g, x: g[np.array([1, 1, 0])],
        (X[0],),
        "its transpose is a gather; output 2 stays 0",
        wrong={"scattered-again": lambda g, x: scattered(g, np.array([1, 1, 0]), (3,))},
    ),
    Row(
        "scatter-where-the-last-wins",
        lambda x: np.array([x[2], x[1], 0.0]),
        lambda g, x: np.array([0.0, g[1], g[0]]),
        (X[0],),
        "an entry that is written over has no gradient: MaxUnpool in pytorch#80827",
        wrong={"overwritten-counts": lambda g, x: np.array([g[0], g[1], g[0]])},
    ),
    Row(
        "take-along-axis",
        lambda x: np.take_along_axis(x, np.array([[2], [0], [0], [1]]), axis=1),
        lambda g, x: np.where(np.arange(3) == np.array([[2], [0], [0], [1]]), g, 0.0),
        (X,),
        "one entry of every row, as a label chooses it",
        wrong={"first-column": lambda g, x: np.where(np.arange(3) == 0, g, 0.0)},
    ),
    Row(
        "reversed-and-strided",
        lambda x: x[::-2],
        lambda g, x: np.array([0 * g[0], g[1], 0 * g[0], g[0]]),
        (X[0:2].ravel()[:4],),
        "a view with a negative stride",
        wrong={"forwards": lambda g, x: np.array([0 * g[0], g[0], 0 * g[0], g[1]])},
    ),
    Row(
        "roll",
        lambda x: np.roll(x, 1, axis=0),
        lambda g, x: np.roll(g, -1, axis=0),
        (X,),
        "the transpose rolls back",
        wrong={"same-way": lambda g, x: np.roll(g, 1, axis=0)},
    ),
    Row(
        "reflected-padding",
        lambda x: np.pad(x, 2, mode="reflect"),
        lambda g, x: g[2:-2] + np.array([0.0, g[1] + g[7], g[0] + g[6], 0.0]),
        (X.ravel()[:4],),
        "reflected entries count three times",
        wrong={"cropped": lambda g, x: g[2:-2].copy()},
    ),
    Row(
        "edge-padding",
        lambda x: np.pad(x, (2, 1), mode="edge"),
        lambda g, x: np.array([g[:3].sum(), g[3], g[4:].sum()]),
        (X[0],),
        "replicated ends add up",
        wrong={"cropped": lambda g, x: g[2:-1].copy()},
    ),
    Row(
        "tile",
        lambda x: np.tile(x, (2, 2)),
        lambda g, x: g.reshape(2, 4, 2, 3).sum(axis=(0, 2)),
        (X,),
        "four copies add up",
        wrong={"mean": lambda g, x: g.reshape(2, 4, 2, 3).mean(axis=(0, 2))},
    ),
    Row(
        "repeat",
        lambda x: np.repeat(x, 2),
        lambda g, x: g.reshape(-1, 2).sum(axis=1),
        (X[0],),
        "each entry twice in a row: not tile",
        wrong={"as-tile": lambda g, x: g.reshape(2, -1).sum(axis=0)},
    ),
    Row(
        "concatenation",
        lambda a, b: np.concatenate([a, b, a]),
        lambda g, a, b: (g[:3] + g[5:], g[3:5].copy()),
        (X[0], X[1, :2]),
        "an input that is used twice",
        wrong={"last-use-only": lambda g, a, b: (g[5:].copy(), g[3:5].copy())},
    ),
    Row(
        "transpose-of-three-axes",
        lambda x: x.transpose(1, 2, 0),
        lambda g, x: g.transpose(2, 0, 1),
        (RNG.normal(size=(2, 2, 2)),),
        "all axes equal: the inverse permutation is not the permutation",
        wrong={"permuted-again": lambda g, x: g.transpose(1, 2, 0)},
    ),
    Row(
        "fortran-order-reshape",
        lambda x: x.reshape(-1, order="F"),
        lambda g, x: g.reshape(x.shape, order="F"),
        (X,),
        "column-major: MATLAB's habit",
        wrong={"row-major": lambda g, x: g.reshape(x.shape)},
    ),
    Row(
        "lower-triangle",
        np.tril,
        lambda g, x: np.tril(g),
        (X[:3],),
        "masked entries have slope exactly 0",
        wrong={"mask-forgotten": lambda g, x: g.copy(), "upper": lambda g, x: np.triu(g)},
    ),
    Row(
        "diagonal-matrix",
        np.diag,
        lambda g, x: np.diag(g).copy(),
        (X[0],),
        "n inputs, n * n outputs",
        wrong={"row-sums": lambda g, x: g.sum(axis=1)},
    ),
    Row(
        "where-by-a-mask",
        lambda mask, a, b: np.where(mask, a, b),
        lambda g, mask, a, b: (g * mask, g * ~mask),
        (X > 0, X, -2 * X),
        "a boolean input is a constant",
        wrong={"both-branches": lambda g, mask, a, b: (g.copy(), g.copy())},
    ),
    Row(
        "linear-interpolation",
        lambda x, heights: np.interp(x, np.arange(len(heights)), heights),
        interpolate_vjp,
        (np.array([0.3, 2.6, 1.5, 2.7]), RNG.normal(size=4)),
        "by the place and by the heights; two places share an interval",
        wrong={"place-as-constant": lambda g, x, h: interpolate_vjp(g, x, h, slopes=False)},
    ),
    Row(
        "bilinear-sampling",
        bilinear,
        bilinear_vjp,
        (RNG.normal(size=(4, 4)), np.array([0.4, 1.7, 1.2]), np.array([2.3, 0.6, 1.9])),
        "a spatial transformer: image and places",
        wrong={"axes-swapped": lambda g, *a: bilinear_vjp(g, *a, swapped=True)},
    ),
    Row(
        "dropout-with-a-given-mask",
        lambda x, mask: x * mask / 0.8,
        lambda g, x, mask: g * mask / 0.8,
        (X, np.array([[1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 0]])),
        "an integer mask is a constant; inverted dropout scales",
        wrong={"scale-forgotten": lambda g, x, mask: g * mask, "mask-forgotten": lambda g, x, mask: g / 0.8},
    ),
]
