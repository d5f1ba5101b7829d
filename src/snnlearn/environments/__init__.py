"""Environments: what a network acts upon, and that rewards it."""

from snnlearn.environments.base import AbstractEnvironment as AbstractEnvironment
from snnlearn.environments.base import Episode as Episode
from snnlearn.environments.base import play as play
from snnlearn.environments.delayed_choice import DelayedChoice as DelayedChoice
