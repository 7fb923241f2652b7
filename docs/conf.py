"""Settings of the documentation site: `make docs`, then open docs/_build/index.html."""

import re
from typing import Any

from facespot.version import __version__

project = "facespot"
author = "the facespot authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"facespot {version}"
myst_heading_anchors = 3
autodoc_member_order = "bysource"


def _as_markup(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Docstrings here are prose: `names` in single backticks, arguments as "name: what it is", nothing else marked."""
    made: list[str] = []
    for line in lines:
        text = re.sub(r"`([^`]+)`", r"``\1``", line.strip())
        argument = re.match(r"([a-z_][a-z_0-9]*(?:, [a-z_][a-z_0-9]*)*): ", text)
        if argument and not line.startswith(" "):
            made += ["", f"- **{argument[1].replace('_', chr(92) + '_')}**: {text[argument.end() :]}"]
        elif text and made and made[-1].lstrip().startswith("-") | made[-1].startswith("  "):
            made.append(f"  {text}")
        else:
            made.append(text)
    lines[:] = made


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _as_markup)
