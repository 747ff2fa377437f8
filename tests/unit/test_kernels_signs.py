"""Are signs moved as `copysign` and `absolute` move them, to the last bit, whatever the dtype, layout and size?"""

import numpy as np
import pytest

from reference_impls.kernels._signs import MANY, negative_magnitude, signed

LAYOUTS = {
    "rows": lambda z: z,
    "columns": np.asfortranarray,
    "every second": lambda z: np.repeat(z, 2, axis=1)[:, ::2],
    "backwards": lambda z: z[::-1, ::-1],
    "read-only": lambda z: np.broadcast_to(z, z.shape),
}


def numbers(dtype, size):
    rng = np.random.default_rng(5)
    z = rng.normal(size=size).astype(dtype)
    z[:6] = 0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny
    return z.reshape(-1, 8)


def same(a, b):
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a), np.signbit(b))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [MANY - 8, MANY, 3 * MANY])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f8"])
def test_signs_are_those_of_copysign(dtype, size, layout):
    z = LAYOUTS[layout](numbers(dtype, size))
    out, magnitude = np.empty_like(z), np.abs(numbers(dtype, size)[::-1])
    negative_magnitude(z, out)
    assert same(out, -np.abs(z))
    signed(0.5, z, out)
    assert same(out, np.copysign(np.array(0.5, dtype), z))
    signed(magnitude, z, out)
    assert same(out, np.copysign(magnitude, z))


@pytest.mark.parametrize("size", [8, 2 * MANY])
def test_in_place_and_into_another_dtype(size):
    z = numbers(np.float64, size)
    narrow, wanted = np.empty(z.shape, np.float32), -np.abs(z)
    negative_magnitude(z, narrow)
    assert same(narrow, wanted.astype(np.float32))
    negative_magnitude(z, z)
    assert same(z, wanted)
    z = numbers(np.float64, size)
    wanted = np.copysign(0.5, z)
    signed(0.5, z, z)
    assert same(z, wanted)


def test_one_row_for_all():
    row, out = np.linspace(-1, 1, 8)[np.newaxis], np.empty((MANY, 8))
    signed(2.0, row, out)
    assert same(out, np.broadcast_to(np.copysign(2.0, row), out.shape))
