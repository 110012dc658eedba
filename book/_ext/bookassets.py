"""Sphinx extension: the book's pages need no network, and two faults of the theme are mended."""

import importlib.util
import shutil
from pathlib import Path

MATHJAX = "mathjax/tex-mml-chtml.js"
# Of the package's 24 MB a reader's browser asks for these 2 MB.
MATHJAX_PARTS = ("tex-mml-chtml.js", "output/chtml/fonts", "ui/menu.js")


def copy_mathjax(app, error):
    """Put MathJax beside the pages once they are built."""
    if error or app.builder.format != "html":
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
    source = Path(package) / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX_PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target / part)


def mend_page(app, pagename, templatename, context, doctree):
    """Drop scripts listed twice, and a role that tells screen readers something false."""
    # sphinx-thebe's inline script is listed as None and as "", and a browser then fails with
    # "already been declared".
    scripts = {(s.filename or "", *s.attributes.items()): s for s in context["script_files"]}
    context["script_files"] = list(scripts.values())
    # docutils calls the bibliography a list, but gives it no list items.
    if context.get("body"):
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def setup(app):
    """Register both; late, so that other extensions have added their scripts."""
    app.config.mathjax_path = MATHJAX
    app.connect("html-page-context", mend_page, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
