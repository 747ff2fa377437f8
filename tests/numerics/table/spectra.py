"""Fourier transforms and signals: complex inside, real outside, with factors of two and of n to forget."""

import numpy as np

from tests.numerics.table.row import Row

RNG = np.random.default_rng(29)
X = RNG.normal(size=6)
ANGLES = np.exp(-2j * np.pi * np.outer(np.arange(6), np.arange(6)) / 6)


def power_spectrum_vjp(g, x):
    return 2 * np.real(ANGLES.T.conj() @ (g * np.fft.fft(x)))


def half_spectrum(x):
    out = np.fft.rfft(x)
    return out.real, out.imag


def half_spectrum_vjp(g, x, *, sign=1):
    return np.real(ANGLES[:4].T) @ g[0] + sign * np.imag(ANGLES[:4].T) @ g[1]


def magnitude_vjp(g, x):
    out = np.fft.fft(x)
    return np.real(ANGLES.T.conj() @ (g * out / np.abs(out)))


def filtered(x, h):
    return np.fft.irfft(np.fft.rfft(x) * h, len(x))


def filtered_vjp(g, x, h, *, doubled=True):
    weight = np.full(len(h), 2.0)
    weight[0] = weight[-1] = 1.0
    back = np.fft.rfft(g)
    dh = np.real(np.conj(np.fft.rfft(x)) * back) * (weight if doubled else 1) / len(x)
    return np.fft.irfft(back * h, len(x)), dh


def cosine_transform(n):
    return np.cos(np.pi / n * (np.arange(n) + 0.5) * np.arange(n)[:, None])


def circular_vjp(g, x, k):
    def turn(a, b):
        return np.real(np.fft.ifft(np.fft.fft(a) * np.conj(np.fft.fft(b))))

    return turn(g, k), turn(g, x)


def phase(a, b):
    z = a + 1j * b
    return np.angle(z), np.abs(z)


def phase_vjp(g, a, b):
    size = a**2 + b**2
    return (-g[0] * b + g[1] * a * np.sqrt(size)) / size, (g[0] * a + g[1] * b * np.sqrt(size)) / size


def mandelbrot(a, b, steps=6):
    z = c = a + 1j * b
    for _ in range(steps):
        z = z * z + c
    return np.log(np.abs(z))


def mandelbrot_vjp(g, a, b, steps=6):
    z = c = a + 1j * b
    slope = np.ones_like(c)
    for _ in range(steps):
        slope = 2 * z * slope + 1
        z = z * z + c
    slope = slope / z
    return g * slope.real, -g * slope.imag


ROWS = [
    Row(
        "power-spectrum",
        lambda x: np.abs(np.fft.fft(x)) ** 2,
        power_spectrum_vjp,
        (X,),
        "2 Re(F^H (g F x))",
        wrong={
            "not-doubled": lambda g, x: 0.5 * power_spectrum_vjp(g, x),
            "inverse-transform": lambda g, x: power_spectrum_vjp(g, x) / 6,
        },
    ),
    Row(
        "real-transform",
        half_spectrum,
        half_spectrum_vjp,
        (X,),
        "real and imaginary part as two outputs; the imaginary part of bin 0 is constantly 0",
        wrong={"conjugated": lambda g, x: half_spectrum_vjp(g, x, sign=-1)},
    ),
    Row(
        "magnitude-spectrum",
        lambda x: np.abs(np.fft.fft(x)),
        magnitude_vjp,
        (X,),
        "a kink where a bin is 0: none is",
        wrong={"of-the-power": power_spectrum_vjp},
    ),
    Row(
        "log-spectrum-with-a-weak-bin",
        lambda x: np.log(np.abs(np.fft.fft(x)) ** 2),
        lambda g, x: power_spectrum_vjp(g / np.abs(np.fft.fft(x)) ** 2, x),
        (np.cos(2 * np.pi * np.arange(6) / 6) + 1e-5 * X,),
        "bins of 1e-10 beside 9: slopes of 1e5",
        wrong={"not-divided": power_spectrum_vjp},
    ),
    Row(
        "filter-in-the-frequency-domain",
        filtered,
        filtered_vjp,
        (X, np.array([1.0, 0.5, -0.3, 0.1])),
        "half-spectra: inner bins stand for two",
        wrong={"bins-counted-once": lambda g, x, h: filtered_vjp(g, x, h, doubled=False)},
    ),
    Row(
        "cosine-transform",
        lambda x: cosine_transform(6) @ x,
        lambda g, x: cosine_transform(6).T @ g,
        (X,),
        "not orthogonal without its scale: the inverse is not the transpose",
        wrong={"inverse": lambda g, x: np.linalg.solve(cosine_transform(6), g)},
    ),
    Row(
        "circular-convolution",
        lambda x, k: np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(k))),
        circular_vjp,
        (X, RNG.normal(size=6)),
        "by way of complex numbers; the transpose conjugates",
        wrong={
            "not-conjugated": lambda g, x, k: (
                np.real(np.fft.ifft(np.fft.fft(g) * np.fft.fft(k))),
                circular_vjp(g, x, k)[1],
            )
        },
    ),
    Row(
        "autocorrelation",
        lambda x: np.correlate(x, x, "full"),
        lambda g, x: np.correlate(g, x, "valid")[::-1] + np.convolve(g, x, "valid"),
        (X,),
        "x comes in twice",
        wrong={"once": lambda g, x: np.convolve(g, x, "valid")},
    ),
    Row(
        "phase-and-magnitude",
        phase,
        phase_vjp,
        (np.array([1.0, -0.5, 1e-6]), np.array([0.5, 2.0, 1e-6])),
        "a polar decoder; slopes of 1e6 near the origin",
        wrong={"phase-sign": lambda g, a, b: phase_vjp((-g[0], g[1]), a, b)},
    ),
    Row(
        "escape-rate",
        mandelbrot,
        mandelbrot_vjp,
        (np.array([0.3, -1.2]), np.array([0.6, 0.4])),
        "analytic in c: the slope by the imaginary part is -Im",
        wrong={"sign-of-the-imaginary": lambda g, a, b: (mandelbrot_vjp(g, a, b)[0], -mandelbrot_vjp(g, a, b)[1])},
    ),
]
