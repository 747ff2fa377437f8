"""What do all checks do alike? They work under one random state, and say how they would be typed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradcheck.adapters.inputs import label_of
from gradcheck.layer import Layer
from gradcheck.report import Report

if TYPE_CHECKING:
    from gradcheck.adapters.randomness import Randomness


def also(layer: Layer, **given: Any) -> Layer:
    """Return a layer whose `reproduce` has further arguments, as they would be typed; those left out are None."""
    values = {key: (label_of(value) or key) if callable(value) else repr(value) for key, value in given.items()}
    written = [f"{key}={values[key]}" for key, value in given.items() if value is not None]
    return replace(layer, reproduce=f"{', '.join([layer.reproduce.removesuffix(')'), *written])})")


def under(randomness: Randomness, work: Callable[[], Report]) -> Report:
    """Work with the random state put back before each forward, and given back at the end."""
    with randomness:
        report = work()
    return replace(report, notes=(*report.notes, *randomness.notes(report.verdict)))
