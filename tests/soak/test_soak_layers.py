"""Are the zoo's layers right? Their pullbacks against differences of higher order in long double, their jvps too."""

import numpy as np
import pytest

from tests.soak.layers import ZOO
from tests.soak.values import Source

STEP = 2.0**-13
WIDE = np.dtype(np.longdouble)


def widened(array):
    # linear algebra and Fourier transforms know no long double; float64 differences are exact enough for a zoo
    return array.astype(WIDE) if array.dtype.kind == "f" else array


def runs_wide(layer, inputs):
    try:
        layer.f(*map(widened, inputs))
    except (TypeError, np.linalg.LinAlgError):
        return False
    return True


def slopes(layer, inputs, cotangent, place):
    """Return the gradient of <cotangent, f> by seven-point differences: their error is of the sixth order."""
    wide = runs_wide(layer, inputs)
    inputs = [widened(array) if wide else array for array in inputs]
    result = np.zeros(inputs[place].shape)
    for index in np.ndindex(result.shape):

        def value(t, index=index):
            moved = inputs[place].copy()
            moved[index] += t
            return weighted(layer.f(*inputs[:place], moved, *inputs[place + 1 :]), cotangent)

        one, two, three = (value(k * STEP) - value(-k * STEP) for k in (1, 2, 3))
        result[index] = (45 * one - 9 * two + three) / (60 * STEP)
    return result


def weighted(out, cotangent):
    if isinstance(out, tuple):
        return sum(np.sum(part * g) for part, g in zip(out, cotangent, strict=True))
    return np.sum(out * cotangent)


def drawn(layer, seed):
    """Return inputs of size 1, 0.1 or 3, away from singularities, and a cotangent."""
    rng = np.random.default_rng([seed, 7])
    source = Source(rng, "ordinary", np.dtype(float))
    x = layer.into(source.moderate(*layer.shape(rng)) * (1.0, 0.1, 3.0)[seed % 3])
    parameters = [
        array + 0.01 if array.dtype.kind == "f" else array for array in layer.parameters(source, x)
    ]  # no ties
    inputs = [np.asarray(array) for array in (x, *parameters)]
    out = layer.f(*inputs)
    cotangent = (
        tuple(rng.normal(size=part.shape) for part in out) if isinstance(out, tuple) else rng.normal(size=np.shape(out))
    )
    return inputs, cotangent


@pytest.mark.parametrize("name", [name for name, layer in ZOO.items() if layer.plain])
def test_the_pullback_is_the_derivative(name):
    layer = ZOO[name]
    for seed in range(6):
        inputs, cotangent = drawn(layer, seed)
        gradients = layer.vjp(cotangent, *inputs)
        assert len(gradients) == len(inputs)
        for place, array in enumerate(inputs):
            if array.dtype.kind != "f":
                assert gradients[place] is None
                continue
            expected = slopes(layer, inputs, cotangent, place)
            size = max(1.0, np.abs(expected).max(initial=0.0))
            np.testing.assert_allclose(gradients[place], expected, rtol=1e-8, atol=1e-9 * size, err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", [name for name, layer in ZOO.items() if layer.jvp is not None])
def test_the_jvp_is_the_pullbacks_transpose(name):
    layer = ZOO[name]
    for seed in range(6):
        inputs, cotangent = drawn(layer, seed)
        rng = np.random.default_rng([seed, 8])
        tangents = [rng.normal(size=array.shape) for array in inputs]
        gradients = layer.vjp(cotangent, *inputs)
        pulled = sum(np.sum(g * t) for g, t in zip(gradients, tangents, strict=True) if g is not None)
        pushed = layer.jvp(tangents, *inputs)
        assert np.shape(pushed) == np.shape(cotangent)
        np.testing.assert_allclose(np.sum(cotangent * pushed), pulled, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_low_precision_stays_what_it_is(dtype):
    for name, layer in ZOO.items():
        if np.dtype(layer.lowest).itemsize > np.dtype(dtype).itemsize:
            continue
        rng = np.random.default_rng(9)
        source = Source(rng, "ordinary", np.dtype(dtype))
        x = layer.into(rng.normal(size=layer.shape(rng)).astype(dtype)).astype(dtype)
        inputs = [x, *layer.parameters(source, x)]
        out = layer.f(*inputs)
        parts = [np.asarray(part) for part in (out if isinstance(out, tuple) else (out,))]
        ones = tuple(map(np.ones_like, parts))
        gradients = layer.vjp(ones if isinstance(out, tuple) else ones[0], *inputs)
        floats = [*parts, *(np.asarray(g) for g in gradients if g is not None)]
        assert {array.dtype.name for array in floats} == {dtype}, name
