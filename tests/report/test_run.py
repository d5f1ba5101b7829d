"""The report of a run: its numbers, and what it says of unusual runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_run import fake_run

from snnlearn._errors import SnnlearnError
from snnlearn.report import run_report, state_risk
from snnlearn.report.files import plain
from snnlearn.report.training import flatten
from snnlearn.report.value import Numbers, Panels, Report, Table


def numbers(report: Report) -> dict[str, str]:
    blocks = [block for section in report.sections for block in section.blocks if isinstance(block, Numbers)]
    return {row.label: row.value.replace("\xa0", " ") for block in blocks for row in block.rows}


def test_numbers_equal_what_a_reader_would_compute():
    """10 of 360 wrong. Clopper–Pearson by R: binom.test(10, 360) gives 0.01340 to 0.05050."""
    report = run_report(fake_run())
    found = numbers(report)
    assert found["Test error, saved model"] == "2.8 % (1.3 to 5.0 %)"
    # Errors 13, 9, 14, 11, 10: mean 11.4, s² = 4.3; 11.4 ± 2.776445·√(4.3/5) = 8.825 to 13.975 of 360.
    assert found["Test error, over seeds"] == "3.2 % (2.5 to 3.9 %)"
    assert found["Training error"] == "0.09 %"  # 1 of 1150
    assert found["Generalisation gap"] == "2.7 points (1.3 to 5.0)"
    assert found["Chance"] == "89.8 %"
    assert found["Parameters"] == "9,610"
    assert found["SynOps"] == "41,234"
    assert found["Operations"] == "41,234" and "MACs" not in found
    assert found["MACs, dense, every step"] == "947 k"
    assert found["Training time"] == "1 min 12 s"
    assert found["Throughput"] == "20,312 samples/s"
    assert found["Firing rate, 1 · LIF 128"] == f"{fake_run().layers[0].firing_rate.mean():.3g} Hz"
    (hardest,) = [b.beside for s in report.sections for b in s.blocks if isinstance(b, Panels) and b.beside]
    assert hardest.rows[0][:3] == ("8", "4", "36")  # the hardest class comes with its number of errors


def test_programs_read_the_same_numbers():
    found = plain(run_report(fake_run()).numbers["summary"])
    assert (found["risk"], found["test_errors"], found["selected_seed"]) == (10 / 360, [13, 9, 14, 11, 10], 4)
    assert found["risk_interval"] == pytest.approx([0.01340, 0.05049], abs=1e-5)
    assert found["generalization_gap"] == pytest.approx(10 / 360 - 1 / 1150)
    assert found["firing_rates"] == {"1 · LIF 128": pytest.approx(fake_run().layers[0].firing_rate.mean())}
    assert plain(run_report(fake_run(seeds=1)).numbers["summary"])["seed_interval"] is None


def test_statement_of_risk_in_full_precision():
    statement = state_risk(fake_run())
    assert (statement.risk, statement.empirical_risk) == (10 / 360, 1 / 1150)
    assert statement.generalization_gap == pytest.approx(10 / 360 - 1 / 1150)
    assert np.subtract(statement.risk_interval[:2], statement.gap_interval[:2]) == pytest.approx([1 / 1150] * 2)
    assert statement.seed_mean == pytest.approx(11.4 / 360)
    half = 2.776445 * np.sqrt(4.3 / 5) / 360
    assert statement.seed_interval[:2] == pytest.approx((11.4 / 360 - half, 11.4 / 360 + half), rel=1e-5)
    assert state_risk(fake_run(), confidence=0.5).risk_interval.high < statement.risk_interval.high


def test_seed_interval_stays_within_possible_errors():
    assert state_risk(fake_run(test_errors=np.array([0, 0, 0, 25, 10]))).seed_interval.low == 0.0


def test_one_seed_no_example_no_command():
    report = run_report(fake_run(seeds=1, num_examples=0, reproduce=""))
    assert numbers(report)["Test error, over seeds"] == "2.8 %"
    assert "spread over seeds is unknown" in str(report) and "nan" not in str(report.sections[0])
    assert "Examples" not in [section.title for section in report.sections]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "On 360 samples it has never seen, the network errs on 2.8 % (10 wrong)."),
        ({"left_out": 1200}, "never seen (1,200 more equal some that it was trained or selected on, and are left out)"),
        ({"all_seen": True}, "this is no estimate of its risk"),
    ],
)
def test_the_headline_says_what_the_risk_is_of(change, said):
    headline = run_report(fake_run(**change)).headline
    assert headline is not None and said in headline.sentence.replace("\xa0", " ")


def test_a_network_that_is_never_wrong_and_never_spikes():
    layer = replace(fake_run().layers[0], firing_rate=np.zeros(128), silent=1.0)
    nothing = np.zeros(5, dtype=int)
    summary = fake_run(
        confusion=36 * np.eye(10, dtype=int), test_errors=nothing, train_errors=nothing, layers=(layer,), num_examples=0
    )
    report = run_report(replace(summary, synops=0.0, dense_macs=0.0))
    assert numbers(report)["Test error, saved model"] == "0.0 % (0.0 to 1.0 %)"  # 1 − 0.025^(1/360) = 1.019 %
    tables = [block for section in report.sections for block in section.blocks if isinstance(block, Table)]
    assert [row[:4] for table in tables for row in table.rows] == [("1 · LIF 128", "128", "0 Hz", "100.0\xa0%")]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"test_errors": np.array([13, 9, 14, 11, 9])}, "confusion counts 10 errors"),
        ({"test_size": 361, "confusion": 36 * np.eye(10, dtype=int)}, "in 360 samples"),
        ({"selected_seed": 5}, "selected_seed is 5"),
        ({"class_names": ("a", "b"), "confusion": np.eye(3, dtype=int)}, "confusion has shape"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(change, names):
    with pytest.raises(SnnlearnError, match=names):
        fake_run(**change)


def test_nested_configuration_is_flattened():
    assert list(flatten({"a": 1, "b": {"c": {"d": None}, "e": [2]}})) == [("a", 1), ("b.c.d", None), ("b.e", [2])]
