"""What networks learn from: tasks, random fields, photographs, image sets on disk."""

from winnow.data import images
from winnow.data.fields import (
    correlation,
    erf_variance,
    gaussian_process,
    mix,
    nonlinear_covariance,
    nonlinear_process,
    pixel_kurtosis,
    power_covariance,
    power_process,
)
from winnow.data.patterns import (
    ClusterGraph,
    Patterns,
    Split,
    cluster_graph,
    clusters,
    digits,
    distinct_rows,
    hold_out,
    split,
    tree,
)
from winnow.data.photos import PHOTOS, gaussian_clone, patches, photo, zca
from winnow.data.tasks import TASKS, Task, moons, parity, sine, task, xor

__all__ = [
    "PHOTOS",
    "TASKS",
    "ClusterGraph",
    "Patterns",
    "Split",
    "Task",
    "cluster_graph",
    "clusters",
    "correlation",
    "digits",
    "distinct_rows",
    "erf_variance",
    "gaussian_clone",
    "gaussian_process",
    "hold_out",
    "images",
    "mix",
    "moons",
    "nonlinear_covariance",
    "nonlinear_process",
    "parity",
    "patches",
    "photo",
    "pixel_kurtosis",
    "power_covariance",
    "power_process",
    "sine",
    "split",
    "task",
    "tree",
    "xor",
    "zca",
]
