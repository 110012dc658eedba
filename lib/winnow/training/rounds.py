r"""Iterative magnitude pruning: train, cut the smallest weights, rewind, again.

Ways of pruning run side by side as *arms* on the same batches, replicas (seeds) beside them;
parameters are ``(S, A, ...)``, see :mod:`winnow.models`. What a finished round gave can be kept
in a folder, from which a run that was stopped goes on.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch

from winnow.arrays import as_numpy, check_count, check_range
from winnow.metrics import non_gaussianity
from winnow.models import Network, Parameters
from winnow.models.network import copied
from winnow.pruners import Pruner, Seen, named, names
from winnow.pruners.masks import top_k
from winnow.training.batches import Source
from winnow.training.loop import accuracy, train

#: Name to boolean ``(S, A, ...)``, ``True`` where a weight is kept.
Masks = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with momentum, the same in every round."""

    n_steps: int
    batch_size: int = 100
    lr: float = 0.05
    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_count("n_steps", self.n_steps)
        check_count("batch_size", self.batch_size)
        check_range("lr", self.lr, "(0, inf)")
        check_range("momentum", self.momentum, "[0, 1)")


@dataclass(frozen=True)
class Rounds:
    """What rounds of pruning left, from the dense network (0) to the sparsest (R)."""

    network: Network
    arms: tuple[str, ...]
    densities: tuple[float, ...]  #: share kept, R + 1 of them, the first is 1
    start: Parameters = field(repr=False)  #: what rewinding goes back to, one arm
    masks: list[Masks] = field(repr=False)  #: R + 1, each name to boolean (S, A, ...)
    trained: list[Parameters] = field(repr=False)  #: R + 1, after training on these masks

    def fields(self, arm: str, name: str | None = None) -> torch.Tensor:
        """Trained weights of an arm, 0 where pruned, ``(R + 1, S, ...)``.

        Those of the layer that sees the inputs, unless another parameter is named.
        """
        return self._over_rounds(self.trained, arm, name)

    def kept(self, arm: str, name: str | None = None) -> torch.Tensor:
        """Masks of an arm, ``(R + 1, S, ...)``, of the same layer."""
        return self._over_rounds(self.masks, arm, name)

    def params(self, arm: str, r: int) -> Parameters:
        """All trained parameters of an arm in a round, ``(S, 1, ...)``."""
        return _pick(self.trained[r], self._arm(arm))

    def accuracy(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, np.ndarray]:
        """Share of samples that each arm gets right, arm to ``(R + 1, S)``.

        Inputs are ``(S, n, D)``, labels ``(S, n)``.
        """
        right = [accuracy(self.network, p, inputs, labels) for p in self.trained]
        arms = [np.broadcast_to(found, (len(found), len(self.arms))).T for found in right]
        return dict(zip(self.arms, np.stack(arms, 1), strict=True))

    def _over_rounds(self, values, arm: str, name: str | None) -> torch.Tensor:
        name, a = name or self.network.pruned[0][0], self._arm(arm)
        if name not in values[0]:
            raise ValueError(f"unknown parameter {name!r}: choose from {', '.join(values[0])}")
        return torch.stack([_pick(v, a)[name][:, 0] for v in values])

    def _arm(self, arm: str) -> int:
        if arm not in self.arms:
            raise ValueError(f"unknown arm {arm!r}: choose from {', '.join(self.arms)}")
        return self.arms.index(arm)


def geometric(fraction: float, n_rounds: int) -> tuple[float, ...]:
    """Densities when each round cuts the same fraction of what is left.

    Examples
    --------
    >>> geometric(0.5, 3)
    (1.0, 0.5, 0.25, 0.125)
    """
    check_range("fraction", fraction, "(0, 1)")
    check_count("n_rounds", n_rounds)
    return tuple((1 - fraction) ** r for r in range(n_rounds + 1))


def prune(
    network: Network,
    source: Source,
    *,
    seeds: Sequence[int],
    densities: Sequence[float],
    training: Training,
    arms: Mapping[str, Pruner] | Sequence[str] = ("imp",),
    rewind_step: int = 0,
    least_connected: float = 0.0,
    probe: torch.Tensor | None = None,
    folder: Path | str | None = None,
    report: Callable[[str], None] | None = None,
    device: torch.device | str | None = None,
) -> Rounds:
    """Train, cut, rewind, round by round, in several ways at once :cite:p:`frankle2019`.

    Parameters
    ----------
    network, source
        What is trained, on which batches.
    seeds
        One per replica; the source's S.
    densities
        Share kept after each round, falling, the first 1: see
        :func:`~winnow.training.rounds.geometric`. Of each layer exactly the nearest whole number
        stays; masks are nested.
    training
        Steps, batch, learning rate, momentum.
    arms
        Names in :data:`~winnow.pruners.PRUNERS`, of those that cut in rounds; or name to pruner.
    rewind_step
        Step of the dense training whose values rounds start from, 0 (as drawn) to ``n_steps``.
    least_connected
        No further round where a layer of any replica and arm would have at most this share of its
        units connected; such as 0.2 in :cite:t:`pellegrini2022`.
    probe
        Inputs ``(S, n, D)`` on which cavity scores look at pre-activations.
    folder
        Where finished rounds are kept; a run with the same settings and data goes on after the
        last one there. Nothing is kept where it is empty or absent.
    report
        Called with a line after every round.
    device
        Of the parameters; the source's batches must be there too.

    Returns
    -------
    Rounds

    Raises
    ------
    ValueError
        Densities that do not fall from 1, that leave nothing, an unknown arm, one that needs a
        probe without it, other seeds than the source has replicas, a rewind step beyond training,
        training that diverges, or a folder that holds a run with other settings or data.
    """
    chosen = arms if isinstance(arms, Mapping) else {name: named(name, "rounds") for name in arms}
    shares = tuple(map(float, densities))
    _check(network, source, seeds, shares, chosen, probe)
    check_count("rewind_step", rewind_step, 0, training.n_steps)
    start = network.initial(seeds, device=device)
    every = itertools.chain(*network.pruned)
    whole = {name: torch.ones_like(start[name], dtype=torch.bool) for name in every}
    cut(network, whole, start, shares[-1])  # refuses what would leave nothing
    rounds = Rounds(network, tuple(chosen), shares, start, [], [])
    about = {}
    if folder:
        first = [as_numpy(value, None) for value in network.initial([0]).values()]
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        about = {
            "network": _identity(network, network.pruned, first),
            "seeds": list(seeds),
            "densities": shares,
            "training": asdict(training),
            "rewind_step": rewind_step,
            "least_connected": least_connected,
            "arms": {name: _identity(arm) for name, arm in chosen.items()},
            "data": joblib.hash([as_numpy(x, None) for x in (source.inputs, source.labels, probe)]),
        }
    for stage, density in enumerate(shares):
        path = folder / f"round-{stage:02d}.joblib" if folder else None
        kept = _read(path, about, device) if path and path.exists() else None
        if kept is None:
            masks, starts = (
                _next(rounds, chosen, density, seeds, probe) if stage else (whole, start)
            )
            layers = [mask for mask in masks.values() if mask.ndim == 4]
            if min(float(connected(mask).min()) for mask in layers) <= least_connected:
                return replace(rounds, densities=shares[:stage])
            batches = source.batches(stage, training.n_steps, training.batch_size)
            keep_at = None if stage else rewind_step
            trained, early = train_masked(network, starts, masks, batches, training, keep_at)
            kept = {"masks": masks, "trained": trained, "start": early}
            if path:
                _write(path, kept, about)
        rounds.start.update(kept["start"])
        rounds.masks.append(kept["masks"])
        rounds.trained.append(kept["trained"])
        if report is not None:
            report(f"round {stage} of {len(shares) - 1}: {density:.1%} of weights kept")
    return rounds


def train_masked(
    network: Network, start: Parameters, masks: Masks, batches, training: Training, keep_at=None
) -> tuple[Parameters, Parameters]:
    """Parameters after training on masks, and those after ``keep_at`` steps where asked for."""
    keep = {name: mask.to(start[name].dtype) for name, mask in masks.items()}
    early: Parameters = {}

    def cut(p: Parameters, step: int) -> None:
        for name, mask in keep.items():
            p[name].mul_(mask)
        if step == keep_at:
            early.update(copied(p))

    start = copied(start)
    cut(start, 0)
    sgd = partial(torch.optim.SGD, lr=training.lr, momentum=training.momentum, fused=True)
    return train(network, start, batches, sgd, after_step=cut), early


def _next(rounds, arms, density, seeds, probe) -> tuple[Masks, Parameters]:
    """Masks of the next round, and the parameters that its training starts from."""
    masks, starts = [], []
    for a, arm in enumerate(arms.values()):
        trained, mask, scores = _pick(rounds.trained[-1], a), _pick(rounds.masks[-1], a), {}
        for name in mask:
            w, dense = trained[name], rounds.trained[0][name]
            # A parameter that is pruned alone has scores that do not depend on its name.
            purpose = "random weights" if len(mask) == 1 else f"random {name}"
            gain = partial(_without, w, probe)
            scores[name] = arm.score(Seen(w, dense, None, gain, seeds, purpose))
        masks.append(cut(rounds.network, mask, scores, density))
        starts.append(rounds.start if arm.rewind else trained)
    return _side_by_side(masks), _side_by_side(starts)


def _without(weights: torch.Tensor, probe: torch.Tensor) -> torch.Tensor:
    """By how much |excess kurtosis| of a unit grows without each weight; NaN as 0."""
    return non_gaussianity.gain_without(weights, probe[:, None]).nan_to_num(0.0)


def cut(network: Network, masks: Masks, scores: Parameters, density: float) -> Masks:
    """The best-scored of what is still kept, the nearest whole number to ``density`` of all.

    Parameters
    ----------
    network
        Says which parameters are ranked together.
    masks
        Name to boolean ``(S, A, ...)``.
    scores
        Name to scores of the same shape; larger is kept. Of equal scores the first stay.
    density
        Share kept of all, in (0, 1].
    """
    kept = {}
    for group in network.pruned:
        ranked = [scores[n].masked_fill(~masks[n], -torch.inf).flatten(2) for n in group]
        pooled = torch.cat(ranked, -1)[:, :, None]
        count = round(density * pooled.shape[-1])
        if count < 1:
            raise ValueError(f"density must leave a weight of {pooled.shape[-1]}, got {density}")
        chosen = top_k(pooled, count) & (pooled > -torch.inf)
        parts = chosen[:, :, 0].split([s.shape[-1] for s in ranked], -1)
        kept |= {n: part.view_as(masks[n]) for n, part in zip(group, parts, strict=True)}
    return kept


def connected(masks: torch.Tensor) -> torch.Tensor:
    """Share of units with at least one weight left, ``(..., K, D)`` to ``(...)``."""
    return masks.any(-1).double().mean(-1)


def _pick(values: Mapping[str, torch.Tensor], a: int) -> dict[str, torch.Tensor]:
    """One arm's part; the dense round has one for all."""
    return {n: v[:, min(a, v.shape[1] - 1)][:, None] for n, v in values.items()}


def _side_by_side(parts: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}


def _check(network, source, seeds, shares, arms, probe: torch.Tensor | None) -> None:
    falls = all(a > b for a, b in itertools.pairwise(shares))
    if len(shares) < 2 or shares[0] != 1 or not falls or shares[-1] <= 0:
        raise ValueError(f"densities must fall from 1 and stay above 0, got {list(shares)}")
    if not arms:
        raise ValueError(f"arms must name at least one of {', '.join(names('rounds'))}")
    n_replicas = len(getattr(source, "seeds", source.inputs))
    if len(seeds) != n_replicas or not len(seeds):
        raise ValueError(f"seeds must be one for each of {n_replicas} replicas, got {len(seeds)}")
    if any(arm.cavity for arm in arms.values()):
        if probe is None:
            raise ValueError("cavity scores need a probe: pass inputs (S, n, D) as probe=")
        if others := ", ".join(list(itertools.chain(*network.pruned))[1:]):
            seen = "cavity scores see the first layer only"
            raise ValueError(f"{seen}, but this network prunes {others} too")


def _identity(thing: object, *more: object) -> str:
    """A hash of a network or an arm, its kind and what it holds, and of what else is given.

    Not of its ``repr``, in which most objects have an address that differs in every process.
    Functions, which cannot be compared and may refuse to be pickled, count by their name.
    """
    held = {name: getattr(v, "__qualname__", v) for name, v in vars(thing).items()}
    return joblib.hash([type(thing).__qualname__, held, *more])


def _read(path: Path, about: Mapping[str, Any], device) -> dict[str, Parameters]:
    """A finished round. Files are pickles: open only what you made yourself."""
    try:
        was, kept = joblib.load(path)
        other = [name for name, now in about.items() if was.get(name) != now]
        kept = {
            part: {n: torch.from_numpy(value).to(device=device) for n, value in values.items()}
            for part, values in kept.items()
        }
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a broken or foreign file can raise anything at all
        why = type(error).__name__
        raise ValueError(f"{path} is not a finished round ({why}): remove it") from None
    if other:
        what = " and ".join(other)
        raise ValueError(f"{path} belongs to a run with other {what}: choose another folder")
    return kept


def _write(path: Path, kept: Mapping[str, Parameters], about: Mapping[str, Any]) -> None:
    """Keep a finished round, whole or not at all: a crash on the way leaves what was there."""
    plain = {part: {n: as_numpy(v, None) for n, v in p.items()} for part, p in kept.items()}
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    try:
        joblib.dump((dict(about), plain), unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
