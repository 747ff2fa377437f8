"""Which wrong gradients does each checker miss, and which right ones does it accuse? One table for all of them.

The problems are the rows of ``tests.numerics.table``, their right pullbacks and their wrong twins. Each checker is called
as its own documentation says, with its own defaults.
"""
