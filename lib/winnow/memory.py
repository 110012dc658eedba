"""Whether what is about to be made fits into memory, asked before it is made."""

import psutil


def free_gb() -> float:
    """Memory that can be had now, in GB."""
    return psutil.virtual_memory().available / 1e9


def require(n_bytes: float, what: str) -> None:
    """Raise where more memory is needed than is free.

    Parameters
    ----------
    n_bytes
        How much will be held at once.
    what
        What needs it, to begin the message.

    Raises
    ------
    ValueError
        With both numbers, in GB.
    """
    if n_bytes / 1e9 > free_gb():
        raise ValueError(
            f"{what} needs {n_bytes / 1e9:.3g} GB and {free_gb():.3g} GB are free: "
            "choose a smaller size"
        )
