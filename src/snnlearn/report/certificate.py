"""The report of a PAC-Bayes certificate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from snnlearn.report.figures import BLUE, GREEN, GREY, ORANGE, draw_intervals
from snnlearn.report.value import Figure, Headline, Note, Numbers, Panels, Paragraph, Report, Row, Section
from snnlearn.report.words import estimate, percent
from snnlearn.risk import Certificate, Risk


@dataclass(frozen=True)
class Certified:
    """The result of `snnlearn certify`.

    Args:
        title: The data and the network.
        certificate: The bound and its parts.
        test: Risk of the stochastic network on the test sample.
        mean_network: Risk of the prior's mean there, a network without noise.
        prior_size: Samples that trained the prior.
        others: Other bounds of the stochastic network's risk, by name.
    """

    title: str
    certificate: Certificate
    test: Risk
    mean_network: Risk
    prior_size: int
    others: dict[str, float]

    @property
    def holds(self) -> bool:
        """Whether the test sample is consistent with a risk below the bound."""
        return self.test.interval.low <= self.certificate.bound


def certificate_report(found: Certified) -> Report:
    """Report what is certified, whether the test contradicts it, and the parts of the bound.

    Args:
        found: The result.
    """
    bound, test, verdict = found.certificate, found.test, "does not contradict" if found.holds else "contradicts"
    sentence = (
        f"With {percent(1 - bound.delta, 0)} confidence the risk of this stochastic spiking network is below "
        f"{percent(bound.bound, 2)}, whatever distribution the data come from – known from {bound.m:,} training "
        f"samples, without a test sample. On {test.n:,} test samples, used once, it errs on {percent(test.value, 2)}."
    )
    note = (
        "Orange: the bound. Blue: the test error with its exact interval, which the bound did not know of. Grey: the "
        "error on the certifying sample, and the same allowing for the chance of the networks drawn; what lies between "
        "it and the bound is the price of the distance KL from the prior and of the confidence."
    )
    certifying = percent(bound.empirical_risk, 2), f"{bound.m:,} samples × {bound.draws} networks"
    rows = [
        Row("Bound", percent(bound.bound, 2), f"kl⁻¹(R̂; (KL + ln(2√m/δ))/m), δ = {bound.delta:g}"),
        Row("Error, certifying sample", *certifying),
        Row("… allowing for the draws", percent(bound.empirical_risk_bound, 2), "a fifth of δ"),
        Row("KL", f"{bound.kl:.2f} nats", "of the weights' distribution from the prior"),
        Row("Prior", f"{found.prior_size:,} samples", "trained and selected it; none of them certifies"),
        Row(
            "Test error, stochastic",
            estimate(test.value, test.interval, 2),
            "a new network for each decision; exact 95 % interval",
        ),
        Row("Test error, prior's mean", percent(found.mean_network.value, 2), "one network without noise"),
        *(Row(name, percent(value, 2), "another bound at the same δ") for name, value in found.others.items()),
    ]
    validity = (
        "It speaks of a network whose weights are drawn anew from the posterior for each decision, not of their mean. "
        "It supposes independent samples of one distribution, and a prior that none of the certifying samples chose, "
        f"which is checked bit by bit. Of many such certificates at most {percent(bound.delta, 0)} are false."
    )
    drawn = Figure("The certified bound beside the test error", (5.8, 1.9), partial(_draw, found=found))
    numbers = {
        **bound._asdict(),
        "test_risk": test.value,
        "test_interval": test.interval[:2],
        "test_size": test.n,
        "mean_network_test_risk": found.mean_network.value,
        "prior_size": found.prior_size,
        "other_bounds": found.others,
        "holds": found.holds,
    }
    return Report(
        kind="certificate",
        title=found.title,
        headline=Headline(f"< {percent(bound.bound, 1)}", "risk, certified", sentence),
        sections=[
            Section("The bound and the test", [Note(note), Panels([drawn], width=560)]),
            Section("Numbers", [Numbers(rows), Paragraph(f"The test sample {verdict} the certificate.")]),
            Section("What it supposes", [Note(validity)]),
        ],
        numbers={"certificate": numbers},
    )


def _draw(figure: Any, found: Certified) -> None:
    bound, test, mean = found.certificate, found.test, found.mean_network.value
    ax = figure.subplots()
    drawn = bound.empirical_risk, bound.empirical_risk_bound
    rows = [
        ("certifying sample", bound.empirical_risk, drawn, GREY),
        ("test, stochastic", test.value, test.interval, BLUE),
        ("test, prior's mean", mean, (mean, mean), GREEN),
    ]
    draw_intervals(ax, rows, "error (%)")
    ax.axvline(100 * bound.bound, color=ORANGE, linewidth=1.8)
    ax.set(ylim=(2.5, -0.5))
    ax.set_xlim(left=0)
