"""How Sphinx builds this site: `make docs`, or `python -m sphinx -W -b html docs docs/_build/html`.

What is ours lies in `extensions/`: notebooks and data cards are gathered from where they live, explorers become pages
that slide without a kernel, docstrings of the house become numpydoc's, and MathJax is served from the site itself.
"""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

import prior_lab  # noqa: E402


def own_pages() -> dict[str, list[str]]:
    """By module: which of its names have a page of their own, as names of `prior_lab`."""
    public = {name: getattr(prior_lab, name) for name in prior_lab.__all__}
    modules = (
        "codec", "data", "effective_information", "embedding", "models", "orderings", "search", "tasks", "training",
        "widgets", "zoo",
    )  # fmt: skip
    found = {name: import_module(f"prior_lab.{name}") for name in modules}
    return {
        f"prior_lab.{module}": [name for name, thing in public.items() if getattr(home, name, None) is thing]
        for module, home in found.items()
    }


project = "prior_lab"
author = "The prior_lab authors"
copyright = author
version = release = prior_lab.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "gathered",
    "live",
    "house_docstrings",
    "local_math",
]
exclude_patterns = ["_build", "extensions", "_templates"]
templates_path = ["_templates"]
default_role = "house"
nitpicky = False
suppress_warnings = ["config.cache", "toc.empty_glob"]
highlight_language = "text"

# Pages and notebooks
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
nb_render_markdown_format = "myst"
nb_code_prompt_show = "Code"
nb_code_prompt_hide = "Code"
nb_execution_mode = "off"  # outputs are stored, and the suite compares them cell by cell
nb_ipywidgets_js: dict[str, object] = {}  # explorers are pages of their own here: see extensions/live.py
nb_render_image_options = {"alt": "output of the cell above"}

# Reference
autosummary_generate = True
autosummary_context = {"own_pages": own_pages()}
autosummary_ignore_module_all = False
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Looks
html_theme = "pydata_sphinx_theme"
html_title = "prior_lab"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "prior_lab", "image_light": "_static/favicon.svg", "image_dark": "_static/favicon.svg"},
    "navbar_align": "left",
    "navbar_center": ["navbar-nav"],
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 8,
    "show_nav_level": 1,
    "navigation_depth": 3,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "article_header_end": [],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "changelog": [], "glossary": []}
