"""What pytest leaves out where a package that it needs is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("aeon") else ["src/snnlearn/aeon"]
