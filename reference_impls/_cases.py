"""How is a whole network checked? All its parameters at once, on several shapes and batches."""
# ruff: noqa: N803, N806  # matrices are capitals, as in the notebook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from reference_impls._arguments import Array
from reference_impls._network import BaseNetwork

if TYPE_CHECKING:
    from gradcheck import Case

SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    ((3, 4, 1), 4),
    ((3, 4, 1), 5),
    ((2, 3, 1), 1),
    ((2, 3, 2), 2),
    ((4, 1), 6),
    ((1, 1, 1), 3),
    ((3, 5, 4, 2), 7),
    ((2, 3, 3, 2, 1), 2),
)
"""Layer sizes, and the number of examples."""

__all__ = ["end_to_end", "random_networks"]


def end_to_end(name: str, network: BaseNetwork[Any], X: Array, Y: Array, **options: Any) -> Case:
    """Return the case that compares ``network.gradients(X, Y)`` with ``network.loss(X, Y)``.

    Parameters
    ----------
    name : str
        The case's.
    network : BaseNetwork
        Checked at its present parameters; it is left as it is.
    X, Y : ndarray
        Inputs and targets in the network's own layout.
    **options
        For ``gradcheck.check_grad``.

    Examples
    --------
    >>> from reference_impls.row_major import Network
    >>> case = end_to_end("small", Network([2, 1]), np.ones((3, 2)), np.ones((3, 1)))
    >>> case.name
    'small'
    """
    from gradcheck import Case

    return Case.grad(
        name,
        lambda parameters: network.at(parameters).loss(X, Y),
        lambda parameters: network.at(parameters).gradients(X, Y),
        network.parameters,
        **options,
    )


def random_networks(
    network_class: type[BaseNetwork[Any]], *, features_first: bool = False, real_targets: bool = False
) -> list[Case]:
    """Return cases at random points: several depths, widths and batch sizes, and one network in float32.

    Parameters
    ----------
    network_class : type
        A port's ``Network``.
    features_first : bool, optional
        Whether the port wants ``(features, num_examples)``.
    real_targets : bool, optional
        Whether its targets are real numbers; labels 0 and 1 otherwise.

    Examples
    --------
    >>> from reference_impls.row_major import Network
    >>> len(random_networks(Network)) > len(SHAPES)
    True
    """
    rng = np.random.default_rng(20)
    cases = []
    for dtype in (np.float64, np.float32):
        for sizes, num_examples in SHAPES if dtype is np.float64 else SHAPES[:1]:
            network = network_class(sizes, seed=rng, dtype=dtype)
            for values in network.parameters.values():
                values[...] = rng.normal(size=values.shape)
            X = rng.normal(size=(num_examples, sizes[0]))
            Y = rng.normal(size=(num_examples, sizes[-1]))
            if not real_targets:
                Y = (Y > 0).astype(float)
            name = f"Network {'-'.join(map(str, sizes))}, {num_examples} examples, {np.dtype(dtype)}"
            cases.append(end_to_end(name, network, X.T, Y.T) if features_first else end_to_end(name, network, X, Y))
    return cases
