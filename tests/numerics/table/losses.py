"""Losses: scalars, with a mean to divide by, labels that are constants, and logarithms of small numbers."""

import numpy as np

from tests.numerics.table.functions import log_softmax, norm, one_hot, softmax, stable_sigmoid
from tests.numerics.table.row import Row

RNG = np.random.default_rng(27)
Z = RNG.normal(size=(3, 4))
LABELS = np.array([0, 3, 1])
SCORES, TARGETS = np.array([0.3, -2.0, 5.0, -0.1]), np.array([1, 0, 1, 0])


def cross_entropy(z, labels):
    return -log_softmax(z)[np.arange(len(labels)), labels].mean()


def cross_entropy_vjp(g, z, labels, *, over=None):
    return g * (softmax(z) - one_hot(labels, z.shape[1])) / (over or len(labels))


def smoothed(z, labels, share=0.1):
    target = (1 - share) * one_hot(labels, z.shape[1]) + share / z.shape[1]
    return -np.sum(target * log_softmax(z)) / len(labels)


def smoothed_vjp(g, z, labels, share=0.1):
    return g * (softmax(z) - (1 - share) * one_hot(labels, z.shape[1]) - share / z.shape[1]) / len(labels)


def focal(z, t):
    p = stable_sigmoid(np.where(t == 1, z, -z))
    return np.sum(-((1 - p) ** 2) * np.log(p))


def focal_vjp(g, z, t, *, modulated=True):
    p = stable_sigmoid(np.where(t == 1, z, -z))
    inner = (1 - p) ** 2 / p * -1 + (2 * (1 - p) * np.log(p) if modulated else 0)
    return g * inner * p * (1 - p) * np.where(t == 1, 1, -1)


def huber(x, y, delta=1.0):
    r = x - y
    return np.where(np.abs(r) < delta, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta)).sum()


def smooth_l1(r, beta=0.5):
    return np.where(np.abs(r) < beta, 0.5 * r**2 / beta, np.abs(r) - 0.5 * beta).sum()


def kl(mean, log_variance):
    return 0.5 * np.sum(np.exp(log_variance) + mean**2 - 1 - log_variance)


def gaussian(mean, log_variance):
    return 0.5 * np.sum(log_variance + (SCORES - mean) ** 2 * np.exp(-log_variance))


def gaussian_vjp(g, mean, log_variance):
    away = (SCORES - mean) * np.exp(-log_variance)
    return -g * away, 0.5 * g * (1 - (SCORES - mean) * away)


def triplet(a, p, n):
    return max(0.0, norm(a - p) - norm(a - n) + 1.0)


def triplet_vjp(g, a, p, n):
    near, far = (a - p) / norm(a - p), (a - n) / norm(a - n)
    return g * (near - far), -g * near, g * far


def contrastive(x):
    unit = x / np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    logits = unit[:2] @ unit[2:].T / 0.1
    return -np.trace(log_softmax(logits)) / 2


def contrastive_vjp(g, x, *, both=True):
    size = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    unit = x / size
    dlogits = g * (softmax(unit[:2] @ unit[2:].T / 0.1) - np.eye(2)) / 2 / 0.1
    dunit = np.concatenate([dlogits @ unit[2:], dlogits.T @ unit[:2] if both else np.zeros((2, x.shape[1]))])
    return (dunit - unit * np.sum(dunit * unit, axis=1, keepdims=True)) / size


def alignments(steps, label, blank=0):
    """All ways to emit one label within so many steps: blanks, the label some times in a row, blanks."""
    return [
        [blank] * a + [label] * (b - a) + [blank] * (steps - b) for a in range(steps) for b in range(a + 1, steps + 1)
    ]


def ctc(z):
    logs = log_softmax(z)
    paths = np.array([sum(logs[t, s] for t, s in enumerate(path)) for path in alignments(len(z), 1)])
    return -np.logaddexp.reduce(paths)


def ctc_vjp(g, z, *, posterior_only=False):
    logs = log_softmax(z)
    paths = alignments(len(z), 1)
    scores = np.array([sum(logs[t, s] for t, s in enumerate(path)) for path in paths])
    posterior = np.zeros_like(z)
    for weight, path in zip(np.exp(scores - np.logaddexp.reduce(scores)), paths, strict=True):
        posterior += weight * one_hot(np.array(path), z.shape[1])
    return g * (-posterior if posterior_only else softmax(z) - posterior)


def ctc_of_logs(logs):
    paths = np.array([sum(logs[t, s] for t, s in enumerate(path)) for path in alignments(len(logs), 1)])
    return -np.logaddexp.reduce(paths)


def pairwise_ranking(s):
    return np.logaddexp(0, -(s[:, None] - s)[np.triu_indices(len(s), 1)]).sum()


def pairwise_ranking_vjp(g, s):
    pull = np.triu(stable_sigmoid(-(s[:, None] - s)), 1)
    return g * (pull.sum(axis=0) - pull.sum(axis=1))


ROWS = [
    Row(
        "cross-entropy",
        cross_entropy,
        cross_entropy_vjp,
        (Z, LABELS),
        "labels are integers: constants",
        wrong={
            "not-divided-by-the-batch": lambda g, z, labels: cross_entropy_vjp(g, z, labels, over=1),
            "sign": lambda g, z, labels: -cross_entropy_vjp(g, z, labels),
        },
    ),
    Row(
        "cross-entropy-of-a-confident-network",
        cross_entropy,
        cross_entropy_vjp,
        (12 * one_hot(LABELS, 4) + Z, LABELS),
        "every gradient is 1e-5: an absolute tolerance of 1e-5 would pass anything",
        wrong={"probability-of-the-label": lambda g, z, labels: g * softmax(z) / 3},
    ),
    Row(
        "label-smoothing",
        smoothed,
        smoothed_vjp,
        (Z, LABELS),
        "targets that are no one-hot",
        wrong={"hard-labels": cross_entropy_vjp},
    ),
    Row(
        "binary-cross-entropy-of-logits",
        lambda z, t: np.mean(np.logaddexp(0, z) - t * z),
        lambda g, z, t: g * (stable_sigmoid(z) - t) / len(z),
        (SCORES, TARGETS),
        "the stable form",
        wrong={
            "slope-twice": lambda g, z, t: g * (stable_sigmoid(z) - t) * stable_sigmoid(z) * stable_sigmoid(-z) / len(z)
        },
    ),
    Row(
        "binary-cross-entropy-of-probabilities",
        lambda p, t: -np.sum(t * np.log(p) + (1 - t) * np.log1p(-p)),
        lambda g, p, t: g * ((1 - t) / (1 - p) - t / p),
        (np.array([1e-7, 1e-7, 0.999, 0.4]), TARGETS),
        "slopes of 1e7 beside 1: how losses are clipped",
        wrong={"clipped": lambda g, p, t: g * ((1 - t) / (1 - p) - t / np.maximum(p, 1e-5))},
    ),
    Row(
        "focal-loss",
        focal,
        focal_vjp,
        (SCORES, TARGETS),
        "the modulating factor has a slope of its own",
        wrong={"factor-as-constant": lambda g, z, t: focal_vjp(g, z, t, modulated=False)},
    ),
    Row(
        "mean-squared-error",
        lambda x, y: np.mean((x - y) ** 2),
        lambda g, x, y: (2 * g * (x - y) / x.size, -2 * g * (x - y) / x.size),
        (Z, RNG.normal(size=Z.shape)),
        "a mean over both axes",
        wrong={"divided-by-the-rows": lambda g, x, y: (2 * g * (x - y) / len(x), -2 * g * (x - y) / len(x))},
    ),
    Row(
        "mean-squared-error-at-its-minimum",
        lambda x: np.mean((x - Z) ** 2),
        lambda g, x: 2 * g * (x - Z) / x.size,
        (Z,),
        "all gradients are exactly 0, and so is f",
        wrong={"ones": lambda g, x: g * np.ones_like(x)},
    ),
    Row(
        "huber-loss",
        huber,
        lambda g, x, y: (g * np.clip(x - y, -1, 1), -g * np.clip(x - y, -1, 1)),
        (np.array([0.5, 3.0, -4.0]), np.array([0.0, 1.0, 0.0])),
        "thresholded by the size of the residual: the signed one was wrong in attorch#13",
        wrong={"signed-threshold": lambda g, x, y: (g * np.minimum(x - y, 1), -g * np.minimum(x - y, 1))},
    ),
    Row(
        "smooth-l1",
        smooth_l1,
        lambda g, r: g * np.clip(r / 0.5, -1, 1),
        (np.array([0.2, -0.4999, 0.5, 3.0]),),
        "beta = 0.5, one residual exactly on it: not the Huber loss",
        wrong={"as-huber": lambda g, r: g * np.clip(r, -0.5, 0.5)},
    ),
    Row(
        "log-cosh",
        lambda r: np.sum(np.logaddexp(r, -r) - np.log(2)),
        lambda g, r: g * np.tanh(r),
        (np.array([0.0, 1e-4, -3.0, 300.0]),),
        "cosh overflows, its logarithm does not",
        wrong={"linear": lambda g, r: g * np.sign(r)},
    ),
    Row(
        "absolute-error-of-an-exact-fit",
        lambda x: np.abs(x - np.round(Z, 1)).sum(),
        lambda g, x: g * np.sign(x - np.round(Z, 1)),
        (np.where(Z > 0, np.round(Z, 1), Z),),
        "some residuals are exactly 0",
        expect="kink",
        wrong={"squared": lambda g, x: 2 * g * (x - np.round(Z, 1)) + g * 1.5},
    ),
    Row(
        "quantile-loss",
        lambda q: np.maximum(0.9 * (SCORES - q), -0.1 * (SCORES - q)).sum(),
        lambda g, q: np.array([g * np.sum(np.where(q[0] < SCORES, -0.9, 0.1))]),
        (np.array([0.2]),),
        "one parameter, kinks at 0.1 and 0.3 from it",
        wrong={"sides-swapped": lambda g, q: np.array([g * np.sum(np.where(q[0] < SCORES, -0.1, 0.9))])},
    ),
    Row(
        "squared-hinge",
        lambda s: np.sum(np.maximum(0, 1 - (2 * TARGETS - 1) * s) ** 2),
        lambda g, s: -2 * g * (2 * TARGETS - 1) * np.maximum(0, 1 - (2 * TARGETS - 1) * s),
        (np.array([1.0, -1.0, 0.3, 2.0]),),
        "on its margin, and smooth there",
        wrong={"label-forgotten": lambda g, s: -2 * g * np.maximum(0, 1 - (2 * TARGETS - 1) * s)},
    ),
    Row(
        "gaussian-kl-divergence",
        kl,
        lambda g, m, v: (g * m, 0.5 * g * (np.exp(v) - 1)),
        (np.array([0.5, -1.0, 0.0]), np.array([0.0, -3.0, 1e-5])),
        "a variational autoencoder's; by the logarithm of the variance",
        wrong={"by-the-variance": lambda g, m, v: (g * m, 0.5 * g * (1 - np.exp(-v)))},
    ),
    Row(
        "gaussian-likelihood",
        gaussian,
        gaussian_vjp,
        (np.zeros(4), np.array([0.0, -1.0, 2.0, -8.0])),
        "a precision of 3000 in one entry",
        wrong={"variance-half": lambda g, m, v: (gaussian_vjp(g, m, v)[0], 2 * gaussian_vjp(g, m, v)[1])},
    ),
    Row(
        "poisson-likelihood",
        lambda r: np.sum(np.exp(r) - np.arange(4) * r),
        lambda g, r: g * (np.exp(r) - np.arange(4)),
        (SCORES,),
        "by the logarithm of the rate",
        wrong={"by-the-rate": lambda g, r: g * (1 - np.arange(4) / np.exp(r))},
    ),
    Row(
        "triplet-loss",
        triplet,
        triplet_vjp,
        tuple(RNG.normal(size=(3, 4))),
        "active: three gradients that add up to 0",
        wrong={"anchor-one-sided": lambda g, a, p, n: (g * (a - p) / norm(a - p), *triplet_vjp(g, a, p, n)[1:])},
    ),
    Row(
        "inactive-triplet-loss",
        lambda a, p, n: triplet(a, p, 100 * n),
        lambda g, a, p, n: (0 * a, 0 * p, 0 * n),
        tuple(RNG.normal(size=(3, 4))),
        "flat: every gradient is exactly 0, and so is f",
        wrong={"never-inactive": lambda g, a, p, n: (g * a, -g * p, g * n)},
    ),
    Row(
        "contrastive-loss",
        contrastive,
        contrastive_vjp,
        (RNG.normal(size=(4, 3)),),
        "normalised, with a temperature of 0.1, both sides learn",
        wrong={"one-side-only": lambda g, x: contrastive_vjp(g, x, both=False)},
    ),
    Row(
        "pairwise-ranking",
        pairwise_ranking,
        pairwise_ranking_vjp,
        (np.array([1.0, 30.0, -2.0, 0.0]),),
        "saturated pairs beside active ones",
        wrong={"winner-only": lambda g, s: -g * np.triu(stable_sigmoid(-(s[:, None] - s)), 1).sum(axis=1)},
    ),
    Row(
        "connectionist-temporal-classification",
        ctc,
        ctc_vjp,
        (RNG.normal(size=(4, 3)),),
        "a sum over alignments, with the softmax inside",
        wrong={"softmax-forgotten": lambda g, z: ctc_vjp(g, z, posterior_only=True)},
    ),
    Row(
        "ctc-of-log-probabilities",
        ctc_of_logs,
        lambda g, logs: ctc_vjp(g, logs, posterior_only=True),
        (log_softmax(RNG.normal(size=(4, 3))),),
        "as torch's takes it; its gradient has a softmax too many: pytorch#52241",
        wrong={"softmax-too-many": ctc_vjp},
    ),
    Row(
        "cauchy-loss",
        lambda r: np.sum(np.log1p((r / 1e-3) ** 2)),
        lambda g, r: g * 2 * r / (1e-6 + r**2),
        (np.array([0.0, 1e-4, -1e-2, 5.0]),),
        "a scale of 1e-3: bends within it",
        wrong={"scale-forgotten": lambda g, r: g * 2 * r / (1 + r**2)},
    ),
]
