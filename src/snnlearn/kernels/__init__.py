"""Second implementations of hot paths, each equal to the plain one by test."""

from snnlearn.kernels.library import plain as plain
from snnlearn.kernels.library import why_plain as why_plain
