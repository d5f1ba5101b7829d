"""A PAC-Bayes certificate of a stochastic spiking network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import optax

from snnlearn import report, risk
from snnlearn._errors import SnnlearnError
from snnlearn._files import write_atomically
from snnlearn.cli import build, interrupts
from snnlearn.cli.axis import shown
from snnlearn.cli.by_data import chosen
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.config import write_config
from snnlearn.cli.folders import new_folder
from snnlearn.cli.networks import check_effect, check_start
from snnlearn.cli.options import Certify
from snnlearn.data.base import Sample, hold_out
from snnlearn.model_file import save
from snnlearn.report.certificate import Certified, certificate_report


def certify(options: Certify) -> int:
    """Train the prior, minimise the bound, certify, and check the certificate on the test sample."""
    options.check()
    check_effect(options)
    keep_compiled_programs()
    with new_folder(options.out, f"certificate-{Path(options.data).stem}") as path:
        return _certify(options, path)


def _certify(options: Certify, path: Path) -> int:
    console = console_of()
    data = build.dataset(options)
    build.only_classes(data, "certify")
    check_start(options, data)
    certifying, first = _cut(data.train, options)
    task = dataclasses.replace(data, train=first)
    # By the prior's part alone: a certificate holds only if nothing was chosen by what certifies.
    options, _ = chosen(options, task)
    _check_batch(options, certifying, first)
    if options.rate_band is not None or (options.loss or build.default_loss(options)) not in _CROSS_ENTROPIES:
        raise SnnlearnError(
            "certify bounds the 0–1 loss by a cross-entropy, which is at least ln 2 for a wrong decision; use --loss "
            "cross-entropy or stepwise-cross-entropy, without --rate-band"
        )
    prior_key, bound_key, certificate_key, test_key = jax.random.split(jax.random.key(options.seed), 4)
    experiment = dataclasses.replace(build.experiment(options, task), keys=prior_key[None])
    encoder = experiment.encoder
    bound = risk.MinimisedBound(
        loss=experiment.algorithm.loss,
        rule=experiment.algorithm.rule,
        optimizer=optax.adam(options.bound_learning_rate),
        epochs=options.bound_epochs,
        batch_size=options.counts()[1],
        delta=options.delta,
    )
    with console.status(f"Training the prior on {len(first.y)} samples"):
        (learned,) = experiment.hypotheses(experiment.run(lambda _: interrupts.check()))
        prior = risk.prior_around(learned.network, first, data.validation, relative_std=options.prior_std)
    with console.status(f"Minimising the bound on {len(certifying.y)} others"):
        posterior = bound(prior, encoder, certifying, key=bound_key)
    with console.status(f"Drawing {options.networks * len(certifying.y):,} networks"):
        found = risk.certify(
            posterior,
            prior,
            encoder,
            learned.decoder,
            certifying,
            delta=options.delta,
            draws=options.networks,
            key=certificate_key,
        )
        test = risk.gibbs_risk(posterior, encoder, learned.decoder, data.test, key=test_key)
    certified = Certified(
        title=f"{data.name} · {shown(options.neuron)} {'-'.join(options.layers)} · {shown(options.rule)}",
        certificate=found,
        test=test,
        mean_network=risk.risk(learned, data.test),
        prior_size=len(first.y) + len(data.validation.y),
        others={
            "McAllester": risk.mcallester_bound(found.empirical_risk_bound, found.kl, found.m, delta=0.8 * found.delta),
            "test sample, one-sided exact": risk.clopper_pearson(
                test.errors, test.n, confidence=max(1 - 2 * found.delta, 1e-9)
            ).high,
        },
    )
    write_atomically(path / "config.toml", write_config(options).encode())
    save(type(learned)(encoder, posterior.mean, learned.decoder), path / "mean_network.npz")
    report.present(certificate_report(certified), path, console)
    return 0


_CROSS_ENTROPIES = ("cross-entropy", "stepwise-cross-entropy")


def _cut(train: Sample, options: Certify) -> tuple[Sample, Sample]:
    """The certifying part and the prior's."""
    share = f"--prior-share is {options.prior_share}"
    try:
        certifying, first = hold_out(train, validation=options.prior_share, seed=options.split_seed)
    except SnnlearnError as error:
        raise SnnlearnError(f"{share}, which leaves a part without one of the classes ({error})") from error
    return certifying, first


def _check_batch(options: Certify, certifying: Sample, first: Sample) -> None:
    """Refuse parts that do not hold a batch."""
    _, batch = options.counts()
    if min(len(certifying.y), len(first.y)) < max(batch, 8):
        raise SnnlearnError(
            f"--prior-share is {options.prior_share}: it splits {len(certifying.y) + len(first.y)} samples into "
            f"{len(first.y)} and {len(certifying.y)}, and each must hold a batch of {batch}; lower --batch-size or "
            "choose another share"
        )
