"""Do the messages of checks that really ran say what is wrong, where, and how to have it again?"""

from __future__ import annotations

import re

import numpy as np
import pytest

import gradcheck

POINT = np.random.default_rng(7).normal(size=(4, 3))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_backward(da, z):
    return da * z * (1 - z)


def test_message_of_the_wrong_sigmoid_has_every_part():
    with pytest.raises(gradcheck.GradientMismatchError) as raised:
        gradcheck.check_vjp(sigmoid, sigmoid_backward, POINT, seed=5).raise_on_failure()
    lines = str(raised.value).splitlines()
    assert re.fullmatch(r"MISMATCH  sigmoid_backward: 12 of 12 entries of z differ, by up to \S+ times .*", lines[0])
    assert lines[2].split() == ["entry", "analytic", "numerical", "allowed", "error", "bar", "step"]
    number, short = r"-?\d\.\d{12}e[-+]\d\d", r"\d\.\de[-+]\d\d"
    for line in lines[3:13]:
        assert re.fullmatch(rf"  z\[\d, \d\]  +{number}  +{number}  +{short}  +{short}  +{short}", line), line
    assert lines[13] == "  ... and 2 more"
    assert "seed=5" in lines[-1]
    assert lines[-1].startswith("  reproduce   gradcheck.check_vjp(sigmoid, sigmoid_backward, ")


def test_catches_one_wrong_entry_and_names_it():
    def backward(dy, x):
        gradient = dy * 2 * x
        gradient[2, 1] *= 1.001
        return gradient

    report = gradcheck.check_vjp(np.square, backward, POINT)
    first, *rest = str(report).splitlines()
    assert "1 of 12 entries of x differs" in first
    assert [line.split("]")[0].strip() + "]" for line in rest if "[" in line and "reproduce" not in line] == ["x[2, 1]"]


def test_message_of_a_match_is_short_and_says_what_was_seen():
    lines = str(gradcheck.check_vjp(np.sin, lambda g, x: g * np.cos(x), POINT)).splitlines()
    assert len(lines) <= 3
    assert lines[0].startswith("MATCH  ")
    assert "12 entries of x" in lines[0]
    assert "allowed" in lines[1]
    assert "would have been seen" in lines[1]
    assert "forwards" in lines[1]


def test_message_of_a_contract_violation_helps():
    report = gradcheck.check_vjp(lambda x, b: x + b, lambda g, x, b: (g, g), POINT, np.zeros((1, 3)))
    assert str(report).startswith("CONTRACT  ")
    assert "the sum over the batch axis is missing" in str(report)
