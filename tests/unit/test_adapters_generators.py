"""Are the generators found that code may draw from, each once, under the name by which its reader knows it?"""

import functools
import random
import sys
import types

import numpy as np
import pytest

from gradcheck.adapters.generators import find_sources, references

RNG = np.random.default_rng(0)
LEGACY = np.random.RandomState(0)
MODULE = types.ModuleType("settings")
MODULE.rng = np.random.default_rng(1)


def names(*roots):
    return [source.name for source in find_sources(*roots)]


class Holder:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class WithSlots:
    __slots__ = ("rng",)


def with_slots():
    made = WithSlots()
    made.rng = np.random.default_rng(0)
    return made


class WithMethod:
    def forward(self):
        return helper()

    @property
    def noise(self):
        return LEGACY.uniform()


def helper():
    return RNG.random()


def by_default(x, rng=np.random.default_rng(0), *, other=random.Random(0)):  # noqa: B008  # is what is looked at
    return x


def closing():
    rng = np.random.default_rng(0)
    unused = np.random.default_rng(0)
    assert unused is not rng
    return lambda x: rng.random(x.shape)


def recursive(n):
    return recursive(n - 1) if n else RNG.random()


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (Holder(rng=np.random.default_rng(0)), ["rng"]),
        (Holder(layers=[Holder(rng=RNG), Holder(rng=LEGACY)]), ["layers[0].rng", "layers[1].rng"]),
        (Holder(a=RNG, b=RNG), ["a"]),
        (Holder(a=RNG, b=RNG.bit_generator), ["a"]),
        (Holder(params={"noise": random.Random(0)}), ["noise"]),
        (Holder(bits=np.random.PCG64(0)), ["bits"]),
        (Holder(draw=RNG.random), ["draw"]),
        (Holder(draw=random.gauss), ["random"]),
        (Holder(draw=np.random.rand), ["numpy.random"]),
        (Holder(seed=3, _seed=4, random_state=5, dropout_seed=6), ["seed", "_seed", "random_state", "dropout_seed"]),
        (Holder(seed=True, seeds=3, reseed=4, seed_value=2, n=np.zeros(3)), []),
        (Holder(rng=random.SystemRandom()), []),
        (with_slots(), ["rng"]),
        (WithMethod(), ["LEGACY", "RNG"]),
        (WithMethod().forward, ["LEGACY", "RNG"]),
        (helper, ["RNG"]),
        (functools.partial(helper), ["RNG"]),
        (functools.partial(max, RNG, key=random.Random(0)), ["0", "key"]),
        (by_default, ["rng", "other"]),
        (closing(), ["rng"]),
        (recursive, ["RNG"]),
        (lambda x: MODULE.rng.random(x.shape), ["rng"]),
        (lambda x: np.random.rand(*x.shape), ["numpy.random"]),  # noqa: NPY002  # is looked for
        (lambda x: [[np.random.permutation(3) for _ in x] for _ in x], ["numpy.random"]),  # noqa: NPY002
        (np.sin, []),
        (max, []),
        (lambda x: x + 1, []),
        (np.random.default_rng, []),
    ],
)
def test_finds(root, expected):
    assert sorted(names(root)) == sorted(expected)


def test_names_come_nearest_first_and_each_once_over_several_roots():
    holder = Holder(inner=Holder(far=LEGACY), near=RNG)
    assert names(holder, helper) == ["near", "inner.far"]


def test_library_functions_are_not_looked_into():
    assert list(references(functools.wraps)) == []
    assert len(find_sources(np.linalg.norm, functools.reduce, types.DynamicClassAttribute)) == 0


def test_cell_that_is_not_assigned_yet_is_passed_over():
    def made():
        def inner():
            return later

        found = names(inner)
        later = RNG
        return found, names(inner)

    assert made() == ([], ["later"])


class Attributes(dict):
    """A dict whose keys are its attributes: asking it for one that is not there raises KeyError."""

    __getattr__ = dict.__getitem__


def test_objects_that_make_up_their_attributes_are_looked_into():
    assert names(Attributes(rng=RNG)) == ["rng"]
    assert names(Holder(settings=Attributes(noise=Attributes(rng=RNG)))) == ["settings.noise.rng"]


def test_long_lists_are_not_searched_to_their_end():
    seen = []

    class Counted(float):
        @property
        def __dict__(self):
            seen.append(1)
            return {}

    assert names(Holder(rng=RNG, values=[Counted(0.5) for _ in range(50_000)])) == ["rng"]
    assert names(Holder(values=[0.5] * 500_000, rng=RNG)) == ["rng"]
    assert not seen


def test_cycles_end():
    one, two = Holder(rng=RNG), Holder()
    one.other, two.other = two, one
    assert names(one) == ["rng"]


@pytest.mark.parametrize(
    ("holder", "draw"),
    [
        (Holder(rng=np.random.default_rng(0)), lambda h: h.rng.normal()),
        (Holder(rng=np.random.Generator(np.random.MT19937(0))), lambda h: h.rng.normal()),
        (Holder(rng=np.random.Generator(np.random.Philox(0))), lambda h: h.rng.integers(9, dtype=np.uint8)),
        (Holder(rng=np.random.RandomState(0)), lambda h: h.rng.normal()),
        (Holder(rng=np.random.RandomState(0)), lambda h: h.rng.randint(9)),
        (Holder(rng=random.Random(0)), lambda h: h.rng.gauss(0, 1)),
        (Holder(seed=4), lambda h: setattr(h, "seed", h.seed + 1) or h.seed),
    ],
)
def test_state_that_is_written_back_gives_the_same_numbers(holder, draw):
    (source,) = find_sources(holder)
    state = source.read()
    assert source.holds(state)
    first = draw(holder)
    assert not source.holds(state)
    second = draw(holder)
    source.write(state)
    assert source.holds(state)
    assert [draw(holder), draw(holder)] == [first, second]


def test_every_draw_changes_the_state_though_the_position_comes_round():
    """A Mersenne Twister has 624 words: after as many draws its position is where it was, its words are not."""
    for rng in (np.random.RandomState(0), np.random.Generator(np.random.MT19937(0))):
        rng.bytes(4)
        (source,) = find_sources(Holder(rng=rng))
        state = source.read()
        rng.bytes(4 * 624)
        assert not source.holds(state)


def test_looking_does_not_draw_nor_import():
    before = RNG.bit_generator.state
    loaded = set(sys.modules)
    find_sources(WithMethod(), helper, lambda: np.testing)
    assert RNG.bit_generator.state == before
    assert set(sys.modules) == loaded
