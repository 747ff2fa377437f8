"""Is every kernel what its one-line reference says: to a few units in the last place, in place, in any layout, at inf?

References are evaluated by mpmath with 40 digits, at the very numbers that the kernel was given.
"""

import tracemalloc
from dataclasses import dataclass, field

import mpmath
import numpy as np
import pytest
from mpmath import exp, log, log1p, mpf

from reference_impls import kernels
from reference_impls.kernels import categorical, elementwise, losses
from reference_impls.kernels._blocks import BLOCK

DTYPES = (np.float64, np.float32)
inf, nan = np.inf, np.nan


def sharpened(reference):
    def evaluate(*values):
        with mpmath.workdps(40):
            return reference(*(mpf(float(value)) for value in values))

    return evaluate


def always(*_):
    return 1.0


@dataclass(frozen=True)
class Row:
    """A kernel, what it is in one line, and how far off it may be."""

    kernel: str
    reference: object
    operands: tuple[str, ...]
    ulps: float = 4
    of: object = None
    """Of which number, by the operands; of the reference itself unless said."""
    flushed: float = 0
    """What is below the smallest normal number may be off by this many of it."""
    limits: dict = field(default_factory=dict)
    """What comes out at inf, by the operands."""

    def __str__(self):
        return self.kernel


ROWS = [
    Row("sigmoid", lambda z: 1 / (1 + exp(-z)), ("z",), flushed=1, limits={(-inf,): 0, (inf,): 1}),
    Row("sigmoid_derivative", lambda z: 1 / (1 + exp(-z)) / (1 + exp(z)), ("z",), 6, limits={(-inf,): 0, (inf,): 0}),
    Row(
        "sigmoid_backward",
        lambda da, z: da / (1 + exp(-z)) / (1 + exp(z)),
        ("cotangent", "z"),
        6,
        limits={(2, -inf): 0, (2, inf): 0},
    ),
    Row(
        "sigmoid_backward_from_output",
        lambda da, a: da * a * (1 - a),
        ("cotangent", "a"),
        limits={(2, 1): 0, (2, 0): 0},
    ),
    Row("softplus", lambda z: log1p(exp(z)), ("z",), limits={(-inf,): 0, (inf,): inf}),
    Row(
        "softplus_backward",
        lambda da, z: da / (1 + exp(-z)),
        ("cotangent", "z"),
        flushed=4,
        limits={(2, -inf): 0, (2, inf): 2},
    ),
    Row("relu", lambda z: max(z, 0), ("z",), 0, limits={(-inf,): 0, (inf,): inf}),
    Row("relu_backward", lambda da, z: da * (z > 0), ("cotangent", "z"), 0, limits={(2, -inf): 0, (2, inf): 2}),
    Row(
        "bce",
        lambda a, y: -(y * log(a) if y else 0) - ((1 - y) * log1p(-a) if y < 1 else 0),
        ("a", "label"),
        limits={(0, 1): inf, (1, 0): inf, (0, 0): 0, (1, 1): 0, (0, 0.5): inf, (1, 0.5): inf},
    ),
    Row(
        "bce_backward",
        lambda a, y: (1 - y) / (1 - a) - y / a,
        ("a", "label"),
        limits={(0, 1): -inf, (1, 0): inf, (0, 0): 1, (1, 1): -1},
    ),
    Row(
        "bce_with_logits",
        lambda z, y: y * log1p(exp(-z)) + (1 - y) * log1p(exp(z)),
        ("z", "label"),
        limits={(inf, 1): 0, (inf, 0): inf, (-inf, 1): inf, (-inf, 0): 0, (inf, 0.5): inf, (-inf, 0.5): inf},
    ),
    Row(
        "bce_with_logits_backward",
        lambda z, y: (1 - y) / (1 + exp(-z)) - y / (1 + exp(z)),
        ("z", "label"),
        limits={(inf, 1): 0, (inf, 0): 1, (-inf, 1): -1, (-inf, 0): 0, (inf, 0.5): 0.5, (-inf, 0.5): -0.5},
    ),
]
BETWEEN = [  # targets between 0 and 1: the terms cancel, and the error is one of the terms
    Row(
        "bce",
        ROWS[8].reference,
        ("a", "target"),
        of=lambda a, y: -float(log(a)) - float(log1p(-mpf(float(a)))),
    ),
    Row("bce_backward", ROWS[9].reference, ("a", "target"), of=lambda a, y: 1 / min(a, 1 - a)),
    Row("bce_with_logits", ROWS[10].reference, ("z", "target"), of=lambda z, y: max(abs(z), 1)),
    Row("bce_with_logits_backward", ROWS[11].reference, ("z", "target"), of=always),
]
by_row = pytest.mark.parametrize("row", ROWS, ids=str)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


def values(kind, dtype, seed=0, n=400):
    """Numbers of every size that matters to a kernel, the same ones first in every run."""
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    if kind == "z":
        end = 1.05 * float(np.log(float(info.max)))
        some = np.concatenate(
            [
                [0.0, -0.0, info.tiny, -info.tiny, info.eps, -info.eps],
                rng.uniform(-end, end, n // 4),
                rng.normal(scale=4, size=n),
            ]
        )[:n]
        return rng.permutation(some).astype(dtype)
    if kind == "a":
        near = 10.0 ** rng.uniform(np.log10(info.tiny) + 1, 0, n // 4)
        some = np.concatenate([near, rng.uniform(0.001, 0.999, n)])[:n].astype(dtype)
        return rng.permutation(np.where(some >= 1, dtype(0.5), some))
    if kind == "label":
        return rng.integers(0, 2, n).astype(dtype)
    return {"target": rng.random(n), "cotangent": rng.normal(size=n)}[kind].astype(dtype)


def call(row, operands, **options):
    return getattr(kernels, row.kernel)(*operands, **options)


def excess(row, dtype, found, operands):
    """By how many times the errors are larger than allowed."""
    info = np.finfo(dtype)
    worst = 0.0
    for value, *point in zip(found, *operands, strict=True):
        truth = sharpened(row.reference)(*point)
        size = abs(float(truth)) if row.of is None else float(row.of(*point))
        allowed = row.ulps * float(np.spacing(dtype(max(size, info.tiny)))) + row.flushed * float(info.tiny)
        error = abs(float(mpf(float(value)) - truth))
        worst = max(worst, error / allowed if allowed else error)
    return worst


@by_dtype
@pytest.mark.parametrize("row", [*ROWS, *BETWEEN], ids=lambda row: f"{row.kernel}-{row.operands[-1]}")
def test_kernel_is_its_reference(row, dtype):
    operands = [values(kind, dtype, seed) for seed, kind in enumerate(row.operands)]
    found = call(row, operands)
    assert found.dtype == dtype
    assert excess(row, dtype, found, operands) <= 1


@pytest.mark.parametrize(
    ("kernel", "wrong"),
    [
        ("sigmoid", lambda z: np.tanh(z / 2) / 2 + 0.5),  # no digits in the lower tail
        ("sigmoid_derivative", lambda z: kernels.sigmoid(z) * (1 - kernels.sigmoid(z))),
        ("softplus", lambda z: np.maximum(z, 0) + np.log(1 + np.exp(-np.abs(z)))),
        ("bce", lambda a, y: -(y * np.log(a) + (1 - y) * np.log(1 - a))),
        ("bce_with_logits", lambda z, y: np.maximum(z, 0) - z * y + np.log(1 + np.exp(-np.abs(z)))),
        ("bce_with_logits_backward", lambda z, y: kernels.sigmoid(z) - y),
    ],
)
def test_catches_a_usual_formula_that_loses_digits(kernel, wrong):
    row = next(row for row in ROWS if row.kernel == kernel)
    operands = [values(kind, np.float64, seed) for seed, kind in enumerate(row.operands)]
    assert excess(row, np.float64, wrong(*operands), operands) > 100


@by_dtype
@by_row
def test_limits(row, dtype):
    assert row.limits
    points = [np.array(column, dtype) for column in zip(*row.limits, strict=True)]
    assert call(row, points).tolist() == list(row.limits.values())


@by_row
def test_nan_comes_through(row):
    for position in range(len(row.operands)):
        operands = [values(kind, np.float64, n=6) for kind in row.operands]
        operands[position][2] = nan
        found = np.isnan(call(row, operands))
        if (row.kernel, position) == ("relu_backward", 1):
            continue  # nan > 0 is False: the slope is 0, as its reference says
        assert found[2]
        assert found.sum() == 1


SHAPES = [(), (1,), (0,), (0, 3), (3, 0), (2, 3), (3, 1, 2), (BLOCK + 3,), (3, BLOCK // 2), (2, BLOCK + 1), (BLOCK, 3)]
LAYOUTS = {
    "rows": lambda x: np.array(x, order="C"),
    "columns": lambda x: np.array(x, order="F"),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "backwards": lambda x: x[::-1].copy()[::-1] if x.ndim else x,
    "read-only": lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@by_row
def test_every_shape_and_layout(row, layout):
    for shape in SHAPES:
        plain = [
            values(kind, np.float64, n=max(int(np.prod(shape)), 1))[: int(np.prod(shape))] for kind in row.operands
        ]
        plain = [array.reshape(shape) for array in plain]
        laid = [LAYOUTS[layout](array) for array in plain]
        found = call(row, laid)
        assert found.shape == shape
        np.testing.assert_allclose(found, call(row, plain), rtol=1e-15 * row.ulps, atol=1e-307)
        for array, before in zip(laid, plain, strict=True):
            np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("n", [12, BLOCK + 5])
@by_row
def test_out_is_returned_and_may_be_an_operand(row, n):
    for position in range(-1, len(row.operands)):
        operands = [values(kind, np.float64, n=n) for kind in row.operands]
        expected = call(row, operands)
        kept = [operand.copy() for operand in operands]
        out = np.full(n, nan) if position < 0 else operands[position]
        assert call(row, operands, out=out) is out
        np.testing.assert_array_equal(out, expected)
        for i, operand in enumerate(operands):
            if i != position:
                np.testing.assert_array_equal(operand, kept[i])


@by_row
def test_every_second_element_of_out(row):
    operands = [values(kind, np.float64, n=50) for kind in row.operands]
    room = np.full(100, nan)
    call(row, operands, out=room[::2])
    np.testing.assert_allclose(room[::2], call(row, operands), rtol=1e-14)
    assert np.isnan(room[1::2]).all()


@by_row
def test_results_are_new_arrays(row):
    operands = [values(kind, np.float64, n=7) for kind in row.operands]
    first = call(row, operands)
    kept = first.copy()
    call(row, [operand[::-1] for operand in operands])
    np.testing.assert_array_equal(first, kept)


def second_peak(call):
    """What a call allocates at once, after it has been made before."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@by_row
def test_no_temporaries_with_out(row):
    operands = [values(kind, np.float64, n=2**20) for kind in row.operands]
    out = np.empty(2**20)
    assert second_peak(lambda: call(row, operands, out=out)) < out.nbytes / 64


def test_catches_a_temporary():
    z, out = np.ones(2**20), np.empty(2**20)
    assert second_peak(lambda: np.multiply(1.0, 1 / (1 + np.exp(-z)), out=out)) > out.nbytes


@by_row
def test_integers_are_converted(row):
    """`relu` keeps them."""
    operands = [np.array([0, 1, 1, 0]) if kind in ("a", "label") else np.array([-3, 0, 2, 5]) for kind in row.operands]
    expected = call(row, [operand.astype(float) for operand in operands])
    np.testing.assert_array_equal(call(row, operands), expected)
    small = [operand.astype(np.uint8) for operand in operands if (operand >= 0).all()]
    if len(small) == len(operands):
        np.testing.assert_allclose(call(row, small), expected, rtol=1e-2)


@pytest.mark.parametrize("kernel", ["bce", "bce_backward", "bce_with_logits", "bce_with_logits_backward"])
def test_one_label_for_all(kernel):
    a = np.linspace(0.1, 0.9, 2 * BLOCK).reshape(2, BLOCK)
    for label in (0, 1, 0.25, np.array([[0.0], [1.0]])):
        found = getattr(kernels, kernel)(a, label)
        np.testing.assert_array_equal(found, getattr(kernels, kernel)(a, np.broadcast_to(label, a.shape).astype(float)))


# ---------------------------------------------------------------------- softmax


def softmax_reference(z):
    return [exp(value) / mpmath.fsum(map(exp, z)) for value in z]


def cross_entropy_reference(z, y):
    return mpmath.fsum(label * (log(mpmath.fsum(map(exp, z))) - value) for value, label in zip(z, y, strict=True))


def logits(dtype, n=40, classes=5, scale=4.0):
    rng = np.random.default_rng(5)
    z = rng.normal(scale=scale, size=(n, classes)).astype(dtype)
    return z, np.eye(classes, dtype=dtype)[rng.integers(0, classes, n)]


@by_dtype
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_softmax_is_its_reference(dtype, scale):
    z, y = logits(dtype, scale=scale)
    eps = float(np.finfo(dtype).eps)
    probabilities, loss = kernels.softmax(z), kernels.softmax_cross_entropy(z, y)
    gradient = kernels.softmax_cross_entropy_backward(z, y)
    for i, row in enumerate(z):
        with mpmath.workdps(40):
            exact = [mpf(float(value)) for value in row]
            truth, entropy = softmax_reference(exact), cross_entropy_reference(exact, y[i].tolist())
        spread = np.abs(row - row.max()).astype(float)
        bound = (spread + z.shape[1] + 4) / 2 * eps * np.array(truth, float)
        assert (np.abs(probabilities[i] - np.array(truth, float)) <= bound + np.finfo(dtype).tiny).all()
        assert abs(loss[i] - float(entropy)) <= (z.shape[1] + 4) / 2 * eps * max(1, spread.max())
        slope = np.array([float(p - label) for p, label in zip(truth, y[i].tolist(), strict=True)])
        assert (np.abs(gradient[i] - slope) <= bound + eps / 2 * np.abs(slope) + np.finfo(dtype).tiny).all()


def test_catches_a_softmax_that_is_not_shifted():
    z, _ = logits(np.float32, scale=30.0)
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(np.exp(3 * z) / np.exp(3 * z).sum(axis=1, keepdims=True)).any()
    assert np.isfinite(kernels.softmax(3 * z)).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (4, 3), (BLOCK // 2, 3), (2, BLOCK + 7)])
def test_softmax_in_columns_and_in_place(shape):
    rng = np.random.default_rng(6)
    z, y = rng.normal(size=shape), rng.random(shape)
    for kernel in (kernels.softmax, kernels.softmax_cross_entropy, kernels.softmax_cross_entropy_backward):
        operands = (z,) if kernel is kernels.softmax else (z, y)
        expected = kernel(*operands)
        columns = kernel(*(array.T.copy() for array in operands), axis=0)
        np.testing.assert_allclose(columns.T, expected, rtol=1e-13, atol=1e-15)
        backwards = kernel(*(array[::-1] for array in operands))
        np.testing.assert_allclose(backwards[::-1], expected, rtol=1e-13, atol=1e-15)
        out = np.full_like(expected, nan) if expected.ndim == 1 else z.copy()
        assert kernel(*(out if array is z and out.ndim == 2 else array for array in operands), out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_softmax_at_the_limits():
    z = np.array([[0.0, -inf], [1e300, -1e300], [inf, 0.0], [-inf, -inf], [nan, 0.0]])
    np.testing.assert_array_equal(kernels.softmax(z), [[1, 0], [1, 0], *[[nan, nan]] * 3])
    first, second = np.eye(2)
    assert kernels.softmax_cross_entropy(z[:2], [first, first]).tolist() == [0, 0]
    assert kernels.softmax_cross_entropy(z[:1], [second]).tolist() == [inf]
    assert np.isnan(kernels.softmax_cross_entropy(z[2:], np.array([first] * 3))).all()
    assert kernels.softmax_cross_entropy_backward(z[:1], [second]).tolist() == [[1, -1]]


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_has_no_temporaries_with_out(axis):
    z = np.random.default_rng(7).normal(size=(2**10, 2**9))
    y, out, entropies = np.ones_like(z), np.empty_like(z), np.empty(z.shape[1 - axis])
    assert second_peak(lambda: kernels.softmax(z, axis=axis, out=out)) < out.nbytes / 16
    assert second_peak(lambda: kernels.softmax_cross_entropy_backward(z, y, axis=axis, out=out)) < out.nbytes / 16
    assert second_peak(lambda: kernels.softmax_cross_entropy(z, y, axis=axis, out=entropies)) < out.nbytes / 16


# ---------------------------------------------------------------------- gradients


def wrong(function):
    """Plant a fault: the same result, its first entry off."""

    def planted(out, *operands):
        function(out, *operands)
        out.flat[0] *= 1.00001

    return planted


@pytest.mark.parametrize(
    ("module", "kernel"),
    [
        (elementwise, "_sigmoid_backward"),
        (elementwise, "_sigmoid_backward_from_output"),
        (elementwise, "_softplus_backward"),
        (elementwise, "_relu_backward"),
        (losses, "_bce_backward"),
        (losses, "_bce_with_logits_backward"),
        (categorical, "_cross_entropy_backward"),
    ],
)
def test_a_planted_fault_is_caught_by_the_kernels_own_cases(monkeypatch, module, kernel):
    assert all(case.run(seed=0).ok for case in module.gradcheck_cases())
    monkeypatch.setattr(module, kernel, wrong(getattr(module, kernel)))
    name = kernel.removeprefix("_").replace("cross_entropy", "softmax_cross_entropy")
    verdicts = {case.name: case.run(seed=0).ok for case in module.gradcheck_cases()}
    assert any(not ok for case, ok in verdicts.items() if case.startswith(f"{name},"))
    assert all(ok for case, ok in verdicts.items() if not case.startswith(f"{name},"))
