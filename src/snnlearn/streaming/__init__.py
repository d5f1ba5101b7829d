"""Streams without end: networks that run and learn step by step, in constant memory, and go on from a file."""

from snnlearn.streaming.comparators import AbstractComparator as AbstractComparator
from snnlearn.streaming.comparators import Constantly as Constantly
from snnlearn.streaming.comparators import Fixed as Fixed
from snnlearn.streaming.comparators import Persistence as Persistence
from snnlearn.streaming.learner import Learner as Learner
from snnlearn.streaming.learner import LearnerState as LearnerState
from snnlearn.streaming.record import Regret as Regret
from snnlearn.streaming.stream import Stream as Stream
from snnlearn.streaming.stream import StreamState as StreamState
