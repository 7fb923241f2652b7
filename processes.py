"""Cores, and processes that die with the one that started them: a pool of them, and jobs that may take one down."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import LostProcessError

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from multiprocessing.connection import Connection

# Libraries that would otherwise start a thread per core in every process.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PATIENCE_S = 600.0  # of silence; the longest one of a sound job is that of a network reading hours of features
_TELL_EVERY_S = 0.1

# Tells headway: (done, in all or None).
Headway = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Finished:
    """The end of one job: its number in the order they were given, and what it returned or raised."""

    number: int
    value: Any = None
    error: Exception | None = None


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pool_width(asked: int | None, n_jobs: int) -> int:
    """Processes for so many jobs: as many as asked for, by default and at most the cores."""
    return max(1, min(asked or usable_cores(), usable_cores(), n_jobs))


@contextmanager
def process_pool(width: int) -> "Iterator[Executor]":
    """`width` processes of this machine, which share its cores and die with this one."""
    # Here and below on use: every command imports this module, and few start a process.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    threads = max(1, usable_cores() // width)
    context = get_context("spawn")  # not forked: a fork in the midst of a thread can leave locks taken for ever
    with (
        _threads_of_new_processes(threads),
        ProcessPoolExecutor(width, mp_context=context, initializer=_start_worker, initargs=(threads,)) as pool,
    ):
        yield pool


def run_jobs(
    task: Callable[[Any, Headway], Any],
    jobs: Sequence[Any],
    width: int,
    *,
    patience_s: float = PATIENCE_S,
    headway: Callable[[int, int, int | None], None] | None = None,
) -> Generator[Finished, None, None]:
    """What becomes of `task(job, headway)` for every job, in `width` processes, as it comes.

    A job that takes its process down costs itself alone. It is tried once more after all others and with nothing beside
    it, since a machine short of memory ends processes that are not to blame; the second time it is lost, with a
    `LostProcessError`. So is, at once, one that tells no headway for `patience_s`. task, jobs and what is returned have
    to be picklable. headway: called with the number of a job and what it tells, first with 0 and None.
    """
    waiting, suspects = deque(range(len(jobs))), deque[int]()
    workers: list[_Worker] = []
    threads = max(1, usable_cores() // width)
    try:
        while waiting or suspects or any(worker.busy for worker in workers):
            busy = [worker for worker in workers if worker.busy]
            alone = not waiting
            queue, most = (suspects, 1) if alone else (waiting, width)
            while queue and len(busy) < most:
                worker = next((w for w in workers if not w.busy), None)
                if worker is None:
                    worker = _Worker(task, threads)
                    workers.append(worker)
                job = queue.popleft()
                worker.give(job, jobs[job], alone)
                busy.append(worker)
                if headway is not None:
                    headway(job, 0, None)
            for worker, news, content in _news(busy, patience_s):
                number = worker.number
                if news == _HEADWAY:
                    if headway is not None:
                        headway(number, *content)
                    continue
                worker.number = None
                if news in (_DIED, _STALLED):
                    worker.end()
                    workers.remove(worker)
                if news == _DIED and not worker.alone:
                    suspects.append(number)
                elif news == _DONE:
                    yield Finished(number, content)
                else:
                    yield Finished(number, error=content)
    finally:
        for worker in workers:
            worker.end()


_HEADWAY, _DONE, _FAILED, _DIED, _STALLED = "headway", "done", "failed", "died", "stalled"


class _Worker:
    """One process and the job it is at. alone: whether nothing else is at work beside it."""

    def __init__(self, task: Callable[[Any, Headway], Any], threads: int) -> None:
        from multiprocessing import get_context

        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(task, theirs, threads), daemon=True)
        with _threads_of_new_processes(threads):
            self._process.start()
        theirs.close()
        self.number: int | None = None
        self.alone = False
        self.heard = 0.0

    @property
    def busy(self) -> bool:
        return self.number is not None

    def give(self, number: int, job: Any, alone: bool) -> None:
        self.number, self.alone, self.heard = number, alone, time.monotonic()
        with suppress(OSError):  # that it died meanwhile is noticed when its answer is waited for
            self.pipe.send(job)

    def death(self) -> str:
        """How the process ended, once its pipe is closed."""
        self._process.join(10)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        return signal.Signals(-code).name

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _news(busy: Sequence[_Worker], patience_s: float) -> Iterator[tuple[_Worker, str, Any]]:
    """What workers tell, or what their silence means: (worker, kind, content). Waits until there is any."""
    from multiprocessing import connection

    deadline = min(worker.heard for worker in busy) + patience_s
    ready = connection.wait([worker.pipe for worker in busy], max(deadline - time.monotonic(), 0.0))
    now = time.monotonic()
    for worker in busy:
        if worker.pipe in ready:
            try:
                news, content = worker.pipe.recv()
            except (EOFError, OSError):
                cause = "of a fault in a decoder or for want of memory"
                what = f"the process at work on it died twice, perhaps {cause} ({worker.death()})"
                news, content = _DIED, LostProcessError(what)
            worker.heard = now
            yield worker, news, content
        elif now >= worker.heard + patience_s:
            what = f"no headway for {patience_s:.0f} s, so that the process at work on it was ended"
            yield worker, _STALLED, LostProcessError(what)


def _serve(task: Callable[[Any, Headway], Any], pipe: "Connection", threads: int) -> None:
    """The life of a worker: jobs in, answers out, until the pipe is closed."""
    import pickle

    _start_worker(threads)
    told = 0.0

    def headway(done: int, total: int | None) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_EVERY_S or done == total:
            told = time.monotonic()
            pipe.send((_HEADWAY, (done, total)))

    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            answer = (_DONE, task(job, headway))
        except Exception as error:
            error.add_note(origin(error))
            answer = (_FAILED, error)
        try:
            packed = pickle.dumps(answer)
            pickle.loads(packed)
        except Exception as error:  # an exception of some library, which cannot be made from its arguments again
            packed = pickle.dumps((_FAILED, RuntimeError(f"{answer[1]!r} cannot leave its process: {error!r}")))
        pipe.send_bytes(packed)


def origin(error: BaseException) -> str:
    """Where an error arose, "file.py:line", also when that was in another process."""
    if notes := getattr(error, "__notes__", None):
        return notes[0]
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


@contextmanager
def _threads_of_new_processes(threads: int) -> Iterator[None]:
    """Processes started in the block use so many threads: libraries read it once, when they load."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
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
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
