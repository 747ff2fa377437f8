"""A package, so that the tests of numbers and the benchmarks can import the table of rows: `tests.numerics.table`."""
