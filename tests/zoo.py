"""One of each component that can be exchanged, away from its defaults: what every part of the library must take.

`test_components` fails where the library has a component that is not in here.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from snnlearn import coding, network, neurons
from snnlearn.circuits import (
    Compensated,
    ConvertedCurrents,
    ConvertedInputs,
    ConvertedMembranes,
    ConvertedParameter,
    Converter,
    DeadNeurons,
    Drift,
    Dropping,
    EachChip,
    EachSample,
    EachStep,
    Flicker,
    LogNormal,
    Loss,
    Mismatch,
    NoisyReads,
    NonlinearDevices,
    Normal,
    PcmRead,
    Polynomial,
    ProgrammingError,
    QuantisedWeights,
    Rails,
    RandomDelay,
    SaturatedCurrents,
    SaturatedWeights,
    StuckDevices,
    SynapticMismatch,
    Temperature,
    TimeStamps,
    Transmission,
    Trim,
    Waiting,
    WherePossible,
    WireResistance,
)
from snnlearn.network import Chain, Conv2d, Dense
from snnlearn.neurons import ALIF, IF, LI, LIF, CubaLIF, Delayed

KEY = jax.random.key(3)
"""Of all weights."""
UNITS = 3

SURROGATES = (
    neurons.FastSigmoid(7.0),
    neurons.Sigmoid(3.0),
    neurons.Atan(5.0),
    neurons.Triangle(height=0.7, width=0.4),
    neurons.Boxcar(height=0.6, width=0.3),
    neurons.Gaussian(0.9),
    neurons.MultiGaussian(0.4, 0.1, 0.6, 5.0),
    neurons.StraightThrough(),
    neurons.Scaled(neurons.Atan(3.0), 0.5),
)
RESETS = (
    neurons.Subtract(block_gradient=False),
    neurons.ToValue(v_reset=-0.25),
    neurons.ToValue(v_reset=jnp.array([0.1, 0.2, 0.3])),
    neurons.NoReset(),
    neurons.NextStep(neurons.ToValue(v_reset=0.1)),
)
NEURONS = {
    "IF": IF(v_th=0.7, resistance=jnp.array([2.0, 1.0, 0.5])),
    "LIF": LIF(tau_mem=7e-3, v_th=0.3, v_leak=-0.2, resistance=1.5),
    "trained LIF": LIF(tau_mem=jnp.array([5e-3, 10e-3, 30e-3]), v_th=jnp.array([0.3, 0.4, 0.5])),
    "Euler LIF": LIF(discretisation=neurons.ForwardEuler()),
    "CubaLIF": CubaLIF(tau_mem=8e-3, tau_syn=jnp.array([2e-3, 3e-3, 4e-3]), synapse=neurons.ZeroOrderHold()),
    "ALIF": ALIF(beta=jnp.array([0.1, 0.2, 0.3]), tau_adapt=90e-3, adaptation=neurons.UnitGain(neurons.ForwardEuler())),
    "LI": LI(tau_mem=4e-3),
    "Delayed": Delayed(LIF(refractory=neurons.Refractory(3e-3)), steps=2),  # pyright: ignore[reportCallIssue]
    "Filtered": neurons.Filtered(LIF(), tau_syn=jnp.array([4e-3, 5e-3, 6e-3])),  # pyright: ignore[reportCallIssue]
    "LIF with constants": LIF(v_th=neurons.Constant([0.5, 1.0, 1.5]), tau_mem=neurons.Constant(0.01)),
    "Rectifier": neurons.Rectifier(),
    "Identity": neurons.Identity(),
    "Logistic": neurons.Logistic(),
    "LeakyRectifier": neurons.LeakyRectifier(slope=0.2),
    "ClippedRectifier": neurons.ClippedRectifier(ceiling=jnp.array(3.0)),
    "QuantisedRectifier": neurons.QuantisedRectifier(levels=3, ceiling=1.7),
    "ResonateAndFire": neurons.ResonateAndFire(tau_mem=9e-3, frequency=jnp.array([5.0, 10.0, 40.0]), v_th=0.7),
    "Tanh": neurons.Tanh(),
    "GELU": neurons.GELU(),
    "GLU": neurons.GLU(),
    "GRU": neurons.GRU(),
    "LSTM": neurons.LSTM(),
    "LRU": neurons.LRU(jnp.array([0.1, 0.2, 0.3]), 0.4, neurons.Constant([0.5, 0.6, 0.7])),
    "Charged": neurons.Charged(IF(v_th=0.7), 0.4),
    "Dead": neurons.Dead(LIF(v_th=0.4), neurons.Constant([0, 1, 0])),
    "DPI": neurons.DPI(gain=3.0, v_th=jnp.array([1500.0, 2000.0, 2500.0]), ampa=neurons.DPISynapse(2.0, 9.0, 50.0)),
    "AdEx": neurons.AdEx(delta=1.5, b=jnp.array([50.0, 60.0, 70.0])),
    "AxonHillock": neurons.AxonHillock(capacitance=2.5, i_reset=2000.0),
    "Saturated": neurons.Saturated(LIF(), 40.0),
    "Railed": neurons.Railed(LIF(v_th=0.7), -0.5, jnp.array([1.0, 1.5, 2.0])),
    "SilentRefractory": LIF(refractory=neurons.SilentRefractory(4e-3)),
    "Dropout": neurons.Dropout(LIF(v_th=0.4), 0.25),
    "EscapeNoise": neurons.EscapeNoise(LIF(surrogate=neurons.ExponentialEscape(70.0, 0.3))),  # pyright: ignore
    **{f"surrogate {type(s).__name__}": LIF(surrogate=s) for s in SURROGATES},
    **{f"reset {number} {type(r).__name__}": LIF(reset=r) for number, r in enumerate(RESETS)},
}
ENCODERS = {
    "Current": coding.Current(num_steps=4, gain=3.0),
    "Rate": coding.Rate(num_steps=4, max_rate=150.0),
    "PoissonRate": coding.PoissonRate(num_steps=4, max_rate=150.0),
    "RegularRate": coding.RegularRate(num_steps=4, max_rate=150.0, phase=0.25),
    "RankOrder": coding.RankOrder(num_steps=4, threshold=0.2),
    "Phase": coding.Phase(num_steps=4, num_phases=3),
    "Burst": coding.Burst(num_steps=9, max_spikes=3, min_interval=2, max_interval=4),
    "Delta": coding.Delta(num_steps=4, threshold=0.2, initial=0.5),
    "SendOnDelta": coding.SendOnDelta(num_steps=4, threshold=0.2, initial=None),
    "TunedPopulation": coding.TunedPopulation(
        coding.Rate(num_steps=4, max_rate=60.0), coding.VonMisesTuning(jnp.arange(3.0), 1.5, 60.0, 5.0)
    ),
    "HoldLast": coding.HoldLast(coding.Current(num_steps=4)),
    "Framewise": coding.Framewise(coding.LinearLatency(num_steps=4), num_frames=2),
    "Latency": coding.Latency(num_steps=4, tau=9e-3, threshold=0.1),
    "LinearLatency": coding.LinearLatency(num_steps=4, threshold=0.2),
    "Population": coding.Population(coding.Rate(num_steps=4), num_neurons=5, low=-1, high=2, beta=1.2),
    "Rescaled": coding.Rescaled(coding.Latency(num_steps=4, tau=5e-3), low=-3.0, high=5.0),
    "Spikes": coding.Spikes(num_steps=4),
}
DECODERS = {
    "MeanMembrane": coding.MeanMembrane(),
    "MaxMembrane": coding.MaxMembrane(),
    "EachLabel": coding.EachLabel(coding.MaxMembrane()),
    "InUnits": coding.InUnits(coding.MeanMembrane(), mean=3.0, scale=0.5),
    "LastMembrane": coding.LastMembrane(),
    "LastSteps": coding.LastSteps(steps=3),
    "SpikeCount": coding.SpikeCount(),
    "FirstSpike": coding.FirstSpike(scale=3e-3),
    "FilteredRate": coding.FilteredRate(tau=7e-3),
    "LogLikelihood": coding.LogLikelihood.poisson(jnp.array([[5.0, 9.0], [20.0, 3.0]]), jnp.array([0.3, 0.7])),
    "NearestTemplate": coding.NearestTemplate(jnp.ones((2, 4, 2)), coding.DoubleExponential(9e-3, 2e-3)),
}
SYNAPSES = {
    "Dense": Dense(16, UNITS, use_bias=True, key=KEY),
    "Conv2d": Conv2d((1, 4, 4), UNITS, 3, stride=2, padding=1, use_bias=True, key=KEY),
    "Chain": Chain(network.AveragePool2d((1, 4, 4), 2), Dense(4, UNITS, key=KEY)),
    "ReadNoise": network.ReadNoise(Dense(16, UNITS, key=KEY), std=0.25),
    "DelayedSynapses": network.DelayedSynapses(
        Dense(16, UNITS, key=KEY), jnp.full((UNITS, 16), 1.25), 2, network.GaussianDelay(1.5)
    ),
    "InterpolatedDelay": network.DelayedSynapses(
        Conv2d((1, 4, 4), UNITS, 3, stride=2, padding=1, key=KEY), jnp.array(1.5), 2
    ),
    "CurrentNoise": network.CurrentNoise(Dense(16, UNITS, key=KEY), std=0.25),
    "OneToOne": Chain(Dense(16, UNITS, key=KEY), network.OneToOne((UNITS,), jnp.array([2.0, 0.5, 1.0]), 0.5)),
    "Convolution": network.Convolution(
        (1, 4, 4),
        jax.random.normal(KEY, (UNITS, 1, 3, 2)),
        jnp.ones((UNITS, 1, 1)),
        stride=(4, 4),
        padding=((1, 0), (0, 1)),
        dilation=(1, 1),
    ),
    "AveragePool": Chain(network.AveragePool((1, 4, 4), (3, 2), (1, 2), ((1, 0), (0, 0))), Dense(6, UNITS, key=KEY)),
    "Padded": Chain(network.Padded((4, 4), ((1, 0), (0, 2))), Dense(30, UNITS, key=KEY)),
    "Transposed": Chain(network.Transposed((2, 8), (1, 0)), Dense(16, UNITS, key=KEY)),
    "LayerNorm": Chain(Dense(16, UNITS, key=KEY), network.LayerNorm((UNITS,))),
    "Part": Chain(network.Part(16, 3, 9), Dense(6, UNITS, key=KEY)),
}
EFFECTS = {
    "Mismatch": (Mismatch("tau_mem", Normal(0.1)), Mismatch("tau_mem", Normal(0.0))),
    "SynapticMismatch": (SynapticMismatch(0.2, 0.3, 0.2), SynapticMismatch(0.0, 0.3, 0.2)),
    "ProgrammingError": (ProgrammingError(Polynomial.pcm()), ProgrammingError(Polynomial.proportional(0.0))),
    "Compensated Drift": (Compensated(Drift(200.0, law=LogNormal(0.2))), Compensated(Drift(20.0))),
    "StuckDevices": (StuckDevices(0.3), StuckDevices(0.0)),
    "DeadNeurons": (DeadNeurons(0.3), DeadNeurons(0.0)),
    "SaturatedWeights": (SaturatedWeights(0.5), SaturatedWeights(1e3)),
    "SaturatedCurrents": (SaturatedCurrents(0.5), SaturatedCurrents(1e5)),
    "Rails": (Rails(-0.1, 0.25), Rails(-1e3, 1e3)),
    "NonlinearDevices": (NonlinearDevices(2.0), NonlinearDevices(1e-3)),
    **{
        type(channel).__name__: (Transmission(channel), same)
        for channel, same in (
            (RandomDelay((0.5, 0.3, 0.2)), Transmission(RandomDelay((1.0,)))),
            (Loss(0.3), Transmission(Loss(0.0))),
            (TimeStamps(3), Transmission(TimeStamps(1))),
            (Dropping(1), Transmission(Dropping(100))),
            (Waiting(1), Transmission(Waiting(100))),
        )
    },
    "QuantisedWeights": (WherePossible(QuantisedWeights(4)), None),
    "WireResistance": (WireResistance(100.0, 1e-4), WireResistance(0.0, 1e-4)),
    "Temperature": (Temperature(390.0), Temperature(330.0, reference=330.0)),
    "Trim": (Trim("tau_mem", bits=1, span=0.3), None),
    "ConvertedInputs": (ConvertedInputs(Converter(3, -0.5, 1.2)), None),
    "ConvertedCurrents": (ConvertedCurrents(Converter(3, -2.0, 2.0)), None),
    "ConvertedMembranes": (ConvertedMembranes(Converter(3, -1.0, 1.0)), None),
    "ConvertedParameter": (ConvertedParameter("v_th", Converter(2, 0.0, 1.0)), None),
    "PcmRead": (NoisyReads(PcmRead(time=100.0), EachSample()), None),
    **{
        type(course).__name__: (NoisyReads(Polynomial.proportional(0.3), course), None)
        for course in (EachStep(), EachChip(), Flicker(slowest=0.1, bands=2))
    },
}
"""And the same without strength, if there is such a thing."""
