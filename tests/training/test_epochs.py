"""Epochs with Nesterov's momentum against torch's optimiser and against loops written out."""

import itertools

import numpy as np
import pytest
import torch

from winnow.models import Lesson, Perceptron
from winnow.seeds import generator
from winnow.training.epochs import Schedule, accuracy, fit_epochs

DOUBLE = {"dtype": torch.float64}
SIZES, SEEDS, N = (5, 6, 4, 3), (3, 8, 1), 23
NETWORK, SCHEMES = Perceptron(SIZES), ("normal", "orthogonal")
STEPS = Schedule(n_epochs=3, batch_size=5, lr=0.3, momentum=0.7, decay=0.0)
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
    return fit_epochs(NETWORK, p, x[of], y[of], schedule=schedule, seeds=seeds, **options)


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
    """Values, mean loss and accuracy after each epoch with torch's own optimiser."""
    net = plain(start(), s, a)
    how = {"lr": schedule.lr, "momentum": schedule.momentum, "nesterov": schedule.nesterov}
    sgd, step = torch.optim.SGD(net.parameters(), **how), 0
    for epoch in batches(s, schedule):
        losses, right = [], []
        for x, y in epoch:
            sgd.zero_grad()
            logits = net(x)
            torch.nn.functional.cross_entropy(logits, y).backward()
            each = torch.nn.functional.cross_entropy(logits.detach(), y, reduction="none")
            losses += each.tolist()
            right += (logits.argmax(-1) == y).tolist()
            sgd.step()
            step += 1
        yield {n: v.clone() for n, v in values(net).items()}, np.mean(losses), np.mean(right)
    assert step == schedule.n_epochs * 5  # four batches of 5 and one of 3


@pytest.mark.parametrize("nesterov", [True, False])
def test_the_course_is_that_of_torchs_optimiser(nesterov):
    """With a constant rate torch's velocity is Keras's over -lr; every snapshot agrees."""
    schedule = Schedule(3, 5, lr=0.3, momentum=0.7, decay=0.0, nesterov=nesterov)
    course = fit(schedule)
    assert course.accuracy.shape == course.loss.shape == (3, len(SEEDS), len(SCHEMES))
    for s, a in PAIRS:
        for e, (p, loss, right) in enumerate(trained_by_torch(s, a, schedule)):
            same({n: v[s, a] for n, v in course.snapshots[e + 1].items()}, p)
            assert course.loss[e, s, a] == pytest.approx(loss, rel=1e-10)
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
    course = fit_epochs(network, params, x, labels, schedule=schedule, seeds=seeds)
    return network, course


@pytest.mark.parametrize("nesterov", [True, False])
def test_the_rate_decays_step_by_step_from_the_first(nesterov):
    schedule = Schedule(4, 4, lr=0.2, momentum=0.5, decay=0.3, nesterov=nesterov)
    network, course = record(schedule)
    w, v = 1.0, 0.0
    for t, at in enumerate(network.at):
        assert at.flatten().tolist() == pytest.approx([w, w], rel=1e-12)
        rate = 0.2 / (1 + 0.3 * t)
        g = w
        v = 0.5 * v - rate * g
        w += 0.5 * v - rate * g if nesterov else v
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
    assert course.loss.tolist() == [[[pytest.approx((4 * first + 2 * second) / 6)]] * 2]
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
    course = fit_epochs(NETWORK, p, x, y, schedule=STEPS, seeds=SEEDS)
    now = (*p.values(), x, y)
    assert all(torch.equal(a, b) for a, b in zip(was, now, strict=True))
    assert list(course.final) == list(p)


def test_snapshots_are_kept_apart():
    course = fit()
    assert course.epochs == (0, 1, 2, 3)
    same(course.snapshots[0], start(), rtol=0, atol=0)
    apart = [v["weights.1"] for v in course.snapshots.values()]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(apart, 2))
    assert course.final is course.snapshots[3]


@pytest.mark.parametrize(
    ("keep_every", "kept"), [(1, (0, 1, 2, 3)), (2, (0, 2, 3)), (3, (0, 3)), (99, (0, 3))]
)
def test_only_some_epochs_are_kept_and_always_the_last(keep_every, kept):
    course, every = fit(keep_every=keep_every), fit()
    assert course.epochs == kept
    for epoch in kept:
        same(course.snapshots[epoch], every.snapshots[epoch], rtol=0, atol=0)
    np.testing.assert_array_equal(course.accuracy, every.accuracy)


def test_single_precision_is_double_precision_within_rounding():
    x, y = data()
    single = fit_epochs(
        NETWORK, start(dtype=torch.float32), x.float(), y.byte(), schedule=STEPS, seeds=SEEDS
    )
    assert {v.dtype for v in single.final.values()} == {torch.float32}
    assert single.accuracy.dtype == single.loss.dtype == np.float64
    same({n: v.double() for n, v in single.final.items()}, fit().final, rtol=1e-3, atol=1e-4)


def test_replicas_may_share_their_samples():
    x, y = (v[:1] for v in data())
    apart = (v.repeat(len(SEEDS), *[1] * (v.ndim - 1)) for v in (x, y))
    course = fit_epochs(NETWORK, start(), *apart, schedule=STEPS, seeds=SEEDS)
    together = (v.expand(len(SEEDS), *v.shape[1:]) for v in (x, y))
    same(fit_epochs(NETWORK, start(), *together, schedule=STEPS, seeds=SEEDS).final, course.final)


def test_no_graph_is_kept():
    params = {n: v.requires_grad_() for n, v in start().items()}
    course = fit(params=params)
    assert not any(v.requires_grad for p in course.snapshots.values() for v in p.values())
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
    assert (course.loss[-1] < course.loss[0]).all()


def test_divergence_is_told_in_the_epoch_when_it_happens():
    with pytest.raises(ValueError, match=r"diverged in epoch 1: lower lr, which is 1e\+300"):
        fit(Schedule(3, 5, lr=1e300))


def test_defaults_are_the_papers():
    assert Schedule() == Schedule(20, 20, 0.01, 0.6, 1e-6, True)


WRONG = {
    "epochs": ({"n_epochs": 0}, "n_epochs must be 1 or larger, got 0"),
    "batch": ({"batch_size": -2}, "batch_size must be 1 or larger, got -2"),
    "rate": ({"lr": 0.0}, r"lr must be above 0, got 0\.0"),
    "no rate": ({"lr": float("nan")}, "lr must be above 0, got nan"),
    "momentum": ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1\.0"),
    "negative momentum": ({"momentum": -0.1}, r"momentum must be in \[0, 1\), got -0\.1"),
    "decay": ({"decay": -1e-6}, "decay must be 0 or larger, got -1e-06"),
}


@pytest.mark.parametrize(("values", "words"), WRONG.values(), ids=WRONG)
def test_a_schedule_out_of_range_is_named(values, words):
    with pytest.raises(ValueError, match=words):
        Schedule(**values)


UNFIT = {
    "inputs": (lambda x, y: {"inputs": x[0]}, r"\(S, N, D\) .* got \(23, 5\) and \(3, 23\)"),
    "labels": (lambda x, y: {"labels": y[:, 1:]}, r"got \(3, 23, 5\) and \(3, 22\)"),
    "nothing": (lambda x, y: {"inputs": x[:, :0], "labels": y[:, :0]}, r"none of them 0, got \(3"),
    "seeds": (lambda x, y: {"seeds": [1]}, "seeds must be 3, one per replica, got 1"),
    "params": (
        lambda x, y: {"params": start((3,))},
        r"params must have 3 replicas, as inputs have, got \[1\]",
    ),
    "keep_every": (lambda x, y: {"keep_every": 0}, "keep_every must be 1 or larger, got 0"),
}


@pytest.mark.parametrize(("change", "words"), UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_named(change, words):
    x, y = data()
    given = {"params": start(), "inputs": x, "labels": y, "schedule": STEPS, "seeds": SEEDS}
    with pytest.raises(ValueError, match=words):
        fit_epochs(NETWORK, **(given | change(x, y)))


def test_a_network_without_closed_form_has_the_same_course():
    class Plain:
        loss, right = NETWORK.loss, NETWORK.right

    x, y = data()
    course = fit_epochs(Plain(), start(), x, y, schedule=STEPS, seeds=SEEDS)
    same(course.final, fit().final)
    np.testing.assert_array_equal(course.accuracy, fit().accuracy)
    np.testing.assert_allclose(course.loss, fit().loss)
