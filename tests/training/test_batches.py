"""Batches belong to their seed and round, and every epoch shows every sample once."""

import numpy as np
import pytest
import torch

from winnow.training.batches import Draws, Windows, in_epochs, shuffled


def test_windows_are_views_at_the_same_places_for_all_replicas():
    x = torch.arange(2 * 30.0).view(2, 30, 1)
    y = torch.arange(30).expand(2, -1)
    seen = []
    for a, b in Windows(x, y).batches(3, 400, 4):
        assert a.shape == (2, 4, 1)
        assert a.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        assert torch.equal(a[0, :, 0], b[0].float())
        assert torch.equal(a[1], a[0] + 30)
        assert (b[0].diff() == 1).all()
        seen.append(int(b[0, 0]))
    assert len(seen) == 400
    assert set(seen) == set(range(27))  # the last window ends at the last sample
    other = [int(b[0, 0]) for _, b in Windows(x, y).batches(4, 400, 4)]
    assert other != seen
    assert [int(b[0, 0]) for _, b in Windows(x, y).batches(3, 400, 4)] == seen
    assert len([*Windows(x, y).batches(0, 2, 30)]) == 2


def test_draws_are_each_seeds_own():
    x, y = torch.arange(20.0)[:, None], torch.arange(20)
    many = [*Draws(x, y, (4, 9)).batches(2, 5, 6)]
    alone = [*Draws(x, y, (9,)).batches(2, 5, 6)]
    for (a, b), (one, label) in zip(many, alone, strict=True):
        assert a.shape == (2, 6, 1)
        assert torch.equal(a[..., 0], b.float())
        assert torch.equal(a[1:], one)
        assert torch.equal(b[1:], label)
        assert not torch.equal(b[0], b[1])
    later = [b for _, b in Draws(x, y, (9,)).batches(3, 5, 6)]
    assert not torch.equal(later[0], alone[0][1])
    every = torch.cat([b.flatten() for _, b in Draws(x, y, (1,)).batches(0, 50, 6)])
    assert set(every.tolist()) == set(range(20))


@pytest.mark.parametrize("size", [1, 4, 5, 10, 11])
@pytest.mark.parametrize("shared", [True, False])
def test_an_epoch_shows_every_sample_once(size, shared):
    y = torch.arange(10) if shared else torch.arange(20).view(2, 10)
    orders = list(shuffled((4, 9), 10, 3))
    batches = list(in_epochs(y[..., None].float(), y, orders, batch_size=size))
    assert [x.shape[1] for x, _ in batches[: -(-10 // size)]][-1] == (10 % size or min(size, 10))
    labels = torch.cat([b for _, b in batches], 1).view(2, 3, 10)
    assert all(torch.equal(a[..., 0], b.float()) for a, b in batches)
    for s, first in enumerate((0, 0) if shared else (0, 10)):
        assert (labels[s].numpy() - first == [order[s] for order in orders]).all()


def test_orders_belong_to_the_seed():
    both, alone = (list(shuffled(seeds, 10, 3)) for seeds in ((4, 9), (9,)))
    assert all((b[1] == a[0]).all() for a, b in zip(alone, both, strict=True))
    assert len({tuple(order) for orders in both for order in orders}) == 6
    assert (np.sort(both, -1) == np.arange(10)).all()
