"""What must the engine be able to say? The table (function, point, truth, accuracy budget) that is its specification.

Each row has the true pullback in closed form (or by mpmath, never by the engine), says why it is there, and has wrong
twins that must be caught. `tests/numerics/test_table.py` runs the engine over all of them, and `benchmarks/detection`
other checkers.
"""

from tests.numerics.table import elementary, rounded, saturated, scales
from tests.numerics.table.row import Row

ROWS: list[Row] = [
    *elementary.ROWS,
    *saturated.ROWS,
    *scales.ROWS,
    *rounded.ROWS,
]
