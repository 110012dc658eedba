"""What comes in is made regular or refused; symmetry and eigenvalues of stacked matrices."""

import math
import warnings

import numpy as np
import pandas as pd
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


# --- the door -----------------------------------------------------------------------------------

LAYOUTS = {
    "turned": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda a: np.frombuffer(a.tobytes()).reshape(a.shape),
    "frame": lambda a: pd.DataFrame(a),
    "frame's values": lambda a: pd.DataFrame(a).to_numpy(),
    "fortran": np.asfortranarray,
    "list": lambda a: a.tolist(),
    "big-endian": lambda a: a.astype(">f8"),
    "strided": lambda a: np.repeat(a, 2, 1)[:, ::2],
    "broadcast": lambda a: np.broadcast_to(a, (1, *a.shape))[0],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_arrays_of_any_layout_become_tensors_without_a_warning(layout):
    a = np.random.default_rng(0).normal(size=(3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for door in (arrays.as_tensor, lambda x: arrays.finite(x, "a"), arrays.as_numpy):
            assert np.array_equal(np.asarray(door(layout(a))), a)


def test_a_regular_array_is_wrapped_and_not_copied():
    a = np.ones((3, 4))
    assert np.shares_memory(arrays.as_tensor(a).numpy(), a)
    assert np.shares_memory(arrays.finite(a.T, "a").numpy(), a)


def test_bfloat16_has_no_numpy_kind_of_its_own():
    assert arrays.as_numpy(torch.ones(2, dtype=torch.bfloat16)).tolist() == [1, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_one_number_that_is_not_finite_is_refused(kind, dtype, bad):
    a = np.ones((3, 4), dtype)
    a[1, 2] = bad
    with pytest.raises(ValueError, match=r"^weights must be finite, got NaN or infinity$"):
        arrays.finite(kind(a), "weights")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_what_is_finite_passes(dtype):
    assert arrays.finite(np.ones((0, 3), dtype), "a").shape == (0, 3)
    assert arrays.finite(np.ones(3, dtype), "a").tolist() == [1, 1, 1]
    assert arrays.finite(np.full(2, 1.7e308), "a").numel() == 2  # its sum is infinite


def test_what_is_no_array_of_real_numbers_is_named():
    with pytest.raises(TypeError, match="arrays must hold numbers, got"):
        arrays.as_tensor(np.array(["a"]))
    with pytest.raises(ValueError, match=r"w must be real numbers, got torch\.complex128"):
        arrays.finite(np.array([1j]), "w")
    with pytest.raises(ValueError, match=r"w must have 2 axes or more, got shape \(3,\)"):
        arrays.finite(np.ones(3), "w", axes=2)
    with pytest.raises(ValueError, match=r"matrices must be square, .* got \(2, 3\)"):
        arrays.is_symmetric(np.ones((2, 3)))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, float])
def test_masks_are_zeros_and_ones_of_any_type(dtype):
    mask = np.array([[1, 0], [0, 1]], dtype)
    assert arrays.as_mask(mask).tolist() == [[True, False], [False, True]]
    assert arrays.as_mask(torch.from_numpy(mask)).dtype == torch.bool


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, -1, 2])
def test_masks_are_nothing_else(value):
    with pytest.raises(ValueError, match=f"kept must hold 0 and 1 only, got {value:g}"):
        arrays.as_mask(np.array([1.0, value]), "kept")


@pytest.mark.parametrize("peak", [5e-324, 1e-310, 1e-300, 0.75, 1.0, 3.0, 1e300, 1.7e308])
def test_a_unit_scale_rounds_nothing(peak):
    x = torch.tensor([[peak, -peak / 2, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    scale = arrays.unit_scale(x, -1)
    assert scale[1] == 1
    assert 1 <= (x / scale)[0].abs().max() < 2
    assert ((x / scale) * scale).equal(x)
    assert np.frexp(scale[0].item())[0] == 0.5


@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf])
def test_a_range_is_left_at_an_open_end_and_by_what_is_no_number(value):
    with pytest.raises(ValueError, match=rf"share must be in \(0, 1\], got {value}"):
        arrays.check_range("share", value, "(0, 1]")
    if value != 0:
        with pytest.raises(ValueError, match=rf"share must be in \[0, 1\), got {value}"):
            arrays.check_range("share", value, "[0, 1)")


def test_a_range_holds_its_closed_ends():
    arrays.check_range("share", 1, "(0, 1]")
    arrays.check_range("length", np.float32(1e30), "(0, inf)")
    arrays.check_range("length", 0, "[0, inf)")
