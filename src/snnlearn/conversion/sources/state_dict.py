"""Weights without an architecture: state dictionaries of PyTorch, in safetensors or its own format."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import re
from abc import abstractmethod
from pathlib import Path
from typing import Any, NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.conversion.sources.base import AbstractSource, Artificial
from snnlearn.network import Network


class _Module(NamedTuple):
    """A layer of the file: its name, weights, and biases, with batch normalisation in them."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None


class AbstractStateDict(AbstractSource):
    """Named arrays that are filled into a network of the same architecture.

    Each array goes to the synapses of its shape; those of equal shape in the order of their names. Batch normalisation
    becomes part of the weights whose name comes before it.
    """

    path: eqx.AbstractVar[Path]
    network: eqx.AbstractVar[Network]

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays, by name."""

    def read(self) -> Artificial:
        """See the base."""
        arrays, notes = _without_prefix(self.arrays())
        for name, array in arrays.items():
            if not np.all(np.isfinite(array)):
                raise SnnlearnError(f"{name} has numbers that are NaN or infinite; train the network again")
        modules = _modules(arrays)
        network = self.network
        for number, layer in enumerate(network.layers):
            for place, connection in enumerate(layer.connections):
                if not connection.synapses.has_weights:
                    continue
                shape = connection.synapses.carrier.weight.shape  # pyright: ignore[reportAttributeAccessIssue]
                found = next((m for m in modules if m.weight.shape == shape), None)
                if found is None:
                    there = ", ".join(f"{m.name} {list(m.weight.shape)}" for m in modules) or "none"
                    raise SnnlearnError(
                        f"layer {number + 1} needs weights of shape {list(shape)}, and those left in the file are "
                        f"{there}; give the file's architecture"
                    )
                modules.remove(found)
                network = _filled(network, number, place, found)
        if modules:
            raise SnnlearnError(
                f"the file also has {', '.join(m.name for m in modules)}, which the architecture has not; give the "
                "file's architecture"
            )
        return Artificial(network, notes)


@final
class Safetensors(AbstractStateDict):
    """A `.safetensors` file (needs the extra `safetensors`).

    Args:
        path: the file.
        network: a network of the same architecture, with rectifiers in place of the activation functions; its weights
            are replaced.
    """

    path: Path
    network: Network

    def arrays(self) -> dict[str, np.ndarray]:
        """See the base."""
        try:
            from safetensors import SafetensorError
            from safetensors.numpy import load_file
        except ImportError as error:
            raise SnnlearnError(
                f"{self.path} needs the package safetensors; install it with pip install 'snnlearn[safetensors]'"
            ) from error
        _check_file(self.path)
        try:
            found = load_file(self.path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SnnlearnError(f"{self.path} is damaged, or not a safetensors file; restore it") from error
        return {name: np.asarray(array, np.float32) for name, array in found.items()}


@final
class TorchFile(AbstractStateDict):
    """A state dictionary saved by PyTorch (`.pt`, `.pth`), read where torch is installed, and only as weights.

    A pickle can execute anything, so that nothing but `weights_only=True` opens it.

    Args:
        path: the file.
        network: a network of the same architecture; see `Safetensors`.
    """

    path: Path
    network: Network

    def arrays(self) -> dict[str, np.ndarray]:
        """See the base."""
        try:
            import torch  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise SnnlearnError(
                f"{self.path} is a pickle, which can execute anything when it is opened; where torch is installed, "
                f"make a safe file of it: state = torch.load({self.path.name!r}, weights_only=True); "
                f"safetensors.torch.save_file(state, {self.path.with_suffix('.safetensors').name!r})"
            ) from error
        _check_file(self.path)
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            return {str(name): np.asarray(value.float().numpy()) for name, value in state.items()}
        except Exception as error:  # torch raises whatever its parts do
            raise SnnlearnError(
                f"{self.path} holds more than weights, or is damaged; save the weights alone: "
                "torch.save(model.state_dict(), path)"
            ) from error


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give a file of weights")
    check_memory(path.stat().st_size, str(path), "copy it again")


def _without_prefix(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Without the `module.` of a model that was trained on several devices."""
    prefix = "module."
    if not arrays or not all(name.startswith(prefix) for name in arrays):
        return arrays, ()
    note = f"All names began with {prefix!r}, which DataParallel adds; it was dropped."
    return {name.removeprefix(prefix): array for name, array in arrays.items()}, (note,)


def _modules(arrays: dict[str, np.ndarray]) -> list[_Module]:
    """The layers in the natural order of their names, 2 before 10."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        stem, _, last = name.rpartition(".")
        parts.setdefault(stem, {})[last] = array
    found: list[_Module] = []
    for name in sorted(parts, key=_natural):
        part = parts[name]
        if "running_mean" in part:
            if not found:
                raise SnnlearnError(f"{name} is a batch normalisation before any weights; put it behind a layer")
            found[-1] = _normalised(found[-1], name, part)
        elif "weight" in part and part["weight"].ndim >= 2 and set(part) <= {"weight", "bias"}:
            found.append(_Module(name, part["weight"], part.get("bias")))
        else:
            raise SnnlearnError(
                f"{name or 'the file'} holds {', '.join(sorted(part))}, which is no layer known here (weights and "
                "biases, or batch normalisation); export the network as ONNX instead"
            )
    return found


def _normalised(module: _Module, name: str, part: dict[str, np.ndarray], epsilon: float = 1e-5) -> _Module:
    mean, variance = part["running_mean"], part["running_var"]
    if mean.shape != module.weight.shape[:1]:
        raise SnnlearnError(
            f"{name} normalises {len(mean)} channels, and {module.name}, the layer before it by name, has "
            f"{len(module.weight)}; export the network as ONNX instead"
        )
    gain = part.get("weight", np.ones_like(mean)) / np.sqrt(variance + epsilon)
    bias = np.zeros_like(mean) if module.bias is None else module.bias
    weight = module.weight * gain.reshape(-1, *(1,) * (module.weight.ndim - 1))
    return _Module(module.name, weight, gain * (bias - mean) + part.get("bias", np.zeros_like(mean)))


def _natural(name: str) -> list[Any]:
    return [(1, int(piece)) if piece.isdigit() else (0, piece) for piece in re.split(r"(\d+)", name)]


def _filled(network: Network, number: int, place: int, module: _Module) -> Network:
    def carrier(network: Network) -> Any:
        return network.layers[number].connections[place].synapses.carrier

    old = carrier(network)
    shape = old.out_shape[:1] + (1,) * (module.weight.ndim - 2)
    bias = np.zeros(shape, np.float32) if module.bias is None else module.bias.reshape(shape)
    new = (jnp.asarray(module.weight, jnp.float32), jnp.asarray(bias, jnp.float32))
    return eqx.tree_at(lambda n: (carrier(n).weight, carrier(n).bias), network, new, is_leaf=lambda leaf: leaf is None)
