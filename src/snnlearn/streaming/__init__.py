"""Streams without end: networks that run and learn step by step, in constant memory, and go on from a file."""

from snnlearn.streaming.stream import Stream as Stream
from snnlearn.streaming.stream import StreamState as StreamState
