"""What networks learn from: tasks, random fields, photographs, image sets on disk."""

from winnow.data import images
from winnow.data.fields import (
    correlation,
    gaussian_process,
    mix,
    nonlinear_covariance,
    nonlinear_process,
    pixel_kurtosis,
    power_covariance,
    power_process,
)
from winnow.data.patterns import Patterns, clusters, digits, hold_out, split, tree
from winnow.data.photos import PHOTOS, gaussian_clone, patches, photo, zca
from winnow.data.tasks import TASKS, Task, moons, parity, sine, task, xor
