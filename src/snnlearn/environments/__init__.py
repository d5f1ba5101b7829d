"""Environments: tasks in which a network acts and is rewarded."""

from snnlearn.environments.base import AbstractEnvironment as AbstractEnvironment
from snnlearn.environments.base import Episode as Episode
from snnlearn.environments.base import play as play
from snnlearn.environments.delayed_choice import DelayedChoice as DelayedChoice
