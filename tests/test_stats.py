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


@pytest.mark.slow
@pytest.mark.parametrize("draw", ["normal", "exponential"])
@pytest.mark.parametrize(("n", "slack"), [(10, 0.06), (64, 0.03)])
def test_intervals_of_a_mean_cover_it_as_often_as_they_say(draw, n, slack):
    source, true = rng(1), {"normal": 0.0, "exponential": 1.0}[draw]
    found = [stats.bootstrap_ci(getattr(source, draw)(size=n)) for _ in range(200)]
    hits = np.mean([i.low <= true <= i.high for i in found])
    error = 3 * np.sqrt(0.95 * 0.05 / 200)
    assert 0.95 - error - slack < hits < 0.95 + error


def test_bootstrap_intervals_have_the_width_of_the_standard_error():
    values = rng(2).normal(size=1000)
    found = stats.bootstrap_ci(values)
    error = values.std() / np.sqrt(1000)
    assert found.estimate == values.mean()
    assert [found.low, found.high] == pytest.approx(
        [values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.15 * error
    )


def test_bootstrap_meets_an_independent_implementation():
    a, b = rng(3).exponential(size=(2, 60))
    theirs = scipy.stats.bootstrap(
        (a, b), lambda x, y, axis: np.median(x, axis) / np.median(y, axis), paired=True,
        method="percentile", n_resamples=20_000, random_state=rng(4),
    ).confidence_interval  # fmt: skip
    found = stats.ratio_of_medians(a, b)
    assert [found.low, found.high] == pytest.approx([theirs.low, theirs.high], rel=0.05)


def test_samples_that_belong_together_are_drawn_together():
    a = rng(6).normal(size=50)
    found = stats.paired_difference(a + 3, a)
    assert [found.low, found.high] == pytest.approx([3, 3])


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, torch.tensor])
def test_values_may_come_as_any_sequence(kind):
    found = stats.bootstrap_ci(kind([1.0, 2.0, 4.0]))
    assert found == stats.bootstrap_ci(np.array([1.0, 2.0, 4.0]))
    assert all(type(x) is float for x in (found.estimate, found.low, found.high))


@pytest.mark.parametrize("name", stats.INTERVALS)
@pytest.mark.parametrize("n", [12, 60])
def test_an_interval_depends_on_its_samples_alone_and_can_be_made_again_from_them(name, n):
    source = rng(7)
    k = {"share_regained": 3, "explained_share": 4, "mean_spread": 2}.get(name, 2)
    k = 1 if name in ("bootstrap_ci", "t_interval", "proportion_ci", "largest") else k
    samples = source.exponential(size=(k, n)) + 1
    if "proportion" in name:
        samples = samples > 2
    function = stats.INTERVALS[name]
    found = function(*samples)
    assert (found.kind, found.n, found.samples.shape) == (name, n, (k, n))
    assert function(*samples) == found == function(*found.samples)
    order = source.permutation(n)
    if n < stats.FEW and name != "ratio_of_medians":  # resamples are drawn by position
        again = function(*samples[:, order])
        assert [again.low, again.high] == pytest.approx([found.low, found.high])


def test_units_with_a_nan_are_left_out_and_not_counted():
    whole = stats.bootstrap_ci([1.0, 2.0, 4.0])
    assert stats.bootstrap_ci([NAN, 1.0, 2.0, NAN, 4.0]) == whole
    assert whole.n == 3
    treated, control = np.array([1.0, NAN, 3, 5]), np.array([0.0, 1, NAN, 1])
    found = stats.paired_difference(treated, control)
    assert (found.n, found.estimate) == (2, 2.5)
    assert stats.ratio_of_medians(treated, control + 1).n == 2


NEED_TWO = [name for name in stats.INTERVALS if name != "largest" and "proportion" not in name]
NEED_ONE = ["proportion_ci", "paired_proportion_difference"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *itertools.product(NEED_TWO, ([NAN, NAN], [NAN, 1.0], [])),
        *itertools.product(NEED_ONE, ([],)),
    ],
)
def test_too_few_units_say_nothing(name, values):
    alone = ("bootstrap_ci", "t_interval", "proportion_ci")
    k = 1 if name in alone else 3 if name == "share_regained" else 2
    found = stats.INTERVALS[name](*[values] * k)
    assert np.isnan([found.estimate, found.low, found.high]).all()
    assert found.n == np.sum(~np.isnan(values))
    assert np.isnan(found.p_above(0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.bootstrap_ci([1.0, 2.0, np.inf]), "finite: cap values"),
        (
            lambda: stats.paired_difference(np.ones(3), np.ones(4)),
            r"one length, got \[\(3,\), \(4,",
        ),
        (lambda: stats.bootstrap_ci(np.ones((3, 3))), r"one number per unit, .* got \[\(3, 3\)\]"),
        (lambda: stats.explained_share(*[[1.0, 2.0]] * 3), "two samples, wrong and total, got 1"),
    ],
)
def test_bad_samples_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- p-values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 8, 50])
@pytest.mark.parametrize("bar", [0.0, -0.7])
def test_students_p_value_is_scipys(n, bar):
    values = rng(n).normal(size=n) + 0.3
    found = stats.t_interval(values)
    wanted = scipy.stats.ttest_1samp(values, bar)
    side = found.p_above(bar) if wanted.statistic > 0 else found.p_below(bar)
    assert side == pytest.approx(max(wanted.pvalue, 1e-4), rel=1e-3)
    other = found.p_below(bar) if wanted.statistic > 0 else found.p_above(bar)
    assert other == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bootstrap_ci", "t_interval", "proportion_ci"])
@pytest.mark.parametrize("n", [12, 60])
def test_the_interval_clears_the_bar_exactly_where_p_is_small(name, n):
    source, function = rng(4), stats.INTERVALS[name]
    for _ in range(20):
        values = source.normal(size=n) + 0.4
        values = values > 0 if name == "proportion_ci" else values
        found, bar = function(values), 0.5 if name == "proportion_ci" else 0.0
        low, high = found.ends(0.9)
        assert (low > bar) == (found.p_above(bar) < 0.1)
        assert (high < bar) == (found.p_below(bar) < 0.1)


@pytest.mark.slow
def test_the_p_value_is_uniform_or_larger_without_an_effect():
    source = rng(10)
    p = np.array([stats.bootstrap_ci(source.normal(size=60)).p_above(0) for _ in range(200)])
    for alpha in (0.05, 0.2):  # one of two sides
        assert (p <= alpha).mean() < alpha / 2 + 3 * np.sqrt(alpha / 2 / 200) + 0.01


def test_the_p_value_is_never_zero_and_of_an_exact_result_small_or_one():
    assert stats.bootstrap_ci(np.ones(100)).p_above(0) == 1 / stats.N_RESAMPLES
    exact = stats.largest([1e-9, -2e-9])
    assert exact.p_below(1e-8) == 1 / stats.N_RESAMPLES
    assert exact.p_below(1e-9) == pytest.approx(1)


# --- paired differences, ratios -----------------------------------------------------------------


def test_pairing_removes_what_seeds_share():
    shared = 100 * rng(11).normal(size=30)
    found = stats.paired_difference(shared + 1 + rng(12).normal(size=30) / 10, shared)
    assert 0.8 < found.low < 1 < found.high < 1.2


def test_a_number_stands_for_a_fixed_value():
    values = rng(13).normal(size=12)
    one = stats.paired_difference(values, 0.5)
    assert one == stats.paired_difference(values, np.full(12, 0.5))


def test_pairs_must_match():
    with pytest.raises(ValueError, match="one length"):
        stats.paired_difference(np.ones(3), np.ones(4))


def test_ratio_of_medians():
    control = rng(14).exponential(size=101)
    found = stats.ratio_of_medians(3 * control, control)
    assert [found.estimate, found.low, found.high] == pytest.approx([3, 3, 3])
    other = stats.ratio_of_medians(rng(15).exponential(size=101), control)
    assert other.low < 1 < other.high
    few = stats.ratio_of_medians(np.array([2.0, 8, 6]), np.array([1.0, 3, 2]))
    assert few.estimate == 3


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_regained_is_where_the_treatment_lies(share):
    low, high = rng(16).normal(size=40), 10 + rng(17).normal(size=40)
    found = stats.share_regained((1 - share) * low + share * high, low, high)
    assert [found.estimate, found.low, found.high] == pytest.approx([share] * 3)


def test_share_regained_moves_with_the_treatment_alone():
    low, high = rng(18).normal(size=400), 10 + rng(19).normal(size=400)
    found = stats.share_regained(5 + rng(20).normal(size=400), low, high)
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.05


# --- proportions --------------------------------------------------------------------------------


@pytest.mark.parametrize(("won", "n"), [(0, 1), (0, 10), (3, 10), (64, 64), (81, 263)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_proportions_have_wilsons_interval(won, n, level):
    found = stats.proportion_ci(np.arange(n) < won)
    z = scipy.stats.norm.ppf((1 + level) / 2)
    # Its ends are where the score test turns: |p - q| = z sqrt(q (1 - q) / n).
    ends = np.sort(np.roots([n + z**2, -(2 * won + z**2), won**2 / n]))
    assert found.estimate == won / n
    assert found.n == n
    assert found.ends(level) == pytest.approx(ends.clip(0, 1).tolist(), abs=1e-9)


def test_wilsons_interval_is_the_published_one():
    found = stats.proportion_ci(np.arange(263) < 81)  # Newcombe 1998, the first example
    assert [found.low, found.high] == pytest.approx([0.2553, 0.3662], abs=5e-5)


@pytest.mark.parametrize("missing", [None, NAN, np.float64(NAN)])
@pytest.mark.parametrize("kind", [list, tuple, lambda v: np.array(v, object), pd.Series])
def test_missing_values_do_not_count_as_successes(missing, kind):
    found = stats.proportion_ci(kind([True, missing, False]))
    assert (found.estimate, found.n) == (0.5, 2)
    pair = stats.paired_proportion_difference(kind([True, missing, True]), [False, True, True])
    assert (pair.estimate, pair.n) == (0.5, 2)


@pytest.mark.parametrize("value", ["False", "True", 0.3, 2, -1])
def test_what_is_no_truth_value_is_refused(value):
    words = "successes must be true or false, got"
    with pytest.raises(ValueError, match=words):
        stats.proportion_ci([True, value])
    with pytest.raises(ValueError, match=words):
        stats.paired_proportion_difference([True, False], [value, True])


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


@pytest.mark.slow
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


def width(found):
    return found.high - found.low


def test_paired_intervals_shrink_with_agreement_and_with_seeds():
    widths = [
        width(stats.paired_proportion_difference(*pairs(*cells)))
        for cells in [(10, 10, 10, 10), (18, 2, 2, 18), (180, 20, 20, 180)]
    ]
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.slow
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
    with pytest.raises(ValueError, match=r"of one length, got \[\(3,\), \(4,\)\]"):
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


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_the_largest_gap_is_exact_and_counts_seeds(kind):
    found = stats.largest(kind([[[0.5, -3.0]], [[1.0, 2.0]]]))
    assert (found.estimate, found.low, found.high, found.n) == (3, 3, 3, 2)
    assert np.isnan(stats.largest(kind([0.0, NAN])).estimate)


def test_intervals_print_in_the_format_asked_for():
    interval = stats.Interval(0.12345, -1.0, 2.0, 9)
    assert f"{interval}" == "0.123 [-1.000, 2.000]"
    assert f"{interval:.1f}" == "0.1 [-1.0, 2.0]"


def test_a_ratio_of_means_resamples_both_together():
    values = rng(3).exponential(size=40) + 1
    found = stats.ratio_of_means(3 * values, values)
    assert found.low == pytest.approx(3) == found.high  # the pairing leaves no doubt
    apart = stats.ratio_of_means(3 * values, values[::-1])
    assert apart.estimate == pytest.approx(3)
    assert apart.high - apart.low > 0.5


def test_each_of_several_samples_gets_its_interval():
    table = pd.DataFrame({"a": rng(1).normal(size=30), 12: rng(2).normal(size=30)})
    found = stats.each(stats.bootstrap_ci, table)
    assert found == {str(name): stats.bootstrap_ci(table[name]) for name in table}
    pairs_of = {"less": (table["a"], table[12])}
    assert stats.each(stats.t_difference, pairs_of)["less"] == stats.t_difference(*pairs_of["less"])
    assert stats.each(stats.bootstrap_ci, {}) == {}


# --- few seeds ----------------------------------------------------------------------------------


def ends(found):
    return [found.estimate, found.low, found.high]


def test_students_interval_is_scipys():
    x = rng(0).normal(3, 2, 7)
    found = stats.t_interval(x)
    wanted = scipy.stats.ttest_1samp(x, 0).confidence_interval(0.95)
    np.testing.assert_allclose(ends(found), [x.mean(), wanted.low, wanted.high], rtol=1e-12)
    assert found.n == 7


@pytest.mark.parametrize("n", [2, 3, 19, 49])
def test_a_mean_of_few_units_has_students_interval(n):
    x, y = rng(n).normal(size=(2, n))
    np.testing.assert_allclose(ends(stats.bootstrap_ci(x)), ends(stats.t_interval(x)))
    np.testing.assert_allclose(ends(stats.paired_difference(x, y)), ends(stats.t_interval(x - y)))


@pytest.mark.parametrize("n", [4, 8])
def test_a_ratio_of_few_units_covers_where_a_bootstrap_would_not(n):
    source, held = rng(n), []
    for _ in range(400):
        shared = source.uniform(1, 3, n)
        found = stats.ratio_of_means(2 * shared + source.normal(0, 0.3, n), shared)
        held.append(found.low < 2 < found.high)
    assert np.mean(held) > 0.91


def test_differences_and_ratios_are_paired():
    shared = rng(1).uniform(1, 100, 6)
    assert ends(stats.t_difference(shared + 2, shared)) == pytest.approx([2] * 3)
    assert ends(stats.t_ratio(3 * shared, shared)) == pytest.approx([3] * 3)
    there, back = stats.t_ratio(shared, shared[::-1]), stats.t_ratio(shared[::-1], shared)
    np.testing.assert_allclose([there.low, there.high], [1 / back.high, 1 / back.low])


def test_seeds_without_a_value_do_not_count_in_pairs():
    found = stats.t_difference([1.0, np.nan, 4.0, 3.0], [0.0, 0.0, 1.0, np.nan])
    assert found.n == 2
    assert found.estimate == 2


def test_ratios_need_positive_numbers():
    with pytest.raises(ValueError, match="ratios need positive numbers, got 0"):
        stats.t_ratio([1.0, 2.0], [1.0, 0.0])


def test_correlation_and_spread_are_those_of_scipy_and_numpy():
    a, b = rng(5).integers(0, 6, (2, 30)).astype(float)
    found = stats.rank_correlation(a, b)
    assert found.estimate == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    assert stats.rank_correlation(a, np.ones(30)).estimate == 0
    assert np.isnan(stats.mean_spread(a[:2], b[:2]).low)
    wanted = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    assert stats.mean_spread(a, b).estimate == pytest.approx(wanted)


def test_the_share_explained_may_be_set_against_a_controls():
    wrong, total = rng(6).uniform(1, 2, (2, 30))
    alone = stats.explained_share(wrong, total)
    assert alone.estimate == pytest.approx(1 - wrong.mean() / total.mean())
    assert stats.explained_share(wrong, total, total, total).estimate == pytest.approx(
        alone.estimate
    )


def test_trends_are_spearmans_and_slopes_least_squares():
    rows = np.random.default_rng(2).integers(0, 5, (6, 9)).astype(float)
    wanted = [scipy.stats.spearmanr(range(9), row).statistic for row in rows]
    np.testing.assert_allclose(stats.rank_trend(rows), wanted, atol=1e-12)
    assert np.isnan(stats.rank_trend(np.ones((1, 4)))[0])
    x = [1, 2, 4, 16]
    wanted = [np.polyfit(np.log2(x), row, 1)[0] for row in rows[:, :4]]
    np.testing.assert_allclose(stats.slopes_per_doubling(x, rows[:, :4]), wanted, atol=1e-12)


# --- false discoveries --------------------------------------------------------------------------


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


@pytest.mark.parametrize("p", [[-0.1, 0.5], [0.5, 1.1], [NAN]])
def test_what_is_no_p_value_is_not_corrected(p):
    with pytest.raises(ValueError, match=r"p-values must be in \[0, 1\], got \["):
        stats.benjamini_hochberg(p)
