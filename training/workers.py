"""Processes that share a step's work."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def pool(workers: int) -> ProcessPoolExecutor:
    """Return so many processes, each started anew.

    A forked one would inherit the locks of threads that it does not have (numerical libraries start some with their
    first product of matrices), and wait for them for ever: seen in a run of tests.
    """
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
