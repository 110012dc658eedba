"""What networks learn from: tasks, random fields, photographs, image sets on disk."""

from winnow.data.tasks import TASKS, Task, moons, parity, sine, task, xor

__all__ = ["TASKS", "Task", "moons", "parity", "sine", "task", "xor"]
