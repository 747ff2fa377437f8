"""How do people get a line of a backward pass wrong? Operators: each gives the wrong twins of a piece of code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import libcst as cst

__all__ = ["OPERATORS", "Operator"]

Alike = Mapping[str, Collection[str]]
"""For a variable of the function: those that have had its shape."""
Twins = Iterator[cst.CSTNode]

_OPPOSITE: dict[type[cst.CSTNode], type[cst.CSTNode]] = {
    cst.Add: cst.Subtract,
    cst.Subtract: cst.Add,
    cst.AddAssign: cst.SubtractAssign,
    cst.SubtractAssign: cst.AddAssign,
}
_INVERSE: dict[type[cst.CSTNode], type[cst.CSTNode]] = {
    cst.Multiply: cst.Divide,
    cst.Divide: cst.Multiply,
    cst.MultiplyAssign: cst.DivideAssign,
    cst.DivideAssign: cst.MultiplyAssign,
}
_BOTH_OR_ONE: dict[type[cst.CSTNode], type[cst.CSTNode]] = {
    cst.And: cst.Or,
    cst.Or: cst.And,
    cst.BitAnd: cst.BitOr,
    cst.BitOr: cst.BitAnd,
}
_COMPARED: dict[type[cst.CSTNode], tuple[type[cst.CSTNode], ...]] = {
    cst.GreaterThan: (cst.GreaterThanEqual, cst.LessThan),
    cst.GreaterThanEqual: (cst.GreaterThan, cst.LessThanEqual),
    cst.LessThan: (cst.LessThanEqual, cst.GreaterThan),
    cst.LessThanEqual: (cst.LessThan, cst.GreaterThanEqual),
    cst.Equal: (cst.NotEqual,),
    cst.NotEqual: (cst.Equal,),
    cst.Is: (cst.IsNot,),
    cst.IsNot: (cst.Is,),
}
_CALLED = {
    "add": ("subtract",),
    "subtract": ("add",),
    "multiply": ("divide",),
    "divide": ("multiply",),
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "max": ("min",),
    "min": ("max",),
    "argmax": ("argmin",),
    "argmin": ("argmax",),
    "greater": ("greater_equal", "less"),
    "greater_equal": ("greater", "less_equal"),
    "less": ("less_equal", "greater"),
    "less_equal": ("less", "greater_equal"),
    "equal": ("not_equal",),
    "not_equal": ("equal",),
    "sum": ("mean",),
    "mean": ("sum",),
    "log": ("log2",),
    "log2": ("log",),
    "exp": ("exp2",),
    "sin": ("cos",),
    "cos": ("sin",),
    "sinh": ("cosh",),
    "cosh": ("sinh",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
}
_COMMUTE = {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or"}
_TERMS = {"add": 2, "subtract": 1, "logical_and": 2, "logical_or": 2}  # how many operands may stand alone
_FACTORS = {"multiply": 2, "divide": 1, "true_divide": 1, "power": 1, "dot": 2, "matmul": 2}
_OF_ONE = {
    *("absolute", "abs", "fabs", "negative", "sign", "square", "sqrt", "cbrt", "reciprocal", "exp", "exp2", "expm1"),
    *("log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan"),
    *("clip", "reversed", "flip", "transpose", "swapaxes"),
}
"""Called with one array, perhaps with more that is no array."""
_REDUCED = {"sum", "mean", "prod", "max", "min", "amax", "amin", "reduce", "cumsum", "norm", "var", "std"}
_COMPOSITE = (cst.BinaryOperation, cst.BooleanOperation, cst.UnaryOperation, cst.Comparison, cst.IfExp, cst.Lambda)


@dataclass(frozen=True)
class Operator:
    """One kind of mistake.

    Attributes
    ----------
    name : str
        What is done, for the table.
    twins : callable
        ``twins(node, alike)`` yields what may be put in a node's place.
    """

    name: str
    twins: Callable[[cst.CSTNode, Alike], Twins]


def _whole(node: cst.BaseExpression) -> cst.BaseExpression:
    """Return an expression that stays whole wherever it is put."""
    if isinstance(node, _COMPOSITE) and not node.lpar:
        return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return node


def _name(call: cst.Call) -> str:
    """Return the last part of what is called."""
    function = call.func
    if isinstance(function, cst.Attribute):
        return function.attr.value
    return function.value if isinstance(function, cst.Name) else ""


def _positional(call: cst.Call) -> list[cst.BaseExpression]:
    """Return the arguments before the first that has a name or a star."""
    found = []
    for argument in call.args:
        if argument.keyword is not None or argument.star:
            break
        found.append(argument.value)
    return found


def _is_function(call: cst.Call) -> bool:
    """Tell ``np.sum(x)`` and ``abs(x)`` from ``x.sum()``."""
    if isinstance(call.func, cst.Name):
        return True
    root: cst.BaseExpression = call.func
    while isinstance(root, cst.Attribute):
        root = root.value
    return isinstance(root, cst.Name) and root.value in ("np", "numpy", "math", "xp", "cp", "jnp")


def _with(call: cst.Call, values: Mapping[int, cst.BaseExpression]) -> cst.Call:
    """Return a call with other arguments at some places."""
    return call.with_changes(
        args=[
            argument.with_changes(value=values[place]) if place in values else argument
            for place, argument in enumerate(call.args)
        ]
    )


def _sign(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, (cst.BinaryOperation, cst.AugAssign)) and type(node.operator) in _OPPOSITE:
        yield node.with_changes(operator=_OPPOSITE[type(node.operator)]())
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        yield _whole(node.expression)


def _inverse(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, (cst.BinaryOperation, cst.AugAssign)) and type(node.operator) in _INVERSE:
        yield node.with_changes(operator=_INVERSE[type(node.operator)]())


def _logic(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, (cst.BinaryOperation, cst.BooleanOperation)) and type(node.operator) in _BOTH_OR_ONE:
        yield node.with_changes(operator=_BOTH_OR_ONE[type(node.operator)]())
        yield from (_whole(node.left), _whole(node.right))
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, (cst.Not, cst.BitInvert)):
        yield _whole(node.expression)


def _condition(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, (cst.If, cst.While, cst.IfExp)):
        test = cst.UnaryOperation(cst.Not(), _whole(node.test), lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=test)


def _term(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.Add, cst.Subtract)):
        yield _whole(node.left)
        right = _whole(node.right)
        yield right if isinstance(node.operator, cst.Add) else _whole(cst.UnaryOperation(cst.Minus(), right))
    yield from _operand(node, _TERMS)


def _factor(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.BinaryOperation):
        if isinstance(node.operator, (cst.Multiply, cst.MatrixMultiply)):
            yield from (_whole(node.left), _whole(node.right))
        if isinstance(node.operator, (cst.Divide, cst.Power)):
            yield _whole(node.left)
    yield from _operand(node, _FACTORS)


def _operand(node: cst.CSTNode, functions: Mapping[str, int]) -> Twins:
    """Yield one operand of a call such as ``np.multiply(a, b)`` or ``np.multiply(a, b, out)``, or of ``a.dot(b)``."""
    if not isinstance(node, cst.Call) or _name(node) not in functions:
        return
    given = _positional(node)
    if not _is_function(node) and isinstance(node.func, cst.Attribute):
        given = [node.func.value, *given]
    if len(given) >= 2:
        rest = given[2:]
        for operand in given[: functions[_name(node)]]:
            yield _copied(operand, rest)


def _copied(operand: cst.BaseExpression, rest: list[cst.BaseExpression]) -> cst.BaseExpression:
    """Return an operand by itself, or put where a ufunc is told to put its result."""
    if not rest:
        return _whole(operand)
    positive = cst.Attribute(cst.Name("np"), cst.Name("positive"))
    return cst.Call(positive, [cst.Arg(operand), cst.Arg(rest[0])])


def _order(node: cst.CSTNode, alike: Alike) -> Twins:
    one_way = (cst.Subtract, cst.Divide, cst.MatrixMultiply, cst.Power)
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, one_way):
        yield node.with_changes(left=_whole(node.right), right=_whole(node.left))
    if not isinstance(node, cst.Call):
        return
    for place, (one, other) in enumerate(pairwise(_positional(node))):
        if not one.deep_equals(other) and not (place == 0 and _is_function(node) and _name(node) in _COMMUTE):
            yield _with(node, {place: other, place + 1: one})
    given = _positional(node)
    if _name(node) == "dot" and given and isinstance(node.func, cst.Attribute) and not _is_function(node):
        swapped = node.with_changes(func=node.func.with_changes(value=_whole(given[0])))
        yield _with(swapped, {0: node.func.value})


def _results(node: cst.CSTNode, alike: Alike) -> Twins:
    if not (isinstance(node, cst.Return) and isinstance(node.value, cst.Tuple)):
        return
    elements = node.value.elements
    for place, (one, other) in enumerate(pairwise(elements)):
        if isinstance(one, cst.Element) and isinstance(other, cst.Element):
            swapped = [*elements]
            swapped[place] = one.with_changes(value=other.value)
            swapped[place + 1] = other.with_changes(value=one.value)
            yield node.with_changes(value=node.value.with_changes(elements=swapped))


def _variable(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.Name):
        yield from (node.with_changes(value=other) for other in sorted(alike.get(node.value, ())))


def _axis(node: cst.CSTNode, alike: Alike) -> Twins:
    if not isinstance(node, cst.Call):
        return
    for place, argument in enumerate(node.args):
        if argument.keyword is None or argument.keyword.value != "axis":
            continue
        value = argument.value
        if isinstance(value, cst.Integer):
            yield _with(node, {place: cst.Integer("1" if value.value == "0" else "0")})
        elif isinstance(value, cst.UnaryOperation):
            yield _with(node, {place: cst.Integer("0")})
        if not (isinstance(value, cst.Name) and value.value == "None"):
            yield _with(node, {place: cst.Name("None")})
    given = _positional(node)
    at = 1 if _is_function(node) else 0
    if _name(node) in _REDUCED and len(given) > at and isinstance(given[at], cst.Integer):
        yield _with(node, {at: cst.Integer("1" if given[at].value == "0" else "0")})  # type: ignore[attr-defined]  # an Integer


def _keepdims(node: cst.CSTNode, alike: Alike) -> Twins:
    if not isinstance(node, cst.Call) or _name(node) not in _REDUCED:
        return
    named = {argument.keyword.value: place for place, argument in enumerate(node.args) if argument.keyword is not None}
    value = node.args[named["keepdims"]].value if "keepdims" in named else None
    if isinstance(value, cst.Name) and value.value in ("True", "False"):
        yield _with(node, {named["keepdims"]: cst.Name("False" if value.value == "True" else "True")})
    elif value is None and "axis" in named:
        equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        yield node.with_changes(args=[*node.args, cst.Arg(cst.Name("True"), cst.Name("keepdims"), equal)])


def _comparison(node: cst.CSTNode, alike: Alike) -> Twins:
    if not isinstance(node, cst.Comparison):
        return
    for place, target in enumerate(node.comparisons):
        for other in _COMPARED.get(type(target.operator), ()):
            changed = [*node.comparisons]
            changed[place] = target.with_changes(operator=other())
            yield node.with_changes(comparisons=changed)


def _constant(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.Integer):
        yield cst.Integer(str(node.evaluated_value + 1))
    if isinstance(node, cst.Float):
        yield cst.Float(repr(2 * node.evaluated_value or 1.0))


def _transpose(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.Attribute) and node.attr.value == "T":
        yield node.value
    if isinstance(node, cst.Call) and _name(node) in ("transpose", "swapaxes") and not _is_function(node):
        yield cst.ensure_type(node.func, cst.Attribute).value


def _reduction(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.Call) and _name(node) in _REDUCED:
        given = _positional(node)
        if _is_function(node) and given:
            yield _whole(given[0])
        elif isinstance(node.func, cst.Attribute) and not _is_function(node):
            yield node.func.value


def _function(node: cst.CSTNode, alike: Alike) -> Twins:
    if not isinstance(node, cst.Call):
        return
    if isinstance(node.func, cst.Attribute):
        for other in _CALLED.get(_name(node), ()):
            yield node.with_changes(func=node.func.with_changes(attr=cst.Name(other)))
    given = _positional(node)
    if _name(node) in _OF_ONE and _is_function(node) and given:
        yield _copied(given[0], given[1:2] if len(given) == 2 and _name(node) not in ("flip", "transpose") else [])
    if _name(node) == "where" and len(given) == 3:
        yield from (_whole(given[1]), _whole(given[2]))


def _slice(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.Subscript) and any(isinstance(part.slice, cst.Slice) for part in node.slice):
        yield node.value


def _statement(node: cst.CSTNode, alike: Alike) -> Twins:
    called = isinstance(node, cst.Expr) and isinstance(node.value, cst.Call)
    kept = isinstance(node, cst.Assign) and isinstance(node.targets[0].target, (cst.Attribute, cst.Subscript))
    if called or kept or isinstance(node, cst.AugAssign):
        yield cst.Pass()


def _adding(node: cst.CSTNode, alike: Alike) -> Twins:
    if isinstance(node, cst.AugAssign) and isinstance(node.operator, (cst.AddAssign, cst.SubtractAssign)):
        yield cst.Assign([cst.AssignTarget(node.target)], node.value)
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call) and _name(node.value) == "at":
        given = _positional(node.value)
        if len(given) == 3:
            place = cst.Subscript(given[0], [cst.SubscriptElement(cst.Index(given[1]))])
            yield cst.AugAssign(place, cst.AddAssign(), given[2])


OPERATORS: tuple[Operator, ...] = (
    Operator("flip a sign", _sign),
    Operator("multiply for divide", _inverse),
    Operator("drop a term", _term),
    Operator("drop a factor", _factor),
    Operator("swap operands", _order),
    Operator("swap results", _results),
    Operator("another variable", _variable),
    Operator("another axis", _axis),
    Operator("keepdims", _keepdims),
    Operator("another comparison", _comparison),
    Operator("another logic", _logic),
    Operator("negate a condition", _condition),
    Operator("drop a transpose", _transpose),
    Operator("drop a sum", _reduction),
    Operator("another function", _function),
    Operator("drop a slice", _slice),
    Operator("drop a statement", _statement),
    Operator("assign for add", _adding),
    Operator("another constant", _constant),
)
"""All of them; where two make the same of a file, the first is named."""
