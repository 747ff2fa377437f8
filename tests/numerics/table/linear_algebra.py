"""Matrices: products, inverses, factorisations and spectra, by the rules of Giles (2008) and of ChainRules."""

import numpy as np

from tests.numerics.table.row import Row

RNG = np.random.default_rng(26)
A = RNG.normal(size=(3, 3)) + 3 * np.eye(3)
S = np.array([[2.0, 0.3, -0.4], [0.3, 1.0, 0.2], [-0.4, 0.2, 3.0]])
TALL = RNG.normal(size=(4, 2))


def symmetric(a):
    return 0.5 * (a + a.T)


def half_lower(a):
    """The lower triangle with its diagonal halved: what symmetric rules project to."""
    return np.tril(a) - 0.5 * np.diag(np.diag(a))


def matmul_vjp(g, a, b):
    return g @ b.T, a.T @ g


def solve_vjp(g, a, b):
    db = np.linalg.solve(a.T, g)
    return -np.outer(db, np.linalg.solve(a, b)), db


def cholesky(a):
    return np.linalg.cholesky(symmetric(a))


def cholesky_vjp(g, a, *, halved=True):
    lower = cholesky(a)
    inverse = np.linalg.inv(lower)
    inner = lower.T @ np.tril(g)
    return symmetric(inverse.T @ (half_lower(inner) if halved else np.tril(inner)) @ inverse)


def eigenvalues(a):
    return np.linalg.eigvalsh(symmetric(a))


def eigenvalues_vjp(g, a):
    vectors = np.linalg.eigh(symmetric(a))[1]
    return vectors @ np.diag(g) @ vectors.T


def projector(a):
    """The projector to the eigenvector of the largest eigenvalue: free of its sign."""
    vector = np.linalg.eigh(symmetric(a))[1][:, -1]
    return np.outer(vector, vector)


def projector_vjp(g, a, *, gaps=True):
    values, vectors = np.linalg.eigh(symmetric(a))
    inner = vectors.T @ (g + g.T) @ vectors[:, -1]
    inner[:-1] /= (values[-1] - values[:-1]) if gaps else 1
    inner[-1] = 0
    return symmetric(np.outer(vectors @ inner, vectors[:, -1]))


def singular_values_vjp(g, a):
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    return u @ np.diag(g) @ vt


def orthonormal(a):
    """The positive QR factorisation: diagonal of R above 0, so that it is unique."""
    q, r = np.linalg.qr(a)
    sign = np.sign(np.diag(r))
    return q * sign, sign[:, None] * r


def orthonormal_vjp(g, a, *, correction=True):
    dq, dr = g
    q, r = orthonormal(a)
    inner = r @ dr.T - dq.T @ q
    lower = np.tril(inner, -1) + np.tril(inner, -1).T + np.diag(np.diag(inner))
    return np.linalg.solve(r, (dq + q @ lower if correction else dq).T).T


def exponential(a):
    out = term = np.eye(len(a))
    for k in range(1, 40):
        term = term @ a / k
        out = out + term
    return out


def exponential_vjp(g, a):
    """The adjoint of the Fréchet derivative, read off the exponential of a block matrix."""
    n = len(a)
    return exponential(np.block([[a.T, g], [np.zeros((n, n)), a.T]]))[:n, n:]


def pseudo_inverse_vjp(g, a):
    p = np.linalg.pinv(a)
    return -p.T @ g @ p.T + (np.eye(len(a)) - a @ p) @ g.T @ p @ p.T + p.T @ p @ g.T @ (np.eye(a.shape[1]) - p @ a)


def lyapunov(a, q):
    """X with A X + X A^T = Q."""
    n = len(a)
    return np.linalg.solve(np.kron(a, np.eye(n)) + np.kron(np.eye(n), a), q.ravel()).reshape(n, n)


def lyapunov_vjp(g, a, q):
    dq, x = lyapunov(a.T, g), lyapunov(a, q)
    return -(dq @ x.T + dq.T @ x), dq


def power_vjp(g, a):
    return g @ (a @ a).T + a.T @ g @ a.T + (a @ a).T @ g


ROWS = [
    Row(
        "matmul",
        np.matmul,
        matmul_vjp,
        (RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))),
        "the layer of all layers",
        wrong={
            "factor": lambda g, a, b: (g @ b.T, 2 * a.T @ g),
            "one-entry": lambda g, a, b: (g @ b.T, a.T @ g + np.eye(4, 2) * 1e-3),
        },
    ),
    Row(
        "square-matmul",
        np.matmul,
        matmul_vjp,
        (A, RNG.normal(size=(3, 3))),
        "square: a forgotten transpose raises nothing",
        wrong={"transpose-forgotten": lambda g, a, b: (g @ b, a.T @ g)},
    ),
    Row(
        "batched-matmul",
        lambda a, b: a @ b,
        lambda g, a, b: (g @ b.transpose(0, 2, 1), (a.transpose(0, 2, 1) @ g)),
        (RNG.normal(size=(2, 2, 3)), RNG.normal(size=(2, 3, 2))),
        "a batch axis in front",
        wrong={
            "shared-over-the-batch": lambda g, a, b: (
                g @ b.transpose(0, 2, 1),
                np.broadcast_to((a.transpose(0, 2, 1) @ g).mean(axis=0), b.shape).copy(),
            )
        },
    ),
    Row(
        "quadratic-form",
        lambda x, a: x @ a @ x,
        lambda g, x, a: (g * (a + a.T) @ x, g * np.outer(x, x)),
        (RNG.normal(size=3), A),
        "2 A x is right for symmetric A only",
        wrong={"as-if-symmetric": lambda g, x, a: (2 * g * a @ x, g * np.outer(x, x))},
    ),
    Row(
        "outer-product",
        np.outer,
        lambda g, a, b: (g @ b, a @ g),
        (RNG.normal(size=3), RNG.normal(size=2)),
        "two vectors to a matrix",
        wrong={"conjugate-side": lambda g, a, b: (g @ b, np.abs(a) @ g)},
    ),
    Row(
        "kronecker-product",
        np.kron,
        lambda g, a, b: (
            np.einsum("ikjl,kl->ij", g.reshape(2, 2, 2, 2), b),
            np.einsum("ikjl,ij->kl", g.reshape(2, 2, 2, 2), a),
        ),
        (A[:2, :2], RNG.normal(size=(2, 2))),
        "equal shapes: the two are easily swapped",
        wrong={
            "swapped": lambda g, a, b: (
                np.einsum("kilj,kl->ij", g.reshape(2, 2, 2, 2), b),
                np.einsum("ikjl,ij->kl", g.reshape(2, 2, 2, 2), a),
            )
        },
    ),
    Row(
        "inverse-matrix",
        np.linalg.inv,
        lambda g, a: -np.linalg.inv(a).T @ g @ np.linalg.inv(a).T,
        (A,),
        "two transposes",
        wrong={"transposes-forgotten": lambda g, a: -np.linalg.inv(a) @ g @ np.linalg.inv(a)},
    ),
    Row(
        "inverse-of-a-badly-conditioned-matrix",
        np.linalg.inv,
        lambda g, a: -np.linalg.inv(a).T @ g @ np.linalg.inv(a).T,
        (np.array([[1.0, 1.0], [1.0, 1.0 + 1e-5]]),),
        "condition 4e5: the slope is 1e10, and the singular matrix 1e-5 away",
        accuracy=1e-3,
    ),
    Row(
        "log-determinant",
        lambda a: np.linalg.slogdet(a)[1],
        lambda g, a: g * np.linalg.inv(a).T,
        (A,),
        "one transpose",
        wrong={"transpose-forgotten": lambda g, a: g * np.linalg.inv(a)},
    ),
    Row(
        "determinant",
        np.linalg.det,
        lambda g, a: g * np.linalg.det(a) * np.linalg.inv(a).T,
        (A,),
        "Jacobi's formula",
        wrong={"as-log": lambda g, a: g * np.linalg.inv(a).T},
    ),
    Row(
        "determinant-of-a-singular-matrix",
        np.linalg.det,
        lambda g, a: g * np.array([[a[1, 1], -a[1, 0]], [-a[0, 1], a[0, 0]]]),
        (np.array([[1.0, 2.0], [2.0, 4.0]]),),
        "the cofactors are there where the inverse is not: det * inv is 0 * inf",
        wrong={"zero": lambda g, a: np.zeros_like(a)},
    ),
    Row(
        "solve",
        np.linalg.solve,
        solve_vjp,
        (A, RNG.normal(size=3)),
        "an implicit function: the cotangent is solved for with the transpose",
        wrong={
            "matrix-as-constant": lambda g, a, b: (np.zeros_like(a), solve_vjp(g, a, b)[1]),
            "untransposed": lambda g, a, b: (solve_vjp(g, a, b)[0], np.linalg.solve(a, g)),
        },
    ),
    Row(
        "trace-of-product",
        lambda a, b: np.trace(a @ b),
        lambda g, a, b: (g * b.T, g * a.T),
        (A, RNG.normal(size=(3, 3))),
        "the transposes that are always forgotten",
        wrong={"untransposed": lambda g, a, b: (g * b, g * a)},
    ),
    Row(
        "cholesky",
        cholesky,
        cholesky_vjp,
        (S,),
        "of a symmetrised argument; raises where that is not positive definite: steps must not be far",
        wrong={"diagonal-not-halved": lambda g, a: cholesky_vjp(g, a, halved=False)},
    ),
    Row(
        "symmetric-eigenvalues",
        eigenvalues,
        eigenvalues_vjp,
        (S,),
        "distinct eigenvalues",
        wrong={"transposed-vectors": lambda g, a: np.linalg.eigh(a)[1].T @ np.diag(g) @ np.linalg.eigh(a)[1]},
    ),
    Row(
        "eigenvalues-that-nearly-coincide",
        eigenvalues,
        eigenvalues_vjp,
        (np.array([[1.0, 1e-5], [1e-5, 1.0]]),),
        "a gap of 2e-5: the sum is smooth, each one bends sharply (pytorch#47599)",
        wrong={"of-the-diagonal": lambda g, a: np.diag(g)},
    ),
    Row(
        "sum-of-equal-eigenvalues",
        lambda a: np.sum(eigenvalues(a) ** 2),
        lambda g, a: 2 * g * symmetric(a),
        (2 * np.eye(3),),
        "a symmetric function of them is smooth where they coincide: F would divide by 0 (jax#669)",
        wrong={"halved": lambda g, a: g * symmetric(a)},
    ),
    Row(
        "leading-eigenvector",
        projector,
        projector_vjp,
        (S,),
        "divided by the gaps; its sign left out",
        wrong={"gaps-forgotten": lambda g, a: projector_vjp(g, a, gaps=False)},
    ),
    Row(
        "singular-values",
        lambda a: np.linalg.svd(a, compute_uv=False),
        singular_values_vjp,
        (TALL,),
        "distinct singular values",
        wrong={"left-side-only": lambda g, a: np.linalg.svd(a, full_matrices=False)[0] @ np.diag(g)},
    ),
    Row(
        "nuclear-norm",
        lambda a: np.linalg.svd(a, compute_uv=False).sum(),
        lambda g, a: g * np.linalg.svd(a, full_matrices=False)[0] @ np.linalg.svd(a, full_matrices=False)[2],
        (TALL,),
        "smooth at full rank, a kink below",
        wrong={"frobenius": lambda g, a: g * a / np.sqrt(np.sum(a**2))},
    ),
    Row(
        "nuclear-norm-at-rank-one",
        lambda a: np.linalg.svd(a, compute_uv=False).sum(),
        lambda g, a: (
            g * np.outer([0.6, 0.8], [1.0, 0.0])
            if abs(np.linalg.det(a)) < 1e-14
            else g * np.linalg.svd(a)[0] @ np.linalg.svd(a)[2]
        ),
        (np.array([[3.0, 0.0], [4.0, 0.0]]),),
        "a singular value of 0: u v^T without it is a subgradient",
        expect="kink",
    ),
    Row(
        "qr-factorisation",
        orthonormal,
        orthonormal_vjp,
        (RNG.normal(size=(4, 3)),),
        "two outputs, signs fixed so that they are functions",
        wrong={
            "without-r": lambda g, a: orthonormal_vjp((g[0], 0 * g[1]), a),
            "no-correction": lambda g, a: orthonormal_vjp(g, a, correction=False),
        },
    ),
    Row(
        "matrix-exponential",
        exponential,
        exponential_vjp,
        (np.array([[0.2, -1.0, 0.0], [0.7, 0.1, 0.4], [0.0, 0.3, -0.5]]),),
        "not exp times the cotangent: the factors do not commute",
        wrong={"as-if-commuting": lambda g, a: exponential(a).T @ g},
    ),
    Row(
        "matrix-cubed",
        lambda a: a @ a @ a,
        power_vjp,
        (A,),
        "three places, none of them to be merged",
        wrong={"as-a-scalar": lambda g, a: 3 * (a @ a).T @ g},
    ),
    Row(
        "pseudo-inverse",
        np.linalg.pinv,
        pseudo_inverse_vjp,
        (TALL,),
        "of full column rank; two terms more than the inverse has",
        wrong={"as-the-inverse": lambda g, a: -np.linalg.pinv(a).T @ g @ np.linalg.pinv(a).T},
    ),
    Row(
        "least-squares",
        lambda a, b: np.linalg.solve(a.T @ a, a.T @ b),
        lambda g, a, b: _least_squares_vjp(g, a, b),
        (TALL, RNG.normal(size=4)),
        "the residual's term vanishes for exact fits only",
        wrong={"residual-forgotten": lambda g, a, b: _least_squares_vjp(g, a, b, residual=False)},
    ),
    Row(
        "lyapunov-equation",
        lyapunov,
        lyapunov_vjp,
        (A, S),
        "an implicit function of two matrices",
        wrong={"one-side": lambda g, a, q: (-lyapunov(a.T, g) @ lyapunov(a, q).T, lyapunov(a.T, g))},
    ),
]


def _least_squares_vjp(g, a, b, *, residual=True):
    inverse = np.linalg.inv(a.T @ a)
    x, w = inverse @ a.T @ b, inverse @ g
    return -np.outer(a @ w, x) + (np.outer(b - a @ x, w) if residual else 0), a @ w
