"""The site: `make docs` builds it, `make docs-serve` shows it. Warnings are errors."""

import importlib
import inspect
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # What notebooks compile runs once.
ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import kmix_tf
import _cards
import _commands
import _gallery
import _measured
import _visited
from _docstrings import for_napoleon
from sphinx.errors import ExtensionError

project, author = "kmix_tf", "kmix_tf developers"
project_copyright = "kmix_tf developers"
version = release = kmix_tf.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "myst_nb",  # Markdown as myst_parser reads it, and notebooks.
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/*.ipynb"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]

# Pages are Markdown. Headings get anchors, so that pages can link into each other.
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

# Notebooks lie without outputs in notebooks/. They run at build, and a cell that fails, fails it.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # of a cell, on a machine that does much else
nb_output_stderr = "remove"  # TensorFlow's log
nb_merge_streams = True

# Docstrings: Args, Returns, Raises as Google writes them, and three sections of our own.
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False  # "weight, targets: as in `MixLayer`" stays one line.
napoleon_custom_sections = ["Call", "Source", "Sources"]
default_role = "py:obj"  # `KMixupLayer` in a docstring is a link.
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # What Keras says of its own methods is in Keras' own words, and in Markdown.
autodoc_typehints = "none"  # The signature has them in short; Args say them in words.
autosummary_generate = True
autosummary_context = {"card_of": _cards.card_of()}
add_module_names = False

# Examples run at build, and one that fails, fails it. One that has run is not run again until it changes, whatever
# else does: `rm -r docs/gallery` makes all run.
sphinx_gallery_conf = {
    "examples_dirs": "_build/examples",
    "gallery_dirs": "gallery",
    "subsection_order": [f"_build/examples/{_gallery.folder_of(head)}" for head in _gallery.SECTIONS],
    "within_subsection_order": "_gallery.AsListed",
    "nested_sections": False,
    "filename_pattern": r"/(?!" + "|".join(_gallery.ELSEWHERE) + r")\w+\.py$",
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", "_gallery.fresh"),
    "capture_repr": (),
    "image_srcset": ["2x"],
    "notebook_extensions": set(),
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
    "min_reported_time": 3600,  # of the machine that built the page, and whatever else it did
}

html_theme = "pydata_sphinx_theme"
html_title = "kmix_tf"
html_show_sourcelink = False
# Pages that have none below them need no column for it.
html_sidebars = {
    page: [] for page in ("start", "which_mix", "audit", "faq", "costs", "metrics", "calibration", "reproduced")
}
html_sidebars |= {page: [] for page in ("reliability", "how_it_works", "errata", "changelog", "demo")}
html_sidebars |= {page: [] for page in ("compatibility", "decisions", "options", "models", "commands")}
html_sidebars |= {page: [] for page in ("notebooks", "notebooks/*")}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def public_names(module: str) -> list[str]:
    """What a module exports; the API pages list it, and a test asks that none is missing."""
    return sorted(importlib.import_module(module).__all__)


def setup(app):
    """Docstrings are rewritten before napoleon, whose priority is 500, reads them."""
    app.connect("autodoc-process-docstring", _rewritten, priority=400)
    app.connect("autodoc-process-signature", _of_init)
    _cards.setup(app)
    app.connect("source-read", _gallery.with_links)
    app.connect("builder-inited", _gallery.check, priority=900)  # after sphinx-gallery has run them
    _gallery.copy()
    _measured.copy(ROOT, ROOT / "docs")
    _commands.write(ROOT / "docs" / "commands.md")
    app.connect("build-finished", _visit)


def _visit(app, exception):
    """A site on which a visitor gets lost is not built."""
    if exception is None and app.builder.name == "html":
        found = _visited.faults(pathlib.Path(app.outdir))
        if found:
            raise ExtensionError("\n".join([f"The site has {len(found)} faults:", *found]))


def _rewritten(app, what, name, what_of, options, lines):
    lines[:] = for_napoleon(lines)


def _of_init(app, what, name, what_of, options, signature, returned):
    """Of Keras' classes, autodoc finds the signature of `__new__`, which takes anything."""
    if what != "class":
        return signature, returned
    found = inspect.signature(what_of.__init__)
    ours = list(found.parameters.values())[1:]
    shown = [each.replace(annotation=inspect.Parameter.empty) for each in ours if each.name != "adapted"]
    return str(found.replace(parameters=shown, return_annotation=inspect.Signature.empty)), returned
