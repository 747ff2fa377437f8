"""Does each operator plant what it says, and no more?"""

from __future__ import annotations

import ast

import pytest

from gradcheck.faults.operators import OPERATORS
from gradcheck.faults.plant import plant

TWINS = [
    ("flip a sign", "y = a + b", ["y = a - b"]),
    ("flip a sign", "y = a - (b + c)", ["y = a + (b + c)", "y = a - (b - c)"]),
    ("flip a sign", "y = -a * b", ["y = a * b"]),
    ("flip a sign", "y -= a", ["y += a"]),
    ("multiply for divide", "y = a * b", ["y = a / b"]),
    ("multiply for divide", "y /= a", ["y *= a"]),
    ("drop a term", "y = (a - b) * c", ["y = (a) * c", "y = (-b) * c"]),
    ("drop a term", "y = (a - b - c) * d", ["y = (a - b) * d", "y = (-c) * d", "y = (a - c) * d", "y = (-b - c) * d"]),
    ("drop a term", "np.add(a, b, y)", ["np.positive(a, y)", "np.positive(b, y)"]),
    ("drop a factor", "y = a * b", ["y = a", "y = b"]),
    ("drop a factor", "y = a / b", ["y = a"]),
    ("drop a factor", "y = x ** 2", ["y = x"]),
    ("drop a factor", "y = a.dot(b)", ["y = a", "y = b"]),
    ("drop a factor", "np.divide(a, b, y)", ["np.positive(a, y)"]),
    ("swap operands", "y = a - b - c", ["y = c - (a - b)", "y = b - a - c"]),
    ("swap operands", "y = a @ b", ["y = b @ a"]),
    ("swap operands", "y = f(a, b, c)", ["y = f(b, a, c)", "y = f(a, c, b)"]),
    ("swap operands", "y = np.multiply(a, b)", []),
    ("swap operands", "y = np.subtract(a, b, out=y)", ["y = np.subtract(b, a, out=y)"]),
    ("swap operands", "y = a.dot(b)", ["y = b.dot(a)"]),
    ("swap results", "return a, b, c", ["return b, a, c", "return a, c, b"]),
    ("another axis", "y = x.sum(axis=0)", ["y = x.sum(axis=1)", "y = x.sum(axis=None)"]),
    ("another axis", "y = np.sum(x, 1)", ["y = np.sum(x, 0)"]),
    ("another axis", "y = x.mean(axis=-1)", ["y = x.mean(axis=0)", "y = x.mean(axis=None)"]),
    ("keepdims", "y = x.sum(axis=0, keepdims=True)", ["y = x.sum(axis=0, keepdims=False)"]),
    ("keepdims", "y = x.sum(axis=0)", ["y = x.sum(axis=0, keepdims=True)"]),
    ("keepdims", "y = x.sum()", []),
    ("another comparison", "y = x > 0", ["y = x >= 0", "y = x < 0"]),
    ("another comparison", "y = x == 0", ["y = x != 0"]),
    ("another logic", "y = a & b", ["y = a | b", "y = a", "y = b"]),
    ("another logic", "y = ~a", ["y = a"]),
    ("negate a condition", "y = a if b else c", ["y = a if not b else c"]),
    ("drop a transpose", "y = x.T @ a", ["y = x @ a"]),
    ("drop a transpose", "y = x.transpose(1, 0)", ["y = x"]),
    ("drop a sum", "y = x.sum(axis=0)", ["y = x"]),
    ("drop a sum", "y = np.sum(a + b, axis=0) * c", ["y = (a + b) * c"]),
    ("another function", "y = np.maximum(a, b)", ["y = np.minimum(a, b)"]),
    ("another function", "y = np.log(x)", ["y = np.log2(x)", "y = x"]),
    ("another function", "y = np.where(c, a, b)", ["y = a", "y = b"]),
    ("swap operands", "y = np.where(c, a, b)", ["y = np.where(a, c, b)", "y = np.where(c, b, a)"]),
    ("another function", "np.exp(x, y)", ["np.exp2(x, y)", "np.positive(x, y)"]),
    ("drop a slice", "y = x[1:] + a[0]", ["y = x + a[0]"]),
    ("drop a statement", "self.db = y", ["pass"]),
    ("drop a statement", "y += a", ["pass"]),
    ("drop a statement", "y = a", []),
    ("assign for add", "y += a", ["y = a"]),
    ("assign for add", "np.add.at(y, i, a)", ["y[i] += a"]),
    ("another constant", "y = 0.5 * x[0]", ["y = 1.0 * x[0]", "y = 0.5 * x[1]"]),
]


def planted(operator, line, alike=()):
    """The lines that an operator makes of one, in a function of its own."""
    source = f"def f(self, a, b, c, d, x, y, i):\n    {line}\n"
    faults = plant("layers.py", source, {"f": dict(alike)})
    return [fault.source.splitlines()[1].strip() for fault in faults if fault.operator == operator]


def meaning(lines):
    """What the lines compute: parentheses and spaces do not count."""
    return sorted(ast.dump(ast.parse(line.replace("return ", "y = "))) for line in lines)


@pytest.mark.parametrize(("operator", "line", "twins"), TWINS)
def test_plants_what_it_says_and_no_more(operator, line, twins):
    assert meaning(planted(operator, line)) == meaning(twins)


def test_swaps_variables_only_for_those_of_the_same_shape_that_have_a_value():
    source = "def f(x, z, n):\n    y = x * n\n    w = y + z\n    return w\n"
    alike = {"f": {"x": ["z", "w"], "y": ["x", "w"], "z": ["x"], "w": ["y"]}}
    faults = [fault for fault in plant("layers.py", source, alike) if fault.operator == "another variable"]
    assert [fault.diff for fault in faults] == [
        "- y = x * n\n+ y = z * n",
        "- w = y + z\n+ w = x + z",
        "- w = y + z\n+ w = y + x",
        "- return w\n+ return y",
    ]


def test_every_operator_is_tested():
    tested = {name for name, _, _ in TWINS} | {"another variable"}
    assert tested == {operator.name for operator in OPERATORS}


SOURCE = '''"""A module with 1 constant."""
import numpy as np

def forward(x: "a + 1", scale=2):
    return x * scale

class Layer:
    def backward(self, g: "np.ndarray[1]", scale=2):
        """Return g times 3."""
        if scale < 0:
            raise ValueError(f"{scale + 1} is negative")
        def inner():
            return g * 4
        return inner() * self.x
'''


def test_other_functions_annotations_defaults_and_messages_are_left_alone():
    faults = list(plant("layers.py", SOURCE, {"Layer.backward": {}}))
    assert {fault.line for fault in faults} == {10, 14}
    assert all(fault.source.startswith(SOURCE[: SOURCE.index("class")]) for fault in faults)
    assert {fault.line for fault in plant("layers.py", SOURCE, {"Layer.backward.<locals>.inner": {}})} == {13}


HEADS = """def f(g, x):
    try:
        y = g + x
    except (ValueError, ArithmeticError):
        pass
    else:
        class Inner(Base):
            z = 3
    match y.ndim + 1:
        case 2 if y.size > 7:
            return y
    with open(a) as b:
        return b - x
"""


def test_every_kind_of_statement_is_entered():
    faults = list(plant("layers.py", HEADS, {"f": {}}))
    assert {fault.line for fault in faults} == {3, 9, 10, 13}
    assert {fault.span for fault in faults if fault.line == 9} == {(9, 9)}
    for fault in faults:
        compile(fault.source, "layers.py", "exec")


def test_no_fault_is_planted_twice_and_each_can_be_compiled():
    faults = list(plant("layers.py", SOURCE, {"forward": {"x": ["scale"]}, "Layer.backward": {}}))
    assert len({fault.source for fault in faults}) == len(faults) > 8
    for fault in faults:
        assert fault.source != SOURCE
        compile(fault.source, "layers.py", "exec")


def test_the_head_of_a_statement_is_no_part_of_its_body():
    source = "def f(x):\n    if x > 0:\n        return x + 1\n    return x\n"
    spans = {fault.operator: fault.span for fault in plant("layers.py", source, {"f": {}})}
    assert spans["negate a condition"] == (2, 2)
    assert spans["flip a sign"] == (3, 3)
