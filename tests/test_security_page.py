"""Every claim of the page about security names tests that exist."""

import ast
import re

from places import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


def test_the_tests_it_names_exist():
    for path, name in NAMED:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (path, name)


def test_every_claim_names_one():
    claims = [line for line in PAGE.partition("## Defended")[2].splitlines() if line.startswith("| ")][1:]
    assert len(claims) > 15
    assert all("::test_" in claim for claim in claims)
