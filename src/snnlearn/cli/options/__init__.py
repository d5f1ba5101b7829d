"""Every option of the command line, as plain data: nothing here needs JAX, so `--help` comes at once."""

from snnlearn.cli.options.convert import Convert
from snnlearn.cli.options.data import Data, Encode
from snnlearn.cli.options.kinds import Role, axes, ranges
from snnlearn.cli.options.reading import COMMANDS, check_names, numbers
from snnlearn.cli.options.rules import Compare, Gradients
from snnlearn.cli.options.run import Deploy, Evaluate, Predict, Risk, Stream
from snnlearn.cli.options.search import Sweep, Tune
from snnlearn.cli.options.shared import TIME_UNITS
from snnlearn.cli.options.theory import Certify, NoFreeLunch
from snnlearn.cli.options.train import Train, roles

__all__ = [
    "COMMANDS",
    "TIME_UNITS",
    "Certify",
    "Compare",
    "Convert",
    "Data",
    "Deploy",
    "Encode",
    "Evaluate",
    "Gradients",
    "NoFreeLunch",
    "Predict",
    "Risk",
    "Role",
    "Stream",
    "Sweep",
    "Train",
    "Tune",
    "axes",
    "check_names",
    "numbers",
    "ranges",
    "roles",
]
