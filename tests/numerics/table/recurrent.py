"""Steps in time: recurrent cells, integrators, filters and optimisers, whose gradients chain many small rules."""

import numpy as np

from tests.numerics.table.functions import norm, sigmoid
from tests.numerics.table.row import Row

RNG = np.random.default_rng(28)


def rnn(x, h, w, u, b):
    for step in x:
        h = np.tanh(step @ w + h @ u + b)
    return h


def rnn_vjp(g, x, h, w, u, b, *, through_time=True):
    states = [h]
    for step in x:
        states.append(np.tanh(step @ w + states[-1] @ u + b))
    dx, dw, du, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros_like(b)
    for t in reversed(range(len(x))):
        dz = g * (1 - states[t + 1] ** 2)
        dx[t], dw, du, db = dz @ w.T, dw + np.outer(x[t], dz), du + np.outer(states[t], dz), db + dz
        g = dz @ u.T if through_time else 0 * g
    return dx, g, dw, du, db


def lstm(x, h, c, w):
    i, f, o, a = np.split(np.concatenate([x, h]) @ w, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(a)
    return sigmoid(o) * np.tanh(c), c


def lstm_vjp(g, x, h, c, w, *, cell_through_output=True, gate_slopes=True):
    dh, dc = g
    joined = np.concatenate([x, h])
    i, f, o, a = np.split(joined @ w, 4)
    i, f, o, a = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(a)
    new = f * c + i * a
    if cell_through_output:
        dc = dc + dh * o * (1 - np.tanh(new) ** 2)
    slopes = [s * (1 - s) if gate_slopes else 1 for s in (i, f, o)]
    dz = np.concatenate([dc * a * slopes[0], dc * c * slopes[1], dh * np.tanh(new) * slopes[2], dc * i * (1 - a**2)])
    back = w @ dz
    return back[: len(x)], back[len(x) :], dc * f, np.outer(joined, dz)


def gru(x, h, w, u):
    (wr, wz, wn), (ur, uz, un) = np.split(w, 3, axis=1), np.split(u, 3, axis=1)
    r, z = sigmoid(x @ wr + h @ ur), sigmoid(x @ wz + h @ uz)
    return (1 - z) * np.tanh(x @ wn + r * (h @ un)) + z * h


def gru_vjp(g, x, h, w, u, *, reset="inside"):
    (wr, wz, wn), (ur, uz, un) = np.split(w, 3, axis=1), np.split(u, 3, axis=1)
    r, z = sigmoid(x @ wr + h @ ur), sigmoid(x @ wz + h @ uz)
    n = np.tanh(x @ wn + r * (h @ un))
    dn = g * (1 - z) * (1 - n**2)
    dr, dz = dn * (h @ un) * r * (1 - r), g * (h - n) * z * (1 - z)
    dh = dr @ ur.T + dz @ uz.T + ((dn * r) @ un.T if reset == "inside" else r * (dn @ un.T)) + g * z
    dx = dr @ wr.T + dz @ wz.T + dn @ wn.T
    return dx, dh, np.outer(x, np.concatenate([dr, dz, dn])), np.outer(h, np.concatenate([dr, dz, dn * r]))


def pendulum(state, length):
    return np.array([state[1], -9.81 / length * np.sin(state[0])])


def pendulum_vjp(g, state, length):
    swing = -9.81 / length
    return np.array([g[1] * swing * np.cos(state[0]), g[0]]), -g[1] * swing / length * np.sin(state[0])


def runge_kutta(state, length, dt=0.1, steps=5):
    for _ in range(steps):
        k1 = pendulum(state, length)
        k2 = pendulum(state + dt / 2 * k1, length)
        k3 = pendulum(state + dt / 2 * k2, length)
        k4 = pendulum(state + dt * k3, length)
        state = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


def runge_kutta_vjp(g, state, length, dt=0.1, steps=5, *, through_stages=True):
    stages = []
    for _ in range(steps):
        points, slopes = [state], [pendulum(state, length)]
        for part in (dt / 2, dt / 2, dt):
            points.append(state + part * slopes[-1])
            slopes.append(pendulum(points[-1], length))
        stages.append(points)
        state = state + dt / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])
    dlength = 0.0
    for points in reversed(stages):
        dk = [dt / 6 * weight * g for weight in (1, 2, 2, 1)]
        total = g
        for k in (3, 2, 1, 0):
            dpoint, share = pendulum_vjp(dk[k], points[k], length)
            dlength, total = dlength + share, total + dpoint
            if k and through_stages:
                dk[k - 1] = dk[k - 1] + (dt / 2, dt / 2, dt)[k - 1] * dpoint
        g = total
    return g, np.asarray(dlength)


def logistic_map(x, r, steps=12):
    for _ in range(steps):
        x = r * x * (1 - x)
    return x


def logistic_map_vjp(g, x, r, steps=12):
    path = [x]
    for _ in range(steps):
        path.append(r * path[-1] * (1 - path[-1]))
    dr = np.zeros_like(r)
    for value in reversed(path[:-1]):
        dr = dr + g * value * (1 - value)
        g = g * r * (1 - 2 * value)
    return g, dr


H, NOISE = np.array([[1.0, 0.5], [0.0, 2.0]]), np.diag([0.1, 0.4])


def kalman(mean, cov, seen):
    gain = cov @ H.T @ np.linalg.inv(H @ cov @ H.T + NOISE)
    return mean + gain @ (seen - H @ mean), cov - gain @ H @ cov


def kalman_vjp(g, mean, cov, seen, *, gain_moves=True):
    dmean, dcov = g
    inverse = np.linalg.inv(H @ cov @ H.T + NOISE)
    gain, away = cov @ H.T @ inverse, seen - H @ mean
    left = np.eye(2) - gain @ H  # the gain moves by left dC H^T S^-1, the covariance by left dC
    dgain = np.outer(dmean, away) - dcov @ (H @ cov).T if gain_moves else np.zeros((2, 2))
    return left.T @ dmean, left.T @ (dgain @ inverse.T @ H + dcov), gain.T @ dmean


def fixed_point(w, x):
    """Z = tanh(W z + x), iterated to rounding: an implicit layer."""
    z = np.zeros_like(x)
    for _ in range(200):
        z = np.tanh(w @ z + x)
    return z


def fixed_point_vjp(g, w, x, *, implicit=True):
    z = fixed_point(w, x)
    slope = 1 - z**2
    adjoint = np.linalg.solve(np.eye(len(x)) - w.T * slope, g) if implicit else g
    return np.outer(adjoint * slope, z), adjoint * slope


def newton_root(c):
    """The real root of y + y^5 = c, by Newton's iteration to rounding."""
    y = np.cbrt(c) * 0.8
    for _ in range(60):
        y = y - (y + y**5 - c) / (1 + 5 * y**4)
    return y


def momentum(x, v, g):
    v = 0.9 * v - 0.01 * g
    return x + v, v


def adam(m, s, grad):
    m, s = 0.9 * m + 0.1 * grad, 0.999 * s + 0.001 * grad**2
    return m / 0.1 / (np.sqrt(s / 0.001) + 1e-8)


def adam_vjp(g, m, s, grad, *, through_second=True):
    new_m, new_s = 0.9 * m + 0.1 * grad, 0.999 * s + 0.001 * grad**2
    root = np.sqrt(new_s / 0.001)
    dm = g / 0.1 / (root + 1e-8)
    ds = -g * new_m / 0.1 / (root + 1e-8) ** 2 * 0.5 / root / 0.001 * through_second
    return 0.9 * dm, 0.999 * ds, 0.1 * dm + 0.002 * grad * ds


def clipped(x):
    return x * min(1.0, 1.0 / norm(x))


ROWS = [
    Row(
        "recurrent-network",
        rnn,
        rnn_vjp,
        (
            RNG.normal(size=(4, 2)),
            RNG.normal(size=3),
            RNG.normal(size=(2, 3)),
            0.5 * RNG.normal(size=(3, 3)),
            np.zeros(3),
        ),
        "weights shared over four steps",
        wrong={"not-through-time": lambda g, *a: rnn_vjp(g, *a, through_time=False)},
    ),
    Row(
        "lstm-cell",
        lstm,
        lstm_vjp,
        (RNG.normal(size=2), RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=(5, 12))),
        "two outputs; the cell's cotangent comes by two ways (rnn_lstm_from_scratch#1)",
        wrong={
            "cell-not-through-output": lambda g, *a: lstm_vjp(g, *a, cell_through_output=False),
            "gate-slopes-forgotten": lambda g, *a: lstm_vjp(g, *a, gate_slopes=False),
        },
    ),
    Row(
        "lstm-cell-with-shut-gates",
        lstm,
        lstm_vjp,
        (np.array([30.0]), RNG.normal(size=2), RNG.normal(size=2), RNG.normal(size=(3, 8))),
        "gates saturated by inputs of 30: gradients of 1e-10 beside 1",
        wrong={"gate-slopes-forgotten": lambda g, *a: lstm_vjp(g, *a, gate_slopes=False)},
    ),
    Row(
        "gru-cell",
        gru,
        gru_vjp,
        (RNG.normal(size=2), RNG.normal(size=3), RNG.normal(size=(2, 9)), RNG.normal(size=(3, 9))),
        "the reset gate is applied after the product here, before it elsewhere",
        wrong={"reset-outside": lambda g, *a: gru_vjp(g, *a, reset="outside")},
    ),
    Row(
        "runge-kutta-steps",
        runge_kutta,
        runge_kutta_vjp,
        (np.array([1.0, 0.3]), np.array(0.7)),
        "five steps of the classical method, by the state and by a parameter",
        wrong={"stages-as-constants": lambda g, *a: runge_kutta_vjp(g, *a, through_stages=False)},
    ),
    Row(
        "logistic-map-in-chaos",
        logistic_map,
        logistic_map_vjp,
        (np.array([0.3, 0.71]), np.array([3.9, 3.99])),
        "slopes of 1000, and bends on a scale of 1e-3",
        wrong={"parameter-once": lambda g, x, r: (logistic_map_vjp(g, x, r)[0], g * 0.25 + 0 * r)},
    ),
    Row(
        "logistic-map-deep-in-chaos",
        lambda x: logistic_map(x, 3.9, 40),
        lambda g, x: logistic_map_vjp(g, x, np.full_like(x, 3.9), 40)[0],
        (np.array([0.3, 0.71]),),
        "slopes of 1e8: everything happens within 1e-8, and rounding grows as fast",
        accuracy=0.1,
    ),
    Row(
        "kalman-update",
        kalman,
        kalman_vjp,
        (np.array([0.5, -1.0]), np.array([[1.0, 0.2], [0.2, 0.5]]), np.array([0.3, 0.9])),
        "the gain depends on the covariance",
        wrong={"gain-as-constant": lambda g, *a: kalman_vjp(g, *a, gain_moves=False)},
    ),
    Row(
        "fixed-point-layer",
        fixed_point,
        fixed_point_vjp,
        (np.array([[0.2, -0.3, 0.1], [0.4, 0.1, -0.2], [-0.1, 0.3, 0.25]]), np.array([0.5, -1.0, 0.2])),
        "implicit function theorem",
        wrong={"last-iteration-only": lambda g, w, x: fixed_point_vjp(g, w, x, implicit=False)},
    ),
    Row(
        "root-by-newton",
        newton_root,
        lambda g, c: g / (1 + 5 * newton_root(c) ** 4),
        (np.array([-3.0, 0.1, 40.0]),),
        "an iteration stopped at rounding: its noise is that of the stop",
        wrong={"inverse-function": lambda g, c: g * (1 + 5 * newton_root(c) ** 4)},
    ),
    Row(
        "momentum-step",
        momentum,
        lambda g, x, v, grad: (g[0].copy(), 0.9 * (g[0] + g[1]), -0.01 * (g[0] + g[1])),
        tuple(RNG.normal(size=(3, 2))),
        "two outputs, one made of the other",
        wrong={"velocity-alone": lambda g, x, v, grad: (g[0].copy(), 0.9 * g[1], -0.01 * g[1])},
    ),
    Row(
        "adam-step",
        adam,
        adam_vjp,
        (np.array([0.1, -0.2]), np.array([1e-3, 1e-8]), np.array([0.5, -1e-3])),
        "second moments of 1e-8 under a root",
        wrong={"second-moment-as-constant": lambda g, *a: adam_vjp(g, *a, through_second=False)},
    ),
    Row(
        "gradient-clipping-inside-the-ball",
        clipped,
        lambda g, x: g.copy() if norm(x) < 1 else (g - x * np.sum(g * x) / norm(x) ** 2) / norm(x),
        (np.array([0.3, -0.5, 0.1]),),
        "the identity, near a sphere where it bends",
        wrong={"always-projected": lambda g, x: g - x * np.sum(g * x) / norm(x) ** 2},
    ),
    Row(
        "gradient-clipping-on-the-sphere",
        clipped,
        lambda g, x: g.copy() if norm(x) <= 1 else (g - x * np.sum(g * x) / norm(x) ** 2) / norm(x),
        (np.array([0.6, 0.8]),),
        "norm exactly 1: identity inside, projection outside, either is legal",
        expect="kink",
        wrong={"reversed": lambda g, x: -g},
    ),
]
