"""Problems share what they should: noise between kinds, nothing between seeds."""

import numpy as np
import pytest
import scipy.stats
import torch

from winnow.experiments.receptive_fields import problems
from winnow.experiments.receptive_fields.problems import CLONE, FIELD, Field

GRID, SEEDS, SIZES = (20,), (4, 9, 2), {"n_train": 150, "n_test": 60, "n_probe": 80}


@pytest.fixture(scope="module")
def problem():
    return problems.ring_problem(problems.lengths(GRID, (1, 3)), seeds=SEEDS, **SIZES)


def test_a_problem_has_every_kind_for_every_seed(problem):
    assert problem.groups == (FIELD, CLONE)
    assert problem.replicas == [4, 9, 2, 4, 9, 2]
    assert problem.where == {"grid": (20,), "radius": 3, "cyclic": True}
    assert problem.source.inputs.shape == (6, 300, 20)
    assert problem.source.inputs.dtype == torch.float32
    assert problem.test[0].shape == (6, 120, 20)
    assert [p.shape for p in problem.probes] == [(6, 80, 20)] * 2
    index = problem.index(what=1.5)
    assert index.kind.tolist() == ["field"] * 3 + ["clone"] * 3
    assert index.seed.tolist() == problem.replicas
    assert (index.what == 1.5).all()
    assert [problem.first(kind) for kind in ("field", "clone")] == [0, 3]


def test_labels_are_balanced_and_in_random_order(problem):
    labels = problem.source.labels
    assert (labels.sum(1) == 150).all()
    assert ((labels[:, 1:] != labels[:, :-1]).double().mean(1) > 0.4).all()
    assert torch.equal(labels[:3], labels[3:])  # both kinds in the same order
    assert not torch.equal(labels[0], labels[1])
    assert (problem.test[1].sum(1) == 60).all()


def test_labels_say_which_class_an_input_is_of(problem):
    """Neighbours are more alike where correlations are long."""
    sets = [(problem.source.inputs, problem.source.labels), problem.test]
    for x, y in sets:
        alike = (x * x.roll(1, -1)).mean(-1)
        for s in range(len(x)):
            assert alike[s][y[s] == 1].mean() > alike[s][y[s] == 0].mean() + 0.1
    for c, probe in enumerate(problem.probes):
        x, y = problem.test
        assert torch.equal(probe[0, :60], x[0][y[0] == c])


def test_a_field_and_its_clone_are_made_of_the_same_noise(problem):
    """Through a monotone function, so their ranks agree; those of another seed do not."""
    field, clone = problem.source.inputs.split(3)
    for s in range(3):
        signs = (field[s].sign() == clone[s].sign()).double().mean()
        other = (field[s].sign() == clone[(s + 1) % 3].sign()).double().mean()
        assert signs > 0.9
        assert other < 0.6
    moments = scipy.stats.kurtosis(field.flatten()), scipy.stats.kurtosis(clone.flatten())
    assert moments[0] < -1
    assert abs(moments[1]) < 0.15


def test_training_testing_and_classes_have_noise_of_their_own(problem):
    groups = [problem.probes[0][0, :60], problem.probes[1][0, :60]]
    x, y = problem.source.inputs[0], problem.source.labels[0]
    groups += [x[y == 0][:60], x[y == 1][:60]]
    for i, a in enumerate(groups):
        for b in groups[:i]:
            assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.2
            assert torch.cdist(a, b).min() > 1e-3  # in whichever order


def test_a_seeds_problem_does_not_depend_on_others(problem):
    alone = problems.ring_problem(problems.lengths(GRID, (1, 3)), seeds=(9,), **SIZES)
    for found, all_of_them in [
        (alone.source.inputs, problem.source.inputs), (alone.source.labels, problem.source.labels),
        (alone.test[0], problem.test[0]), (alone.probes[1], problem.probes[1]),
    ]:  # fmt: skip
        torch.testing.assert_close(found, all_of_them[1::3])


def test_a_kind_does_not_depend_on_others(problem):
    fields = {FIELD: problems.lengths(GRID, (1, 3))[FIELD]}
    alone = problems.ring_problem(fields, seeds=SEEDS[:2], **SIZES)
    assert alone.groups == (FIELD,)
    for found, both in [
        (alone.source.inputs, problem.source.inputs), (alone.source.labels, problem.source.labels),
        *zip(alone.test + alone.probes, problem.test + problem.probes, strict=True),
    ]:  # fmt: skip
        assert torch.equal(found, both[:2])


def test_kinds_of_problems():
    main = problems.lengths(GRID, (1, 3), gain=1.0)
    assert list(main) == [FIELD, CLONE]
    assert main[FIELD] == (Field(GRID, 1, 1.0), Field(GRID, 3, 1.0))
    assert main[CLONE] == tuple(field.clone() for field in main[FIELD])
    assert all(field.gaussian for field in main[CLONE])
    found = problems.variants(GRID, (1, 3, 1, 2, 2, 4), gains=(3, 1, 10), power=2.0)
    names = ["gain 1", "gain 10", "super-Gaussian", "lengths 1 and 2", "lengths 2 and 4"]
    assert list(found) == [(name, kind) for name in names for kind in ("field", "clone")]
    assert found["gain 1", "clone"] == main[CLONE]
    assert found["super-Gaussian", "field"] == (Field(GRID, 1, power=2), Field(GRID, 3, power=2))
    assert found["lengths 2 and 4", "field"] == (Field(GRID, 2, 3), Field(GRID, 4, 3))
    few = problems.variants(GRID, (1, 3), gains=[3], power=2.0)
    assert list(few) == [("super-Gaussian", "field"), ("super-Gaussian", "clone")]


def test_variants_stand_beside_each_other_in_tables():
    groups = problems.variants((8,), (1, 2), gains=[3, 1], power=2.0)
    problem = problems.ring_problem(groups, seeds=(5, 2), n_train=20, n_test=4, n_probe=6)
    index = problem.index(what=1.5)
    assert index.variant.tolist() == ["gain 1"] * 4 + ["super-Gaussian"] * 4
    assert index.kind.tolist() == (["field"] * 2 + ["clone"] * 2) * 2
    assert index.seed.tolist() == [5, 2] * 4 == problem.replicas
    assert (index.what == 1.5).all()


@pytest.mark.parametrize(
    ("about", "sign"), [({"gain": 3.0}, -1), ({"power": 2.0}, 1)], ids=["gain", "power"]
)
@pytest.mark.parametrize("grid", [(30,), (6, 6)], ids=["ring", "torus"])
def test_a_field_and_its_clone_have_the_stated_covariance(grid, about, sign):
    one = Field(grid, 1.0, **about)
    assert one.covariance.shape == grid
    for f in (one, one.clone()):
        x = f.sample(20_000, seeds=(1,), purpose="test")[0].astype(float)
        for lag in (0, 1):
            rolled = np.roll(x.reshape(-1, *grid), -lag, -1).reshape(x.shape)
            assert (x * rolled).mean() == pytest.approx(one.covariance.flat[lag], abs=0.03)
    heavy = scipy.stats.kurtosis(one.sample(20_000, seeds=(1,), purpose="test"), axis=None)
    assert np.sign(heavy) == sign


def test_columns_of_photographs_and_planes_count_as_planes():
    plane = problems.ring_problem(
        problems.lengths((5, 6), (0.5, 0.8)), seeds=(1,), n_train=20, n_test=5, n_probe=9
    )
    assert plane.where == {"grid": (5, 6), "radius": 2, "cyclic": True}
    assert [len(p[0]) for p in plane.probes] == [9, 9]
    assert plane.test[0].shape == (2, 10, 30)


# --- what chapters ask for ----------------------------------------------------------------------

SETTINGS = {"lengths": [2, 6, 1, 3], "gains": [3, 1], "images": ""}


def test_settings_that_go_together_pass():
    problems.check(**SETTINGS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lengths": [2, 6, 1]}, r"lengths must be pairs.* got \[2, 6, 1\]"),
        ({"lengths": [2]}, r"lengths must be pairs.* got \[2\]"),
        ({"lengths": [2, 2]}, r"lengths must be pairs of two different ones, got \[2, 2\]"),
        ({"lengths": [2, 6, 3, 3]}, r"lengths must be pairs of two different ones, got \[3, 3\]"),
        ({"gains": [0, 1]}, "gain must be in"),
        ({"gains": [3, 0]}, "gain must be in"),
        ({"images": "no/{such}"}, r"cannot read folder no/\{such\} .* give one with CIFAR-10"),
    ],
    ids=["odd", "one", "equal", "later", "main gain", "other gain", "images"],
)
def test_settings_that_do_not_go_together_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        problems.check(**SETTINGS | change)


def test_a_problem_too_large_for_memory_is_refused_before_it_is_drawn():
    kinds = problems.lengths(GRID, (1, 3))
    with pytest.raises(ValueError, match="2 groups of inputs for 3 seeds"):
        problems.ring_problem(kinds, seeds=SEEDS, **SIZES | {"n_train": 10**12})
