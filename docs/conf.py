"""How Sphinx builds the site: `python -m sphinx -W -b html docs docs/_build/html`."""

from __future__ import annotations

import pathlib
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from truststore._version import __version__  # noqa: E402  # of this source tree, not of what is installed

project = "truststore-auto"
author = "the truststore-auto authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "diagrams"]
nitpicky = True
# Of the standard library, whose documentation is not here, and of type checkers.
nitpick_ignore_regex = [("py:class", r"ssl\..*|int|str|object|bool|bytes|Any|_?Raw|.*SSLContext")]

myst_enable_extensions = ["attrs_inline", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"

html_theme = "furo"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"truststore-auto {version}"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
# `$ ` and `> ` are prompts: `console` highlights them, and nothing is loaded from elsewhere.
pygments_style = "friendly"
pygments_dark_style = "native"
