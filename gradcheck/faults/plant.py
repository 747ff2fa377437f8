"""Which faults can be planted in a file? Its functions are gone through, piece by piece, with every operator."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

import libcst as cst
from libcst.metadata import ExpressionContext, ExpressionContextProvider, MetadataWrapper, PositionProvider

from gradcheck.faults.facts import Fault
from gradcheck.faults.operators import OPERATORS, Alike

__all__ = ["plant"]

_STATEMENTS = (cst.BaseSmallStatement, cst.BaseCompoundStatement)


def plant(file: str, source: str, functions: Mapping[str, Alike]) -> Iterator[Fault]:
    """Plant every fault by itself in the functions of a file.

    Parameters
    ----------
    file : str
        For the facts; it is not read.
    source : str
        Its text.
    functions : dict of str to mapping
        By qualified name, where to plant; for each, the variables of the same shape.

    Yields
    ------
    Fault
        In the order of the lines; no two of the same source.
    """
    wrapper = MetadataWrapper(cst.parse_module(source))
    sites = _Sites(functions)
    wrapper.visit(sites)
    seen = {source}
    for node, function, line, span in sites.found:
        for operator in OPERATORS:
            for twin in operator.twins(node, sites.alike_at(function, node, line)):
                changed = cst.ensure_type(wrapper.module.deep_replace(node, twin), cst.Module).code
                if changed not in seen:
                    seen.add(changed)
                    yield Fault(file, line, function, operator.name, _diff(source, changed), changed, span)


def _diff(before: str, after: str) -> str:
    lines = difflib.ndiff(before.splitlines(), after.splitlines(), linejunk=None, charjunk=None)
    return "\n".join(line[:2] + line[2:].strip() for line in lines if line[:2] in ("- ", "+ "))


_CHANGED = (*_STATEMENTS, cst.BaseExpression)
_LEFT_ALONE = (
    cst.Annotation,
    cst.Assert,
    cst.Decorator,
    cst.FormattedString,
    cst.Import,
    cst.ImportFrom,
    cst.Parameters,  # their defaults
    cst.Raise,
)
"""What is no part of the computation."""


class _Sites(cst.CSTVisitor):
    """Collects the pieces of the functions' code: node, function, line, and the lines of the statement."""

    METADATA_DEPENDENCIES = (PositionProvider, ExpressionContextProvider)

    def __init__(self, functions: Mapping[str, Alike]) -> None:
        super().__init__()
        self.functions = functions
        self.found: list[tuple[cst.CSTNode, str, int, tuple[int, int]]] = []
        self._scope: list[str] = []
        self._statements: list[tuple[int, int]] = []
        self._first_bound: dict[tuple[str, str], int] = {}
        self._keywords: set[cst.CSTNode] = set()

    def alike_at(self, function: str, node: cst.CSTNode, line: int) -> Alike:
        """Return the variables of the same shape as one, as far as they have a value already."""
        if not isinstance(node, cst.Name):
            return {}
        others = self.functions[function].get(node.value, ())
        return {node.value: [other for other in others if self._first_bound.get((function, other), 0) < line]}

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Enter a piece of code, and keep it if it may be changed."""
        if isinstance(node, _STATEMENTS):
            self._statements.append(self._lines(node))
        if isinstance(node, _LEFT_ALONE):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._scope += [node.name.value, "<locals>"] if isinstance(node, cst.FunctionDef) else [node.name.value]
            return True
        if isinstance(node, cst.Arg) and node.keyword is not None:
            self._keywords.add(node.keyword)
        function = ".".join(self._scope[:-1])
        if function in self.functions and isinstance(node, _CHANGED) and node not in self._keywords:
            self._keep(node, function)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        """Leave a piece of code."""
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            del self._scope[-2 if isinstance(original_node, cst.FunctionDef) else -1 :]
        if isinstance(original_node, _STATEMENTS):
            self._statements.pop()

    def _keep(self, node: cst.CSTNode, function: str) -> None:
        line = self._span(node)[0]
        if isinstance(node, cst.Name):
            context = self.get_metadata(ExpressionContextProvider, node, None)
            if context is ExpressionContext.STORE:
                self._first_bound.setdefault((function, node.value), line)
            if context is not ExpressionContext.LOAD:
                return
        self.found.append((node, function, line, self._statements[-1]))

    def _lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return the first and the last line of a statement; of one with a body, those of its head."""
        first, last = self._span(node)
        if isinstance(node, (cst.If, cst.While)):
            last = self._span(node.test)[1]
        elif isinstance(node, cst.For):
            last = self._span(node.iter)[1]
        elif isinstance(node, cst.With):
            last = self._span(node.items[-1].item)[1]
        elif isinstance(node, cst.Match):
            last = self._span(node.subject)[1]
        elif isinstance(node, cst.BaseCompoundStatement):
            last = first
        return first, last

    def _span(self, node: cst.CSTNode) -> tuple[int, int]:
        place = self.get_metadata(PositionProvider, node)
        return place.start.line, place.end.line
