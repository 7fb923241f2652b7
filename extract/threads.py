"""Running the stages of a pipeline side by side."""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

_END = object()


def in_background(items: Iterator[T], depth: int = 8, together: int = 1) -> Generator[T, None, None]:
    """The same items, made by a thread of their own that runs at most `depth` items ahead.

    It starts with the first item asked for. An exception of the producer, SystemExit included, is raised where the
    items are read. When the reader stops early, through an error, `close()` or a keyboard interrupt, the producer is
    stopped, `items` is closed if it is a generator, and the thread has ended before this returns.
    together: items handed over at a time. More cost fewer turns of the interpreter, and come later.
    """
    together = min(together, depth)
    # Queues without a bound, which are C code, and beside the items a queue of leaves to hand over more.
    ready: SimpleQueue = SimpleQueue()
    room: SimpleQueue = SimpleQueue()
    for _ in range(depth // together):
        room.put(None)
    stop = threading.Event()

    def produce() -> None:
        made: list[T] = []
        try:
            try:
                for item in items:
                    made.append(item)
                    if len(made) == together:
                        room.get()
                        if stop.is_set():
                            return
                        ready.put((made, None))
                        made = []
            finally:
                # Here and not in the reader: what a generator opened belongs to the thread that ran it.
                if hasattr(items, "close"):
                    items.close()
        except BaseException as error:
            ready.put((made, error))
        else:
            ready.put((made, _END))

    producer = threading.Thread(target=produce, name="facespot-stage", daemon=True)
    producer.start()
    try:
        while True:
            made, signal = ready.get()
            yield from made
            if signal is _END:
                return
            if signal is not None:
                raise signal
            room.put(None)
    finally:
        stop.set()
        room.put(None)
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
