"""Settings of the documentation site: `make docs`, then open docs/_build/index.html."""

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
autodoc_typehints = "signature"
# Docstrings here are prose with shapes and units, not reStructuredText markup: a lone * or _ means itself.
autodoc_mock_imports: list[str] = []
