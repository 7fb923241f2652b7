"""MediaPipe's ready-made solutions, run in the thread that calls them."""

from typing import Any, TypeVar

T = TypeVar("T", bound=type)


def in_callers_thread(solution: T) -> T:
    """The same class of solution (`mediapipe.solutions...`), with the same answers, without threads of its own.

    MediaPipe passes a picture from thread to thread sixteen times on its way through the face mesh, though nothing in
    it runs side by side: that is a quarter of the time it takes, and more where the cores are busy.
    """

    def _initialize_graph_interface(self: Any, *arguments: Any, **options: Any) -> Any:
        config = super(made, self)._initialize_graph_interface(*arguments, **options)
        config.ClearField("num_threads")
        config.ClearField("executor")
        config.executor.add(type="ApplicationThreadExecutor")
        return config

    made = type(solution.__name__, (solution,), {"_initialize_graph_interface": _initialize_graph_interface})
    return made
