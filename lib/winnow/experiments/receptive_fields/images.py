"""Iterative pruning of a deep network on a set of images, for the chapter on receptive fields.

Setting of :cite:t:`pellegrini2022`: rectified layers behind batch normalisations, all layers but
the last pruned by themselves, rewinding to an early step.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from winnow import memory
from winnow.data.images import Images, load
from winnow.experiments.receptive_fields.problems import IMAGE_SETS
from winnow.metrics import locality, non_gaussianity
from winnow.models import NormedMLP
from winnow.models.normed_mlp import EPS
from winnow.seeds import generators
from winnow.training import rounds
from winnow.training.batches import Draws

#: Pixels, and how far apart those of a pair may be to count as near.
WHERE = {"grid": (32, 32), "radius": 2, "cyclic": False}

#: Images that a class must have for its kurtosis to count; that of two images is always -2.
LEAST = 20


def prepared(images: Images, pixels: np.ndarray) -> torch.Tensor:
    """Pixels ``(N, 3, 32, 32)`` less the training mean, over 255, as rows ``(N, 3072)``."""
    memory.require(8 * pixels.size, f"{len(pixels)} images")
    rows = torch.from_numpy(pixels.reshape(len(pixels), -1)).float()
    return (rows - torch.from_numpy(images.mean)) / 255


def prune(
    images: Images,
    *,
    seeds: Sequence[int],
    n_steps: int,
    hidden: Sequence[int] = (1024, 1024, 1024),
    n_rounds: int = 15,
    arms: Sequence[str] = ("imp", "one-shot", "random"),
    **options: object,
) -> rounds.Rounds:
    """Rounds of pruning a deep network, ended where a layer has lost four fifths of its units.

    Batches of 1000, learning rate 0.1, no momentum, 30 % cut in each round, and rewinding to 1 % of
    the training, as released by the authors.

    Parameters
    ----------
    images
        Training images; batches are drawn with replacement, each seed its own. Trained on a GPU
        where there is one.
    seeds, arms, **options
        As for :func:`~winnow.training.rounds.prune`.
    n_steps, n_rounds
        Of training in each round, and rounds at most.
    hidden
        Units of the hidden layers.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    inputs = prepared(images, images.train).to(device)
    labels = torch.from_numpy(images.train_labels).to(device)
    return rounds.prune(
        NormedMLP((inputs.shape[1], *hidden, images.n_classes)),
        Draws(inputs, labels, seeds),
        seeds=seeds,
        densities=rounds.geometric(0.3, n_rounds),
        training=rounds.Training(n_steps, 1000, lr=0.1, momentum=0.0),
        arms=arms,
        rewind_step=n_steps // 100,
        least_connected=0.2,
        device=device,
        **options,
    )


def trial(path: str, *, seeds: Sequence[int], **options: object) -> pd.DataFrame:
    """What :func:`prune` leaves of a deep network on the images in a folder, by :func:`measure`."""
    images = load(path, among=IMAGE_SETS)
    return measure(prune(images, seeds=seeds, **options), images, seeds=seeds)


def measure(pruned: rounds.Rounds, images: Images, *, seeds: Sequence[int]) -> pd.DataFrame:
    """What each round left in the first layer.

    Parameters
    ----------
    pruned, images, seeds
        As from and for :func:`~winnow.experiments.receptive_fields.images.prune`.

    Returns
    -------
    pandas.DataFrame
        A row per seed, arm and round: ``density``, test ``accuracy``, share of units ``alive``,
        ``locality`` of masks colour by colour, ``columns`` (the same after shuffling columns), and
        ``kappa``: mean excess kurtosis of first pre-activations on 2000 test images, one whole
        class after the other, over units and over classes with 20 images or more, NaN if there is
        no such one.
    """
    test, labels = prepared(images, images.test), torch.from_numpy(images.test_labels)
    rows = labels.argsort(stable=True)[:2000]
    device, n, tables = pruned.start["weights.0"].device, len(seeds), []
    accuracy = dict.fromkeys(pruned.arms, 0.0)
    for x, y in zip(test.split(1000), labels.split(1000), strict=True):
        both = x.to(device).expand(n, -1, -1), y.to(device).expand(n, -1)
        for arm, right in pruned.accuracy(*both).items():
            accuracy[arm] = accuracy[arm] + right * len(x) / len(test)
    for arm, (r, density) in itertools.product(pruned.arms, enumerate(pruned.densities)):
        p, kept = pruned.params(arm, r), pruned.kept(arm, "weights.0")[r].cpu()
        masks = kept.unflatten(-1, (3, -1)).flatten(-3, -2)  # a unit's colours side by side
        rng = generators(seeds, "column null")
        null = locality.pair_locality_null(masks, **WHERE, rng=rng, n_draws=2)
        found = {
            "seed": list(seeds),
            "arm": arm,
            "round": r,
            "density": density,
            "accuracy": accuracy[arm][r],
            "alive": rounds.connected(kept),
            "locality": locality.pair_locality(masks, **WHERE),
            "columns": null.mean(-1),
            "kappa": _kurtosis(p, test[rows], labels[rows]),
        }
        tables.append(pd.DataFrame(found))
    return pd.concat(tables, ignore_index=True)


def _kurtosis(p, inputs: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Classes one by one: a mixture of classes is not Gaussian even where each is."""
    # Normalisation by running means is affine, so it belongs to the weights.
    w = (p["weights.0"] * (p["gamma.0"] / (p["var.0"] + EPS).sqrt())[:, :, None])[:, 0].cpu()
    classes = [inputs[labels == c] for c in labels.unique()]
    found = [non_gaussianity.unit_kurtosis(w, x) for x in classes if len(x) >= LEAST]
    if not found:
        return np.full(len(w), np.nan)
    return torch.stack(found).nanmean((0, -1)).numpy()
