"""Are complex gradients judged, and their bugs caught: the conjugate first of all?"""

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_grad, check_jvp, check_layer, check_vjp

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


Z, W = draw(2, 3), draw(3, 2)

# f, its pullback, the pullback with a conjugate too many or too few, the point
PAIRS = {
    "exp": (np.exp, lambda v, z: v * np.exp(z).conj(), lambda v, z: v * np.exp(z), (Z,)),
    "square": (lambda z: z**2, lambda v, z: v * 2 * z.conj(), lambda v, z: v * 2 * z, (Z,)),
    "inverse": (lambda z: 1 / z, lambda v, z: -v / z.conj() ** 2, lambda v, z: -v / z**2, (Z,)),
    "log": (np.log, lambda v, z: v / z.conj(), lambda v, z: v / z, (Z,)),
    "conj": (np.conj, lambda v, z: v.conj(), lambda v, z: v.copy(), (Z,)),
    "abs": (np.abs, lambda v, z: v * z / np.abs(z), lambda v, z: v * z.conj() / np.abs(z), (Z,)),
    "angle": (
        np.angle,
        lambda v, z: v * 1j * z / np.abs(z) ** 2,
        lambda v, z: -v * 1j * z.conj() / np.abs(z) ** 2,
        (Z,),
    ),
    "real": (np.real, lambda v, z: v + 0j, lambda v, z: 1j * v, (Z,)),
    "imag": (np.imag, lambda v, z: 1j * v, lambda v, z: -1j * v, (Z,)),
    "power": (
        lambda z: z.real**2 + z.imag**2,
        lambda v, z: 2 * v * z,
        lambda v, z: 2 * v * z.conj(),
        (Z,),
    ),
    "matmul": (
        np.matmul,
        lambda v, z, w: (v @ w.conj().T, z.conj().T @ v),
        lambda v, z, w: (v @ w.T, z.T @ v),
        (Z, W),
    ),
    "from-real": (
        lambda x: x * (1 + 2j),
        lambda v, x: (v * (1 - 2j)).real,
        lambda v, x: (v * (1 + 2j)).real,
        (Z.real,),
    ),
    "fft": (
        np.fft.fft,
        lambda v, z: v.shape[-1] * np.fft.ifft(v),
        lambda v, z: np.fft.fft(v),
        (Z,),
    ),
    "rfft-power": (
        lambda x: np.abs(np.fft.fft(x)) ** 2,
        lambda v, x: x.shape[-1] * np.fft.ifft(2 * v * np.fft.fft(x)).real,
        lambda v, x: np.fft.fft(2 * v * np.fft.fft(x)).real,
        (RNG.normal(size=5),),
    ),
    "two-outputs-of-two-kinds": (
        lambda z: (z**2, np.abs(z)),
        lambda v, z: v[0] * 2 * z.conj() + v[1] * z / np.abs(z),
        lambda v, z: v[0] * 2 * z + v[1] * z / np.abs(z),
        (Z,),
    ),
}
pairs = pytest.mark.parametrize(
    ("f", "right", "wrong", "point"), [pytest.param(*row, id=k) for k, row in PAIRS.items()]
)


@pairs
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_right_complex_pullback_passes(f, right, wrong, point, mode):
    report = check_vjp(f, right, *point, mode=mode)
    assert report.verdict is Verdict.MATCH, str(report)


@pairs
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_conjugate_too_many_or_too_few_is_a_mismatch(f, right, wrong, point, mode):
    report = check_vjp(f, wrong, *point, mode=mode)
    assert report.verdict is Verdict.MISMATCH, str(report)


@pairs
def test_single_precision_too(f, right, wrong, point):
    low = [array.astype(np.complex64 if array.dtype.kind == "c" else np.float32) for array in point]
    assert check_vjp(f, right, *low).ok
    assert check_vjp(f, wrong, *low).verdict is Verdict.MISMATCH


def test_report_names_the_part_of_the_entry():
    def wrong(v, z):
        g = v * np.exp(z).conj()
        g[1, 2] = g[1, 2].conj()
        return g

    report = check_vjp(np.exp, wrong, Z)
    (entry,) = [c for c in report.comparisons if c.verdict is Verdict.MISMATCH]
    assert (entry.index, entry.part, entry.entry) == ((1, 2), "imag", "x[1, 2].imag")
    (line,) = report.summaries
    assert (line.entries, line.judged, line.failed, line.shape) == (6, 6, 1, (2, 3))
    assert "1 of 6 entries" in str(report)
    assert '"part": "imag"' in report.to_json()


def test_note_names_the_convention_where_a_complex_gradient_fails_and_only_there():
    jax_like = check_vjp(np.exp, lambda v, z: v.conj() * np.exp(z), Z)
    assert "JAX and autograd return its conjugate" in str(jax_like)
    assert "conjugate" not in str(check_vjp(np.exp, lambda v, z: v * np.exp(z).conj(), Z))
    assert "conjugate" not in str(check_vjp(np.exp, lambda v, z: v, Z.real))


def test_elementwise_derivative_of_a_holomorphic_function_is_the_derivative_itself():
    def f(z):
        return np.exp(z)

    assert check_vjp(f, lambda z: np.exp(z), Z).verdict is Verdict.MATCH
    assert check_vjp(f, lambda z: np.exp(z).conj(), Z).verdict is Verdict.MISMATCH


def test_gradient_of_a_real_loss_of_complex_parameters():
    params = {"z": Z, "b": np.array([0.5])}

    def loss(p):
        return np.sum(np.abs(p["z"]) ** 2) * p["b"][0]

    def grad(p):
        return {"z": 2 * p["z"] * p["b"], "b": np.array([np.sum(np.abs(p["z"]) ** 2)])}

    def conjugate(p):
        return {**grad(p), "z": grad(p)["z"].conj()}

    assert check_grad(loss, grad, params).verdict is Verdict.MATCH
    report = check_grad(loss, conjugate, params)
    assert {c.part for c in report.comparisons if c.verdict is Verdict.MISMATCH} == {"imag"}


def test_forward_mode_is_linear_over_the_reals():
    assert check_jvp(np.exp, lambda t, z: t[0] * np.exp(z), Z).verdict is Verdict.MATCH
    assert check_jvp(np.abs, lambda t, z: (z.conj() * t[0]).real / np.abs(z), Z).verdict is Verdict.MATCH
    assert check_jvp(np.conj, lambda t, z: t[0].conj(), Z).verdict is Verdict.MATCH
    assert check_jvp(np.exp, lambda t, z: t[0] * np.exp(z).conj(), Z).verdict is Verdict.MISMATCH
    assert check_jvp(np.conj, lambda t, z: t[0], Z).verdict is Verdict.MISMATCH


def test_layer_with_complex_parameters():
    class Dense:
        def __init__(self, *, conjugate):
            self.W, self.conjugate = W.copy(), conjugate

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dout):
            self.dW = (self.x.conj() if self.conjugate else self.x).T @ dout
            return dout @ self.W.conj().T

    right = check_layer(Dense(conjugate=True), Z)
    assert right.verdict is Verdict.MATCH
    assert [line.name for line in right.summaries] == ["x", "W"]
    wrong = check_layer(Dense(conjugate=False), Z)
    assert [line.name for line in wrong.summaries if not line.verdict.ok] == ["W"]


def test_kink_of_the_modulus_at_zero_is_a_kink():
    def vjp(v, z):
        return v * z / np.where(z == 0, 1.0, np.abs(z))

    assert check_vjp(np.abs, vjp, np.array([0j, 1 + 1j])).verdict is Verdict.KINK


def test_complex_gradient_of_a_real_input_breaks_the_contract():
    report = check_vjp(lambda x: x * (1 + 2j), lambda v, x: v * (1 - 2j), Z.real)
    assert report.verdict is Verdict.CONTRACT
    assert "dx has dtype complex128, x has float64: take its real part" in str(report)


def test_real_gradient_of_a_complex_input_is_one_without_imaginary_part():
    assert check_vjp(np.real, lambda v, z: v, Z).verdict is Verdict.MATCH
    assert check_vjp(np.imag, lambda v, z: v, Z).verdict is Verdict.MISMATCH


def test_complex_loss_is_refused_with_the_remedy():
    with pytest.raises(ArgumentError, match=r"the loss is complex \(complex128\).*return its real part"):
        check_grad(lambda z: np.sum(z**2), lambda z: 2 * z, Z)


def test_output_that_turns_complex_has_left_its_domain():
    """`np.emath.sqrt` is real at positive numbers and imaginary at negative ones."""

    def vjp(v, x):
        return v * 0.5 / np.sqrt(x)

    assert check_vjp(np.emath.sqrt, vjp, np.array([0.5, 1e-8])).verdict is Verdict.MATCH


def test_mutation_and_budget_and_reset_of_complex_points():
    def scribbles(v, z):
        v *= 2
        return v * 1j

    assert check_vjp(lambda z: 1j * z, scribbles, Z).verdict is Verdict.CONTRACT
    before = Z.copy()
    partly = check_vjp(np.exp, lambda v, z: v * np.exp(z).conj(), Z, budget=20)
    assert "entries were not probed" in str(partly)
    assert np.array_equal(Z, before)
