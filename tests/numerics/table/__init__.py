"""What must the engine be able to say? The table (function, point, truth, accuracy budget) that is its specification.

Each row has the true pullback in closed form (or by mpmath, never by the engine), says why it is there, and has wrong
twins that must be caught. `tests/numerics/test_table.py` runs the engine over all of them, and `benchmarks/detection`
other checkers.
"""

from importlib import import_module

from tests.numerics.table.row import Row

TOPICS = (
    "elementary",
    "activations",
    "special",
    "branches",
    "saturated",
    "scales",
    "rounded",
    "low_precision",
    "kinks",
    "beside_kinks",
    "shared_kinks",
    "undecidable",
    "softmaxes",
    "normalisers",
    "losses",
    "reductions",
    "indexing",
    "convolutions",
    "linear_algebra",
    "recurrent",
    "spectra",
)
"""One module each, with its rows in `ROWS`."""

ROWS: list[Row] = [row for topic in TOPICS for row in import_module(f"{__name__}.{topic}").ROWS]
