"""Symmetry and eigenvalues of stacked matrices."""

import numpy as np
import pytest
import torch

from winnow import arrays


def test_every_matrix_of_a_stack_must_be_symmetric():
    a = np.random.default_rng(0).normal(size=(3, 4, 4))
    b = a + a.swapaxes(1, 2)
    assert arrays.is_symmetric(b)
    assert not arrays.is_symmetric(a)
    assert not arrays.is_symmetric(np.stack([b[0], a[0]]))
    assert not arrays.is_symmetric(np.stack([1e12 * b[0], a[0]]))  # each by its own scale
    assert arrays.is_symmetric(np.zeros((0, 0)))


@pytest.mark.parametrize(
    ("dtype", "slip", "fault"), [(np.float64, 1e-13, 1e-9), (np.float32, 1e-6, 1e-4)]
)
def test_rounding_is_forgiven_and_no_more(dtype, slip, fault):
    assert arrays.is_symmetric(np.array([[1, 2], [2 * (1 + slip), 1]], dtype))
    assert not arrays.is_symmetric(np.array([[1, 2], [2 * (1 + fault), 1]], dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eigenvalues_are_those_of_the_closed_form(dtype):
    stack = torch.tensor([[[2, 1], [1, 2]], [[0, 3], [3, 0]]], dtype=dtype)
    found = arrays.eigvalsh(stack)
    assert found.dtype == dtype
    assert torch.allclose(found, torch.tensor([[1, 3], [-3, 3]], dtype=dtype), atol=1e-6)
    ours = arrays.eigvalsh(stack.numpy())
    assert isinstance(ours, np.ndarray)
    assert arrays.eigvalsh(stack.clone().requires_grad_()).tolist() == found.tolist()
