"""Training in epochs with Nesterov's momentum, for replicas and arms side by side.

Parameters are ``(S, A, ...)``, see :mod:`winnow.models`; every arm sees the same batches.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from winnow.arrays import check_count
from winnow.models import Lesson, Network, Parameters
from winnow.models.network import copied
from winnow.training.batches import in_epochs, shuffled
from winnow.training.loop import DecayingSGD, Optimiser, train

#: The optimiser of :cite:t:`zambra2020`.
NESTEROV = partial(DecayingSGD, lr=0.01, momentum=0.6, decay=1e-6)


def fit_epochs(
    network: Network,
    params: Parameters,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    *,
    seeds: Sequence[int],
    n_epochs: int = 20,
    batch_size: int = 20,
    optimiser: Optimiser = NESTEROV,
) -> tuple[list[Parameters], np.ndarray]:
    r"""Training that visits every sample once an epoch.

    Accuracy in an epoch is the mean over its samples, each judged just before the step that its
    batch makes. So it lags behind that of the snapshot after the epoch, for which there is
    :func:`~winnow.training.loop.accuracy`. Nothing that is passed in is changed.

    Parameters
    ----------
    network, params
        What is trained, from where; ``(S, A, ...)``.
    inputs, labels
        ``(S, N, D)`` and whole numbers ``(S, N)``, on the device of the parameters.
    seeds
        One per replica. Each draws its order anew every epoch from a stream of its own; the arms
        share it.
    n_epochs, batch_size
        At least 1; as in :cite:t:`zambra2020` by default. Where the batch size does not divide the
        samples, the last batch is smaller.
    optimiser
        As for :func:`~winnow.training.loop.train`.

    Returns
    -------
    tuple
        Parameters before training and after each epoch; running accuracy ``(n_epochs, S, A)``.

    Raises
    ------
    ValueError
        Shapes that do not fit, other seeds than replicas, a number below 1, or training that
        diverges.

    Examples
    --------
    One step from zeros, where both classes have probability 1/2, and the first
    counts as on top. The gradient of its bias is -1/2, so v is 0.05 and the step 0.025 + 0.05.

    >>> from winnow.models import Perceptron
    >>> network = Perceptron((1, 2))
    >>> start = {name: 0 * v for name, v in network.initial([5]).items()}
    >>> x, y = torch.zeros(1, 4, 1), torch.zeros(1, 4, dtype=torch.long)
    >>> steps = partial(DecayingSGD, lr=0.1, momentum=0.5)
    >>> how = {"n_epochs": 1, "batch_size": 4, "optimiser": steps}
    >>> snapshots, accuracy = fit_epochs(network, start, x, y, seeds=[5], **how)
    >>> len(snapshots), accuracy.tolist()
    (2, [[[1.0]]])
    >>> [round(b, 4) for b in snapshots[1]["biases.0"].flatten().tolist()]
    [0.075, -0.075]
    """
    if inputs.ndim != 3 or labels.shape != inputs.shape[:2] or not labels.numel():
        raise ValueError(
            "inputs must be (S, N, D) and labels (S, N), none of them 0, "
            f"got {tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    replicas = {"seeds": len(seeds)} | {name: len(value) for name, value in params.items()}
    for name, many in replicas.items():
        if many != len(inputs):
            raise ValueError(f"{name} must be {len(inputs)}, one per replica, got {many}")
    check_count("n_epochs", n_epochs)
    check_count("batch_size", batch_size)
    n, rights, snapshots = inputs.shape[1], [], [copied(params)]

    def observe(step: int, p: Parameters, lesson: Lesson) -> None:
        rights.append(lesson.right)
        if step % -(-n // batch_size) == 0:
            snapshots.append(copied(p))

    orders = shuffled(seeds, n, n_epochs)
    batches = in_epochs(inputs, labels.long(), orders, batch_size=batch_size)
    train(network, params, batches, optimiser, observe=observe)
    right = torch.cat(rights, -1).unflatten(-1, (n_epochs, n)).double().mean(-1)
    return snapshots, right.movedim(-1, 0).cpu().numpy()
