"""The built book in a browser: whole, offline, readable on a phone and by a screen reader."""

import dataclasses
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from shared import PATIENCE
from winnow.reporting import claims

pytestmark = pytest.mark.slow

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
RAW_MARKUP = re.compile(r"\$\$|\{\{|\{(?:cite|numref|eq|doc|ref|term)[:}]|:cite:|\\begin\{")

# A colour read in the middle of a transition is a colour the reader never sees.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"

LOOK = """() => ({
  text: document.querySelector('main').innerText,
  maths: document.querySelectorAll('.math').length,
  rendered: document.querySelectorAll('mjx-container').length,
  failed_maths: document.querySelectorAll('mjx-merror').length,
  images: [...document.querySelectorAll('img')].map(
    image => ({src: image.src, alt: image.alt, width: image.naturalWidth})),
})"""

# What sticks out of a narrow screen without a box around it that scrolls.
OVERFLOW = """() => {
  const wide = e => e.getBoundingClientRect().right > window.innerWidth + 1;
  const boxed = e => e && (getComputedStyle(e).overflowX !== 'visible' || boxed(e.parentElement));
  return document.documentElement.scrollWidth <= window.innerWidth ? [] :
    [...document.querySelectorAll('article *')]
      .filter(e => wide(e) && !boxed(e.parentElement))
      .map(e => e.outerHTML.slice(0, 120)).slice(0, 5)
      .concat(`the page is ${document.documentElement.scrollWidth} px wide`)
}"""


@dataclasses.dataclass
class Visit:
    """A loaded page and all that went wrong while it loaded."""

    page: object
    problems: list
    outside: list


@pytest.fixture(scope="module")
def open_page(browser, address):
    """Open a page with the network cut off, keeping a record of what it asked for."""
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    context.set_default_timeout(1000 * PATIENCE)

    def visit(path):
        page = context.new_page()
        seen = Visit(page, problems=[], outside=[])

        def gate(route):
            if route.request.url.startswith((address, "data:", "blob:")):
                return route.continue_()
            seen.outside.append(route.request.url)
            return route.abort()

        page.route("**/*", gate)
        page.on("console", lambda m: m.type == "error" and seen.problems.append(m.text))
        page.on("pageerror", lambda error: seen.problems.append(str(error)))
        page.on("response", lambda r: r.status >= 400 and seen.problems.append(r.url))
        page.goto(f"{address}/{path}")
        page.add_style_tag(content=STILL)
        # Until maths is typeset and its letters are there; a silent network may never come.
        page.evaluate("() => Promise.all([window.MathJax?.startup?.promise, document.fonts.ready])")
        return seen

    yield visit
    context.close()


@pytest.fixture(scope="module")
def visit(page, open_page):
    """One load of each page, shared by the tests below."""
    seen = open_page(f"{page}.html")
    yield seen
    seen.page.close()


@pytest.fixture
def look(visit):
    """What is on the page at desktop width."""
    visit.page.set_viewport_size(DESKTOP)
    return visit.page.evaluate(LOOK)


def test_loads_without_an_error_and_without_the_network(visit):
    assert visit.problems == []
    assert visit.outside == []


def test_maths_is_typeset(look):
    assert look["rendered"] == look["maths"]
    assert look["failed_maths"] == 0


def test_images_are_there_and_described(look):
    assert [image["src"] for image in look["images"] if not image["width"]] == []
    assert [image["src"] for image in look["images"] if not image["alt"].strip()] == []


def test_no_markup_is_left_in_the_text(look):
    assert len(look["text"]) > 100
    assert RAW_MARKUP.findall(look["text"]) == []


def test_names_no_folder_of_the_machine_that_built_it(look, root):
    assert str(root) not in look["text"]


def test_fits_a_phone(visit):
    visit.page.set_viewport_size(PHONE)
    assert visit.page.evaluate(OVERFLOW) == []
    assert visit.problems == []


def test_figures_to_play_with_are_live_and_their_sliders_work(visit):
    page = visit.page
    for figure in page.locator("figure.explorable").all():
        figure.locator(".stage svg").wait_for()
        assert figure.get_attribute("class").split() == ["explorable", "live"]
        for slider in figure.locator("input[type=range]").all():
            assert slider.evaluate("e => e.labels[0].innerText.trim().length > e.value.length")
            assert slider.bounding_box()["height"] >= 44
            drawn = figure.locator(".stage svg").inner_html()
            slider.press("Home" if slider.evaluate("e => e.value > e.min") else "End")
            page.wait_for_function(
                "([e, drawn]) => e.querySelector('.stage svg').innerHTML !== drawn",
                arg=[figure.element_handle(), drawn],
            )
    assert visit.problems == []
    assert visit.outside == []


# Ends of the verdict strip and of the first figure, and of the page, in pixels.
ENDS = """() => {
  const end = e => e.getBoundingClientRect().bottom + window.scrollY;
  const strip = [...document.querySelectorAll('article table')].find(
    table => table.querySelector('.verdict'));
  return [strip, document.querySelector('article figure'), document.body].map(end);
}"""


ANEW = ["orderedness", "orderedness_supplement", "noise_pruning", "noise_pruning_supplement"]


@pytest.mark.parametrize("chapter", ANEW)  # in the new form
def test_a_chapter_shows_verdicts_and_a_picture_first(open_page, chapter):
    page = open_page(f"notebooks/{chapter}.html").page
    assert page.locator("article figure.hero").count() == 1
    strip, picture, end = page.evaluate(ENDS)
    page.close()
    assert max(strip, picture) < 1200
    assert end < 14_000


# What depends on colours is all that dark mode can change.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(visit, scheme):
    sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    visit.page.set_viewport_size(DESKTOP)
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    options = {"resultTypes": ["violations"]}
    if scheme == "dark":
        options["runOnly"] = COLOUR_RULES
    found = sync_playwright.Axe().run(visit.page, options=options).response["violations"]
    visit.page.emulate_media(color_scheme="light")
    assert [
        (violation["id"], [node["html"][:200] for node in violation["nodes"]][:3])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ] == []


def test_search_finds_the_first_chapter(open_page):
    seen = open_page("search.html?q=orderedness")
    seen.page.wait_for_selector("#search-results li a")
    links = [link.get_attribute("href") for link in seen.page.query_selector_all("ul.search a")]
    assert any("notebooks/orderedness" in link for link in links)
    assert seen.problems == []
    assert seen.outside == []


def test_opens_as_a_file(browser, site, toc):
    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    problems = []
    page.on("console", lambda m: m.type == "error" and problems.append(m.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((site / f"{toc[0]}.html").as_uri())
    assert page.title()
    assert problems == []
    page.close()


class Links(HTMLParser):
    """The anchors a page offers and the links it holds."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = {"", "top"}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])


def test_every_internal_link_and_anchor_leads_somewhere(site, toc):
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(unquote(link))
            if re.match(r"[a-z]+:", target):  # leaves the book
                continue
            goal = (path.parent / target.split("?")[0]).resolve() if target else path
            anchors = pages[goal].anchors if goal in pages else {""}
            if not goal.is_file() or anchor not in anchors:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) >= len(toc)
    assert broken == []


def test_a_link_to_a_claim_shows_on_hover_what_it_says_and_its_verdict(site, root):
    judged = claims.read(root / "results" / "orderedness" / "book" / "claims.json")
    pages = [path.read_text(encoding="utf-8") for path in (site / "notebooks").glob("*.html")]
    for c in judged:
        title = html.escape(f"{c.says}: {c.verdict}")
        links = re.findall(rf'href="[^"]*#{claims.anchor(c.id)}"( title="[^"]*")?', "".join(pages))
        assert links
        assert {*links} == {f' title="{title}"'}


def test_the_fact_box_holds_the_tally_of_each_preset(site, root):
    for notebook in (root / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        for name in re.findall(r"{{ (\w+) }}", notebook.read_text(encoding="utf-8")):
            path = root / "results" / Path(*name.rsplit("_", 1)) / "claims.json"
            assert f"<p>{claims.tally(claims.read(path))}" in page


def test_the_pages_are_those_of_the_contents(site, toc):
    assert toc
    assert [page for page in toc if not (site / f"{page}.html").stat().st_size] == []


def test_only_the_needed_part_of_mathjax_is_served(site):
    folder = site / "_static" / "mathjax"
    assert (folder / "tex-mml-chtml.js").is_file()
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 4e6
