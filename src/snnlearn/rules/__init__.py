"""Learning rules: how credit is assigned."""

from snnlearn.rules.backpropagation import BPTT as BPTT
from snnlearn.rules.base import AbstractRule as AbstractRule
from snnlearn.rules.eligibility import eligibility_traces as eligibility_traces
from snnlearn.rules.eprop import EProp as EProp
from snnlearn.rules.event_prop import EventProp as EventProp
from snnlearn.rules.feedback import AbstractFeedback as AbstractFeedback
from snnlearn.rules.feedback import RandomFeedback as RandomFeedback
from snnlearn.rules.feedback import StoredFeedback as StoredFeedback
from snnlearn.rules.feedback import Symmetric as Symmetric
from snnlearn.rules.feedback import UniformFeedback as UniformFeedback
from snnlearn.rules.feedback import with_feedback as with_feedback
from snnlearn.rules.online import AbstractOnlineRule as AbstractOnlineRule
from snnlearn.rules.ottt import OTTT as OTTT
from snnlearn.rules.superspike import SuperSpike as SuperSpike
