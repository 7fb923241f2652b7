"""PyTorch's compiler, which nothing here uses, but which optimisers and timm load."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def no_compiler_folder() -> Iterator[None]:
    """Within this block the compiler can be loaded without making a folder for what it might compile.

    It is told that this is the temporary folder itself, which is there. After the block, whoever compiles gets the
    usual folder; one that the user has named stays.
    """
    if "torch._dynamo" in sys.modules or _FOLDER in os.environ:
        yield
        return
    os.environ[_FOLDER] = tempfile.gettempdir()
    try:
        yield
    finally:
        os.environ.pop(_FOLDER, None)
