"""Where things lie: the tests, the repository, and the recordings and sheets beside it that not every machine has."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SHARED = ROOT.parent / "shared"
