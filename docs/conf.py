"""The settings of Sphinx. ``tox -e docs`` builds the pages; a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import flask_parjar  # noqa: E402 - found through the line above, installed or not

project = "Flask-ParJar"
author = "Flask-ParJar contributors"
project_copyright = "Flask-ParJar contributors"
version = release = flask_parjar.__version__

extensions = [
    "sphinx.ext.autodoc",
    "conformance_table",
    "error_codes_table",
    "fault_table",
    "interop_table",
    "preset_table",
    "weakness_table",
]
exclude_patterns = ["_build"]

# `name` is a name of this package, on the pages as in docstrings.
default_role = "py:obj"
rst_prolog = ".. currentmodule:: flask_parjar\n"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}

html_theme = "furo"
html_title = f"Flask-ParJar {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
