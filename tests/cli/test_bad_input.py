"""What cannot be used is refused in one sentence, before anything is compiled or written."""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
import tyro
from matplotlib.image import imsave

from snnlearn import coding
from snnlearn._errors import SnnlearnError
from snnlearn.cli import build, main
from snnlearn.cli.by_data import chosen
from snnlearn.cli.options import Sweep, Train
from snnlearn.cli.sweep import configured, grid
from snnlearn.hypothesis import Hypothesis
from snnlearn.model_file import save
from snnlearn.network import FluctuationDriven, feedforward

TRAIN = {
    "no such set": ("--data digts", r"--data is digts; did you mean digits\?"),
    "no effect": ("--data digits --delay 5", "--delay has no effect on --data digits; drop it"),
    "no such file": ("--data {bad}/nowhere.npz", "nowhere.npz cannot be read"),
    "no folder": ("--data mnist", "--data-folder"),
    "wrong folder": ("--data mnist --data-folder {bad}/nowhere", "train-images-idx3-ubyte"),
    "no y": ("--data {bad}/unlabelled.npz", "lacks the array y"),
    "no HDF5": ("--data {bad}/text.h5", "not HDF5"),
    "encoded spikes": ("--data spike-xor --encode rate", "--encode rate: spike-xor already is spikes"),
    "series of spikes": ("--data spike-xor --series", "--series: spike-xor already is spikes"),
    "changes of a still image": ("--encode delta", "delta encodes changes over time; give --series"),
    "burst beyond the window": ("--encode burst --num-steps 8", "5 spikes 2 steps apart take 9 steps"),
    "too many digits": ("--encode phase --num-phases 24", "at most 23"),
    "rates on a population above one spike a step": (
        "--encode population --population-code rate --max-rate 2000",
        "more than one spike per step",
    ),
    "regular rate above one spike a step": ("--encode regular-rate --max-rate 2000", "more than one spike per step"),
    "constant data": ("--data {bad}/same.npz", "must not be all equal"),
    "dt above tau": ("--dt 0.02 --tau-mem 0.01", "dt = 0.02 s is longer than --tau-mem 0.01"),
    "dt above trained tau": ("--dt 0.02 --tau-mem 0.01 --train-time-constants", "longer than --tau-mem 0.01"),
    "dt above tau_out": ("--dt 0.02 --tau-mem 1 --tau-out 0.01", "dt = 0.02 s is longer than --tau-out 0.01"),
    "superspike at steps that are too long": ("--rule superspike --dt 0.01", "--loss van-rossum .* at most 0.005"),
    "milliseconds": ("--tau-mem 20", "seconds; for milliseconds give .*0.02"),
    "latency window before the first spike": ("--encode latency --num-steps 1", "before the first possible spike"),
    "rate above one spike a step": ("--encode rate --max-rate 2000", "more than one spike per step"),
    "steps beyond the memory": ("--num-steps 1000000 --batch-size 1000", "needs [0-9.e+]+ GB .* this machine has"),
    "data beyond the memory": ("--data randman --num-steps 1000000", "needs [0-9.e+]+ GB .* this machine has"),
    "units beyond the memory": ("--layers 999999 999999", "needs [0-9.e+]+ GB .* this machine has"),
    "a layer nobody has": ("--layers 100000000000000000000", "numbers below 1,000,000"),
    "a kernel nobody has": ("--layers 4c100000000000000000000", "numbers below 1,000,000"),
    "digits of another script": ("--layers \uff12", "--layers has"),
    "two neurons in a population": ("--encode population --population 2", "at least 3"),
    "layer of size 0": ("--layers 0", "out_size is 0"),
    "convolution without channels": ("--layers 0c3", "channels is 0"),
    "kernel beyond the image": ("--layers 4c9", "Conv2d: height is 0"),
    "pooling over 0": ("--layers p0", "window is 0"),
    "no such layer": ("--layers 16x", "--layers has '16x'"),
    "convolution after dense": ("--layers 16 4c3", "is not an image; use dense layers"),
    "convolution of a population": ("--layers 4c3 --encode population", "is not an image; use dense layers"),
    "rate band upside down": ("--rate-band 50 5", "give 0 ≤ low ≤ high"),
    "batch larger than the set": ("--batch-size 100000", "batch_size is 100000"),
    "nothing to train on": ("--validation 0.5 --test 0.5", "leave a rest"),
    "no such config": ("--config {bad}/nowhere.toml", "nowhere.toml is not a file"),
    "misspelt key": ("--config {bad}/misspelt.toml", "unknown key 'epoch'; did you mean epochs"),
    "foreign key": ("--config {bad}/foreign.toml", "unknown key 'zzz'; see snnlearn train --help"),
    "wrong type": ("--config {bad}/type.toml", "epochs is 'many'; give a whole number"),
    "wrong choice": (
        "--config {bad}/choice.toml",
        "--neuron is hh; give one of lif, cuba-lif, .* or a class of your own as module:Class",
    ),
    "half a pair": ("--config {bad}/pair.toml", "rate_band is .5.; give a list of 2 numbers"),
    "no TOML": ("--config {bad}/text.npz", "not valid TOML"),
    "folder in use": ("--out {finished}", "exists already"),
    "folder that cannot be made": ("--out {bad}/text.npz/run", "cannot be written"),
    "file in the folder's place": ("--out {bad}/text.npz", "cannot be written"),
    "resume nothing": ("--resume {bad}/nowhere", "nowhere is not a folder"),
    "resume what is no run": ("--resume {bad}/magic", "not a run's folder"),
    "resume another version's run": ("--resume {bad}/newer", "format 99, written by snnlearn 9.9.9"),
    "resume without options": ("--resume {bad}/bare", "config.toml is not a file"),
    "resume and options": ("--resume {finished} --seeds 3", "drop --seeds"),
    "resume to no epochs": ("--resume {finished} --epochs 0", "epochs is 0"),
    "resume to epochs without end": ("--resume {finished} --epochs 1000000000000", "epochs is 1000000000000"),
    "resume to no more epochs": ("--resume {finished} --epochs 12", "--epochs 12 is not more than the 12 of"),
    "resume and config": ("--resume {finished} --config {finished}/config.toml", "drop --config"),
}
OTHERS = {
    "evaluate nothing": ("evaluate {bad}/nowhere", "nowhere is not a folder"),
    "evaluate what is no run": ("evaluate {bad}/magic", "not a run's folder"),
    "evaluate another version's run": ("evaluate {bad}/newer", "format 99"),
    "evaluate without options": ("evaluate {bad}/bare", "config.toml is not a file"),
    "damaged model": ("evaluate {bad}/damaged", "model.npz is damaged"),
    "evaluate on no npz": (
        "evaluate {finished} --data {bad}/text.h5",
        "holds events, but the network was trained on values",
    ),
    "evaluate on no file": ("evaluate {finished} --data {bad}/nowhere.npz", "cannot be read"),
    "evaluate on another shape": ("evaluate {finished} --data {bad}/wide.npz", "the network takes 3"),
    "evaluate on more classes": (
        "evaluate {finished} --data {bad}/classes.npz",
        "class 3, which was not in training: 0, 1, 2",
    ),
    "predict nothing": ("predict {finished}", "no file"),
    "predictions of no kind": ("predict {finished} {bad}/wide.npy --out p.txt", "ends in .csv, .json, .npz"),
    "predict from no file": ("predict {finished} {bad}/nowhere.npy", "No such file"),
    "predict from another kind": ("predict {finished} {bad}/words.csv", "expected numbers"),
    "predict from another shape": ("predict {finished} {bad}/wide.npy", "the network takes 3"),
    "predict from NaN": ("predict {finished} {bad}/nan.npy", "NaN"),
    "predict from nothing": ("predict {finished} {bad}/empty.npy", "is empty"),
    "predict from another image": ("predict {bad}/pixels {bad}/large.png", "the network takes 64"),
    "predict from a damaged image": ("predict {bad}/pixels {bad}/cut.png", "cannot be read as an image"),
    "predict from negative pixels": ("predict {bad}/pixels {bad}/negative.npy", r"trained on \[0, 1\]; scale them"),
    "predict from bytes": ("predict {bad}/pixels {bad}/bytes.npy", r"values from 0.0 to 255.0.*scale them"),
    "predict from no spikes": ("predict {bad}/events {bad}/bytes.npy", "takes spikes, 0 or 1"),
    "predict from other steps": ("predict {bad}/events {bad}/spikes.npy", "expected 5 steps"),
    "encode no file": ("encode {bad}/nowhere.png", "is not a file"),
    "index too large": ("encode {bad}/wide.npy --index 30", "samples 0 to 29"),
    "encode at too high a rate": ("encode --max-rate 5000", "more than one spike per step"),
    "encode in a population of 2": ("encode --population 2", "at least 3"),
    "encode a constant": ("encode {bad}/constant.npy", "constant, 7.0"),
    "encode a signal from nowhere": ("encode --series", "--series: no file was given"),
    "encode NaN": ("encode {bad}/nan.npy", "NaN"),
    "encode a signal with NaN": ("encode {bad}/nan.npy --series", "NaN"),
    "encode a constant signal": ("encode {bad}/constant.npy --series", "constant, 7.0"),
    "encode a signal of words": ("encode {bad}/words.csv", "not a table of numbers"),
    "encode changes of an image": ("encode --codes delta", "delta encodes changes over time; give --series"),
    "encode many channels of images": ("encode {bad}/colours.npy", r"shape \(2, 3, 4\)"),
    "encode a burst that is too long": ("encode --codes burst --num-steps 8", "take 9 steps"),
    "write currents as events": ("encode --codes current --out x.h5", "current has no spikes to write"),
    "no kind of picture": ("encode --out codes.gif", "ends in .html, .png, .svg, .h5 or .npz"),
    "risk of nothing": ("risk {bad}/nowhere", "nowhere is not a folder"),
    "risk of an unfinished run": ("risk {bad}/unfinished", "snnlearn train --resume"),
    "risk on another shape": ("risk {finished} --data {bad}/wide.npz", "the network takes 3"),
    "too many tasks": ("no-free-lunch --points 8 --samples 6", "since all are enumerated"),
    "no data for the certificate": ("certify --prior-share 0.999", "--prior-share is 0.999, which leaves"),
    "too little for the certificate": ("certify --prior-share 0.97", "each must hold a batch"),
    "several certificates": ("certify --seeds 3", "certify has no option --seeds; did you mean --seed"),
    "no such command": ("fly", "there is no command fly; snnlearn --help"),
    "a misspelt command": ("trian", "did you mean train"),
    "a misspelt option": ("train --epohcs 3", "train has no option --epohcs; did you mean --epochs"),
    "resume a certificate": ("certify --resume x", "certify has no option --resume"),
    "compare at one step size": ("compare --learning-rate 0.1", "did you mean --learning-rates"),
    "gradients over epochs": ("gradients --epochs 3", "gradients has no option --epochs"),
    "gradients of a run with other options": ("gradients --run {finished} --layers 3", "drop --layers"),
    "gradients of no run": ("gradients --run {bad}/nowhere", "nowhere is not a folder"),
    "compare on with options": ("compare --resume {bad}/magic --epochs 3", "drop --epochs"),
    "compare on with nothing": ("compare --resume {bad}/magic", "not a comparison's folder"),
    "compare from no config": ("compare --config {bad}/nowhere.toml", "nowhere.toml is not a file"),
    "gradients from a misspelt config": ("gradients --config {bad}/misspelt.toml", "did you mean epochs"),
    "a loss that bounds nothing": ("certify --loss mean-squared", "at least ln 2"),
    "a pair of one": ("compare --paired {finished}", "--paired has 1 run"),
    "a pair of the same": ("compare --paired {finished} {finished}", "a run twice"),
    "a pair with nothing": ("compare --paired {finished} {bad}/nowhere", "nowhere is not a folder"),
    "vary no option": ("sweep --vary colour=red", "--vary has 'colour=red'"),
    "vary the data": ("sweep --vary data=digits,mnist", "give an option of train"),
    "vary without values": ("sweep --vary tau-mem", "--vary has 'tau-mem'"),
    "vary by words": ("sweep --vary tau-mem=short,long", "tau-mem is 'short'; give a number"),
    "another optimiser": ("train --optimizer hh", "--optimizer is hh; give one of adam"),
    "vary by another choice": ("sweep --vary neuron=lif,hh", "--neuron is hh; give one of lif"),
    "vary twice": ("sweep --vary xi=1,2 xi=3", "--vary has xi twice"),
    "vary by the same": ("sweep --vary xi=1,1", "a value twice"),
    "vary out of range": ("sweep --vary xi=1,-1", "--xi is -1.0"),
    "sweep one seed": ("sweep --seeds 1", "--seeds is 1"),
    "more data than there are": ("sweep --vary xi=1,2 --sizes 100000", "the training sample has"),
    "less data than classes": ("sweep --vary xi=1,2 --sizes 12", "twice the 10 classes"),
    "resume no sweep": ("sweep --resume {bad}/magic", "not a sweep's folder"),
    "resume a sweep with options": ("sweep --resume {bad}/magic --epochs 3", "drop --epochs"),
    "no folder for the picture": ("encode --out nowhere/codes.png", "no folder nowhere"),
}
CASES = {name: (f"train {line}", expected) for name, (line, expected) in TRAIN.items()} | OTHERS


@pytest.mark.parametrize(("line", "expected"), CASES.values(), ids=CASES.keys())
def test_one_sentence(line, expected, bad, finished, tmp_path, capsys, monkeypatch):
    def compile(*_, **__):
        raise AssertionError("a network was drawn before the input was refused")

    before = sorted(finished.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FluctuationDriven, "__call__", compile)
    capsys.readouterr()
    assert main(line.format(bad=bad, finished=finished).split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    assert len(err) < 600
    assert re.search(expected, err), err
    assert list(tmp_path.iterdir()) == [] and sorted(finished.rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train --epochs many", "many is not a whole number"),
        ("train --dt soon", "soon is not a number"),
        ("train --rate-band 5", "--rate-band"),
        ("evaluate", "run|RUN|PATH"),
    ],
)
def test_the_parser_refuses(line, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit:
        main(line.split())
    assert exit.value.code == 2
    assert re.search(expected, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="package")
def bad(finished, tmp_path_factory) -> Path:
    """A folder of everything that can be wrong with a file."""
    folder = tmp_path_factory.mktemp("bad")
    _write_idx(folder / "magic", images=b"\x12\x34" + _idx(5, 8, 8)[2:])
    x, y = np.random.default_rng(0).random((30, 4)), np.arange(30) % 3
    np.savez(folder / "unlabelled.npz", x=x)
    np.savez(folder / "wide.npz", x=x, y=y)
    np.savez(folder / "classes.npz", x=x[:, :3], y=np.arange(30) % 4)
    for name in ("text.npz", "text.h5"):
        (folder / name).write_text("these are words, and no numbers")
    for name, line in {
        "misspelt": "epoch = 3",
        "foreign": "zzz = 3",
        "type": "epochs = 'many'",
        "choice": "neuron = 'hh'",
        "pair": "rate_band = [5]",
    }.items():
        (folder / f"{name}.toml").write_text(line)
    np.save(folder / "wide.npy", x)
    np.save(folder / "nan.npy", np.full((1, 3), np.nan))
    np.save(folder / "empty.npy", np.zeros((0, 3)))
    np.save(folder / "negative.npy", np.linspace(-1, 1, 64).reshape(1, 8, 8))
    np.save(folder / "bytes.npy", np.linspace(0, 255, 64).reshape(1, 8, 8))
    np.save(folder / "spikes.npy", np.zeros((1, 6, 64)))
    np.save(folder / "constant.npy", np.full((1, 5), 7.0))
    np.savez(folder / "same.npz", x=np.full((30, 4), 7.0), y=y)
    (folder / "words.csv").write_text("a,b\nc,d\n")
    np.save(folder / "colours.npy", np.zeros((1, 2, 3, 4)))
    imsave(folder / "large.png", np.random.default_rng(0).random((9, 9)))
    (folder / "cut.png").write_bytes((folder / "large.png").read_bytes()[:60])
    # Runs: of another version, without options or model, with a damaged model, of a network on pixels and on spikes.
    for name in ("newer", "bare"):
        (folder / name).mkdir()
        identity = {"format": 99, "snnlearn": "9.9.9"} if name == "newer" else {"format": 2, "snnlearn": "0.1.0"}
        (folder / name / "run.json").write_text(json.dumps(identity))
    for name in ("damaged", "unfinished", "pixels", "events"):
        shutil.copytree(finished, folder / name)
    for name in ("model.npz", "checkpoint.npz"):
        (folder / "unfinished" / name).unlink()
    model = (folder / "damaged" / "model.npz").read_bytes()
    (folder / "damaged" / "model.npz").write_bytes(model[: len(model) // 2])
    network = feedforward((64, 5, 3), key=jax.random.key(0))
    for name, encoder in {"pixels": coding.Current(num_steps=5), "events": coding.Spikes(num_steps=5)}.items():
        save(Hypothesis(encoder, network, coding.MeanMembrane()), folder / name / "model.npz")
    return folder


def _idx(*shape: int, kind: int = 8) -> bytes:
    values = np.arange(np.prod(shape)) % 10
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values.astype(np.uint8).tobytes()


def _write_idx(folder: Path, *, images: bytes | None = None, labels: bytes | None = None) -> None:
    folder.mkdir()
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images or _idx(5, 8, 8))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels or _idx(5))


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("--encode rate --dt 6e-3", "--max-rate"),
        ("--encode regular-rate --dt 7e-4 --max-rate 2000", "--max-rate"),
        ("--encode population --population-code rate --dt 3e-3", "--max-rate"),
        ("--dt 0.03 --tau-out 1", "--dt"),
        ("--rule superspike --dt 0.01", "--dt"),
        ("--encode phase --num-phases 24", "--num-phases"),
    ],
)
def test_what_is_advised_is_accepted(line, option):
    def build_all(*more: str) -> None:
        options = tyro.cli(Train, args=[*line.split(), *more])
        options.check()
        task = build.dataset(options)
        options, _ = chosen(options, task)
        code = build.encoder(options, task)
        build.algorithm(options, task, code.dt)
        eqx.filter_eval_shape(lambda: build.structure(options, task, code))

    with pytest.raises(SnnlearnError) as refusal:
        build_all()
    advised = re.findall(r"(?:at most|to) (?:tau-mem|([0-9.e-]+))", str(refusal.value))[-1] or "0.01"
    build_all(option, advised)


def test_a_sweep_over_rules_gives_each_the_loss_that_its_readout_has():
    options = Sweep(vary=("rule=bptt,eprop,superspike,eventprop,xie-seung",), sizes=())
    found = {str(one["rule"]): configured(options, one) for one in grid(options)}
    assert [name for name, one in found.items() if one.loss == "stepwise-cross-entropy"] == ["bptt", "eprop"]
    task = build.dataset(options)
    for settings in found.values():
        one, _ = chosen(settings, task)
        build.algorithm(one, task, build.encoder(one, task).dt)  # which refuses a loss that does not fit the readout
