"""Cores, and pools of processes that die with the one that started them."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process

# Libraries that would otherwise start a thread per core in every process.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def process_pool(width: int) -> Iterator[Executor]:
    """`width` processes of this machine, which share its cores and die with this one."""
    threads = max(1, usable_cores() // width)
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    # Read once, when a library loads, so they have to be there before the processes start.
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        # Not forked: extraction runs threads, and a fork in the midst of one can leave locks taken for ever.
        with ProcessPoolExecutor(
            width, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(threads,)
        ) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start_worker(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)
    # Ctrl-C reaches the whole group; a worker has nothing to say about it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A pool's processes do not notice when their parent is killed and would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
