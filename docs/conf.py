"""How Sphinx builds the pages: ``python -m sphinx -W -b html docs site``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]  # the source beside the pages, and the extension

import portanet  # noqa: E402

project = "portanet"
author = "the portanet contributors"
release = version = portanet.__version__
html_title = f"portanet {release}"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "reference",
]
exclude_patterns = ["_ext"]
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

autosummary_generate = True
autodoc_inherit_docstrings = False  # forward and backward are described by their class
autodoc_typehints = "none"  # numpydoc's "Parameters" give the types
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False, "footer_start": ["copyright"], "footer_end": []}
html_show_sourcelink = False
html_copy_source = False
copyright = "the portanet contributors, MIT licence"
