"""gradcheck.blocks: is everything gone through once, in whatever order it lies in memory?"""

import math

import numpy as np
import pytest

from gradcheck.blocks import BLOCK, blocks, dot, in_blocks, largest, products

SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5]


@pytest.mark.parametrize("size", SIZES)
def test_blocks_hold_every_number_once(size):
    array = np.arange(float(size))
    assert np.array_equal(np.concatenate([[], *in_blocks(array)]), array)
    assert all(block.stop - block.start <= BLOCK for block in blocks(size))


def test_blocks_are_views_that_can_be_written_to():
    array = np.zeros((3, BLOCK))
    for block in in_blocks(array):
        block[:] = 1
    assert array.all()


@pytest.mark.parametrize("size", SIZES)
def test_sum_and_products_are_those_of_all(size):
    one, other = np.random.default_rng(0).integers(-9, 9, (2, size)).astype(float)
    assert dot(one, other) == np.sum(one * other)
    assert np.array_equal(np.concatenate([[], *products(one, other)]), one * other)


def test_entries_meet_by_their_indices_and_not_by_their_places_in_memory():
    one = np.arange(12.0).reshape(3, 4)
    assert dot(one, np.asfortranarray(one)) == np.sum(one * one)


def test_largest_magnitude_has_either_sign_and_nan_shows():
    assert largest(np.array([2.0, -3.0])) == 3.0
    assert largest(np.array([2.0, -np.inf])) == math.inf
    assert math.isnan(largest(np.array([2.0, np.nan])))
    assert largest(np.zeros(0)) == 0.0
