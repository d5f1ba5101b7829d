"""A device served by another process: what is lost, late, repeated or damaged changes no gradient."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn._parameters import trained_part
from snnlearn.circuits import BlackBox, Chip, InTheLoop, LogNormal, Mismatch, RemoteDevice, SimulatedDevice, serve
from snnlearn.circuits.frames import Damaged, Frame, Kind, packed, unpacked
from snnlearn.losses import CrossEntropy
from snnlearn.network import feedforward
from snnlearn.rules import BPTT, WeightPerturbation

KEY = jax.random.key(3)


def case():
    network = feedforward((5, 8, 3), key=jax.random.key(0))
    return network, 8 * jax.random.normal(jax.random.key(1), (4, 12, 5)), jnp.array([0, 1, 2, 1])


def assert_equal(tree, expected, tolerance=1e-10):
    for found, other in zip(*map(jax.tree.leaves, (tree, expected)), strict=True):
        np.testing.assert_allclose(found, other, rtol=tolerance, atol=tolerance)


class Process:
    """The device's process; `again` starts it anew, at the same port, as soon as it has died."""

    def __init__(self, faults, *, again=False):
        self.faults, self.runs = faults, 0
        self.start(0)
        if again:
            threading.Thread(target=lambda: (self.wait(), self.start(self.port)), daemon=True).start()

    def start(self, port):
        command = [sys.executable, str(Path(__file__).with_name("device_process.py")), str(port), self.faults]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.faults = "well"

    def wait(self):
        self.process.wait()
        self.count()

    def count(self):
        self.runs += self.process.stdout.read().count("run")
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.wait()


@pytest.mark.usefixtures("x64")
def test_the_gradient_is_the_models_whatever_happens_to_the_answers():
    network, *batch = case()
    expected = eqx.filter_jit(BPTT())(network, CrossEntropy(), *batch, key=KEY)
    moved = jax.tree.map(lambda w: 1.1 * w if eqx.is_array(w) else w, network)
    faults = ["well", "lost", "late", "twice", "damaged", "long", "well"]
    with Process(",".join(faults)) as process:
        device = RemoteDevice(process.port, timeout=0.4, attempts=8, pause=0.02)
        rule = eqx.filter_jit(InTheLoop(device))
        for _ in faults:
            assert_equal(rule(network, CrossEntropy(), *batch, key=KEY), expected)
        # A negative control: other weights are programmed.
        assert abs(rule(moved, CrossEntropy(), *batch, key=KEY)[0] - expected[0]) > 1e-6
        device.close()
    assert process.runs == len(faults) + 1  # nothing was done twice


@pytest.mark.usefixtures("x64")
def test_a_device_that_dies_and_comes_back_is_programmed_again():
    network, *batch = case()
    with Process("well,dead", again=True) as process:
        device = RemoteDevice(process.port, timeout=20.0, attempts=12, pause=0.02)
        rule = eqx.filter_jit(InTheLoop(device))
        first, second = (rule(network, CrossEntropy(), *batch, key=KEY) for _ in range(2))
        assert_equal(first, second)
        assert_equal(second, eqx.filter_jit(BPTT())(network, CrossEntropy(), *batch, key=KEY))
        device.close()
    assert process.runs == 2


def test_a_device_that_is_not_there_or_measures_something_else_is_named():
    network, *batch = case()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = RemoteDevice(listener.getsockname()[1], timeout=0.05, attempts=2, pause=0.01)
        with pytest.raises(Exception, match=r"no answer in 2 attempts of 0.05 s \(it was silent\); see whether"):
            InTheLoop(silent)(network, CrossEntropy(), *batch, key=KEY)
    absent = RemoteDevice(silent.port, attempts=1, pause=0.01)
    with pytest.raises(Exception, match=r"127.0.0.1:\d+: no answer in 1 attempts of 60 s \(.*refused"):
        InTheLoop(absent)(network, CrossEntropy(), *batch, key=KEY)
    larger = feedforward((5, 9, 3), key=KEY)
    with served(SimulatedDevice(Chip("ideal"), KEY), network) as port:
        device = RemoteDevice(port)
        with pytest.raises(Exception, match="it refused to program"):
            InTheLoop(device)(larger, CrossEntropy(), *batch, key=KEY)
        device.close()
    for wrong, message in (
        (lambda: RemoteDevice(0), "port is 0; give a number from 1 to 65535"),
        (lambda: RemoteDevice(9, timeout=-1.0), "timeout is -1.0"),
        (lambda: RemoteDevice(9, attempts=0), "attempts is 0; give at least 1"),
    ):
        with pytest.raises(SnnlearnError, match=message):
            wrong()


class served:
    """The library's own server, in a thread."""

    def __init__(self, device, network):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(
            target=serve, args=(device, network, self.listener), kwargs={"key": KEY}, daemon=True
        )

    def __enter__(self):
        self.thread.start()
        return self.listener.getsockname()[1]

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_a_served_device_is_the_device():
    network, xs, _ = case()
    device = SimulatedDevice(Chip("one", effects=(Mismatch("v_th", LogNormal(0.3)),)), KEY)
    expected = jax.tree.leaves(device.run(network, xs, key=KEY))
    with served(device, network) as port:
        remote = RemoteDevice(port)
        # Not through JAX, whose threads the server in this process needs.
        for _ in range(2):
            assert_equal(remote._link.run(jax.tree.leaves(trained_part(network)), xs, expected), expected, 1e-6)
        remote.close()


@pytest.mark.usefixtures("x64")
def test_a_black_box_that_is_the_model_gives_the_rules_gradient():
    network, *batch = case()
    rule = WeightPerturbation(0.1, 2)
    ideal = BlackBox(rule, SimulatedDevice(Chip("ideal"), KEY, None))
    expected = eqx.filter_jit(rule)(network, CrossEntropy(), *batch, key=KEY)
    assert_equal(eqx.filter_jit(ideal)(network, CrossEntropy(), *batch, key=KEY), expected)
    other = BlackBox(rule, SimulatedDevice(Chip("one", effects=(Mismatch("v_th", LogNormal(0.3)),)), KEY))
    assert abs(eqx.filter_jit(other)(network, CrossEntropy(), *batch, key=KEY)[0] - expected[0]) > 1e-6
    assert other.reference() is not None and other.draws


def test_damaged_frames_are_refused():
    data = packed(Frame(Kind.RUN, 7, (np.arange(6.0).reshape(2, 3), np.ones(3, np.float32), np.asarray(5))))
    kind, number, arrays = unpacked(data)
    assert (kind, number, [a.shape for a in arrays]) == (Kind.RUN, 7, [(2, 3), (3,), ()])
    assert [a.dtype.name for a in arrays] == ["float64", "float32", "int64"]
    for at in range(len(data)):  # every byte matters
        with pytest.raises(Damaged):
            unpacked(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
    for wrong in (data[:-1], data + b"\0"):
        with pytest.raises(Damaged):
            unpacked(wrong)
