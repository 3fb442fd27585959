"""How many threads a product of matrices gets where somebody waits for it: the one that asks."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "OMP_NUM_THREADS"  # OpenBLAS, MKL, faiss and torch all read it, once, when they are loaded


def one_thread() -> None:
    """Call it before NumPy is imported. An operator's own setting stands.

    A batch of predictions is too small to be shared out, and the threads that help with it spin for some 30 ms after
    it (OpenBLAS, THREAD_TIMEOUT), each on a core of its own: half of the CPU of `auto` queries on two cores.
    """
    os.environ.setdefault(VARIABLE, "1")
