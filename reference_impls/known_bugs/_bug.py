"""What is a bug of the catalogue? One line of a right layer, as it is wrongly written."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from gradcheck import Case, Report

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bug:
    """One line that people get wrong, beside the line as it should be.

    Attributes
    ----------
    name : str
        Unique in the catalogue.
    code : callable or type
        The right layer: a backward pass, or a class with forward and backward. The line `right` is in it once; put
        `wrong` in its place, and it is the wrong twin.
    right, wrong : str
        The line as it should be and as it is wrongly written. Parts of lines will do.
    origin : str
        Where it comes from.
    verdict : str
        What the check of the wrong twin has to say. That of the right one is ``"match"`` or ``"kink"``.
    explanation : str
        The name of the explanation that has to come first; for a broken contract, the kind of violation where that is
        the whole story. Empty where nobody is to be accused, or where nothing fits and nothing is told.
    says : str
        What its sentence has to contain.
    forward : callable, optional
        What `code` is the backward pass of; none for a class.
    made_with : tuple
        Arguments of the class.
    inputs : tuple
        The point of the check.
    options : dict
        Further arguments of the check.
    """

    name: str
    code: Callable[..., Any]
    right: str
    wrong: str
    origin: str
    verdict: str
    explanation: str
    says: str = ""
    forward: Callable[..., Any] | None = None
    made_with: tuple[Any, ...] = ()
    inputs: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def layer(self) -> str:
        """The layer's name."""
        return (self.forward or self.code).__name__

    def twin(self) -> Callable[..., Any]:
        """Return the wrong twin: the code with its line as it is wrongly written.

        Raises
        ------
        ValueError
            If the right line is not in the code exactly once.
        """
        source = textwrap.dedent(inspect.getsource(self.code))
        if source.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.right!r} is {source.count(self.right)} times in {self.code.__name__}")
        names = dict(vars(sys.modules[self.code.__module__]))
        exec(compile(source.replace(self.right, self.wrong), f"<{self.name}>", "exec"), names)
        made: Callable[..., Any] = names[self.code.__name__]
        return made

    def case(self, *, right: bool = False) -> Case:
        """Return the check of the wrong twin, or of the right one.

        Parameters
        ----------
        right : bool
            The right one.
        """
        from gradcheck import Case

        code = self.code if right else self.twin()
        name = f"{self.name} (right)" if right else self.name
        if self.forward is None:
            return Case.layer(name, code(*self.made_with), *self.inputs, **self.options)
        return Case.vjp(name, self.forward, code, *self.inputs, **self.options)

    def as_expected(self, right: Report, wrong: Report) -> bool:
        """Tell whether the reports on the two twins say what they should.

        Parameters
        ----------
        right, wrong : Report
            Of ``case(right=True)`` and of ``case()``.
        """
        name, text = told(wrong)
        return right.ok and wrong.verdict == self.verdict and name == self.explanation and self.says in text


def told(report: Report) -> tuple[str, str]:
    """Return the name and the sentence of a report's first explanation, or of its violation where there is none."""
    if report.explanations:
        return report.explanations[0].name, report.explanations[0].text
    if report.violations:
        return report.violations[0].kind, str(report.violations[0])
    return "", ""


def normal(*shape: int, seed: int = 0) -> Array:
    """Draw standard normal numbers.

    Examples
    --------
    >>> normal(2, 3).shape
    (2, 3)
    """
    return np.random.default_rng([seed, *shape]).normal(size=shape)
