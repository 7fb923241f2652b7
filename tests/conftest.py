"""Fixtures that several test modules share."""

import pytest


@pytest.fixture
def one_thread():
    """Torch on one thread: sums come out the same on any machine, and small networks train faster."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
