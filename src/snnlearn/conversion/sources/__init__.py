"""Sources: files and objects of other software that hold an artificial network."""

from snnlearn.conversion.sources.base import AbstractSource as AbstractSource
from snnlearn.conversion.sources.base import Artificial as Artificial
from snnlearn.conversion.sources.base import Reference as Reference
from snnlearn.conversion.sources.base import verify as verify
from snnlearn.conversion.sources.keras_file import KerasFile as KerasFile
from snnlearn.conversion.sources.max_pooling import AbstractMaxPooling as AbstractMaxPooling
from snnlearn.conversion.sources.max_pooling import PairwiseMaxima as PairwiseMaxima
from snnlearn.conversion.sources.max_pooling import Refused as Refused
from snnlearn.conversion.sources.onnx_file import OnnxFile as OnnxFile
from snnlearn.conversion.sources.scikit_learn import FittedMLP as FittedMLP
from snnlearn.conversion.sources.scikit_learn import SkopsFile as SkopsFile
from snnlearn.conversion.sources.state_dict import AbstractStateDict as AbstractStateDict
from snnlearn.conversion.sources.state_dict import Safetensors as Safetensors
from snnlearn.conversion.sources.state_dict import TorchFile as TorchFile
