"""What does a kernel cost, beside its one line of NumPy, the peers, and what no kernel can be faster than?

`gradcheck bench --only kernels` takes them in turn and prints ratios, which these times are too far apart for.
"""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.bench.kernels import DTYPES, NUMBERS, OURS, calls, limits
from gradcheck.bench.peers import one_thread

pytestmark = pytest.mark.benchmark(max_time=0.2)
WHO = ("kernel", "kernel, new array", "one line", "torch", "jax.jit")


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", NUMBERS)
@pytest.mark.parametrize("kernel", OURS)
def test_kernel(benchmark, kernel, n, dtype, who):
    made = calls(kernel, n, dtype)
    if who not in made:
        pytest.skip(f"{who.partition('.')[0]} is not installed")
    precision = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(np.asarray(made[who]()), made["one line"](), rtol=precision, atol=precision)
    benchmark.group = f"{kernel}, {n:,} numbers, {dtype}"
    benchmark(made[who])


@pytest.mark.parametrize("limit", limits(1, "float64"))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", NUMBERS)
def test_limit(benchmark, n, dtype, limit):
    benchmark.group = f"limits, {n:,} numbers, {dtype}"
    benchmark(limits(n, dtype)[limit])


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_product_peak(benchmark, dtype):
    side = 1024
    A, B, out = np.ones((side, side), dtype), np.ones((side, side), dtype), np.empty((side, side), dtype)
    benchmark.group = f"limits, product of {side} x {side}, {dtype}"
    benchmark(A.dot, B, out)
    if benchmark.stats:
        benchmark.extra_info["gflops"] = 2e-9 * side**3 / benchmark.stats.stats.median
