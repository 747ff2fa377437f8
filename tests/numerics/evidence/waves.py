"""Waves that are taken for noise, or for no slope."""

import numpy as np

from tests.numerics.evidence.case import KINK, MATCH, MISMATCH, UNDECIDED, Case


def wave_at_a_tie(a, b):
    return np.sin(1e3 * np.maximum(a, b))


def wave_at_a_tie_vjp(g, a, b):
    slope = g * 1e3 * np.cos(1e3 * np.maximum(a, b))
    return slope * np.where(a == b, 0.5, a > b), slope * np.where(a == b, 0.5, b > a)


def sine_of_a_product(x, a, b):
    return np.sin(a * x.sum() + b)


def sine_of_a_product_vjp(g, x, a, b):
    slope = g * np.cos(a * x.sum() + b)
    return np.full_like(x, slope * a), slope * x.sum(), slope


def below_the_last_bit(x):
    return np.cos(np.sin(x) / x)


def below_the_last_bit_vjp(g, x):
    return -g * np.sin(np.sin(x) / x) * (x * np.cos(x) - np.sin(x)) / x**2


def beyond_any_step(x):
    return (np.sin(1e-12 / x**3) + 1e6) - 1e6


def beyond_any_step_vjp(g, x):
    return -3e-12 * g * np.cos(1e-12 / x**3) / x**4


def waves_beside_a_large_number(x):
    return 1e10 + np.min(np.sin(x), axis=0) ** 2


def waves_beside_a_large_number_vjp(g, x):
    return g * np.sin(2 * x) * (np.sin(x) == np.min(np.sin(x), axis=0))


def waves_of_the_reciprocal(a):
    return a**2 * np.sin(1 / a)


def waves_of_the_reciprocal_vjp(g, a):
    return g * (2 * a * np.sin(1 / a) - np.cos(1 / a))


def shifted_waves_of_the_reciprocal(a):
    return 0.3 + waves_of_the_reciprocal(a)


def wave_beside_others(x):
    angle = 0.22 * x**4
    return np.sum(1e-6 * np.sin(x / 5e3) + np.sin(angle) / angle)


def wave_beside_others_vjp(g, x):
    angle = 0.22 * x**4
    return g * (2e-10 * np.cos(x / 5e3) + (np.cos(angle) - np.sin(angle) / angle) / angle * 0.88 * x**3)


TIED = np.array(85291291.46211062)
WAVES = [
    Case(
        "wave-at-a-tie",
        wave_at_a_tie,
        wave_at_a_tie_vjp,
        (TIED, TIED),
        "steps over thousands of waves have small slopes on both sides, near each other",
        {KINK},
        {lambda g: 3 * g: {MISMATCH, UNDECIDED}, lambda g: -g: {MISMATCH, UNDECIDED}},
    ),
    Case(
        "sine-of-6e7",
        sine_of_a_product,
        sine_of_a_product_vjp,
        (np.array([92634207.5423221]), np.array(-0.6331876151795489), np.array(0.7780073420949039)),
        "the argument's rounding errors at the shortest spacing are equal by accident",
        {MATCH, UNDECIDED},
        {lambda g: 1.01 * g: {MISMATCH}},
        seed=5,
    ),
    Case(
        "cosine-of-1e-8",
        below_the_last_bit,
        below_the_last_bit_vjp,
        (np.array([84584234.00742392, 33088094.00586295, -40063607.5757394, 77136317.02009554]),),
        "waves of the height of f's last bit, beside which every step is long",
        {MATCH, UNDECIDED},
        {lambda g: g + 1e-8: {MISMATCH}},
    ),
    Case(
        "wave-of-1e12",
        beyond_any_step,
        beyond_any_step_vjp,
        (np.array([1.693590072689526e-08, 1.2241993137726309e-08]),),
        "from one number to the next f goes through hundreds of waves",
        {UNDECIDED},
        {lambda g: 2 * g: {UNDECIDED}},
        seed=1,
    ),
    Case(
        "waves-that-fade",
        lambda x: np.sum(np.sin(x**-2.5539) / x**-2.5539),
        lambda g, x: g * (np.cos(x**-2.5539) - np.sin(x**-2.5539) / x**-2.5539) * -2.5539 / x,
        (np.array([2.5157e-05, 0.9]),),
        "the finest table of differences takes them for noise, and far away f is a million million times higher",
        {UNDECIDED},
        {lambda g: g + 1e3 * np.eye(2)[1]: {MISMATCH}, lambda g: 2 * g: {MISMATCH}},
        mode="fast",
    ),
    Case(
        "waves-beside-1e10",
        waves_beside_a_large_number,
        waves_beside_a_large_number_vjp,
        (
            np.array(
                [
                    [120960777.03049424, 134317618.92360768, -124016925.47709665, 57994839.4692135],
                    [-25030329.816552415, 44945751.80396173, 28305518.874982364, 22639745.680630915],
                    [126496852.04179643, -194058544.04280674, 24282816.323375642, 68397704.3934749],
                ]
            ),
        ),
        "waves shorter than all spacings look like noise, and beside a large number like a float32's",
        {MATCH, UNDECIDED},
        {lambda g: -g: {MISMATCH, UNDECIDED}, lambda g: 0 * g: {MISMATCH, UNDECIDED}},
    ),
    Case(
        "waves-finer-than-the-ladder",
        waves_of_the_reciprocal,
        waves_of_the_reciprocal_vjp,
        (np.array([7.4e-8, 6.0e-9, 1.7e-8]),),
        "a hundred-millionth of an entry is a wave, and its finest step is longer; f's noise allows far shorter ones",
        {UNDECIDED},
        {lambda g: 2 * g: {MISMATCH, UNDECIDED}, lambda g: -g: {MISMATCH, UNDECIDED}},
    ),
    Case(
        "waves-of-a-few-last-bits",
        shifted_waves_of_the_reciprocal,
        waves_of_the_reciprocal_vjp,
        (np.array([7.4e-8, 6.0e-9, 1.7e-8]),),
        "waves 50 last bits high over steps longer than the entry: slopes look alike at some of them, and steps as long"
        " as the entry or longer say nothing of it",
        {UNDECIDED},
        {lambda g: 2 * g: {MISMATCH, UNDECIDED}, lambda g: -g: {MISMATCH, UNDECIDED}},
    ),
    *(
        Case(
            f"wave-of-60-last-bits-beside-others-{seed}",
            wave_beside_others,
            wave_beside_others_vjp,
            (np.random.default_rng(seed).uniform(4e3, 6e3, 2),),
            "f also has a slope that shows over longer steps: there the wave is nothing, as the claim's own mean is",
            {UNDECIDED},
            {lambda g: 0 * g: {MISMATCH, UNDECIDED}, lambda g: 2 * g: {MISMATCH, UNDECIDED}},
            mode=mode,
        )
        for seed, mode in ((5, "full"), (9, "fast"), (12, "full"), (15, "fast"))
    ),
]
