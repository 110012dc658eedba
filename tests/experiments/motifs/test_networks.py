"""Networks, their graphs and their tables are what one network at a time would give."""

import dataclasses
import itertools
import struct

import numpy as np
import pandas as pd
import pytest
import torch

from winnow import memory
from winnow.data import patterns
from winnow.experiments.motifs import networks
from winnow.metrics import motifs
from winnow.metrics.motifs import classes, colouring
from winnow.models import Perceptron
from winnow.models.perceptron import layers
from winnow.seeds import generator
from winnow.training import epochs, loop

TASKS, SEEDS, SCHEMES = ("tree", "clusters"), (2, 3, 7), ("normal", "glorot")
HIDDEN, SIZES = [4, 3], (31, 4, 3, 4)
TINY = {"hidden": HIDDEN, "schemes": SCHEMES, "n_epochs": 3}
NULLS = ("degree", "layer", "permutation")
KEYS = ["seed", "scheme", "state", "null", "id"]


@pytest.fixture(scope="module")
def cohort():
    return networks.train(TASKS, seeds=SEEDS, **TINY)


@pytest.fixture(scope="module")
def nets(cohort):
    return networks.coloured(cohort)


@pytest.fixture(scope="module")
def table(nets):
    return networks.measure(nets.values(), nulls=NULLS, n_random=39)


@pytest.fixture
def mnist(tmp_path):
    """A folder with 60 images to train with and 30 to test with."""
    rng = np.random.default_rng(0)
    for stem, n in (("train", 60), ("t10k", 30)):
        for kind, content in (
            ("images-idx3", rng.integers(256, size=(n, 28, 28))),
            ("labels-idx1", np.arange(n) % 10),
        ):
            header = struct.pack(f">{1 + content.ndim}I", 2048 + content.ndim, *content.shape)
            path = tmp_path / f"{stem}-{kind}-ubyte"
            path.write_bytes(header + content.astype(np.uint8).tobytes())
    return tmp_path


def part_of(net, n, schemes=SCHEMES):
    """The networks of the first seeds, and of some schemes."""
    arms = [net.schemes.index(scheme) for scheme in schemes]
    matrices = [m[:n][:, arms] for m in net.matrices]
    return dataclasses.replace(net, seeds=net.seeds[:n], schemes=tuple(schemes), matrices=matrices)


def rows_of(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table.reset_index(drop=True)


def assert_equal(found, expected):
    """Lists of matrices, entry by entry."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def assert_close(found, expected):
    """Lists of weights, but for the rounding of batched products."""
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


# --- what chapters ask for ----------------------------------------------------------------------

SETTINGS = {"mnist": "", "grids": {"cuts": [0.3, 0.5]}}


def test_settings_that_go_together_pass(mnist):
    networks.check(**SETTINGS)
    networks.check(**SETTINGS | {"mnist": str(mnist)})


def test_a_folder_without_mnist_is_refused(tmp_path, mnist):
    with pytest.raises(ValueError, match=r"No such file or directory.: give one with MNIST"):
        networks.check(**SETTINGS | {"mnist": str(tmp_path / "nowhere")})
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="lacks t10k-labels"):
        networks.check(**SETTINGS | {"mnist": str(mnist)})


# --- cohorts ------------------------------------------------------------------------------------


def test_a_cohort_has_every_network(cohort):
    assert (cohort.seeds, cohort.schemes) == (SEEDS, SCHEMES)
    assert list(cohort.states) == ["untrained", "tree", "clusters"]
    learnt = [(task, epoch) for task in TASKS for epoch in range(4)]
    assert list(cohort.weights) == [("untrained", 0), *learnt]
    for weights in cohort.weights.values():
        shapes = [tuple(w.shape) for w in weights]
        assert shapes == [(3, 2, 4, 31), (3, 2, 3, 4), (3, 2, 4, 3)]
    for task in TASKS:
        assert cohort.states[task] is cohort.weights[task, 3]


def test_all_patterns_are_learnt_from_one_start(cohort):
    start = Perceptron(SIZES).initial(SEEDS, schemes=SCHEMES)
    for at in [("untrained", 0), ("tree", 0), ("clusters", 0)]:
        assert_equal(cohort.weights[at], [start[f"weights.{i}"] for i in range(3)])
    one, other = (cohort.states[task][0] for task in TASKS)
    for s in range(3):
        assert not torch.allclose(one[s], other[s])
        assert not torch.allclose(one[s], one[s - 1])


@pytest.mark.parametrize("task", TASKS)
def test_each_seed_has_patterns_of_its_own(watched, task):
    networks.train([task], seeds=SEEDS, hidden=HIDDEN, schemes=["normal"], n_epochs=1)
    for at, seed in enumerate(SEEDS):
        split = networks.split(task, seed)
        drawn = getattr(patterns, task)(rng=generator(seed, f"{task} patterns"))
        expected = patterns.split(drawn, rng=generator(seed, f"{task} split"))
        for part in ("train", "test"):
            assert torch.equal(getattr(split, part).inputs, getattr(expected, part).inputs)
            assert torch.equal(getattr(split, part).labels, getattr(expected, part).labels)
        assert len(split.train.labels) == 1260
        assert torch.equal(watched["train"][at], split.train.inputs)
        assert torch.equal(watched["labels"][at], split.train.labels)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 7])
@pytest.mark.parametrize("task", TASKS)
def test_a_network_is_as_if_trained_alone(cohort, task, seed):
    s = SEEDS.index(seed)
    train = networks.split(task, seed).train
    network = Perceptron(SIZES)
    start, rows = (
        network.initial([seed], schemes=["glorot"]),
        (train.inputs[None], train.labels[None]),
    )
    snapshots, accuracy = epochs.fit_epochs(network, start, *rows, n_epochs=3, seeds=[seed])
    for epoch in (2, 3):
        expected = snapshots[epoch]
        found = [w[s : s + 1, 1:] for w in cohort.weights[task, epoch]]
        assert_close(found, [expected[f"weights.{i}"] for i in range(3)])
    running = rows_of(cohort.running, task=task, seed=seed, scheme="glorot")
    assert running.epoch.tolist() == [1, 2, 3]
    np.testing.assert_allclose(running.accuracy, accuracy[:, 0, 0], atol=2e-3)


def test_a_seed_does_not_depend_on_others(cohort):
    alone = networks.train(TASKS, seeds=(3,), **TINY)
    for at, weights in cohort.weights.items():
        assert_close(alone.weights[at], [w[1:2] for w in weights])
    for found, whole in [(alone.running, cohort.running), (alone.tested, cohort.tested)]:
        pd.testing.assert_frame_equal(found, rows_of(whole, seed=3), atol=2e-3)


def test_patterns_do_not_depend_on_those_beside_them(cohort):
    alone = networks.train(["clusters"], seeds=SEEDS, **TINY)
    assert list(alone.states) == ["untrained", "clusters"]
    assert_close(alone.states["clusters"], cohort.states["clusters"])


def test_running_accuracy_has_a_row_for_each_epoch_and_network(cohort):
    found = cohort.running
    assert list(found.columns) == ["epoch", "task", "seed", "scheme", "accuracy"]
    assert len(found) == 3 * 2 * 3 * 2
    assert not found.duplicated(["epoch", "task", "seed", "scheme"]).any()
    assert found.accuracy.between(0, 1).all()


def test_tested_accuracy_is_that_of_a_pass_by_hand():
    network = Perceptron(SIZES)
    cohort = networks.train(TASKS, seeds=SEEDS, **TINY)
    found = cohort.tested
    assert list(found.columns) == ["task", "seed", "scheme", "accuracy"]
    assert len(found) == 2 * 3 * 2
    for task, seed in itertools.product(TASKS, SEEDS):
        split = networks.split(task, seed)
        start = network.initial([seed], schemes=SCHEMES)
        rows = split.train.inputs[None], split.train.labels[None]
        snapshots, _ = epochs.fit_epochs(network, start, *rows, n_epochs=3, seeds=[seed])
        for a, scheme in enumerate(SCHEMES):
            x = split.test.inputs
            for i in range(3):
                w, b = (snapshots[-1][f"{name}.{i}"][0, a] for name in ("weights", "biases"))
                x = x @ w.T + b
                x = x.relu() if i < 2 else x
            right = float((x.argmax(1) == split.test.labels).double().mean())
            [row] = rows_of(found, task=task, seed=seed, scheme=scheme).accuracy
            assert row == pytest.approx(right, abs=2e-3)
    assert found.accuracy.nunique() > 3


@pytest.mark.parametrize("n_seeds", [1, 2, 3, None])
@pytest.mark.parametrize(
    "kept", [("glorot",), ("glorot", "normal"), SCHEMES], ids=["one", "turned", "both"]
)
def test_some_schemes_and_the_first_seeds_are_a_cohort(cohort, kept, n_seeds):
    part = cohort.part(kept, n_seeds)
    assert (part.seeds, part.schemes) == (SEEDS[:n_seeds], kept)
    assert list(part.weights) == list(cohort.weights)
    arms = [SCHEMES.index(scheme) for scheme in kept]
    for at, weights in cohort.weights.items():
        assert_equal(part.weights[at], [w[:n_seeds][:, arms] for w in weights])
    for found, whole in [(part.running, cohort.running), (part.tested, cohort.tested)]:
        expected = whole[whole.seed.isin(SEEDS[:n_seeds]) & whole.scheme.isin(kept)]
        pd.testing.assert_frame_equal(found, expected)
    assert part.part(["glorot"], 1).states["tree"][0].shape == (1, 1, 4, 31)
    assert cohort.schemes == SCHEMES


def test_digits_are_a_task():
    found = networks.train(["digits"], seeds=(1, 4), hidden=HIDDEN, schemes=["matched"], n_epochs=1)
    assert list(found.states) == ["untrained", "digits"]
    assert [w.shape[2:] for w in found.states["digits"]] == [(4, 64), (3, 4), (10, 3)]
    one, other = (networks.split("digits", seed).train for seed in (1, 4))
    assert one.inputs.shape == (1131, 64)
    assert not torch.equal(one.labels, other.labels)  # the same images, otherwise dealt out
    assert found.tested.task.tolist() == ["digits"] * 2


# --- patterns that training never shows ---------------------------------------------------------


@pytest.fixture
def watched(monkeypatch):
    """What is trained and tested with, in the order of calls."""
    calls, honest = {}, {"fit_epochs": epochs.fit_epochs, "accuracy": loop.accuracy}

    def fit(network, start, inputs, labels, **options):
        calls["train"], calls["labels"], calls["seeds"] = inputs, labels, options["seeds"]
        calls["sizes"] = {"batch_size": 20} | {n: v for n, v in options.items() if n != "seeds"}
        return honest["fit_epochs"](network, start, inputs, labels, **options)

    def accuracy(network, p, x, y):
        calls["test"], calls["test labels"] = x, y
        calls["right"] = honest["accuracy"](network, p, x, y)
        return calls["right"]

    monkeypatch.setattr(epochs, "fit_epochs", fit)
    monkeypatch.setattr(loop, "accuracy", accuracy)
    return calls


@pytest.mark.slow
def test_held_out_patterns_are_never_shown(watched):
    knobs = {"seeds": (3, 8), "hidden": HIDDEN, "schemes": SCHEMES, "n_epochs": 2}
    found = networks.train(networks.FOLDS, **knobs).tested
    assert list(found.columns) == ["task", "seed", "scheme", "accuracy"]
    assert found.task.unique().tolist() == ["fold 0", "fold 1", "fold 2", "fold 3"]
    assert len(found) == 4 * 2 * 2
    assert not found.duplicated(["task", "seed", "scheme"]).any()
    assert watched["seeds"] == [3, 8] * 4
    assert watched["sizes"] == {"n_epochs": 2, "batch_size": 20}
    assert found.accuracy.tolist() == watched["right"].ravel().tolist()
    everything = set()
    for at, (fold, seed) in enumerate((f, s) for f in range(4) for s in (3, 8)):
        drawn = patterns.tree(rng=generator(seed, "tree patterns"))
        kept, held = patterns.hold_out(drawn, fold)
        shown, asked = ({tuple(row) for row in watched[k][at].tolist()} for k in ("train", "test"))
        assert not shown & asked
        assert asked == {tuple(row) for row in held.inputs.tolist()}
        assert shown == {tuple(row) for row in kept.inputs.tolist()}
        assert len(watched["test"][at]) == 4  # each of them once
        assert watched["test labels"][at].sort().values.tolist() == [0, 1, 2, 3]
        means = {tuple(x): int(y) for x, y in zip(kept.inputs.tolist(), kept.labels, strict=True)}
        taught = watched["labels"][at].tolist()
        assert taught == [means[tuple(row)] for row in watched["train"][at].tolist()]
        assert 900 < len(taught) <= 1260
        everything |= asked
    assert len(everything) == 16


def test_folds_of_a_seed_do_not_depend_on_other_seeds(watched):
    knobs = {"hidden": HIDDEN, "schemes": ["normal"], "n_epochs": 1}
    networks.train(networks.FOLDS, seeds=(3, 8), **knobs)
    both = watched["train"][::2]
    networks.train(networks.FOLDS, seeds=(3,), **knobs)
    assert torch.equal(both, watched["train"])


def test_unknown_tasks_are_refused():
    with pytest.raises(ValueError, match="tre"):
        networks.train(["tre"], seeds=(1,), hidden=HIDDEN, schemes=["normal"], n_epochs=1)


# --- coloured networks --------------------------------------------------------------------------


def one_cut(pooled, weights, cut=0.55):
    """Colours of one network's layers, by a cut fitted to pooled weights."""
    found = colouring.fit_cut([w[None] for w in pooled], cut)
    found = colouring.Cut(*(float(bound[0]) for bound in found))
    return [colouring.colours(w, found).numpy() for w in weights]


@pytest.mark.parametrize("cut", [0.55, 0.3])
def test_a_seeds_networks_of_one_scheme_share_a_cut(cohort, cut):
    found = networks.coloured(cohort, cut=cut)
    assert list(found) == [*cohort.states]
    for s, a in np.ndindex(3, 2):
        pooled = [w[s, a] for weights in cohort.states.values() for w in weights]
        for state, net in found.items():
            assert (net.seeds, net.schemes, net.about) == (SEEDS, SCHEMES, {"state": state})
            assert net.sizes == SIZES
            expected = one_cut(pooled, [w[s, a] for w in cohort.states[state]], cut)
            assert_equal([m[s, a] for m in net.matrices], expected)


@pytest.mark.parametrize("cut", [0.55, 0.3])
def test_a_cut_can_be_a_networks_own(cohort, cut):
    found = networks.coloured(cohort, cut=cut, own=True)
    nets = networks.coloured(cohort, cut=cut)
    differ = 0
    for state, net in found.items():
        for s, a in np.ndindex(3, 2):
            weights = [w[s, a] for w in cohort.states[state]]
            mine = [m[s, a] for m in net.matrices]
            assert_equal(mine, one_cut(weights, weights, cut))
            shared = [m[s, a] for m in nets[state].matrices]
            differ += any((a != b).any() for a, b in zip(mine, shared, strict=True))
    assert differ > 9


def test_networks_can_be_looked_at_after_some_epochs(cohort):
    for epoch in (2, 0, 3):
        net = networks.after_epoch(cohort, "clusters", epoch)
        assert net.about == {"state": "clusters", "epoch": epoch}
        for s, a in np.ndindex(3, 2):
            weights = [w[s, a] for w in cohort.weights["clusters", epoch]]
            assert_equal([m[s, a] for m in net.matrices], one_cut(weights, weights))


def test_replacing_keeps_the_colours_of_each_layer(nets):
    net = nets["tree"]
    found = net.replaced()
    assert (found.seeds, found.schemes, found.about) == (SEEDS, SCHEMES, {"state": "tree"})
    for old, new in zip(net.matrices, found.matrices, strict=True):
        assert old.shape == new.shape
        for s, a in np.ndindex(3, 2):
            before, after = (np.bincount(m[s, a].ravel()).tolist() for m in (old, new))
            assert before == after
        assert (old != new).any(axis=(-1, -2)).mean() > 0.8
    again = net.replaced()
    assert_equal(found.matrices, again.matrices)
    assert_equal(part_of(net, 1).replaced().matrices, [m[:1] for m in found.matrices])
    assert_equal(
        part_of(net, 3, ["glorot"]).replaced().matrices, [m[:, 1:] for m in found.matrices]
    )


def test_networks_are_replaced_independently(nets):
    """Where entries are all different, their new places are the draws themselves."""
    plain = [np.arange(124).reshape(4, 31) + np.zeros((3, 2, 1, 1), int)]
    places = [
        networks.Nets(SEEDS, SCHEMES, plain, {}, state).replaced().matrices[0]
        for state in ("tree", "clusters")
    ]
    assert len({m.tobytes() for m in np.reshape(places, (12, -1))}) == 12


# --- counts and scores --------------------------------------------------------------------------


@pytest.mark.slow
def test_every_network_null_and_class_has_a_row(table):
    assert list(table.columns) == [
        "seed", "scheme", "state", "null", "edges", "id", "topology", "count", "expected", "z",
        "msm",
    ]  # fmt: skip
    assert not table.duplicated(KEYS).any()
    assert len(table) == 3 * 2 * 3 * len(NULLS) * 10
    assert set(zip(table.id, table.topology, strict=True)) == set(classes.NAMES[4].items())
    assert set(table.null) == set(NULLS)
    assert set(table.state) == {"untrained", *TASKS}
    assert table[["count", "expected", "edges"]].notna().all(axis=None)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("at", [(0, 0, "untrained"), (2, 1, "clusters")], ids=["first", "last"])
def test_scores_are_those_of_one_network(table, nets, null, at):
    s, a, state = at
    seed, scheme = SEEDS[s], SCHEMES[a]
    edges = colouring.edges([m[s, a] for m in nets[state].matrices])
    options = {"null": null, "n_random": 39, "layers": SIZES}

    def rng():
        return generator(seed, f"{null} null of {state} {scheme} 4")

    drawn = motifs.ensemble(edges, 4, rng=rng(), **options)
    of_class = drawn.classes.id.to_numpy()
    total = drawn.observed.sum(), drawn.random.sum(1)
    coloured = motifs.significance(edges, 4, rng=rng(), **options)
    rows = rows_of(table, seed=seed, scheme=scheme, state=state, null=null).set_index("id")
    assert (rows.edges == len(edges)).all()
    seen = 0
    for id, row in rows.iterrows():
        count, random = drawn.observed[of_class == id].sum(), drawn.random[:, of_class == id].sum(1)
        assert row["count"] == count
        assert row["expected"] == pytest.approx(random.mean())
        one, many = (count / total[0], random / total[1]) if null == "degree" else (count, random)
        if np.ptp(many) > 0:
            assert row["z"] == pytest.approx((one - many.mean()) / many.std(ddof=1))
            seen += 1
        else:
            assert np.isnan(row["z"])
        best = coloured[(coloured.id == id) & (coloured.p < 0.05)].z.max()
        if null == "degree":
            assert row["msm"] == (pytest.approx(best) if best == best else 0)
        else:
            assert np.isnan(row["msm"])
    assert seen >= 4
    assert sum(rows["count"]) == drawn.observed.sum()


def test_counts_are_those_of_the_network_under_every_null(table):
    each = table.groupby(["seed", "scheme", "state", "id"])
    assert (each["count"].nunique() == 1).all()
    assert (each["edges"].nunique() == 1).all()


def test_only_the_paper_s_null_has_the_paper_s_score(table, nets):
    degree = table[table.null == "degree"]
    assert degree.msm.notna().all()
    assert (degree.msm >= 0).all()
    assert degree.msm.max() > 1
    assert table[table.null != "degree"].msm.isna().all()
    some = networks.measure([part_of(nets["tree"], 1)], nulls=["layer"], n_random=19)
    assert "msm" not in some


def test_what_degrees_settle_has_no_score_under_the_layer_null(table):
    layer = table[table.null == "layer"]
    settled = layer[layer.id.isin([14, 28, 2116, 2184])]
    assert settled.z.isna().all()
    np.testing.assert_array_equal(settled["count"], settled.expected)
    assert layer[layer.id == 204].z.notna().any()
    free = table[(table.null == "permutation") & (table.id == 2184)]
    assert free.z.notna().all()


@pytest.mark.slow
def test_several_networks_are_one_after_the_other(table, nets):
    each = [networks.measure([net], nulls=NULLS, n_random=39) for net in nets.values()]
    pd.testing.assert_frame_equal(table, pd.concat(each, ignore_index=True))
    turned = networks.measure(iter([*nets.values()][::-1]), nulls=NULLS[:1], n_random=39)
    assert turned.state.unique().tolist() == [*nets][::-1]


def test_a_networks_scores_do_not_depend_on_others(table, nets):
    part = part_of(nets["tree"], 3, ["glorot"])
    part = dataclasses.replace(part, seeds=SEEDS[1:2], matrices=[m[1:2] for m in part.matrices])
    found = networks.measure([part], nulls=["layer", "degree"], n_random=39)
    for null in ("layer", "degree"):
        expected = rows_of(table, seed=3, scheme="glorot", state="tree", null=null)
        columns = list(expected.columns)
        pd.testing.assert_frame_equal(
            rows_of(found, null=null)[columns], expected, check_dtype=False
        )


def test_networks_have_random_networks_of_their_own(nets):
    """The same edges, said to be of another seed, scheme or state."""
    one = [np.repeat(np.repeat(m[:1, :1], 2, 0), 2, 1) for m in nets["tree"].matrices]
    same = [networks.Nets((1, 2), SCHEMES, one, {"state": state}, state) for state in TASKS]
    found = networks.measure(same, nulls=["layer", "permutation"], n_random=19)
    for null in ("layer", "permutation"):
        expected = rows_of(found, null=null, id=140)
        assert expected["count"].nunique() == 1
        assert expected.expected.nunique() >= 7  # of 8


def test_progress_is_told(nets):
    heard = []
    networks.measure(
        [part_of(nets["tree"], 2), part_of(nets["clusters"], 1)],
        nulls=["layer", "degree"],
        n_random=2,
        report=heard.append,
    )
    assert heard == ["tree: 1 of 2 seeds", "tree: 2 of 2 seeds", "clusters: 1 of 1 seeds"]


def test_three_nodes(nets):
    net = part_of(nets["tree"], 1)
    found = networks.measure([net], nulls=["degree"], n_random=19, size=3)
    assert found.id.tolist() == [6, 12, 36] * 2
    for a, scheme in enumerate(SCHEMES):
        census = motifs.census(colouring.edges([m[0, a] for m in net.matrices]), 3)
        counts = census.groupby("id")["count"].sum().reindex([6, 12, 36], fill_value=0)
        assert rows_of(found, scheme=scheme)["count"].tolist() == counts.tolist()


def test_five_nodes(nets):
    net = part_of(nets["tree"], 1, ["glorot"])
    found = networks.measure([net], nulls=["degree"], n_random=39, size=5)
    assert found.id.is_monotonic_increasing
    assert found.id.is_unique
    census = motifs.census(colouring.edges([m[0, 0] for m in net.matrices]), 5)
    counts = census.groupby("id")["count"].sum()
    there = found[found["count"] > 0].set_index("id")["count"]
    pd.testing.assert_series_equal(there, counts, check_dtype=False)
    assert (found.msm[found["count"] == 0] == 0).all()
    assert found.msm.notna().all()
    assert found.msm.max() > 0


def test_classes_that_do_not_occur_have_a_row():
    funnel = [np.full((1, 1, 1, 5), 2), np.array([[[[2], [0], [0]]]]), np.zeros((1, 1, 1, 3), int)]
    net = networks.Nets((0,), ("made",), funnel, {}, "hand")
    found = networks.measure([net], nulls=["permutation"], n_random=19).set_index("id")
    assert found.index.tolist() == list(classes.NAMES[4])
    assert (found.edges == 6).all()
    expected = dict.fromkeys(classes.NAMES[4], 0) | {2184: 10, 2116: 10}
    assert found["count"].to_dict() == expected
    assert found.expected.to_dict() == expected  # two full layers, or one edge, anywhere
    assert found.z.isna().all()


# --- wider, denser, pruned, larger --------------------------------------------------------------


def test_wider_and_denser_networks():
    options = {"nulls": ["layer"], "n_random": 19}
    nets = [networks.untrained((1, 5), [n, n], knob="width", value=n) for n in (4, 7)]
    nets += [networks.untrained((1, 5), HIDDEN, cut=c, knob="cut", value=c) for c in (0.2, 0.6)]
    found = networks.measure(nets, **options)
    about = found[["knob", "value"]].drop_duplicates()
    expected = [("width", 4), ("width", 7), ("cut", 0.2), ("cut", 0.6)]
    assert list(about.itertuples(index=False, name=None)) == expected
    for knob, value in expected:
        sizes, cut = ((31, value, value, 4), 0.55) if knob == "width" else (SIZES, value)
        start = layers(Perceptron(sizes).initial((1, 5), schemes=["glorot"]))
        colours = [
            np.stack([one_cut([w[s, 0] for w in start], [w[s, 0]], cut)[0] for s in (0, 1)])[
                :, None
            ]
            for w in start
        ]
        nets = networks.Nets((1, 5), ("glorot",), colours, {"state": "untrained"}, "untrained")
        rows = rows_of(found, knob=knob, value=value).drop(columns=["knob", "value"])
        pd.testing.assert_frame_equal(rows, networks.measure([nets], **options), check_dtype=False)
    edges = found.groupby(["knob", "value"]).edges.mean()
    assert edges["cut", 0.6] > edges["cut", 0.2]
    assert edges["width", 7] > edges["width", 4]


def test_masks_have_the_stated_densities(cohort):
    rules = ["magnitude", "random", "by layer"]
    sets = {density: networks.pruned(cohort, "clusters", density) for density in (0.1, 0.37)}
    weights, moved = cohort.states["clusters"], 0
    for density, found in sets.items():
        kept = {nets.about["rule"]: nets.matrices for nets in found}
        assert list(kept) == rules
        for nets in found:
            assert nets.about == {**nets.about, "state": "clusters", "density": density}
            assert (nets.seeds, nets.schemes) == (SEEDS, SCHEMES)
            assert nets.sizes == SIZES
        for s, a in np.ndindex(3, 2):
            size = np.concatenate([w[s, a].abs().flatten() for w in weights])
            n = int(density * len(size))
            bar = np.sort(size)[-n]
            assert_equal(
                [m[s, a] for m in kept["magnitude"]], [w[s, a].abs() >= bar for w in weights]
            )
            counts = {r: [int(m[s, a].sum()) for m in kept[r]] for r in rules}
            assert [sum(of_layers) for of_layers in counts.values()] == [n] * 3
            assert counts["by layer"] == counts["magnitude"]
            moved += counts["random"] != counts["magnitude"]
            flat = [np.concatenate([m[s, a].ravel() for m in kept[r]]) for r in rules]
            assert len({f.tobytes() for f in flat}) == 3
    assert moved > 6  # of 12
    sparse, dense = (
        np.concatenate([m.reshape(6, -1) for m in found[1].matrices], 1) for found in sets.values()
    )
    assert (sparse > dense).any(1).all()  # the random ones of a density are drawn anew
    draws = [m.tobytes() for found in sets.values() for nets in found[1:]
             for m in nets.matrices[0].reshape(6, -1)]  # fmt: skip
    assert len(set(draws)) == len(draws)


def test_masks_of_a_seed_do_not_depend_on_others(cohort):
    found = (networks.pruned(some, "tree", 0.2) for some in (cohort, cohort.part(["glorot"], 1)))
    for whole, part in zip(*found, strict=True):
        assert_equal(part.matrices, [m[:1, 1:] for m in whole.matrices])


def test_pruned_networks_have_scores(cohort):
    options = {"nulls": ["layer", "degree"], "n_random": 19}
    one = cohort.part(SCHEMES, 1)
    nets = [net for density in (0.2, 0.4) for net in networks.pruned(one, "tree", density)]
    found = networks.measure(nets, **options)
    assert len(found) == 2 * 3 * 2 * 2 * 10
    assert not found.duplicated([*KEYS, "rule", "density"]).any()
    assert set(found[found.density == 0.2].edges) == {int(0.2 * (31 * 4 + 4 * 3 + 3 * 4))}


def test_images_from_a_folder(mnist):
    options = {"nulls": ["layer"], "n_random": 2, "size": 3}
    found = networks.images(str(mnist), seeds=(1,), n_epochs=1, **options)
    assert len(found) == 2 * 3 * 3
    assert found.state.unique().tolist() == ["untrained", "MNIST"]
    assert found.scheme.unique().tolist() == list(networks.PUBLISHED)
    assert found.edges.between(1, 0.1 * (784 * 50 + 50 * 50 + 50 * 20 + 20 * 10)).all()


def test_images_are_learnt_as_in_the_paper(mnist, watched, monkeypatch):
    seen = {}

    def coloured(cohort, **options):
        seen["cohort"], seen["options"] = cohort, options
        return {}

    monkeypatch.setattr(networks, "coloured", coloured)
    monkeypatch.setattr(networks, "measure", lambda nets, **options: (list(nets), options))
    assert networks.images(str(mnist), seeds=(4, 1), n_epochs=2, size=3) == ([], {"size": 3})
    cohort = seen["cohort"]
    sizes = [w.shape[2:] for w in cohort.states["MNIST"]]
    assert sizes == [(50, 784), (50, 50), (20, 50), (10, 20)]
    assert (cohort.seeds, cohort.schemes) == ((4, 1), networks.PUBLISHED)
    assert list(cohort.weights) == [("untrained", 0), *(("MNIST", epoch) for epoch in range(3))]
    assert seen["options"] == {"cut": 0.1}
    assert watched["sizes"] == {"n_epochs": 2, "batch_size": 128}
    assert watched["train"].shape == (2, 60, 784)
    assert watched["test"].shape == (2, 30, 784)


def test_images_too_large_for_memory_are_refused(mnist, monkeypatch):
    monkeypatch.setattr(memory, "free_gb", lambda: 0.004)
    with pytest.raises(ValueError, match="MNIST for 20 networks"):
        networks.images(str(mnist), seeds=range(20), n_epochs=1)


# --- networks that no null can change -----------------------------------------------------------


@pytest.mark.parametrize("size", [3, 4, 5])
@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("n_edges", [0, 1, 3, "all"])
def test_what_a_null_cannot_change_has_no_score(n_edges, null, size):
    """Such as the emptiest and the fullest networks that a chapter's parameters can ask for."""
    layers_of = [np.zeros((1, 1, 3, 3), int), np.zeros((1, 1, 2, 3), int)]
    if n_edges == "all":
        layers_of = [m + 2 for m in layers_of]
    else:
        layers_of[0][0, 0, 0, :n_edges] = 2  # all into one unit
    net = networks.Nets((0,), ("made",), layers_of, {"state": "hand"}, "hand")
    found = networks.measure([net], nulls=[null], n_random=19, size=size)
    edges = colouring.edges([m[0, 0] for m in layers_of])
    assert (found.edges == len(edges)).all()
    count = motifs.census(edges, size)["count"].sum() if len(edges) else 0
    assert found["count"].sum() == count
    if n_edges == "all" and null != "degree":
        assert found.z.isna().all()
        np.testing.assert_array_equal(found["count"], found.expected)
    if n_edges in (0, 1):
        assert (found["count"] == 0).all()
        assert found.z.isna().all()
    if null == "degree" and len(edges) < 2:
        assert (found.msm == 0).all()
