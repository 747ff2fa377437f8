"""What does a training step cost, beside the matrix products that it consists of, the notebooks and the peers?

Every step is first seen to do the same as row-major's. `gradcheck bench --only steps` takes them in turn and
prints ratios, which these times are too far apart for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from gradcheck.bench.peers import one_thread
from gradcheck.bench.steps import DTYPES, MAKERS, SIZES, Start, steps

pytestmark = pytest.mark.benchmark(max_time=0.3, min_rounds=3)
made = lru_cache(maxsize=1)(lambda size, dtype: set(steps(size, dtype)))


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.mark.parametrize("who", MAKERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_step(benchmark, size, dtype, who):
    if who not in made(size, dtype):
        pytest.skip("not installed, or not made for this size")
    problem = Start.of(size, dtype)
    step, reference = MAKERS[who](problem), MAKERS["row-major"](problem)
    step.call()
    reference.call()
    if step.weights is not None:
        moved = np.abs(reference.weights() - problem.W1).max()
        rounding = 2 * np.spacing(np.abs(problem.W1).max())
        np.testing.assert_allclose(step.weights(), reference.weights(), rtol=0, atol=moved / 100 + rounding)
    benchmark.group = f"{size}, {dtype}"
    benchmark(step.call)
