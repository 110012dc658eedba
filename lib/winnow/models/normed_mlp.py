"""A deep fully connected network with batch normalisation, replicas and arms as one tensor."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from winnow.arrays import check_range
from winnow.models.network import Lesson, Parameters, by_autograd, check_sizes, cross_entropy
from winnow.seeds import generators

#: Added to variances, so that a constant input is divided by something.
EPS = 1e-5


@dataclass(frozen=True)
class NormedMLP:
    r"""Rectified layers, each behind a batch normalisation :cite:p:`pellegrini2022`.

    .. math:: a_{l+1} = \max\Bigl(0,\; W_l \Bigl(\gamma_l \frac{a_l - \mu_l}{\sigma_l}
       + \beta_l\Bigr) + b_l\Bigr)

    and logits, without rectification, from the last layer. While it trains,
    :math:`\mu` and :math:`\sigma` are the batch's; otherwise their running means, which move by
    ``1 - memory`` a step. Weights start as Glorot's normals, biases at 0, the cross-entropy
    is the loss. All layers but the last are pruned, each by itself, weights and biases together.

    Parameters
    ----------
    sizes
        Units per layer from inputs to classes, at least three, each at least 1;
        3072-1024-1024-1024-C in the paper.
    memory
        Of the running means, in [0, 1).

    Examples
    --------
    >>> network = NormedMLP((4, 3, 2))
    >>> sorted(network.initial([0]))[:3]
    ['beta.0', 'beta.1', 'biases.0']
    >>> network.pruned
    (('weights.0', 'biases.0'),)
    """

    sizes: tuple[int, ...]
    memory: float = 0.99

    def __post_init__(self) -> None:
        check_sizes(self.sizes, 3)
        check_range("memory", self.memory, "[0, 1)")

    @property
    def pruned(self) -> tuple[tuple[str, str], ...]:
        """Names of parameters that are ranked together, a tuple per layer."""
        return tuple((f"weights.{i}", f"biases.{i}") for i in range(len(self.sizes) - 2))

    def initial(self, seeds: Sequence[int], **options) -> Parameters:
        """First values and running means, one arm, a stream per seed."""
        options = {"dtype": torch.float32} | options
        rngs, p = generators(seeds, "weights"), {}
        for i, (d, k) in enumerate(itertools.pairwise(self.sizes)):
            w = torch.as_tensor(np.stack([rng.normal(size=(1, k, d)) for rng in rngs]), **options)
            p[f"weights.{i}"] = w * (2 / (d + k)) ** 0.5
            p[f"biases.{i}"] = torch.zeros_like(p[f"weights.{i}"][..., 0])
            for name, value in {"gamma": 1.0, "beta": 0.0, "mean": 0.0, "var": 1.0}.items():
                p[f"{name}.{i}"] = torch.full((len(seeds), 1, d), value, **options)
        return p

    def outputs(self, p: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(S, A, B, C)`` for inputs ``(S, B, D)``, normalised by the running means."""
        return self._forward(p, x, lambda i, a: (p[f"mean.{i}"][:, :, None], p[f"var.{i}"]))

    def loss(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of each replica and arm in a training batch, ``(S, A)``."""
        return self._training_loss(p, x, y, {})

    def lesson(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Lesson:
        """Gradients of the loss by autograd, and the running means after this batch."""
        learnt = {name: v for name, v in p.items() if not name.startswith(("mean", "var"))}
        seen: Parameters = {}
        found = by_autograd(lambda q: self._training_loss(p | q, x, y, seen), learnt)
        moved = {name: p[name].lerp(value, 1 - self.memory) for name, value in seen.items()}
        return found._replace(moved=moved)

    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Which samples have their own class's logit on top, ``(S, A, B)`` boolean."""
        return self.outputs(p, x).argmax(-1) == y[:, None]

    def _training_loss(self, p, x, y, seen: Parameters) -> torch.Tensor:
        """The loss with the batch's own means and variances, which go into ``seen``."""

        def of_batch(i: int, a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            var, mean = torch.var_mean(a, -2, correction=0)
            arms = p[f"mean.{i}"].shape
            seen[f"mean.{i}"], seen[f"var.{i}"] = (v.detach().expand(arms) for v in (mean, var))
            return mean[..., None, :], var

        return cross_entropy(self._forward(p, x, of_batch), y)

    def _forward(self, p: Parameters, x: torch.Tensor, moments) -> torch.Tensor:
        a, last = x[:, None], len(self.sizes) - 2
        for i in range(last + 1):
            mean, var = moments(i, a)
            gain = (p[f"gamma.{i}"] * (var + EPS).rsqrt())[:, :, None]
            a = (a - mean) * gain + p[f"beta.{i}"][:, :, None]
            a = a @ p[f"weights.{i}"].mT + p[f"biases.{i}"][:, :, None]
            a = a.relu() if i < last else a
        return a
