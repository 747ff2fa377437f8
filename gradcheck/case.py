"""What is to be checked later? A check with its arguments, named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gradcheck.check import check_grad, check_jvp, check_layer, check_vjp
from gradcheck.report import Report


@dataclass(frozen=True, eq=False)
class Case:
    """One check, not yet run.

    A module that defines ``gradcheck_cases()``, returning an iterable of these, says itself how it is to be checked:
    ``check_module``, the command line and the pytest plugin run them in place of what they would have guessed.

    Attributes
    ----------
    name : str
        Unique within the module; the report's name.
    check : callable
        ``check_vjp``, ``check_grad``, ``check_jvp`` or ``check_layer``.
    args : tuple
        Its positional arguments.
    options : dict
        Its keyword arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import Case
    >>> case = Case.vjp("square", lambda x: x**2, lambda g, x: 2 * x * g, np.array([1.0, 2.0]))
    >>> case.run(seed=1).ok
    True
    """

    name: str
    check: Callable[..., Report]
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def vjp(cls, name: str, *args: Any, **options: Any) -> Case:
        """``check_vjp(*args, **options)``, to be run later."""
        return cls(name, check_vjp, args, options)

    @classmethod
    def grad(cls, name: str, *args: Any, **options: Any) -> Case:
        """``check_grad(*args, **options)``, to be run later."""
        return cls(name, check_grad, args, options)

    @classmethod
    def jvp(cls, name: str, *args: Any, **options: Any) -> Case:
        """``check_jvp(*args, **options)``, to be run later."""
        return cls(name, check_jvp, args, options)

    @classmethod
    def layer(cls, name: str, *args: Any, **options: Any) -> Case:
        """``check_layer(*args, **options)``, to be run later."""
        return cls(name, check_layer, args, options)

    def run(self, **overrides: Any) -> Report:
        """Run the check.

        Parameters
        ----------
        **overrides
            Keyword arguments for the check, stronger than the case's own.

        Returns
        -------
        Report
            Named after the case.
        """
        return replace(self.check(*self.args, **{**self.options, **overrides}), name=self.name)
