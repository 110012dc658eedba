"""Masks keep exact counts, ties included, and stay of the kind that went in."""

import fractions
import math

import numpy as np
import pytest
import torch

from winnow.pruners import masks


def largest_by_hand(matrix, k):
    """Positions of the k largest entries; of equal ones the first in reading order."""
    order = sorted(range(matrix.size), key=lambda at: (-matrix.flat[at], at))
    kept = np.zeros(matrix.size, bool)
    kept[order[:k]] = True
    return kept.reshape(matrix.shape)


@pytest.mark.parametrize("levels", [2, 4, 1000])
def test_top_k_is_a_stable_sort_by_hand(levels):
    scores = np.random.default_rng(levels).integers(levels, size=(6, 3, 4)).astype(float)
    for k in range(13):
        expected = [largest_by_hand(matrix, k) for matrix in scores]
        assert (masks.top_k(scores, k) == expected).all()


def test_top_k_takes_a_count_for_each_matrix():
    scores = np.random.default_rng(0).random((2, 3, 4, 5))
    counts = np.array([[0, 1, 7], [13, 19, 20]])
    kept = masks.top_k(scores, counts)
    assert (kept.sum((-2, -1)) == counts).all()
    assert (kept[1, 0] == largest_by_hand(scores[1, 0], 13)).all()


def test_top_k_treats_negative_and_infinite_scores_as_numbers():
    scores = np.array([[-np.inf, -3.0], [np.inf, -2.0]])
    assert masks.top_k(scores, 2).tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("k", [-1, 7])
def test_top_k_names_a_count_out_of_range(k):
    with pytest.raises(ValueError, match=rf"k must be in \[0, 6\].*got {k}"):
        masks.top_k(np.ones((2, 3)), k)


@pytest.mark.parametrize("n", [1, 48, 99, 1000])
def test_counts_are_the_floor_of_the_decimal_product(n):
    for percent in range(1, 101):
        exact = math.floor(fractions.Fraction(percent, 100) * n)
        assert masks.n_kept(percent / 100, n) == exact


def test_counts_for_several_densities_at_once():
    assert masks.n_kept(np.array([0.29, 0.5, 1.0]), 100).tolist() == [29, 50, 100]


@pytest.mark.parametrize("density", [0, -0.1, 1.001, 2, np.nan, np.array([0.5, 0.0])])
def test_a_density_out_of_range_is_named(density):
    with pytest.raises(ValueError, match=r"density must be in \(0, 1\], got"):
        masks.n_kept(density, 10)


def test_the_kind_that_goes_in_comes_out():
    array = np.random.default_rng(0).random((2, 3, 3))
    assert isinstance(masks.top_k(array, 2), np.ndarray)
    tensor = masks.top_k(torch.from_numpy(array), 2)
    assert isinstance(tensor, torch.Tensor)
    assert (tensor.numpy() == masks.top_k(array, 2)).all()


@pytest.mark.parametrize("k", [0, 1, 3, 6])
def test_nan_is_never_ranked(k):
    scores = np.arange(6.0).reshape(2, 3)
    scores[0, 1] = np.nan
    for kind in (np.asarray, torch.from_numpy):
        with pytest.raises(ValueError, match="scores must be numbers, got NaN"):
            masks.top_k(kind(scores), k)
