"""gradcheck.point: is what was evaluated along an entry remembered where the point stays, and nowhere else?"""

import numpy as np

from gradcheck.adapters.functions import adapt_function
from gradcheck.evaluate import Evaluator
from gradcheck.point import Point


def point_of(f, x):
    layer = adapt_function(f, lambda g, x: g, [x], mode="vjp")
    evaluator = Evaluator(layer, layer.primals)
    outputs = evaluator.run().outputs
    evaluator.remember(outputs)
    base = evaluator.flatten(outputs)
    ones = np.ones(base.shape)
    return Point(evaluator, base, ones * 2.0**-52, ones, {"x": x}, lambda jitter=False: {}, np.random.default_rng(0))


def test_the_same_step_is_evaluated_once():
    point = point_of(lambda x: x**3, np.array([1.0, 2.0]))
    first = point.along_entry(("x", (1,))).level(2.0**-10)
    before = point.evaluator.forward_calls
    assert point.along_entry(("x", (1,))).level(2.0**-10) == first
    assert point.evaluator.forward_calls == before


def test_each_place_the_point_is_moved_to_is_evaluated_anew():
    point = point_of(lambda x: x**3, np.array([1.0, 2.0]))
    slopes = [point.along_entry(("x", (1,))).level(2.0**-10).central]
    with point.away():
        for x in (3.0, 4.0):
            point.evaluator.point["x"][1] = x
            point.base = point.evaluator.outputs("moved")
            slopes.append(point.along_entry(("x", (1,))).level(2.0**-10).central)
    slopes.append(point.along_entry(("x", (1,))).level(2.0**-10).central)
    assert np.allclose(slopes, [12, 27, 48, 12], rtol=1e-6)


def test_where_the_point_stays_the_same_step_is_evaluated_once_and_forgotten_after():
    point = point_of(lambda x: x**3, np.array([1.0, 2.0]))
    with point.away(stays=True):
        point.evaluator.point["x"][1] = 3.0
        point.base = point.evaluator.outputs("moved")
        there = point.along_entry(("x", (1,))).level(2.0**-10)
        before = point.evaluator.forward_calls
        assert point.along_entry(("x", (1,))).level(2.0**-10) == there
        assert point.evaluator.forward_calls == before
    assert np.isclose(point.along_entry(("x", (1,))).level(2.0**-10).central, 12, rtol=1e-6)
