"""Structure on scales that a fixed step misses: poles and domain edges near by, oscillation, inputs of many sizes."""

import numpy as np

from tests.numerics.table.row import elementwise, noisy

ORDINARY = np.array([-2.3, -0.4, 0.0, 0.7, 1.9])
SCALES = np.array([1e-8, -1e-5, 1e-2, 1.0, -1e2, 1e5, 1e8])

POLES = [
    elementwise(
        "inverse",
        lambda x: 1 / x,
        lambda x: -1 / x**2,
        np.array([-0.01, 0.001, 0.5, 3.0]),
        "pole at 1e-3: coarse steps cross it",
    ),
    elementwise(
        "inverse-at-1e-6",
        lambda x: 1 / x,
        lambda x: -1 / x**2,
        np.array([1e-6, 2.0]),
        "pole at 1e-6, slope 1e12 beside 0.25",
    ),
    elementwise("inverse-square", lambda x: x**-2.0, lambda x: -2 * x**-3.0, np.array([0.05, -0.3, 7.0]), "even pole"),
    elementwise("log-at-1e-8", np.log, lambda x: 1 / x, np.array([1e-8, 1e-4]), "the default step is larger than x"),
    elementwise(
        "sqrt-at-1e-10",
        np.sqrt,
        lambda x: 0.5 / np.sqrt(x),
        np.array([1e-10, 1.0]),
        "the default step is larger than x",
    ),
    elementwise(
        "logit",
        lambda p: np.log(p / (1 - p)),
        lambda p: 1 / (p * (1 - p)),
        np.array([1e-6, 0.3, 0.999]),
        "poles at both ends",
    ),
    elementwise(
        "x-log-x", lambda x: x * np.log(x), lambda x: 1 + np.log(x), np.array([1e-9, 0.1, 2.0]), "infinite slope at 0"
    ),
    elementwise(
        "power-1.5-near-0",
        lambda x: np.abs(x) ** 1.5,
        lambda x: 1.5 * np.sign(x) * np.sqrt(np.abs(x)),
        np.array([-1e-3, 1e-4, 0.2]),
        "infinite curvature near by",
    ),
]

OSCILLATION = [
    elementwise(
        f"sin-of-1e{k}-x",
        lambda x, w=10.0**k: np.sin(w * x),
        lambda x, w=10.0**k: w * np.cos(w * x),
        np.array([0.3, 1.7]),
        "the default step spans whole periods" if k > 4 else "coarse steps span periods",
        accuracy=max(1e-6, noisy(4e-16 * 10.0**k)),  # the last bit of the argument
    )
    for k in (3, 4, 5, 6, 7)
] + [
    elementwise(
        "ripple",
        lambda x: x + 1e-6 * np.sin(1e5 * x),
        lambda x: 1 + 0.1 * np.cos(1e5 * x),
        np.array([0.3, 1.7]),
        "a ripple too small to see in f, worth 10 % of the slope",
    ),
    elementwise(
        "chirp",
        lambda x: np.sin(1 / x),
        lambda x: -np.cos(1 / x) / x**2,
        np.array([0.01, 0.3]),
        "period shrinks towards 0",
    ),
    elementwise(
        "narrow-peak",
        lambda x: np.exp(-(((x - 0.3) / 1e-5) ** 2)),
        lambda x: -2 * (x - 0.3) / 1e-10 * np.exp(-(((x - 0.3) / 1e-5) ** 2)),
        np.array([0.3 + 5e-6, 0.3 - 1e-5]),
        "all of f happens within 1e-5",
    ),
]

SCALED = [
    elementwise("scales-1e-8-to-1e8", lambda x: x**2, lambda x: 2 * x, SCALES, "16 orders of magnitude in one array"),
    elementwise(
        "scales-cubed", lambda x: x**3, lambda x: 3 * x**2, np.array([1e-4, -1.0, 1e4]), "slopes from 3e-8 to 3e8"
    ),
    elementwise(
        "all-1e-7",
        lambda x: 1e-7 * np.sin(x),
        lambda x: 1e-7 * np.cos(x),
        ORDINARY,
        "an absolute tolerance would hide it",
    ),
    elementwise(
        "all-1e-20", lambda x: 1e-20 * np.sin(x), lambda x: 1e-20 * np.cos(x), ORDINARY, "the same, further down"
    ),
    elementwise("all-1e20", lambda x: 1e20 * np.sin(x), lambda x: 1e20 * np.cos(x), ORDINARY, "and further up"),
    elementwise("tiny-inputs", lambda x: x**2, lambda x: 2 * x, np.array([1e-8, -3e-9]), "steps far larger than x"),
    elementwise(
        "one-beside-1e-9",
        lambda x: x * np.array([1.0, 1e-9]),
        lambda x: np.array([1.0, 1e-9]),
        np.array([0.3, 0.7]),
        "one small gradient beside one large",
    ),
]

ROWS = [*POLES, *OSCILLATION, *SCALED]
