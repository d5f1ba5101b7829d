"""A PAC-Bayes certificate as a page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from snnlearn.report.figures import BLUE, GREEN, GREY, ORANGE, STYLE, new_figure
from snnlearn.report.page import Drawing, Headline, Numbers, Page, Section, draw, write_page
from snnlearn.report.statement import Row, percent
from snnlearn.risk import Certificate, Risk


@dataclass(frozen=True)
class CertificateReport:
    """What `snnlearn certify` found.

    Args:
        title: The data and the network.
        certificate: The bound and what it is made of.
        test: Risk of the stochastic network on the test sample.
        mean_network: Risk of the prior's mean there, a network without noise.
        prior_size: Samples that chose the prior.
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
        """Whether the test sample leaves it possible that the risk is below the bound."""
        return self.test.interval.low <= self.certificate.bound

    def numbers(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {
            **self.certificate._asdict(),
            "test_risk": self.test.value,
            "test_interval": list(self.test.interval[:2]),
            "test_size": self.test.n,
            "mean_network_test_risk": self.mean_network.value,
            "prior_size": self.prior_size,
            "other_bounds": self.others,
            "holds": self.holds,
        }


@matplotlib.rc_context(STYLE)
def write_certificate(report: CertificateReport, path: str | os.PathLike[str]) -> Path:
    """Write a self-contained page.

    Args:
        report: What was found.
        path: Where it goes; an older file there is replaced whole.

    Returns:
        The path.
    """
    found, test = report.certificate, report.test
    sentence = (
        f"With {percent(1 - found.delta, 0)} confidence the risk of this stochastic spiking network is below "
        f"{percent(found.bound, 2)}, whatever distribution the data come from – known from {found.m:,} training "
        f"samples, without a test sample. On {test.n:,} test samples, used once, it errs on {percent(test.value, 2)}."
    )
    note = (
        "Orange: the bound. Blue: the test error with its exact interval, which the bound did not know of. Grey: the "
        "error on the certifying sample, and the same allowing for the chance of the networks drawn; what lies between "
        "it and the bound is the price of the distance KL from the prior and of the confidence."
    )
    rows = [
        Row("Bound", percent(found.bound, 2), f"kl⁻¹(R̂; (KL + ln(2√m/δ))/m), δ = {found.delta:g}"),
        Row(
            "Error, certifying sample",
            percent(found.empirical_risk, 2),
            f"{found.m:,} samples × {found.draws} networks",
        ),
        Row("… allowing for the draws", percent(found.empirical_risk_bound, 2), "a fifth of δ"),
        Row("KL", f"{found.kl:.2f} nats", "of the weights' distribution from the prior"),
        Row("Prior", f"{report.prior_size:,} samples", "trained and selected it; none of them certifies"),
        Row(
            "Test error, stochastic",
            f"{percent(test.value, 2)} ({percent(test.interval.low, 2)} to {percent(test.interval.high, 2)})",
            "a new network for each decision; exact 95 % interval",
        ),
        Row("Test error, prior's mean", percent(report.mean_network.value, 2), "one network without noise"),
        *(Row(name, percent(value, 2), "another bound at the same δ") for name, value in report.others.items()),
    ]
    validity = (
        "It speaks of a network whose weights are drawn anew from the posterior for each decision, not of their mean. "
        "It supposes independent samples of one distribution, and a prior that none of the certifying samples chose, "
        f"which is checked bit by bit. Of many such certificates at most {percent(found.delta, 0)} are false."
    )
    page = Page(
        kicker="certificate",
        title=report.title,
        headline=Headline(f"< {percent(found.bound, 1)}", "risk, certified", sentence),
        sections=[
            Section(title="The bound and the test", figures=[_figure(report)], width=560, note=note),
            Section(title="Numbers", numbers=[Numbers(rows)]),
            Section(title="What it supposes", note=validity),
        ],
    )
    return write_page(page, path)


def _figure(report: CertificateReport) -> Drawing:
    found, test = report.certificate, report.test
    figure, axes = new_figure(5.8, 1.9)
    ax = axes[0, 0]
    ax.plot(100 * found.empirical_risk, 0, "o", color=GREY)
    ax.plot(100 * np.array([found.empirical_risk, found.empirical_risk_bound]), [0, 0], color=GREY, linewidth=2)
    ax.plot(100 * np.array(test.interval[:2]), [1, 1], color=BLUE, linewidth=2)
    ax.plot(100 * test.value, 1, "o", color=BLUE)
    ax.plot(100 * report.mean_network.value, 2, "o", color=GREEN)
    ax.axvline(100 * found.bound, color=ORANGE, linewidth=1.8)
    ax.set(yticks=[0, 1, 2], yticklabels=["certifying sample", "test, stochastic", "test, prior's mean"])
    ax.set(xlabel="error (%)", ylim=(-0.5, 2.5))
    ax.set_xlim(left=0)
    ax.invert_yaxis()
    return draw(figure, "The certified bound beside the test error")
