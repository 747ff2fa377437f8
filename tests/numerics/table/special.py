"""Special functions: values from the standard library, NumPy or mpmath's quadrature; slopes in closed form or by mpmath.

The functions are those whose rules ChainRules, jax.scipy.special and torch.special write by hand.
"""

import functools
import math
from collections.abc import Callable

import mpmath
import numpy as np

from tests.numerics.table.functions import erf, erfc, gamma
from tests.numerics.table.row import Row, elementwise

mpmath.mp.dps = 25
ROOT_PI = math.sqrt(math.pi)
NAN = float("nan")


def exact(f: Callable[..., object]) -> Callable[..., np.ndarray]:
    """Return ``f(mpmath, x)`` as a function of arrays, rounded to float64 once; NaN outside its domain."""

    @functools.lru_cache(maxsize=1 << 16)  # mpmath takes its time, and every check asks for the same points
    def rounded(*x: float) -> float:
        try:
            value = f(mpmath, *map(float, x))
        except (ValueError, ZeroDivisionError):
            return NAN
        return float(value) if isinstance(value, mpmath.mpf | float | int) else NAN

    return np.vectorize(rounded, otypes=[float])


log_gamma = np.vectorize(lambda x: math.lgamma(x) if x > 0 else NAN, otypes=[float])
digamma, trigamma = exact(lambda mp, x: mp.digamma(x)), exact(lambda mp, x: mp.psi(1, x))
bessel_0, bessel_1 = exact(lambda mp, x: mp.besselj(0, x)), exact(lambda mp, x: mp.besselj(1, x))
erfinv = exact(lambda mp, x: mp.erfinv(x) if abs(x) < 1 else NAN)
lambert = exact(lambda mp, x: mp.lambertw(x))


def log_beta(a, b):
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


def scaled_erfc(x):
    return exact(lambda mp, x: mp.exp(x * x) * mp.erfc(x))(x)


def log_normal_cdf_slope(x):
    return exact(lambda mp, x: mp.npdf(x) / mp.ncdf(x))(x)


ROWS = [
    elementwise(
        "log-gamma",
        log_gamma,
        digamma,
        [1e-3, 1.0, 1.4616, 50.0],
        "slope near 0 at its minimum, pole at 0",
        wrong={"stirling": lambda g, x: g * np.log(x)},
    ),
    elementwise(
        "log-gamma-of-1e8",
        log_gamma,
        digamma,
        [1e8, 3e4],
        "values of 1e9: seven digits of the slope are left",
        wrong={"without-its-correction": lambda g, x: g * (np.log(x) - 1)},
    ),
    elementwise(
        "gamma-between-its-poles",
        gamma,
        lambda x: gamma(x) * digamma(x),
        [-1.5, -0.5, 3.5],
        "poles half a unit away on both sides",
    ),
    elementwise(
        "digamma",
        digamma,
        trigamma,
        [0.1, 1.0, 20.0],
        "the derivative of a derivative rule",
        wrong={"asymptotic": lambda g, x: g / x},
    ),
    elementwise(
        "erfc-tail", erfc, lambda x: -2 / ROOT_PI * np.exp(-(x**2)), [0.0, 3.0, 8.0, 20.0], "1e-29 and 1e-176 beside 1"
    ),
    elementwise(
        "scaled-erfc",
        scaled_erfc,
        lambda x: 2 * x * scaled_erfc(x) - 2 / ROOT_PI,
        [-2.0, 0.0, 1.0, 30.0],
        "the rule cancels for large x: 2 x w - 1.128 with two digits left at 30",
        accuracy=1e-5,
        wrong={"without-constant": lambda g, x: g * 2 * x * scaled_erfc(x)},
    ),
    elementwise(
        "inverse-erf",
        erfinv,
        lambda x: ROOT_PI / 2 * np.exp(erfinv(x) ** 2),
        [-0.999, 0.0, 0.5],
        "infinite slope at 1",
        wrong={"of-x": lambda g, x: g * ROOT_PI / 2 * np.exp(x**2)},
    ),
    elementwise(
        "normal-quantile",
        exact(lambda mp, p: mp.sqrt(2) * mp.erfinv(2 * p - 1) if 0 < p < 1 else NAN),
        lambda p: math.sqrt(2 * math.pi) * np.exp(erfinv(2 * p - 1) ** 2),
        [1e-6, 0.3, 0.97],
        "probit: slopes of 1e5 in the tail",
    ),
    elementwise(
        "log-normal-cdf",
        exact(lambda mp, x: mp.log(mp.ncdf(x))),
        log_normal_cdf_slope,
        [-20.0, -1.0, 0.0, 5.0],
        "the hazard of a probit model: -x in one tail, 1e-6 in the other",
        wrong={"density": lambda g, x: g * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)},
    ),
    elementwise(
        "bessel-j0",
        bessel_0,
        lambda x: -bessel_1(x),
        [0.0, 2.4048, 50.0],
        "even; a zero of f; oscillation",
        wrong={"sign": lambda g, x: g * bessel_1(x)},
    ),
    elementwise(
        "bessel-i0",
        np.i0,
        exact(lambda mp, x: mp.besseli(1, x)),
        [0.5, 3.0, 10.0],
        "NumPy's own, by two Chebyshev series joined at 8",
        wrong={"itself": lambda g, x: g * np.i0(x)},
    ),
    elementwise(
        "sinc-integral",
        exact(lambda mp, x: mp.si(x)),
        lambda x: np.sinc(x / math.pi),
        [0.0, 1e-5, 4.0, -9.0],
        "by mpmath; slope 1 at 0",
        wrong={"sine": lambda g, x: g * np.sin(x)},
    ),
    elementwise(
        "exponential-integral",
        exact(lambda mp, x: mp.e1(x) if x > 0 else NAN),
        lambda x: -np.exp(-x) / x,
        [1e-3, 0.5, 6.0],
        "logarithmic pole at 0",
        wrong={"pole-forgotten": lambda g, x: -g * np.exp(-x)},
    ),
    elementwise(
        "lambert-w",
        lambert,
        lambda x: 1 / (x + np.exp(lambert(x))),
        [-0.367, 0.0, 1.0, 1e3],
        "branch point at -1/e = -0.3679, a thousandth away",
        wrong={"logarithm": lambda g, x: g / (1 + x)},
    ),
    elementwise(
        "dilogarithm",
        exact(lambda mp, x: mp.polylog(2, x) if x < 1 else NAN),
        lambda x: np.where(x == 0, 1.0, -np.log1p(-x) / np.where(x == 0, 1.0, x)),
        [0.0, 0.5, -3.0],
        "removable singularity in the slope",
        wrong={"geometric": lambda g, x: g / (1 - x)},
    ),
    elementwise(
        "airy",
        exact(lambda mp, x: mp.airyai(x)),
        exact(lambda mp, x: mp.airyai(x, derivative=1)),
        [-6.0, 0.0, 4.0],
        "oscillates to the left, decays to the right",
    ),
    elementwise(
        "incomplete-gamma",
        exact(lambda mp, x: mp.gammainc(2.5, 0, x, regularized=True) if x >= 0 else NAN),
        lambda x: x**1.5 * np.exp(-x) / math.gamma(2.5),
        [1e-3, 1.0, 30.0],
        "a distribution function: its slope is the density",
    ),
    elementwise(
        "elliptic-k",
        exact(lambda mp, m: mp.ellipk(m) if m < 1 else NAN),
        exact(lambda mp, m: (mp.ellipe(m) - (1 - m) * mp.ellipk(m)) / (2 * m * (1 - m))),
        [0.3, -2.0, 0.99],
        "singular at 1; by the parameter m, not by the modulus",
        wrong={"by-the-modulus": lambda g, m: g * 2 * np.sqrt(np.abs(m))},
    ),
    elementwise(
        "student-t-log-density",
        lambda x: -2.5 * np.log1p(x**2 / 4),
        lambda x: -5 * x / (4 + x**2),
        [0.0, 1e-7, 3.0, 1e6],
        "heavy tails: -5 / x at 1e6",
    ),
    elementwise(
        "von-mises-log-density",
        lambda k: 0.3 * k - np.log(np.i0(k)),
        lambda k: 0.3 - exact(lambda mp, k: mp.besseli(1, k) / mp.besseli(0, k))(k),
        [0.5, 3.0, 20.0],
        "a ratio of Bessel functions",
    ),
    Row(
        "log-beta",
        log_beta,
        lambda g, a, b: (g * (digamma(a) - digamma(a + b)), g * (digamma(b) - digamma(a + b))),
        (np.array([0.5, 30.0]), np.array([2.0, 1e-2])),
        "by both arguments",
        wrong={"sum-forgotten": lambda g, a, b: (g * digamma(a), g * digamma(b))},
    ),
    Row(
        "log-choose",
        lambda n, k: -np.log(n + 1) - log_beta(n - k + 1, k + 1),
        lambda g, n, k: (g * (digamma(n + 1) - digamma(n - k + 1)), g * (digamma(n - k + 1) - digamma(k + 1))),
        (np.array([10.0, 4.5]), np.array([3.0, 2.0])),
        "binomial coefficients of real numbers",
        wrong={
            "swapped": lambda g, n, k: (
                g * (digamma(n + 1) - digamma(k + 1)),
                g * (digamma(n - k + 1) - digamma(k + 1)),
            )
        },
    ),
    Row(
        "dirichlet-log-density",
        lambda a: log_gamma(a.sum()) - log_gamma(a).sum() + (a - 1) @ np.log([0.2, 0.5, 0.3]),
        lambda g, a: g * (digamma(a.sum()) - digamma(a) + np.log([0.2, 0.5, 0.3])),
        (np.array([0.1, 2.0, 40.0]),),
        "one sum couples all",
        wrong={"sum-as-constant": lambda g, a: g * (-digamma(a) + np.log([0.2, 0.5, 0.3]))},
    ),
    Row(
        "kl-of-two-erfs",
        lambda x, y: erf(x) * np.log(erfc(y)),
        lambda g, x, y: (
            g * 2 / ROOT_PI * np.exp(-(x**2)) * np.log(erfc(y)),
            -g * erf(x) * 2 / ROOT_PI * np.exp(-(y**2)) / erfc(y),
        ),
        (np.array([0.5, -2.0]), np.array([4.0, -1.0])),
        "the logarithm of a tail of 1e-8",
        wrong={
            "log-of-erf": lambda g, x, y: (
                g * 2 / ROOT_PI * np.exp(-(x**2)) * np.log(erfc(y)),
                g * erf(x) * 2 / ROOT_PI * np.exp(-(y**2)) / erf(y),
            )
        },
    ),
]
