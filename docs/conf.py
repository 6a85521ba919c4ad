"""Configuration of the documentation site; `make docs` builds it."""

from __future__ import annotations

import importlib
import os
import re
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from sphinx.ext.autodoc.mock import mock

_DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(_DOCS))

_PROJECT: Final = tomllib.loads((_DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = _PROJECT["name"]
author = _PROJECT["authors"][0]["name"]
project_copyright = author
version = release = _PROJECT["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "_site_pages",
    "_site_references",
]
root_doc = "index"
# Repository hosts show README.md, and readers of the site begin at index.md.
exclude_patterns = ["README.md", "_*"]
repository = _PROJECT["urls"]["Repository"]

# Every reference must resolve: `make docs` turns warnings into errors.
nitpicky = True
# Names in annotations that are no classes, or whose distribution is not installed.
_UNLINKED: Final = {
    "private aliases and type variables": (
        "BodyFormat",
        "Dialect",
        "Listener",
        "Pairs",
        "Style",
        "Value",
        "S",
        "keyturn._providers.provider.S",
        "keyturn._providers.fields.Text",
    ),
    "other distributions": (
        "Crawler",
        "MeterProvider",
        "Request",
        "TracerProvider",
        "TriggerEvent",
    ),
}
nitpick_ignore_regex = [
    ("py:(class|obj)", re.escape(name)) for names in _UNLINKED.values() for name in names
]

# Anchors of headings are those that repository hosts make.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True}
# Backticks in docstrings are code, as in Markdown.
default_role = "literal"
# They bring other versions of libraries that keyturn uses.
autodoc_mock_imports = [
    "airbyte_cdk",
    "airflow",
    "dagster",
    "django",
    "dlt",
    "httpie",
    "niquests",
    "prefect",
    "pydantic",
    "scrapy",
    "singer_sdk",
    "urllib3_future",
]
# The adapter for dlt adds to annotations of dlt's, which a mock has not.
with mock(["dlt"]):
    _annotated = SimpleNamespace(__annotations__={"auth": object})
    _types = SimpleNamespace(ClientConfig=_annotated, Endpoint=_annotated)
    _rest_api: Any = importlib.import_module("dlt.sources.rest_api")
    _rest_api.typing = _types
    importlib.import_module("keyturn.integrations.dlt")
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_attr_annotations = True

copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"

html_theme = "pydata_sphinx_theme"
html_title = f"keyturn {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_baseurl = _PROJECT["urls"]["Documentation"]
html_theme_options: dict[str, Any] = {
    "logo": {"text": "keyturn"},
    "header_links_before_dropdown": 4,
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["version-switcher", "theme-switcher"],
    "switcher": {
        # scripts/site.py writes it, and sets the variable.
        "json_url": f"{html_baseurl}_static/versions.json",
        "version_match": os.environ.get("SITE_VERSION", "dev"),
    },
    # No network while it is built.
    "check_switcher": False,
    "show_version_warning_banner": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# These have no pages of their own section.
html_sidebars: dict[str, list[str]] = {
    name: [] for name in ("index", "changelog", "contributing", "security-policy")
}
