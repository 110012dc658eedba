"""What will not fit is refused with both numbers before it is begun."""

import numpy as np
import psutil
import pytest
from scipy import sparse

from winnow import memory
from winnow.experiments import noise_pruning
from winnow.metrics import spectrum
from winnow.models import rate_covariance, rate_networks


@pytest.fixture
def full(monkeypatch):
    """A machine with one free byte."""
    monkeypatch.setattr(memory, "free_gb", lambda: 1e-9)


def generator():
    return np.random.default_rng(0)


def chain(n=4):
    """Dominant, symmetric, and made without asking for memory."""
    return 0.4 * (np.eye(n, k=1) + np.eye(n, k=-1)) - np.eye(n)


def test_free_memory_is_that_of_the_system_in_gigabytes():
    assert memory.free_gb() == pytest.approx(psutil.virtual_memory().available / 1e9, rel=0.2)


def test_both_numbers_are_named(monkeypatch):
    monkeypatch.setattr(memory, "free_gb", lambda: 2.0)
    memory.require(2e9, "a thing that just fits")
    with pytest.raises(ValueError, match=r"^a thing needs 2\.5 GB and 2 GB are free: choose a"):
        memory.require(2.5e9, "a thing")


LONG = {
    "clustered": lambda: rate_networks.clustered([60, 40], rng=generator()),
    "stacked": lambda: rate_networks.clustered([60, 40], rng=[generator()] * 3),
    "sparse": lambda: rate_networks.clustered([60, 40], rng=generator(), as_sparse=True),
    "bridged": lambda: rate_networks.bridged([60, 40], 3, rng=generator()),
    "gaussian": lambda: rate_networks.gaussian(100, 0.5, rng=generator()),
    "exact": lambda: rate_covariance.exact(chain()),
    "samples": lambda: rate_covariance.samples(chain(), 3, rng=generator()),
    "sketch": lambda: rate_covariance.samples(sparse.csr_array(chain()), 3, rng=generator()),
    "watched": lambda: rate_covariance.watched(chain(), 1.0, rng=generator()),
    "bounds": lambda: spectrum.approximation_bounds(chain(), chain()),
    "at scale": lambda: noise_pruning.at_scale([60, 40], ["noise"], density=0.5, seeds=[0]),
    "at scale, sparse": lambda: noise_pruning.at_scale(
        [60, 40], ["noise"], density=0.5, seeds=[0], dense=False
    ),
}


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("work", LONG.values(), ids=LONG)
def test_what_does_not_fit_is_refused(work):
    with pytest.raises(ValueError, match=r"needs .* GB and 1e-09 GB are free"):
        work()


@pytest.mark.usefixtures("full")
def test_nothing_is_drawn_before_the_refusal():
    rng = generator()
    with pytest.raises(ValueError, match="3 networks of 100 neurons"):
        rate_networks.clustered([60, 40], rng=[rng] * 3)
    with pytest.raises(ValueError, match="a sketch of 3 draws"):
        rate_covariance.samples(sparse.csr_array(chain()), 3, rng=rng)
    assert rng.random() == generator().random()
