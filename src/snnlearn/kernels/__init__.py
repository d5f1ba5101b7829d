"""Second implementations of hot paths, each tested against the plain one."""

from snnlearn.kernels.library import plain as plain
from snnlearn.kernels.library import why_plain as why_plain
