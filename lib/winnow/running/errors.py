"""What goes wrong once a chapter has been started; bad input is a ValueError before that."""


class RunError(RuntimeError):
    """A chapter was started and did not finish.

    ``details`` holds the kernel's traceback, ``cell`` the number of the cell from 1, or nothing
    where no cell raised, and ``notebook`` how far it came.
    """

    def __init__(self, message: str, details="", cell: int | None = None, notebook=None) -> None:
        super().__init__(message)
        self.details, self.cell, self.notebook = details, cell, notebook


class OutOfTimeError(RunError):
    """A chapter ran longer than it was given."""
