"""Does order=2 look at the points it should, count what it spends, and name what it finds?"""

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_grad
from gradcheck.adapters.mappings import adapt_hvp, as_pushforward, gradient_name

A = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 4.0]])
POINT = np.array([1.0, -2.0, 0.0])


def loss(x):
    return 0.5 * x @ A @ x


def grad(x):
    return A @ x


def hvp(x, v):
    return A @ v


def test_points_beside_lie_on_both_sides_a_hundredth_away():
    seen = []

    def looked_at(x):
        seen.append(x.copy())
        return grad(x)

    check_grad(loss, looked_at, POINT, order=2, contract=False)
    beside = np.array([x for x in seen if np.max(np.abs(x - POINT)) > 1e-3])
    moves = np.unique(np.round((beside - POINT) / np.array([1.0, 2.0, 1.5]), 9), axis=0)  # 0 is moved like the median
    assert len(moves) == 2
    assert np.allclose(moves[0], -moves[1])
    assert np.all((np.abs(moves) >= 0.005) & (np.abs(moves) <= 0.015))


def test_same_seed_looks_at_the_same_points_and_another_at_others():
    def points(seed):
        seen = []
        check_grad(loss, lambda x: (seen.append(x.tobytes()), grad(x))[1], POINT, order=2, seed=seed)
        return seen

    assert points(0) == points(0)
    assert points(0) != points(1)


def test_complex_points_are_moved_in_both_parts():
    seen = []

    def looked_at(z):
        seen.append(z.copy())
        return 2 * z

    report = check_grad(
        lambda z: np.sum(np.abs(z) ** 2), looked_at, np.array([1 + 2j, -3j]), order=2, hvp=lambda z, v: 2 * v
    )
    assert report.verdict is Verdict.MATCH, str(report)
    moves = [z - np.array([1 + 2j, -3j]) for z in seen]
    assert any(np.all(np.abs(move.real) > 1e-3) and np.all(np.abs(move.imag) > 1e-3) for move in moves)


def test_calls_are_those_of_all_checks():
    calls = [0]

    def counted(x):
        calls[0] += 1
        return loss(x)

    report = check_grad(counted, grad, POINT, order=2)
    assert report.forward_calls == calls[0]
    assert report.forward_calls == sum(one.forward_calls for one in report.reports)
    assert [one.name for one in report.reports] == ["grad", "grad, a step forth", "grad, a step back"]


def test_budget_is_for_all_of_it():
    full = check_grad(loss, grad, POINT, order=2, hvp=hvp)
    assert full.verdict is Verdict.MATCH
    for budget in (10, full.forward_calls // 2):
        report = check_grad(loss, grad, POINT, order=2, hvp=hvp, budget=budget)
        assert report.forward_calls <= budget
        assert report.verdict is Verdict.INCONCLUSIVE
        assert f"budget={budget} was spent before this was looked at" in str(report)


def test_reproduces_with_its_arguments():
    report = check_grad(loss, grad, POINT, order=2, hvp=hvp, seed=4)
    assert report.reproduce == "gradcheck.check_grad(loss, grad, params, order=2, hvp=hvp, seed=4)"
    assert all(one.reproduce == report.reproduce for one in report.reports)
    report = check_grad(loss, grad, POINT, order=2)
    assert report.reproduce == "gradcheck.check_grad(loss, grad, params, order=2, seed=0)"
    assert check_grad(loss, grad, POINT).reproduce == "gradcheck.check_grad(loss, grad, params, seed=0)"


def test_order_1_is_the_gradient_alone():
    report = check_grad(loss, grad, POINT, order=1)
    assert report.reports == ()
    assert str(report) == str(check_grad(loss, grad, POINT))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 3}, r"order was 3; expected 1 \(the gradient\) or 2"),
        ({"order": True}, r"order was True; expected 1"),
        ({"order": "2"}, r"order was '2'; expected 1"),
        ({"hvp": hvp}, r"hvp was given, but order=1 checks the gradient alone; give order=2"),
        ({"order": 2, "hvp": A}, r"hvp was ndarray, which cannot be called; give a function"),
        (
            {"order": 2, "hvp": lambda v: A @ v},
            r"hvp takes 1 positional arguments \(v\); it is called as hvp\(params, ta",
        ),
        ({"order": 2, "hvp": lambda a, b, c: A}, r"hvp takes 3 positional arguments \(a, b, c\); it is called as"),
    ],
    ids=["3", "True", "text", "order-1", "array", "one", "three"],
)
def test_unusable_arguments_are_named(options, message):
    with pytest.raises(ArgumentError, match=message):
        check_grad(loss, grad, POINT, **options)


def test_product_with_further_optional_arguments_is_taken():
    assert check_grad(loss, grad, POINT, order=2, hvp=lambda x, v, damping=0.0: A @ v + damping * v).ok
    assert check_grad(loss, grad, POINT, order=2, hvp=lambda *given: A @ given[1]).ok


def test_gradient_names():
    assert [gradient_name(name) for name in ("W", "layer1.W", "layers[0].b")] == ["dW", "layer1.dW", "layers[0].db"]


def test_product_as_a_layer():
    params = {"layer": {"W": A[:2]}, "b": POINT, "n": 3}
    layer = adapt_hvp(lambda p: 0.0, lambda p: p, lambda p, v: v, params)
    outputs, pullback = layer(layer.primals)
    assert list(outputs) == ["layer.dW", "db"]
    assert np.array_equal(outputs["db"], POINT)
    pulled = pullback({"layer.dW": A[1:], "db": POINT + 1})
    assert np.array_equal(pulled["layer.W"], A[1:])
    assert np.array_equal(pulled["b"], POINT + 1)
    pushed = as_pushforward(layer)(layer.primals)[1]({"layer.W": A[1:], "b": POINT + 1})
    assert np.array_equal(pushed["layer.dW"], A[1:])
    assert np.array_equal(pushed["db"], POINT + 1)


def test_product_of_a_gradient_that_cannot_be_judged_is_judged_as_it_stands():
    """Noise in the loss hides its slope; the gradient has no noise, and the product is its derivative or not."""

    def noisy(x):
        return loss(x) + 0.1 * np.sin(1e9 * x.sum())

    def skew(x):
        return np.array([x[1], 0.0, 0.0])

    for gradient, product, verdict in (
        (grad, hvp, Verdict.MATCH),
        (grad, lambda x, v: 2 * A @ v, Verdict.MISMATCH),
        (lambda x: A @ x + skew(x), lambda x, v: A @ v + skew(v), Verdict.MATCH),  # no gradient, but no fault of H v
    ):
        report = check_grad(noisy, gradient, POINT, order=2, hvp=product)
        assert [one.verdict for one in report.reports] == [*[Verdict.INCONCLUSIVE] * 3, verdict], str(report)
