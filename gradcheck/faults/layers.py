"""Which layers does a case check? Adapted as its check would adapt them, to be called here and there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from gradcheck.adapters.functions import adapt_function
from gradcheck.adapters.mappings import adapt_hvp, adapt_mapping
from gradcheck.adapters.objects import adapt_object
from gradcheck.adapters.randomness import Randomness
from gradcheck.case import Case
from gradcheck.check import check_grad, check_jvp, check_layer, check_vjp
from gradcheck.layer import Layer

__all__ = ["layers_of"]

_ADAPTED = ("names", "wrt", "loss", "targets", "accumulates")


@contextmanager
def layers_of(case: Case) -> Iterator[list[Layer]]:
    """Yield a case's layers, under its random state; none for a case that is no check.

    Parameters
    ----------
    case : Case
        As `gradcheck.discover.find_cases` finds it.

    Yields
    ------
    list of Layer
        Two where a second derivative is checked with the first: a jvp beside a vjp, a Hessian-vector product.
    """
    keywords = {name: value for name, value in case.options.items() if name in _ADAPTED}
    if case.check is check_layer:
        layer, *inputs = case.args
        reset = case.options.get("reset")
        with Randomness(layer, keywords.get("loss"), reset=reset, layer=layer) as randomness:
            yield [adapt_object(layer, inputs, **keywords, randomness=randomness)]
    elif case.check in (check_vjp, check_jvp, check_grad):
        f, derivative, *inputs = case.args
        others = [case.options.get(name) for name in ("vjp", "jvp", "hvp")]
        with Randomness(f, derivative, *others, reset=case.options.get("reset")) as randomness:
            yield list(_function_layers(case, keywords, randomness))
    else:
        yield []


def _function_layers(case: Case, keywords: dict[str, Any], randomness: Randomness) -> Iterator[Layer]:
    f, derivative, *inputs = case.args
    given = {**keywords, "randomness": randomness}
    if case.check is check_grad:
        yield adapt_mapping(f, derivative, *inputs, **given)
        if case.options.get("hvp") is not None:
            yield adapt_hvp(f, derivative, case.options["hvp"], *inputs, **given)
        return
    modes: tuple[Literal["vjp", "jvp"], ...] = ("vjp", "jvp") if case.check is check_vjp else ("jvp", "vjp")
    for mode, function in zip(modes, (derivative, case.options.get(modes[1])), strict=True):
        if function is not None:
            yield adapt_function(f, function, inputs, mode=mode, **given)
