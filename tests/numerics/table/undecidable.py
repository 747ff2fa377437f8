"""Points without a derivative, or whose values hide it: nobody may be accused there, and nothing may pass."""

import numpy as np

from tests.numerics.table.row import Row


def nowhere(name, f, slope, at, why, claimed=1.0, others=(0.0, -3.0)):
    """Return a row of an elementwise function at a point without a derivative: right elsewhere, a claim there."""

    def vjp(value):
        return lambda g, x: g * np.where(x == at, value, slope(np.where(x == at, at + 0.25, x)))

    wrong = {f"claims-{value:g}": vjp(value) for value in others}
    return Row(name, f, vjp(claimed), (np.array([at]),), why, expect="inconclusive", wrong=wrong)


def leftwards(slope):
    """A slope for a domain that ends at the point: what np.where evaluates beyond it is not used."""
    return lambda x: slope(np.where(np.isfinite(slope(x)), x, 0.5))


ROWS = [
    nowhere(
        "sign-plus-x", lambda x: np.sign(x) + x, np.ones_like, 0.0, "f jumps at the point, and is defined half-way"
    ),
    nowhere("floor-on-a-step", np.floor, np.zeros_like, 2.0, "f jumps at the point, and is flat all around"),
    nowhere(
        "pieces-apart",
        lambda x: np.where(x > 1, x**2, -x),
        lambda x: np.where(x > 1, 2 * x, -1),
        1.0,
        "two pieces that do not meet",
    ),
    nowhere(
        "hard-shrink",
        lambda x: np.where(np.abs(x) > 0.5, x, 0.0),
        lambda x: (np.abs(x) > 0.5) * 1.0,
        0.5,
        "jumps at its threshold",
    ),
    nowhere(
        "step-on-a-parabola",
        lambda x: (x > 0) * 3.0 + x**2,
        lambda x: 2 * x,
        0.0,
        "slope 0 on both sides, and a step between",
    ),
    nowhere(
        "remainder-on-its-jump",
        lambda x: np.mod(x, 1.0),
        np.ones_like,
        3.0,
        "slope 1 on both sides, and a jump between",
    ),
    nowhere(
        "softplus-with-a-threshold",
        lambda x: np.where(10 * x > 0.4, x, np.log1p(np.exp(10 * x)) / 10),
        lambda x: np.where(10 * x > 0.4, 1, 1 / (1 + np.exp(-10 * x))),
        0.04,
        "torch.nn.Softplus(beta=10, threshold=0.4) jumps where it turns linear: pytorch#31110",
    ),
    nowhere(
        "root-of-abs",
        lambda x: np.sqrt(np.abs(x)),
        lambda x: 0.5 * np.sign(x) / np.sqrt(np.abs(x)),
        0.0,
        "the slope is infinite on both sides",
    ),
    nowhere(
        "cube-root",
        np.cbrt,
        lambda x: np.cbrt(x) / (3 * x),
        0.0,
        "the slope is infinite, though f is odd and continuous",
    ),
    nowhere(
        "root-at-0", np.sqrt, leftwards(lambda x: 0.5 / np.sqrt(x)), 0.0, "edge of the domain, with an infinite slope"
    ),
    nowhere(
        "root-to-the-left",
        lambda x: np.sqrt(2.0 - x),
        leftwards(lambda x: -0.5 / np.sqrt(2.0 - x)),
        2.0,
        "edge of the domain on the other side",
    ),
    nowhere("arcsin-at-1", np.arcsin, leftwards(lambda x: 1 / np.sqrt(1 - x**2)), 1.0, "edge of an interval"),
    nowhere("arccosh-at-1", np.arccosh, leftwards(lambda x: 1 / np.sqrt(x**2 - 1)), 1.0, "edge of a half-line"),
    nowhere(
        "power-1.5-at-0",
        lambda x: x**1.5,
        leftwards(lambda x: 1.5 * np.sqrt(x)),
        0.0,
        "edge of the domain with a finite slope: one side is not enough",
    ),
    nowhere(
        "x-log-x-at-0",
        lambda x: x * np.log(x),
        leftwards(lambda x: 1 + np.log(x)),
        0.0,
        "f itself is not finite at the point",
    ),
    nowhere(
        "oscillation-without-a-limit",
        lambda x: x * np.sin(np.log(np.where(x == 0, 1.0, np.abs(x)))),
        lambda x: np.sin(np.log(np.abs(x))) + np.cos(np.log(np.abs(x))),
        0.0,
        "x * sin(log|x|) is continuous, with slopes between -1.4 and 1.4 at every scale",
        claimed=0.0,
        others=(2.0,),
    ),
]
