"""How units connect and run: synapses, layers, networks, their initial weights and their health."""

from snnlearn.network.compiled import why_not_compiled as why_not_compiled
from snnlearn.network.conformance import check_synapses as check_synapses
from snnlearn.network.connection import BEFORE as BEFORE
from snnlearn.network.connection import INPUT as INPUT
from snnlearn.network.connection import ITSELF as ITSELF
from snnlearn.network.connection import Connection as Connection
from snnlearn.network.diagnosis import Diagnosis as Diagnosis
from snnlearn.network.diagnosis import diagnose as diagnose
from snnlearn.network.event_driven import spike_times as spike_times
from snnlearn.network.initialisation import AbstractInitialisation as AbstractInitialisation
from snnlearn.network.initialisation import AsGiven as AsGiven
from snnlearn.network.initialisation import FluctuationDriven as FluctuationDriven
from snnlearn.network.layer import Layer as Layer
from snnlearn.network.layer import LayerState as LayerState
from snnlearn.network.network import Activity as Activity
from snnlearn.network.network import Network as Network
from snnlearn.network.network import feedforward as feedforward
from snnlearn.network.network import fresh_state as fresh_state
from snnlearn.network.network import unroll as unroll
from snnlearn.network.synapses import AbstractSynapses as AbstractSynapses
from snnlearn.network.synapses import AveragePool2d as AveragePool2d
from snnlearn.network.synapses import Chain as Chain
from snnlearn.network.synapses import Conv2d as Conv2d
from snnlearn.network.synapses import Dense as Dense
from snnlearn.network.synapses import Part as Part
from snnlearn.network.synapses import connection_weights as connection_weights
