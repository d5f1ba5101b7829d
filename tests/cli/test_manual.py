"""Tuning by hand: each knob does what its name says, and the server answers its own page and nothing else."""

from __future__ import annotations

import http.client
import json
import socket
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn.cli import main, manual
from snnlearn.cli.config import read_config
from snnlearn.cli.manual.desk import Desk
from snnlearn.cli.manual.knobs import Knobs
from snnlearn.cli.manual.presets import Presets
from snnlearn.cli.manual.server import PageServer, serving
from snnlearn.cli.options import Train
from snnlearn.network import Connection, Dense, Layer, Network
from snnlearn.neurons import ALIF, LI, LIF

from .test_tune import compiled

KEYS = jax.random.split(jax.random.key(0), 4)
DATA = sl.data.yin_yang(num_train=20, num_validation=15, num_test=5)
X = DATA.validation.x


def hypothesis(*, v_th=0.3, tau_mem=10e-3, tau_out=10e-3, gain=1.0, loop=1.0, beta=0.2) -> sl.Hypothesis:
    """Five recurrent adaptive units, which spike."""
    into, back, out = (Dense(*shape, key=key) for shape, key in zip(((4, 5), (5, 5), (5, 3)), KEYS, strict=False))
    into, back = (jax.tree.map(lambda w, f=f: f * w, one) for one, f in ((into, 3 * gain), (back, loop)))
    hidden = Layer([Connection(into)], ALIF(tau_mem=tau_mem, v_th=v_th, beta=beta), back)
    return sl.Hypothesis(sl.coding.Current(12), Network((hidden, Layer(out, LI(tau_mem=tau_out)))), MEAN)


MEAN = sl.coding.MeanMembrane()


@pytest.fixture(scope="module")
def knobs():
    return Knobs(hypothesis())


@pytest.mark.parametrize(
    ("numbers", "equal"),
    [
        ({}, {}),
        ({"0.v_th": 0.5}, {"v_th": 0.5}),
        ({"0.tau_mem": 30e-3, "1.tau_mem": 4e-3}, {"tau_mem": 30e-3, "tau_out": 4e-3}),
        ({"0.weights.0": 2.0}, {"gain": 2.0}),
        ({"0.weights.1": 0.25, "0.beta": 0.9}, {"loop": 0.25, "beta": 0.9}),
    ],
)
def test_a_turned_knob_is_a_network_made_so(knobs, numbers, equal):
    found = sl.hypothesis.scores(knobs.hypothesis(knobs.checked(numbers)), X)
    np.testing.assert_allclose(found, sl.hypothesis.scores(hypothesis(**equal), X), rtol=2e-5, atol=1e-6)
    assert not numbers or np.abs(found - sl.hypothesis.scores(hypothesis(), X)).max() > 1e-3


def test_noise_is_drawn_and_the_same_each_time(knobs):
    runs = [sl.hypothesis.scores(knobs.hypothesis(knobs.checked({"1.noise": n})), X) for n in (0.0, 2.0, 2.0)]
    np.testing.assert_array_equal(runs[1], runs[2])
    # The readout is a low-pass of white noise: the mean over T of Σ (1 - α) σ n, here to a factor.
    assert 0.05 < (runs[1] - runs[0]).std() < 1.0


def test_a_number_for_each_unit_is_turned_by_a_factor():
    network = sl.network.feedforward((3, 4, 2), neuron=LIF(tau_mem=np.array([2e-3, 4e-3, 6e-3, 8e-3])), key=KEYS[0])
    knobs = Knobs(sl.Hypothesis(sl.coding.Current(5), network, MEAN))
    knob = next(one for one in knobs.all if one.name == "0.tau_mem")
    assert (knob.low, knob.start, knob.unit) == (pytest.approx(0.5), 1.0, "×")  # none below dt
    turned = knobs.hypothesis(knobs.checked({"0.tau_mem": 3.0})).network.layers[0].neuron
    np.testing.assert_allclose(turned.tau_mem.value, [6e-3, 12e-3, 18e-3, 24e-3], rtol=1e-5)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Over five units, of a configuration that has their numbers."""
    options = Train(data="yin-yang", layers=("5",), tau_mem=10e-3, neuron="alif", epochs=1, batch_size=8)
    desk = Desk(hypothesis(), DATA, title="points", options=options, out=tmp_path_factory.mktemp("manual") / "out")
    desk.warm()
    return desk


def test_a_move_compiles_nothing(desk):
    with compiled() as names:
        first = desk.look({"0.v_th": 0.7}, 3)
        assert desk.look({"0.v_th": 0.5, "0.noise": 1.5, "1.weights": 3.0}, 2) != first and names == []


def test_the_picture_is_of_the_network_and_the_risk_that_of_the_validation_sample(desk):
    found, given = desk.look({"0.v_th": 0.5}, 4), hypothesis(v_th=0.5)
    wrong = sl.predict(given, DATA.validation.x) != DATA.validation.y
    assert found["risk"]["errors"] == wrong.sum() and found["risk"]["n"] == 15
    xs = jnp.asarray(DATA.validation.x)
    activity, _ = sl.network.unroll(given.network, given.encoder(xs[4]), record=lambda state: state.v)
    spikes = np.asarray(activity.outputs[0])
    hidden, readout = found["layers"]
    assert np.argwhere(spikes).ravel().tolist() == hidden["raster"] and spikes.any() and readout["raster"] == []
    np.testing.assert_allclose(hidden["traces"][2], activity.records[0][:, hidden["traced"][2]], rtol=1e-3)
    np.testing.assert_allclose(readout["traces"], np.asarray(activity.records[1]).T, rtol=1e-3, atol=1e-6)
    assert found["sample"]["class"] == DATA.validation.y[4]
    every = np.stack([sl.network.unroll(given.network, given.encoder(x))[0].outputs[0] for x in xs])
    assert hidden["rate"] == pytest.approx(1e3 * every.mean(), rel=1e-4)
    assert hidden["silent"] == pytest.approx((every.mean(axis=(0, 1)) == 0).mean())


def test_what_is_saved_gives_what_was_shown(desk):
    numbers = {"0.v_th": 0.45, "1.weights": 2.0, "0.noise": 0.7}
    shown = desk.look(numbers, 0)
    saved = [desk.save_network(numbers)["saved"] for _ in range(2)]
    assert saved[0] != saved[1]
    loaded, names = sl.load(saved[0])
    scored = sl.hypothesis.scores(loaded, DATA.validation.x)
    assert int((sl.predict(loaded, DATA.validation.x) != DATA.validation.y).sum()) == shown["risk"]["errors"]
    np.testing.assert_allclose(shown["sample"]["scores"], scored[0], rtol=1e-3)
    assert names == ("yin", "yang", "dot")
    answer = desk.save_configuration({"0.tau_mem": 25e-3, "1.tau_mem": 5e-3, "0.v_th": 0.4})
    options = read_config(Path(answer["saved"]), Train)
    assert (options.tau_mem, options.tau_out, options.beta) == (25e-3, 5e-3, 0.2)
    assert "v_th of layer 1 · ALIF" in answer["note"] and "tau" not in answer["note"]
    assert tomllib.loads(Path(answer["saved"]).read_text())["layers"] == ["5"]


@pytest.fixture(scope="module")
def server(desk):
    server = PageServer(desk)
    with serving(server):
        yield server


def ask(server, method="POST", path="look", body=b'{"numbers": {}, "sample": 0}', token=None, **headers):
    """The status and the content of one answer, over a real socket."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    given = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    where = f"/{server.token if token is None else token}/{path}"
    connection.request(method, where, body if method == "POST" else None, {k: v for k, v in given.items() if v})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, json.loads(content) if content[:1] == b"{" else content


def test_the_page_and_its_files(server):
    for path, start in {
        "": b"<!doctype html>",
        "page.js": b'"use strict"',
        "page.css": b":root",
        "style.css": b":root",
    }.items():
        answer, content = ask(server, "GET", path)
        assert answer.status == 200 and content.startswith(start) and b"http" not in content
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"
    _, state = ask(server, "GET", "state")
    assert {"0.v_th", "0.tau_mem", "0.beta", "0.weights.0", "0.noise", "1.tau_mem"} <= {
        k["name"] for k in state["knobs"]
    }
    assert set(state["presets"]["slow membranes"]) == {"0.tau_mem", "0.tau_adapt", "1.tau_mem"}
    answer, found = ask(server)
    assert answer.status == 200 and found["risk"]["n"] == 15
    own = f"http://127.0.0.1:{server.server_port}"
    assert ask(server, Origin=own, Sec_Fetch_Site="same-origin")[0].status == 200
    assert urlsplit(server.address).path == f"/{server.token}/" and len(server.token) >= 32


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (403, {"token": ""}),
        (403, {"token": "guess"}),
        (403, {"token": "é"}),
        (421, {"Host": "evil.example"}),
        (421, {"Host": "127.0.0.1"}),
        (421, {"Host": "evil.example:{port}"}),
        (403, {"Origin": "http://evil.example"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "http://localhost:{port}"}),  # which is another origin than 127.0.0.1
        (403, {"Sec_Fetch_Site": "cross-site"}),
        (404, {"path": "other"}),
        (404, {"path": "../server.py", "method": "GET"}),
        (404, {"path": "page.js/../../__init__.py", "method": "GET"}),
        (404, {"path": "look", "method": "GET"}),
        (404, {"path": "state"}),
        (405, {"method": "PUT"}),
        (405, {"method": "DELETE"}),
        (405, {"method": "OPTIONS"}),
        (415, {"Content_Type": "text/plain"}),
        (415, {"Content_Type": ""}),
        (413, {"body": b" " * 70_000}),
        (400, {"body": b""}),
        (400, {"body": b"\xff\xfe"}),
        (400, {"body": b"[" * 60_000}),
        (400, {"body": b'{"numbers": {"0.v_th": NaN}}'}),
        (400, {"body": b'{"numbers": {"0.v_th": Infinity}}'}),
        (400, {"body": b'{"numbers": {"0.v_th": 0.5, "0.v_th": 0.6}}'}),
        (400, {"body": b'{"numbers": []}'}),
        (400, {"body": b'{"sample": 0}'}),
        (400, {"body": b'{"numbers": {}, "out": "/tmp/x"}'}),
        (400, {"body": b'{"numbers": {"0.v_th": ' + b"9" * 5000 + b"}}"}),
        (422, {"body": b'{"numbers": {"0.v_th": 1e999}}'}),
        (422, {"body": b'{"numbers": {"0.v_th": ' + b"9" * 400 + b"}}"}),
        (422, {"body": b'{"numbers": {"0.v_th": "0.5"}}'}),
        (422, {"body": b'{"numbers": {"0.v_th": true}}'}),
        (422, {"body": b'{"numbers": {"0.v_th": null}}'}),
        (422, {"body": b'{"numbers": {"0.v_th": 1000}}'}),
        (422, {"body": b'{"numbers": {"0.v_th": -0.1}}'}),
        (422, {"body": b'{"numbers": {"0.secret": 1}}'}),
        (422, {"body": b'{"numbers": {}, "sample": 15}'}),
        (422, {"body": b'{"numbers": {}, "sample": 0.5}'}),
        (422, {"body": b'{"numbers": {}, "sample": "0"}'}),
        (422, {"path": "network", "body": b'{"numbers": {"0.noise": 11}}'}),
    ],
)
def test_what_is_refused(server, status, request_):
    given = {k: v.replace("{port}", str(server.server_port)) if isinstance(v, str) else v for k, v in request_.items()}
    if "é" in given.values():
        given["token"] = "%C3%A9"
    answer, content = ask(server, **given)
    assert answer.status == status and set(content) == {"error"} and len(content["error"]) < 200
    assert server.token not in json.dumps(content) and ask(server)[0].status == 200  # and the next is answered


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 20,
        b"POST /{token}/look HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\r\n",
        b"POST /{token}/look HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        b"Content-Length: -5\r\n\r\n",
        b"POST /{token}/look HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99\r\n\r\n{",
        b"POST /{token}/look HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /{token}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n",
        b"GET /{token}/ HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /{token}/ HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_request_gets_no_page(server, sent):
    sent = sent.replace(b"{token}", server.token.encode()).replace(b"{port}", str(server.server_port).encode())
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert b"200" not in answer.split(b"\r\n")[0] and b"<!doctype" not in answer
    assert ask(server)[0].status == 200


def test_a_connection_that_says_nothing_does_not_keep_others_waiting(server):
    with socket.create_connection(("127.0.0.1", server.server_port)):
        assert ask(server)[0].status == 200


def test_two_pages_have_numbers_of_their_own(server):
    """The server keeps none: what one page asks is not changed by what the other has asked."""
    bodies = [json.dumps({"numbers": {"0.v_th": v_th}, "sample": 1}).encode() for v_th in (0.2, 1.5)]
    first, second = (ask(server, body=body)[1]["layers"] for body in bodies)
    assert first != second
    assert [ask(server, body=body)[1]["layers"] for body in (bodies[0], bodies[1], bodies[0])] == [first, second, first]


def test_presets_are_kept_for_the_next_time(server, desk, tmp_path):
    """In the folder, whole at any moment, of all pages, and of this network alone."""
    folder = Path(desk.save_network({})["saved"]).parent
    assert ask(server, path="preset", body=b'{"numbers": {"0.v_th": "0.4"}}')[0].status == 422
    assert not (folder / "presets.json").exists()
    for v_th, name in ((0.2, "mine 1"), (1.5, "mine 2")):
        _, found = ask(server, path="preset", body=json.dumps({"numbers": {"0.v_th": v_th}}).encode())
        assert found["kept"] == name and found["presets"][name]["0.v_th"] == v_th
    assert ask(server, "GET", "state")[1]["presets"]["mine 1"]["0.v_th"] == 0.2
    plain = sl.Hypothesis(sl.coding.Current(5), sl.network.feedforward((4, 5, 3), key=KEYS[0]), MEAN)
    path = tmp_path / "presets.json"
    path.write_bytes((folder / "presets.json").read_bytes())
    again, other = (Presets(path, Knobs(one)) for one in (hypothesis(), plain))
    assert set(again.all()) == {"mine 1", "mine 2"} and other.all() == {}
    assert other.keep({}) == "mine 3" and set(again.all()) >= {"mine 1", "mine 2"}
    for damaged in (b"", b"[1]", b'{"mine 1": {"0.v_th": "x"}}', b'{"mine 1": {"0.v_th": NaN}}', b"[" * 10**5):
        path.write_bytes(damaged)
        with pytest.raises(SnnlearnError, match=r"presets\.json is damaged; restore it"):
            again.keep({})
        assert path.read_bytes() == damaged


def test_it_listens_on_this_machine_only(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken(server, desk):
    with pytest.raises(SnnlearnError, match=rf"--port {server.server_port} is taken by another program; give another"):
        PageServer(desk, server.server_port)


def test_the_command_serves_a_run_until_ctrl_c(finished, monkeypatch, capsys):
    seen = []

    def interrupted(_):
        seen.append(capsys.readouterr().out)
        raise KeyboardInterrupt

    monkeypatch.setattr(manual.time, "sleep", interrupted)
    monkeypatch.setattr(Desk, "warm", lambda self: seen.append(self.knobs.start()))
    assert main(["tune", "--manual", str(finished)]) == 0
    assert capsys.readouterr().out == "Closed.\n" and {"0.v_th", "0.noise", "1.weights"} <= set(seen[0])
    port = urlsplit(seen[1].split()[1]).port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert not (finished / "manual").exists()
