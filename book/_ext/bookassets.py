"""Sphinx extension: offline pages, the API from the library, claims named and counted, repairs."""

import functools
import html
import importlib
import importlib.util
import pkgutil
import re
import shutil
from pathlib import Path

import vl_convert
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode

from winnow.reporting import claims

#: Where a page of the API has this line, the named modules and all below them are documented.
LIBRARY = re.compile(r"^<!-- library: (.+) -->$", re.MULTILINE)

#: Where a link leads inside a page.
ANCHORED = re.compile(r'href="[^"]*#([\w-]+)"')

MATHJAX = "mathjax/tex-mml-chtml.js"
# Of the package's 24 MB a reader's browser asks for these 2 MB.
MATHJAX_PARTS = ("tex-mml-chtml.js", "output/chtml/fonts", "ui/menu.js")

#: Vega, Vega-Lite and vega-embed, for pages with figures that a reader can play with.
VEGA = "vega.js"
VEGA_NOTICE = (
    "/* Vega, Vega-Lite and vega-embed: BSD-3-Clause, University of Washington Interactive Data Lab"
    " and contributors. D3: ISC, Mike Bostock. Lodash: MIT, OpenJS Foundation. */"
)


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


def count_claims(app, config):
    """How many claims got each verdict, for pages to say as ``{{ CHAPTER_PRESET }}``."""
    found = claims.read_all(Path(app.confdir) / "results")
    tallies = {"_".join(place): claims.tally(judged) for place, judged in found.items()}
    config.myst_substitutions = {**config.myst_substitutions, **tallies}


def write_vega(app, error):
    """Put Vega beside the pages as a classic script, since modules do not load from a file."""
    if not error and app.builder.format == "html":
        bundle = vl_convert.javascript_bundle()
        script = f"{VEGA_NOTICE}\n(() => {{\n{bundle}\n}})();\n"  # its names stay its own
        (Path(app.outdir) / "_static" / VEGA).write_text(script, encoding="utf-8")


def read_claims(app):
    """What each claim says, and its verdict at the default preset, by its label."""
    app.claims = {
        claims.anchor(c.id): html.escape(f"{c.says}: {c.verdict}")
        for (_, preset), judged in claims.read_all(Path(app.confdir) / "results").items()
        if preset == "book"
        for c in judged
    }


def name_claim(app, link):
    """A link; with a title, which shows on hover, where it leads to a claim."""
    title = app.claims.get(link[1])
    return f'{link[0]} title="{title}"' if title else link[0]


def mend_page(app, pagename, templatename, context, doctree):
    """Name claims, drop scripts listed twice and a role that tells screen readers what is false."""
    if 'class="explorable"' in context.get("body", ""):
        for name in (VEGA, "explorable.js"):
            app.add_js_file(name, loading_method="defer")  # for this page only
    # sphinx-thebe's inline script is listed as None and as "", and a browser then fails with
    # "already been declared".
    scripts = {(s.filename or "", *s.attributes.items()): s for s in context["script_files"]}
    context["script_files"] = list(scripts.values())
    # docutils calls the bibliography a list, but gives it no list items.
    if context.get("body"):
        body = ANCHORED.sub(functools.partial(name_claim, app), context["body"])
        context["body"] = body.replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def list_library(app, docname, source):
    """Document whatever modules there are, so that no page lists them."""
    source[0] = LIBRARY.sub(lambda line: "\n".join(map(described, modules(line[1]))), source[0])


def modules(names):
    """The named modules, each followed by the public ones below it."""
    for name in names.split():
        yield name
        below = getattr(importlib.import_module(name), "__path__", [])
        for found in pkgutil.walk_packages(below, f"{name}."):
            if not found.name.rpartition(".")[2].startswith("_"):
                yield found.name


def described(name):
    """Heading and contents of a module: what it defines itself, not what it passes on."""
    analyzer = ModuleAnalyzer.for_module(name)
    analyzer.analyze()
    data = {
        word: words
        for (scope, word), words in analyzer.attr_docs.items()
        if not scope and not word.startswith("_")
    }
    lines = [f".. automodule:: {name}", "   :members:", "   :ignore-module-all:"]
    # Autodoc leaves out data that knows no module, such as the name of a type.
    lines += [f"   :exclude-members: {', '.join(data)}"] if data else []
    for word, words in data.items():
        lines += ["", f".. py:data:: {word}", f"   :module: {name}", ""]
        lines += [f"   {line}" for line in words]
    return "\n".join([f"## `{name}`\n", "```{eval-rst}", *lines, "```\n"])


def find_where_defined(app, env, node, contnode):
    """Lead ``winnow.pruners.top_k``, or a bare ``top_k``, to ``winnow.pruners.masks.top_k``."""
    words = node.get("reftarget", "").split(".")
    if len(words) == 1:
        words = ["winnow", *words]
    if node.get("refdomain") != "py" or words[0] != "winnow":
        return None
    halves = [(".".join(words[:k]), ".".join(words[k:])) for k in range(1, len(words))]
    domain = env.get_domain("py")
    places = {
        place
        for place, entry in domain.objects.items()
        for package, name in halves
        if entry.objtype != "module" and re.fullmatch(rf"{package}\.[\w.]+\.{name}", place)
    }
    if len(places) != 1:
        return None
    place = places.pop()
    to = domain.objects[place]
    return make_refnode(app.builder, node["refdoc"], to.docname, to.node_id, contnode, place)


def setup(app):
    """Register all; late, so that other extensions have added their scripts."""
    app.config.mathjax_path = MATHJAX
    app.add_js_file("print.js", loading_method="defer")
    app.connect("config-inited", count_claims)
    app.connect("builder-inited", read_claims)
    app.connect("source-read", list_library)
    app.connect("missing-reference", find_where_defined)
    app.connect("html-page-context", mend_page, priority=900)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", write_vega)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
