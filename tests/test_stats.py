"""Intervals cover what they say, and p-values are those of the exact tests."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from winnow import stats

NAN = np.nan


def rng(seed=0):
    return np.random.default_rng(seed)


# --- bootstrap ----------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["normal", "exponential"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bootstrap_intervals_cover_the_mean_as_often_as_they_say(draw, level):
    source, true = rng(1), {"normal": 0.0, "exponential": 1.0}[draw]
    hits, n = 0, 400
    for _ in range(n):
        values = getattr(source, draw)(size=64)
        found = stats.bootstrap_ci(values, rng=source, level=level, n_boot=500)
        hits += found.low <= true <= found.high
    slack = 3 * np.sqrt(level * (1 - level) / n)
    assert level - slack - 0.03 < hits / n < level + slack  # percentile intervals run short


def test_bootstrap_intervals_have_the_width_of_the_standard_error():
    values = rng(2).normal(size=2000)
    found = stats.bootstrap_ci(values, rng=rng(), n_boot=4000)
    error = values.std() / np.sqrt(2000)
    assert found.estimate == values.mean()
    assert [found.low, found.high] == pytest.approx(
        [values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.15 * error
    )


def test_bootstrap_meets_an_independent_implementation():
    values = rng(3).exponential(size=40)
    theirs = scipy.stats.bootstrap(
        (values,), np.median, method="percentile", n_resamples=20_000, random_state=rng(4)
    ).confidence_interval
    found = stats.bootstrap_ci(values, rng=rng(5), statistic=np.median, n_boot=20_000)
    assert [found.low, found.high] == pytest.approx([theirs.low, theirs.high], abs=0.03)


def test_samples_that_belong_together_are_drawn_together():
    a = rng(6).normal(size=50)
    found = stats.bootstrap_ci(
        (a, a + 3), rng=rng(), statistic=lambda x, y, axis: (y - x).mean(axis)
    )
    assert [found.low, found.high] == pytest.approx([3, 3])


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series])
def test_values_may_come_as_any_sequence(kind):
    found = stats.bootstrap_ci(kind([1.0, 2.0, 4.0]), rng=rng())
    assert found == stats.bootstrap_ci(np.array([1.0, 2.0, 4.0]), rng=rng())
    assert all(type(x) is float for x in found[:3])


def test_the_same_stream_gives_the_same_interval_and_another_another():
    values = rng(7).normal(size=30)
    same, again, other = (stats.bootstrap_ci(values, rng=rng(k)) for k in (0, 0, 1))
    assert same == again != other


def test_seeds_with_a_nan_are_left_out_and_not_counted():
    whole = stats.bootstrap_ci([1.0, 2.0, 4.0], rng=rng())
    assert stats.bootstrap_ci([NAN, 1.0, 2.0, NAN, 4.0], rng=rng()) == whole
    assert whole.n == 3
    treated, control = np.array([1.0, NAN, 3, 5]), np.array([0.0, 1, NAN, 1])
    found = stats.paired_difference(treated, control, rng=rng())
    assert (found.n, found.estimate) == (2, 2.5)
    assert stats.ratio_of_medians(treated, control + 1, rng=rng()).n == 2


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ([1.0], {}, "two or more seeds, got 1"),
        ([], {}, "two or more seeds, got 0"),
        ([1.0, NAN], {}, "two or more seeds, got 1"),
        ([1.0, 2.0, np.inf], {}, "finite: cap values"),
        ((np.ones(3), np.ones(4)), {}, r"one length, got \[\(3,\), \(4,\)\]"),
        (np.ones((3, 3)), {}, r"one number per seed, .* got \[\(3, 3\)\]"),
        ([1.0, 2.0], {"level": 1.0}, r"level must be in \(0, 1\), got 1.0"),
        ([1.0, 2.0], {"level": 95}, r"level must be in \(0, 1\), got 95"),
        ([1.0, 2.0], {"n_boot": 99}, "n_boot must be 100 or larger, got 99"),
    ],
)
def test_bad_samples_are_named(values, options, words):
    with pytest.raises(ValueError, match=words):
        stats.bootstrap_ci(values, rng=rng(), **options)


# --- paired differences -------------------------------------------------------------------------


def exact_sign_flip_p(difference):
    """Share of all sign patterns whose mean is as far from zero."""
    patterns = np.array(list(itertools.product((-1, 1), repeat=len(difference))))
    far = abs(patterns @ difference) >= abs(difference.sum()) - 1e-12
    return far.mean()


@pytest.mark.parametrize(
    "difference",
    [
        rng(8).normal(size=8),
        rng(9).normal(size=8) + 0.7,
        np.arange(1.0, 9.0),
        np.array([1.0, -1, 1, -1, 1, 1, 1, 1]),
        np.array([0.1] * 8),  # every pattern's mean is a sum of rounded tenths
        np.zeros(8),
    ],
    ids=["noise", "shifted", "all up", "ties", "equal", "zero"],
)
def test_the_sign_flip_p_value_is_that_of_all_patterns(difference):
    exact = exact_sign_flip_p(difference)
    found = stats.paired_difference(difference + 5, np.full(8, 5.0), rng=rng(), n_boot=20_000)
    assert found.estimate == pytest.approx(difference.mean())
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


def test_the_p_value_is_uniform_or_larger_without_an_effect():
    source = rng(10)
    p = np.array(
        [
            stats.paired_difference(source.normal(size=20), 0, rng=source, n_boot=200).p
            for _ in range(400)
        ]
    )
    for alpha in (0.05, 0.2, 0.5):
        assert (p <= alpha).mean() < alpha + 3 * np.sqrt(alpha * (1 - alpha) / 400)


def test_the_p_value_is_never_zero():
    found = stats.paired_difference(np.ones(100), 0, rng=rng(), n_boot=100)
    assert found.p == pytest.approx(1 / 101)


def test_pairing_removes_what_seeds_share():
    shared = 100 * rng(11).normal(size=30)
    found = stats.paired_difference(shared + 1 + rng(12).normal(size=30) / 10, shared, rng=rng())
    assert 0.8 < found.low < 1 < found.high < 1.2


def test_a_number_stands_for_a_fixed_value():
    values = rng(13).normal(size=12)
    one = stats.paired_difference(values, 0.5, rng=rng())
    assert one == stats.paired_difference(values, np.full(12, 0.5), rng=rng())


def test_pairs_must_match():
    with pytest.raises(ValueError, match="one length"):
        stats.paired_difference(np.ones(3), np.ones(4), rng=rng())


def test_ratio_of_medians():
    control = rng(14).exponential(size=101)
    found = stats.ratio_of_medians(3 * control, control, rng=rng())
    assert [found.estimate, found.low, found.high] == pytest.approx([3, 3, 3])
    other = stats.ratio_of_medians(rng(15).exponential(size=101), control, rng=rng())
    assert other.low < 1 < other.high
    few = stats.ratio_of_medians(np.array([2.0, 8, 6]), np.array([1.0, 3, 2]), rng=rng())
    assert few.estimate == 3


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_regained_is_where_the_treatment_lies(share):
    low, high = rng(16).normal(size=40), 10 + rng(17).normal(size=40)
    found = stats.share_regained((1 - share) * low + share * high, low, high, rng=rng())
    assert [found.estimate, found.low, found.high] == pytest.approx([share] * 3)


def test_share_regained_moves_with_the_treatment_alone():
    low, high = rng(18).normal(size=400), 10 + rng(19).normal(size=400)
    found = stats.share_regained(5 + rng(20).normal(size=400), low, high, rng=rng())
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.05


# --- proportions --------------------------------------------------------------------------------


@pytest.mark.parametrize(("won", "n"), [(0, 1), (0, 10), (3, 10), (64, 64), (81, 263)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_proportions_have_wilsons_interval(won, n, level):
    found = stats.proportion_ci(np.arange(n) < won, level=level)
    z = scipy.stats.norm.ppf((1 + level) / 2)
    # Its ends are where the score test turns: |p - q| = z sqrt(q (1 - q) / n).
    ends = np.sort(np.roots([n + z**2, -(2 * won + z**2), won**2 / n]))
    assert found.estimate == won / n
    assert found.n == n
    assert [found.low, found.high] == pytest.approx(ends.clip(0, 1).tolist(), abs=1e-9)


def test_wilsons_interval_is_the_published_one():
    found = stats.proportion_ci(np.arange(263) < 81)  # Newcombe 1998, the first example
    assert [found.low, found.high] == pytest.approx([0.2553, 0.3662], abs=5e-5)


def test_no_seeds_have_no_rate():
    with pytest.raises(ValueError, match="at least one seed, got none"):
        stats.proportion_ci([])


def pairs(both, only_a, only_b, neither):
    counts = (both, only_a, only_b, neither)
    return np.repeat([1, 1, 0, 0], counts) == 1, np.repeat([1, 0, 1, 0], counts) == 1


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [((36, 12, 2, 0), 0.0569, 0.3404), ((20, 12, 2, 16), 0.0562, 0.3292)],
)
def test_paired_rates_have_newcombes_published_interval(cells, low, high):
    found = stats.paired_proportion_difference(*pairs(*cells))
    assert found.estimate == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)
    assert found.n == 50


ALL_CELLS = [c for c in itertools.product((0, 1, 4, 20), repeat=4) if sum(c)]


def test_paired_intervals_hold_the_estimate_and_turn_with_the_pair():
    for cells in ALL_CELLS:
        a, b = pairs(*cells)
        there, back = (stats.paired_proportion_difference(*p) for p in ((a, b), (b, a)))
        assert -1 - 1e-9 <= there.low <= there.estimate <= there.high <= 1 + 1e-9
        np.testing.assert_allclose(
            [there.estimate, there.low, there.high], [-back.estimate, -back.high, -back.low]
        )
        failures = stats.paired_proportion_difference(~a, ~b)
        np.testing.assert_allclose([failures.low, failures.high], [back.low, back.high], atol=1e-12)


def test_two_perfect_rates_keep_the_doubt_of_one():
    one = stats.proportion_ci([True] * 30)
    both = stats.paired_proportion_difference([True] * 30, [True] * 30)
    assert [both.low, both.high] == pytest.approx([one.low - 1, 1 - one.low])


def test_paired_intervals_shrink_with_agreement_and_with_seeds():
    widths = [
        np.ptp(stats.paired_proportion_difference(*pairs(*cells))[1:3])
        for cells in [(10, 10, 10, 10), (18, 2, 2, 18), (180, 20, 20, 180)]
    ]
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize(("p", "q", "together"), [(0.9, 0.8, 0.5), (0.6, 0.5, 0.9)])
def test_paired_intervals_cover(p, q, together):
    """Outcomes that share one uniform number with a given probability."""
    source, hits, n = rng(21), 0, 500
    for _ in range(n):
        u, v = source.random((2, 50))
        v = np.where(source.random(50) < together, u, v)
        found = stats.paired_proportion_difference(u < p, v < q)
        hits += found.low <= p - q <= found.high
    assert hits / n > 0.95 - 3 * np.sqrt(0.95 * 0.05 / n)


def test_paired_rates_must_match():
    with pytest.raises(ValueError, match="3 treated seeds, 4 control"):
        stats.paired_proportion_difference([True] * 3, [True] * 4)


# --- many tests, margins, words -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.001, 0.5], [0.08, 0.003, 0.5]),
        ([0.5, 0.6], [1, 1]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0, 1], [0, 1]),
    ],
)
def test_holm_by_hand(p, expected):
    assert stats.holm(p).tolist() == pytest.approx(expected)


def test_holm_rejects_what_the_step_down_rule_rejects():
    for p in rng(22).random((200, 5)) ** 3:
        rejected, order = np.zeros(5, bool), p.argsort()
        for step, k in enumerate(order):
            if p[k] > 0.05 / (5 - step):
                break
            rejected[k] = True
        assert ((stats.holm(p) <= 0.05) == rejected).all()


@pytest.mark.parametrize("p", [[-0.1], [1.1], [0.5, NAN]])
def test_holm_names_what_is_no_p_value(p):
    with pytest.raises(ValueError, match=r"p-values must be in \[0, 1\], got"):
        stats.holm(p)


@pytest.mark.parametrize(("low", "holds"), [(-0.06, False), (-0.05, False), (-0.049, True)])
def test_non_inferiority_excludes_the_margin(low, holds):
    assert stats.non_inferior(stats.Interval(0.0, low, 0.1, 9), margin=0.05) is holds


@pytest.mark.parametrize("margin", [0, -0.05])
def test_a_margin_is_positive(margin):
    with pytest.raises(ValueError, match=f"margin must be positive, got {margin}"):
        stats.non_inferior(stats.Interval(0.0, 0.0, 0.0, 9), margin=margin)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_the_largest_gap_is_exact_and_counts_seeds(kind):
    found = stats.largest(kind([[[0.5, -3.0]], [[1.0, 2.0]]]))
    assert found[:4] == (3, 3, 3, 2)
    assert np.isnan(stats.largest(kind([0.0, NAN])).estimate)


def test_intervals_print_in_the_format_asked_for():
    interval = stats.Interval(0.12345, -1.0, 2.0, 9)
    assert f"{interval}" == "0.123 [-1.000, 2.000]"
    assert f"{interval:.1f}" == "0.1 [-1.0, 2.0]"


def test_a_ratio_of_means_resamples_both_together():
    values = rng(3).exponential(size=40) + 1
    found = stats.ratio_of_means(3 * values, values, rng=rng())
    assert found.low == pytest.approx(3) == found.high  # the pairing leaves no doubt
    apart = stats.ratio_of_means(3 * values, values[::-1], rng=rng())
    assert apart.estimate == pytest.approx(3)
    assert apart.high - apart.low > 0.5


def test_each_of_several_samples_gets_its_interval():
    table = pd.DataFrame({"a": rng(1).normal(size=30), 12: rng(2).normal(size=30)})
    found = stats.bootstrap_each(table, rng=rng(), label="n = ")
    assert list(found) == ["n = a", "n = 12"]
    stream = rng()
    for name, values in table.items():
        assert found[f"n = {name}"] == stats.bootstrap_ci(values.to_numpy(), rng=stream)
    assert stats.bootstrap_each({}, rng=rng()) == {}


# --- few seeds ----------------------------------------------------------------------------------


def test_students_interval_is_scipys():
    x = np.random.default_rng(0).normal(3, 2, 7)
    found = stats.t_interval(x)
    wanted = scipy.stats.ttest_1samp(x, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found[:3], [x.mean(), wanted.low, wanted.high], rtol=1e-12)
    assert found.n == 7
    assert np.isnan(found.p)


@pytest.mark.parametrize("n", [3, 4, 8])
def test_students_interval_covers_with_few_seeds_where_the_bootstrap_does_not(n):
    rng = np.random.default_rng(n)
    draws = rng.normal(size=(600, n))
    held = [i.low < 0 < i.high for i in map(stats.t_interval, draws)]
    assert abs(np.mean(held) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 600)
    short = [stats.bootstrap_ci(x, rng=rng, n_boot=200) for x in draws[:300]]
    assert np.mean([i.low < 0 < i.high for i in short]) < 0.93


def test_differences_and_ratios_are_paired():
    rng = np.random.default_rng(1)
    shared = rng.uniform(1, 100, 6)
    gap = stats.t_difference(shared + 2, shared)
    assert gap[:3] == pytest.approx((2, 2, 2))
    ratio = stats.t_ratio(3 * shared, shared)
    assert ratio[:3] == pytest.approx((3, 3, 3))
    there, back = stats.t_ratio(shared, shared[::-1]), stats.t_ratio(shared[::-1], shared)
    np.testing.assert_allclose([there.low, there.high], [1 / back.high, 1 / back.low])


def test_seeds_without_a_value_do_not_count_in_pairs():
    found = stats.t_difference([1.0, np.nan, 4.0, 3.0], [0.0, 0.0, 1.0, np.nan])
    assert found.n == 2
    assert found.estimate == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.t_interval([1.0]), "two or more seeds, got 1"),
        (lambda: stats.t_interval([1.0, np.inf]), "finite"),
        (lambda: stats.t_ratio([1.0, 2.0], [1.0, 0.0]), "ratios need positive numbers, got 0"),
    ],
    ids=["one", "infinite", "zero"],
)
def test_what_has_no_students_interval_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_trends_are_spearmans_and_slopes_least_squares():
    rows = np.random.default_rng(2).integers(0, 5, (6, 9)).astype(float)
    wanted = [scipy.stats.spearmanr(range(9), row).statistic for row in rows]
    np.testing.assert_allclose(stats.rank_trend(rows), wanted, atol=1e-12)
    assert np.isnan(stats.rank_trend(np.ones((1, 4)))[0])
    x = [1, 2, 4, 16]
    wanted = [np.polyfit(np.log2(x), row, 1)[0] for row in rows[:, :4]]
    np.testing.assert_allclose(stats.slopes_per_doubling(x, rows[:, :4]), wanted, atol=1e-12)


# --- false discoveries --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 200])
@pytest.mark.parametrize("ties", [False, True])
def test_benjamini_and_hochbergs_p_values_are_scipys(n, ties):
    p = rng(n).random(n) ** 3
    if ties:
        p = np.ceil(p * 10) / 10
    kept = p.copy()
    found = stats.benjamini_hochberg(p)
    np.testing.assert_allclose(found, scipy.stats.false_discovery_control(p), rtol=1e-12)
    assert (p == kept).all()
    assert (found >= p * (1 - 1e-12)).all()


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        ([], []),
        ([0.3], [0.3]),
        ([0.01, 0.04, 0.03], [0.03, 0.04, 0.04]),
        ([0.04, 0.001, 0.9, 0.9], [0.08, 0.004, 0.9, 0.9]),
        ([1, 1, 1], [1, 1, 1]),
        ([0, 0.5], [0, 0.5]),
    ],
    ids=["none", "one", "three", "ties", "ones", "zero"],
)
def test_benjamini_and_hochberg_by_hand(p, wanted):
    np.testing.assert_allclose(stats.benjamini_hochberg(p), wanted, rtol=1e-12)


def test_benjamini_and_hochberg_bound_the_share_of_false_discoveries():
    source, shares = rng(3), []
    for _ in range(600):
        p = np.append(source.random(30), source.random(10) * 1e-3)  # 30 of 40 nulls are true
        found = stats.benjamini_hochberg(p) <= 0.2
        shares.append(found[:30].sum() / max(found.sum(), 1))
    expected = 0.2 * 30 / 40  # exactly so for independent tests
    assert abs(np.mean(shares) - expected) < 4 * np.std(shares) / np.sqrt(600)


@pytest.mark.parametrize("p", [[-0.1, 0.5], [0.5, 1.1], [NAN]])
def test_what_is_no_p_value_is_not_corrected(p):
    with pytest.raises(ValueError, match=r"p-values must be in \[0, 1\], got \["):
        stats.benjamini_hochberg(p)


# --- Student's test -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 8, 50])
@pytest.mark.parametrize("shift", [0.0, -0.7])
def test_students_p_value_is_scipys(n, shift):
    values = rng(n).normal(size=n) + shift
    found = stats.t_test(values)
    wanted = scipy.stats.ttest_1samp(values, 0)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-12)
    assert found[:4] == stats.t_interval(values)[:4]
    assert found[1:3] == pytest.approx(wanted.confidence_interval(0.95))
    assert stats.t_test(-values).p == pytest.approx(found.p, rel=1e-12)
    assert stats.t_test(values, level=0.8)[:4] == stats.t_interval(values, level=0.8)[:4]
    assert stats.t_test(values, level=0.8).p == found.p


def test_the_interval_excludes_zero_exactly_where_p_is_small():
    source = rng(4)
    for _ in range(50):
        found = stats.t_test(source.normal(size=5) + 1, level=0.9)
        assert (found.low > 0 or found.high < 0) == (found.p < 0.1)


def test_students_p_value_leaves_seeds_without_a_value_out():
    found = stats.t_test([1.0, NAN, 2.0, 4.0])
    assert found == stats.t_test([1.0, 2.0, 4.0])
    assert found.n == 3


@pytest.mark.parametrize("value", [0.0, 2.5])
def test_a_constant_sample_has_no_p_value(value):
    found = stats.t_test([value] * 4)
    assert np.isnan(found.p)
    assert found[:4] == (value, value, value, 4)


def test_a_constant_that_is_no_binary_fraction_has_no_p_value():
    assert np.isnan(stats.t_test([0.1] * 3).p)


def test_students_test_needs_two_seeds():
    with pytest.raises(ValueError, match="two or more seeds, got 1 that count"):
        stats.t_test([1.0, NAN])
