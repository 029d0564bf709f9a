"""How Sphinx builds the site: ``make docs``. Nothing is fetched while it builds."""

import sys
import tomllib
import warnings
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "_ext"), str(ROOT)]

from skmixup import __version__  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = "skmixup"
author = "The skmixup developers"
project_copyright = author
version = release = __version__
repository = PROJECT["urls"]["Repository"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "members",
    "outside",
]
exclude_patterns = ["_build", "start/*", "**/sg_execution_times.rst", "sg_execution_times.rst"]
templates_path = ["_templates"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

# Markdown: the anchors of headings are GitHub's, so that links work there and here.
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 4
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# The reference: what a class of this package has, without skorch's and scikit-learn's members.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
python_maximum_signature_line_length = 88
toc_object_entries = False

sphinx_gallery_conf = {
    "examples_dirs": ["../examples", "start"],
    "gallery_dirs": ["gallery", "getting_started"],
    # several_gpus forks processes that train, which a process that builds pages should not
    "filename_pattern": r"/(?!several_gpus)\w+\.py$",
    "within_subsection_order": "gallery_order.place",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skmixup",),
    "reference_url": {"skmixup": None},
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": (),  # a cell shows what it prints, not what its last line returns
    "remove_config_comments": True,
    "min_reported_time": 5,
    "matplotlib_animations": False,
    "plot_gallery": "True",
    "show_memory": False,
    "write_computation_times": False,
    "copyfile_regex": r"",
}
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

html_theme = "pydata_sphinx_theme"
html_title = "skmixup"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": project},
    "icon_links": [{"name": "Source", "url": repository, "icon": "fa-brands fa-github"}],
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
