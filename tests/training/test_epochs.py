"""Epochs with Nesterov's momentum against torch's optimiser and against loops written out."""

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from winnow.models import Lesson, Perceptron
from winnow.seeds import generator
from winnow.training.epochs import fit_epochs
from winnow.training.loop import DecayingSGD, accuracy

DOUBLE = {"dtype": torch.float64}
SIZES, SEEDS, N = (5, 6, 4, 3), (3, 8, 1), 23
NETWORK, SCHEMES = Perceptron(SIZES), ("normal", "orthogonal")


@dataclass(frozen=True)
class Schedule:
    """Epochs, batches and steps."""

    n_epochs: int
    batch_size: int
    lr: float = 0.01
    momentum: float = 0.6
    decay: float = 0.0

    def options(self):
        steps = {"lr": self.lr, "momentum": self.momentum, "decay": self.decay}
        sizes = {"n_epochs": self.n_epochs, "batch_size": self.batch_size}
        return sizes | {"optimiser": partial(DecayingSGD, **steps)}


@dataclass(frozen=True)
class Course:
    """What training gives, by name."""

    snapshots: list
    accuracy: np.ndarray

    @property
    def final(self):
        return self.snapshots[-1]


def fitted(network, params, x, y, schedule, **options):
    return Course(*fit_epochs(network, params, x, y, **schedule.options(), **options))


STEPS = Schedule(n_epochs=3, batch_size=5, lr=0.3, momentum=0.7)
PAIRS = list(itertools.product(range(len(SEEDS)), range(len(SCHEMES))))


def start(seeds=SEEDS, **options):
    return NETWORK.initial(seeds, schemes=SCHEMES, **(DOUBLE | options))


def data(n=N):
    source = torch.Generator().manual_seed(2)
    x = torch.randn(len(SEEDS), n, SIZES[0], generator=source, **DOUBLE)
    return x, (x[..., 0] > 0).long() + (x[..., 1] > 0).long()


def fit(schedule=STEPS, seeds=SEEDS, params=None, **options):
    x, y = data()
    of = [SEEDS.index(seed) for seed in seeds]
    p = start(seeds) if params is None else params
    return fitted(NETWORK, p, x[of], y[of], schedule, seeds=seeds, **options)


def same(found, expected, **bars):
    assert found.keys() == expected.keys()
    bars = {"rtol": 1e-10, "atol": 1e-12} | bars
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **bars)


def batches(s, schedule):
    """A replica's batches, an epoch at a time, the last one smaller."""
    (x, y), rng = (v[s] for v in data()), generator(SEEDS[s], "batch order")
    for _ in range(schedule.n_epochs):
        order = rng.permutation(N)
        parts = np.split(order, range(schedule.batch_size, N, schedule.batch_size))
        yield [(x[rows], y[rows]) for rows in parts]


def plain(p, s, a):
    parts = []
    for i, (d, k) in enumerate(itertools.pairwise(SIZES)):
        linear = torch.nn.Linear(d, k, **DOUBLE)
        linear.load_state_dict({"weight": p[f"weights.{i}"][s, a], "bias": p[f"biases.{i}"][s, a]})
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def values(net):
    """Parameters of a plain network by our names."""
    out = {}
    for i, linear in enumerate(net[::2]):
        out |= {f"weights.{i}": linear.weight.detach(), f"biases.{i}": linear.bias.detach()}
    return out


def trained_by_torch(s, a, schedule):
    """Values and accuracy after each epoch with torch's own optimiser."""
    net = plain(start(), s, a)
    how = {"lr": schedule.lr, "momentum": schedule.momentum, "nesterov": True}
    sgd, step = torch.optim.SGD(net.parameters(), **how), 0
    for epoch in batches(s, schedule):
        right = []
        for x, y in epoch:
            sgd.zero_grad()
            logits = net(x)
            torch.nn.functional.cross_entropy(logits, y).backward()
            right += (logits.argmax(-1) == y).tolist()
            sgd.step()
            step += 1
        yield {n: v.clone() for n, v in values(net).items()}, np.mean(right)
    assert step == schedule.n_epochs * 5  # four batches of 5 and one of 3


def test_the_course_is_that_of_torchs_optimiser():
    """With a constant rate torch's velocity is Keras's over -lr; every snapshot agrees."""
    schedule = STEPS
    course = fit(schedule)
    assert course.accuracy.shape == (3, len(SEEDS), len(SCHEMES))
    for s, a in PAIRS:
        for e, (p, right) in enumerate(trained_by_torch(s, a, schedule)):
            same({n: v[s, a] for n, v in course.snapshots[e + 1].items()}, p)
            assert course.accuracy[e, s, a] == pytest.approx(right)
    assert 0.3 < course.accuracy.mean() < 1


class Recorder:
    """A network of one number whose gradient is that number; notes what it is shown."""

    def __init__(self):
        self.seen, self.at = [], []

    def lesson(self, p, x, y):
        self.seen.append((x.clone(), y.clone()))
        self.at.append(p["w"].clone())
        return Lesson({"w": p["w"].clone()}, p["w"].abs(), p["w"][..., None] * y[:, None] > 0)

    def right(self, p, x, y):
        return self.lesson(p, x, y).right


def record(schedule, seeds=(4, 7), n=6):
    network = Recorder()
    x = torch.arange(len(seeds) * n, **DOUBLE).view(len(seeds), n, 1)
    params = {"w": torch.ones(len(seeds), 1, **DOUBLE)}
    labels = x[..., 0].long()
    course = fitted(network, params, x, labels, schedule, seeds=seeds)
    return network, course


def test_the_rate_decays_step_by_step_from_the_first():
    schedule = Schedule(4, 4, lr=0.2, momentum=0.5, decay=0.3)
    network, course = record(schedule)
    w, v = 1.0, 0.0
    for t, at in enumerate(network.at):
        assert at.flatten().tolist() == pytest.approx([w, w], rel=1e-12)
        rate = 0.2 / (1 + 0.3 * t)
        g = w
        v = 0.5 * v - rate * g
        w += 0.5 * v - rate * g
    assert len(network.at) == 8  # two batches an epoch
    assert course.final["w"].flatten().tolist() == pytest.approx([w, w], rel=1e-12)


def test_a_real_network_follows_the_same_rule_with_decay():
    schedule = Schedule(2, 5, lr=0.3, momentum=0.7, decay=0.1)
    course, s, a = fit(schedule), 1, 1
    p = {n: v[s : s + 1, a : a + 1] for n, v in start().items()}
    v = {n: torch.zeros_like(value) for n, value in p.items()}
    for t, (x, y) in enumerate(itertools.chain.from_iterable(batches(s, schedule))):
        rate = 0.3 / (1 + 0.1 * t)
        for n, g in NETWORK.lesson(p, x[None], y[None]).gradients.items():
            v[n] = 0.7 * v[n] - rate * g
            p[n] = p[n] + 0.7 * v[n] - rate * g
    same({n: value[s, a] for n, value in course.final.items()}, {n: q[0, 0] for n, q in p.items()})


def test_an_epoch_shows_every_sample_once_in_a_new_order():
    network, _ = record(Schedule(3, 4))
    sizes = [x.shape[1] for x, _ in network.seen]
    assert sizes == [4, 2] * 3
    rows = torch.cat([x[..., 0] for x, _ in network.seen], 1).view(2, 3, 6)
    labels = torch.cat([y for _, y in network.seen], 1).view(2, 3, 6)
    assert torch.equal(rows.long(), labels)  # a sample keeps its label
    assert torch.equal(rows.sort(-1).values, torch.arange(12.0).view(2, 1, 6).expand(2, 3, 6))
    orders = {tuple(order) for order in (rows % 6).reshape(6, 6).tolist()}
    assert len(orders) == 6  # of each replica and epoch its own
    rng = generator(7, "batch order")
    expected = [6 + rng.permutation(6) for _ in range(3)]
    assert rows[1].tolist() == np.array(expected).tolist()


def test_a_batch_may_be_larger_than_what_there_is():
    network, _ = record(Schedule(2, 100))
    assert [x.shape[1] for x, _ in network.seen] == [6, 6]


def test_running_means_weigh_batches_by_their_size():
    """The number decays from 1, so that batches of 4 and 2 have different losses."""
    network, course = record(Schedule(1, 4, lr=0.5))
    first, second = (float(at[0, 0]) for at in network.at)
    assert first != second
    assert course.accuracy.tolist() == [[[pytest.approx(5 / 6)], [1.0]]]  # only label 0 is wrong


def test_a_replica_does_not_depend_on_those_beside_it():
    every, two, one = fit(), fit(seeds=(8, 3)), fit(seeds=(1,))
    for name, value in every.final.items():
        for s, (few, at) in enumerate(((two, 1), (two, 0), (one, 0))):
            torch.testing.assert_close(few.final[name][at], value[s], rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(two.accuracy[:, ::-1], every.accuracy[:, :2])
    assert not torch.equal(every.final["weights.0"][0], every.final["weights.0"][1])


def test_an_arm_does_not_depend_on_those_beside_it():
    alone = fit(params={n: v[:, 1:] for n, v in start().items()})
    same(alone.final, {n: v[:, 1:] for n, v in fit().final.items()})


def test_what_is_passed_in_is_left_untouched():
    p, (x, y) = start(), data()
    was = [v.clone() for v in (*p.values(), x, y)]
    course = fitted(NETWORK, p, x, y, STEPS, seeds=SEEDS)
    now = (*p.values(), x, y)
    assert all(torch.equal(a, b) for a, b in zip(was, now, strict=True))
    assert list(course.final) == list(p)


def test_snapshots_are_kept_apart():
    course = fit()
    assert len(course.snapshots) == 4
    same(course.snapshots[0], start(), rtol=0, atol=0)
    apart = [v["weights.1"] for v in course.snapshots]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(apart, 2))
    assert course.final is course.snapshots[3]


def test_single_precision_is_double_precision_within_rounding():
    x, y = data()
    single = fitted(NETWORK, start(dtype=torch.float32), x.float(), y.byte(), STEPS, seeds=SEEDS)
    assert {v.dtype for v in single.final.values()} == {torch.float32}
    assert single.accuracy.dtype == np.float64
    same({n: v.double() for n, v in single.final.items()}, fit().final, rtol=1e-3, atol=1e-4)


def test_replicas_may_share_their_samples():
    x, y = (v[:1] for v in data())
    apart = (v.repeat(len(SEEDS), *[1] * (v.ndim - 1)) for v in (x, y))
    course = fitted(NETWORK, start(), *apart, STEPS, seeds=SEEDS)
    together = (v.expand(len(SEEDS), *v.shape[1:]) for v in (x, y))
    same(fitted(NETWORK, start(), *together, STEPS, seeds=SEEDS).final, course.final)


def test_no_graph_is_kept():
    params = {n: v.requires_grad_() for n, v in start().items()}
    course = fit(params=params)
    assert not any(v.requires_grad for p in course.snapshots for v in p.values())
    x, y = data()
    assert accuracy(NETWORK, params, x, y).shape == (len(SEEDS), len(SCHEMES))


def test_accuracy_is_the_share_of_right_answers():
    p, (x, y) = start(), data()
    found = accuracy(NETWORK, p, x, y)
    assert found.dtype == np.float64
    for s, a in PAIRS:
        right = plain(p, s, a)(x[s]).argmax(-1) == y[s]
        assert found[s, a] == pytest.approx(float(right.double().mean()))
    assert 0 < found.mean() < 1


def test_training_gets_better():
    x, y = data()
    course = fit(Schedule(40, 5, lr=0.1))
    before, after = (accuracy(NETWORK, course.snapshots[e], x, y) for e in (0, 40))
    assert before.mean() < 0.6
    assert after[:, SCHEMES.index("orthogonal")].min() > 0.9


def test_divergence_is_told():
    with pytest.raises(ValueError, match=r"diverged in .*: lower lr, which is 1e\+300"):
        fit(Schedule(3, 5, lr=1e300))


def test_defaults_are_the_papers():
    x, y = data()
    steps = {"lr": 0.01, "momentum": 0.6, "decay": 1e-6}
    paper = {"n_epochs": 20, "batch_size": 20, "optimiser": partial(DecayingSGD, **steps)}
    theirs, _ = fit_epochs(NETWORK, start(), x, y, seeds=SEEDS, **paper)
    same(fit_epochs(NETWORK, start(), x, y, seeds=SEEDS)[0][20], theirs[20], rtol=0, atol=0)


UNFIT = {
    "inputs": (lambda x, y: {"inputs": x[0]}, r"\(S, N, D\) .* got \(23, 5\) and \(3, 23\)"),
    "labels": (lambda x, y: {"labels": y[:, 1:]}, r"got \(3, 23, 5\) and \(3, 22\)"),
    "nothing": (lambda x, y: {"inputs": x[:, :0], "labels": y[:, :0]}, r"none of them 0, got \(3"),
    "seeds": (lambda x, y: {"seeds": [1]}, "seeds must be 3, one per replica, got 1"),
    "params": (
        lambda x, y: {"params": start((3,))},
        "weights.0 must be 3, one per replica, got 1",
    ),
    "epochs": (lambda x, y: {"n_epochs": 0}, "n_epochs must be 1 or larger, got 0"),
    "batch": (lambda x, y: {"batch_size": -2}, "batch_size must be 1 or larger, got -2"),
}


@pytest.mark.parametrize(("change", "words"), UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_named(change, words):
    x, y = data()
    given = {"params": start(), "inputs": x, "labels": y, "seeds": SEEDS}
    with pytest.raises(ValueError, match=words):
        fit_epochs(NETWORK, **(given | change(x, y)))


def test_a_network_without_closed_form_has_the_same_course():
    class Plain:
        loss, right = NETWORK.loss, NETWORK.right

    x, y = data()
    course = fitted(Plain(), start(), x, y, STEPS, seeds=SEEDS)
    same(course.final, fit().final)
    np.testing.assert_array_equal(course.accuracy, fit().accuracy)
