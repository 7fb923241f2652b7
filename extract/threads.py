"""Running the stages of a pipeline side by side."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.1  # how soon a producer notices that nobody reads on
_END = object()


def in_background(items: Iterator[T], depth: int = 8) -> Generator[T, None, None]:
    """The same items, made by a thread of their own that runs at most `depth` items ahead.

    It starts with the first item asked for. An exception of the producer, SystemExit included, is raised where the
    items are read. When the reader stops early, through an error, `close()` or a keyboard interrupt, the producer is
    stopped, `items` is closed if it is a generator, and the thread has ended before this returns.
    """
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: object, value: object = None) -> bool:
        while not stop.is_set():
            try:
                ready.put((kind, value), timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            try:
                for item in items:
                    if not put(None, item):
                        break
            finally:
                # Here and not in the reader: what a generator opened belongs to the thread that ran it.
                if hasattr(items, "close"):
                    items.close()
        except BaseException as error:
            put(error)
        else:
            put(_END)

    producer = threading.Thread(target=produce, name="facespot-stage", daemon=True)
    producer.start()
    try:
        while True:
            signal, item = ready.get()
            if signal is _END:
                return
            if signal is not None:
                raise signal
            yield item
    finally:
        stop.set()
        producer.join()


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from splitting its work among threads of its own while the block runs; the results are the same.

    On pictures as small as a face, handing out the work and waiting for it costs more than the work, and the cores are
    busy with other stages. The setting is the process's.
    """
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
