"""The training loop that serves all networks, replicas and arms side by side."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import torch

from winnow.models import Lesson, Network, Parameters, by_autograd
from winnow.models.network import copied
from winnow.training.batches import Batch

#: From tensors to an optimiser of them, such as ``partial(torch.optim.Adam, lr=0.01)``.
Optimiser = Callable[[Sequence[torch.Tensor]], torch.optim.Optimizer]


class DecayingSGD(torch.optim.SGD):
    r"""Stochastic gradient descent whose learning rate falls, coupled to its momentum as in Keras.

    Step t, counted from 0, follows the gradient g with the momentum m:

    .. math:: \eta_t = \frac{\eta}{1 + \delta t},\qquad v \leftarrow m v - \eta_t g,\qquad
       w \leftarrow w + m v - \eta_t g

    torch's own velocity holds gradients, so a falling rate would shrink old steps again; here
    gradients are scaled before they enter it.
    """

    def __init__(self, parameters, *, lr: float, momentum: float, decay: float = 0.0) -> None:
        super().__init__(parameters, lr=1.0, momentum=momentum, nesterov=True, fused=True)
        self.first, self.decay, self.n_steps = lr, decay, 0

    @torch.no_grad()
    def step(self) -> None:
        """One step along the gradients, which are scaled on the way."""
        rate = self.first / (1 + self.decay * self.n_steps)
        for w in self.param_groups[0]["params"]:
            w.grad = None if w.grad is None else w.grad * rate
        super().step()
        self.n_steps += 1


def train(
    network: Network,
    parameters: Parameters,
    batches: Iterable[Batch],
    optimiser: Optimiser,
    *,
    after_step: Callable[[Parameters, int], None] | None = None,
    observe: Callable[[int, Parameters, Lesson], None] | None = None,
) -> Parameters:
    """Parameters after a step for every batch.

    Parameters
    ----------
    network
        What is trained, see :class:`~winnow.models.Network`.
    parameters
        First values, which are left as they are.
    batches
        Pairs of inputs and targets.
    optimiser
        From the tensors to an optimiser of :mod:`torch.optim`, or one like it.
    after_step
        Called with the parameters, to be changed in place, and the number of steps made: pruning
        during training.
    observe
        Called thereafter with the number of steps, the parameters as they are now (not to be
        changed, and to be copied where they are kept), and the batch's lesson.

    Raises
    ------
    ValueError
        If training diverges: a parameter is no longer finite.

    Examples
    --------
    A step against the gradient of the loss, half the squared error of the mean of two units:

    >>> from functools import partial
    >>> from winnow.models import Committee
    >>> network = Committee(1, 2)
    >>> p = {"weights": torch.ones(1, 1, 2, 1), "biases": torch.zeros(1, 1, 2)}
    >>> p["offset"] = torch.zeros(1, 1)
    >>> batch = torch.tensor([[[2.0]]]), torch.tensor([[1]])
    >>> trained = train(network, p, [batch], partial(torch.optim.SGD, lr=0.1))
    >>> round(float(trained["offset"]), 6), round(float(trained["weights"][0, 0, 0, 0]), 6)
    (-0.1, 0.8)
    """
    p = copied(parameters)
    learns = optimiser(list(p.values()))
    teach = getattr(network, "lesson", None) or partial(_taught_by_autograd, network)
    with torch.no_grad():
        for step, (x, y) in enumerate(batches, start=1):
            lesson = teach(p, x, y)
            for name, value in p.items():
                gradient = lesson.gradients.get(name)
                # Fused optimisers walk through memory, so a gradient must lie as its parameter.
                value.grad = None if gradient is None else gradient.contiguous()
            learns.step()
            for name, value in lesson.moved.items():
                p[name].copy_(value)
            if after_step is not None:
                after_step(p, step)
            if observe is not None:
                observe(step, p, lesson)
    for name, value in p.items():
        value.grad = None
        if not bool(value.isfinite().all()):
            rate = getattr(learns, "first", learns.param_groups[0]["lr"])
            raise ValueError(f"training diverged in {name}: lower lr, which is {rate}")
    return p


def _taught_by_autograd(network: Network, p: Parameters, x, y) -> Lesson:
    lesson = by_autograd(lambda q: network.loss(q, x, y), p)
    judge = getattr(network, "right", None)
    return lesson._replace(right=judge(p, x, y)) if judge else lesson


def accuracy(network: Network, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Share of samples that each replica and arm gets right, ``(S, A)`` in double precision.

    Inputs are ``(S, N, D)``, labels ``(S, N)``.

    Examples
    --------
    >>> from winnow.models import Perceptron
    >>> p = {"weights.0": torch.tensor([[[[-1.0], [1.0]]]]), "biases.0": torch.zeros(1, 1, 2)}
    >>> x = torch.tensor([[[-2.0], [-1.0], [1.0], [2.0]]])
    >>> accuracy(Perceptron((1, 2)), p, x, torch.tensor([[0, 0, 1, 0]])).tolist()
    [[0.75]]
    """
    with torch.no_grad():
        return network.right(p, x, y).double().mean(-1).cpu().numpy()
