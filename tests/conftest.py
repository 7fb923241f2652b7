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


def pytest_collection_modifyitems(items):
    """A real browser on a busy machine presents a frame late now and then: it is asked up to three times."""
    for item in items:
        if item.path.name in ("test_label_page.py", "test_html_report.py"):
            item.add_marker(pytest.mark.flaky(reruns=2))
