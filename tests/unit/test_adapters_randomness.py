"""Do random numbers come out the same at each forward, and is everything given back at the end?"""

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_grad, check_layer, check_vjp
from gradcheck.adapters.randomness import Randomness

X = np.ones((2, 3))


class Noisy:
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.noise = self.rng.random(x.shape)
        return x * self.noise

    def backward(self, dout):
        return dout * self.noise

    def restart(self):
        self.rng = np.random.default_rng(0)

    def restart_at(self, seed):
        self.rng = np.random.default_rng(seed)


def test_function_without_generators_is_handed_through_as_it_is():
    assert Randomness(np.sin, np.cos).wrap(np.sin) is np.sin


def test_each_object_has_its_own_state():
    layer, other = Noisy(), Noisy()
    other.rng.random(7)
    first, second = layer.rng.bit_generator.state, other.rng.bit_generator.state
    randomness = Randomness(layer, layer=layer)
    for _ in range(2):
        for model, state in ((layer, first), (other, second)):
            with randomness.start(model):
                assert model.rng.bit_generator.state == state
                model.forward(X)
    assert list(randomness.drawn) == ["rng"]
    assert not randomness.redrawn


def test_what_is_drawn_after_the_forward_goes_on_and_is_seen():
    layer = Noisy()
    randomness = Randomness(layer, layer=layer)
    drawn = []
    for _ in range(2):
        with randomness.start(layer):
            drawn.append(layer.rng.random())
        drawn.append(layer.rng.random())
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]
    assert list(randomness.redrawn) == ["rng"]
    assert len(randomness.notes(Verdict.MISMATCH)) == 2
    assert len(randomness.notes(Verdict.MATCH)) == 1


def test_what_only_a_backward_draws_is_left_alone():
    layer = Noisy()
    randomness = Randomness(layer, layer=layer)
    drawn = []
    for _ in range(3):
        with randomness.start(layer):
            pass
        drawn.append(layer.rng.random())
    assert len(set(drawn)) == 3
    assert randomness.notes(Verdict.MISMATCH) == ()


def test_first_draw_may_come_later_and_is_put_back_from_then_on():
    rng = np.random.default_rng(0)
    randomness = Randomness(lambda: rng)
    drawn = []
    for call in range(12):
        with randomness.start():
            drawn.append(rng.random() if call > 2 else None)
    assert drawn[3] is not None
    assert set(drawn[3:]) == {drawn[3]}


def test_generators_are_given_back_even_if_the_check_raises():
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state

    def f(x):
        raise RuntimeError(rng.random())

    with pytest.raises(RuntimeError):
        check_vjp(f, lambda g, x: g, X)
    assert rng.bit_generator.state == state


def test_note_of_several():
    randomness = Randomness()
    randomness.drawn = dict.fromkeys("abc")
    assert "random state of a, b and c was put back" in randomness.notes(Verdict.MATCH)[0]


LAYER = Noisy()


def one_argument(rng):
    pass


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        (3, r"reset was int, which cannot be called; give a function without arguments, or of the layer, that puts"),
        (lambda a, b: None, r"reset takes 2 arguments \(a, b\); it is called as reset\(\) or reset\(layer\)"),
        (lambda: LAYER.restart(), r"reset refers to your layer, but a copy of it is checked"),
        (LAYER.restart_at, r"reset takes 1 argument \(seed\) beside the layer; it is called as reset\(\)"),
    ],
    ids=["number", "two", "refers", "method"],
)
def test_reset_that_cannot_be_called_is_named(reset, message):
    with pytest.raises(ArgumentError, match=message):
        check_layer(LAYER, X, reset=reset)


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        (
            np.random.default_rng(0),
            r"reset was Generator, which cannot be called; give a function without arguments that",
        ),
        (one_argument, r"reset takes 1 argument \(rng\); it is called as reset\(\)"),
    ],
    ids=["generator", "one"],
)
def test_reset_of_functions_that_cannot_be_called_is_named(reset, message):
    with pytest.raises(ArgumentError, match=message):
        check_vjp(np.sin, lambda g, x: g * np.cos(x), X, reset=reset)
    with pytest.raises(ArgumentError, match=message):
        check_grad(np.sum, np.ones_like, X, reset=reset)


def test_reset_that_raises_says_so():
    def reset():
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file") as raised:
        check_vjp(np.sin, lambda g, x: g * np.cos(x), X, reset=reset)
    assert "gradcheck: raised by reset, which is called before each forward" in raised.value.__notes__


def test_reset_is_in_what_reproduces_the_check():
    def restart():
        pass

    report = check_vjp(np.sin, lambda g, x: g * np.cos(x), X, reset=restart)
    assert report.reproduce == "gradcheck.check_vjp(sin, vjp, x, reset=restart, seed=0)"
    report = check_grad(np.sum, np.ones_like, X, reset=lambda: None)
    assert report.reproduce == "gradcheck.check_grad(sum, ones_like, params, reset=reset, seed=0)"
    report = check_layer(LAYER, X, reset=LAYER.restart)
    assert report.reproduce == "gradcheck.check_layer(Noisy(...), x, reset=restart, seed=0)"
