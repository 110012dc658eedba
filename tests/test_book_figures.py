"""Figures in a browser, still or to play with: pages of a small book, opened as files."""

import io
import re
import subprocess
import sys

import nbformat
import pytest
from PIL import Image

from shared import PATIENCE
from winnow.reporting.explorable import explorable

pytestmark = pytest.mark.slow

MOST_BYTES = 1_200_000
INK = {"light": (0, 110), "dark": (145, 255)}  # of 0, black, to 255, white

CONF = """
import sys
sys.path.insert(0, {extension!r})
extensions = ["myst_nb", "bookassets"]
html_theme = "sphinx_book_theme"
html_static_path, html_css_files = [{static!r}], ["custom.css"]
html_context = {{"default_mode": "auto"}}
nb_execution_mode = "off"
numfig = True
"""

SLIDER = {"input": "range", "min": 0, "max": 1, "step": 0.1, "name": "Share kept"}
SPEC = {
    "height": 200,
    "params": [{"name": "share", "value": 0.5, "bind": SLIDER}],
    "data": {"values": [{"x": k, "y": k * k} for k in range(9)]},
    "transform": [{"calculate": "datum.y * share", "as": "z"}],
    "layer": [
        {"mark": {"type": "line", "point": True}},
        {"mark": "rule", "encoding": {"y": {"datum": 20}, "x": None}},
    ],
    "encoding": {
        "x": {"field": "x", "type": "quantitative", "title": "Seeds"},
        "y": {"field": "z", "type": "quantitative", "scale": {"domain": [0, 64]}},
    },
}

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="60">{}</svg>'
CARD = SVG.format('<path fill="#fff" d="M0 0h100v60H0z"/><path d="M20 26h60v9H20z"/>')
FOLDED = '<div class="claim"><details><summary>Numbers</summary>0.5</details></div>'

LOOK = """() => {
  const seen = e => !!e && e.getClientRects().length > 0 && e.clientHeight > 1;
  const figure = document.querySelector('.explorable');
  const box = e => e.getBoundingClientRect().toJSON();
  const ink = e => getComputedStyle(e).fill.match(/\\d+/g).slice(0, 3).map(Number);
  const [svg, slider] = ['.stage svg', 'input[type=range]'].map(q => figure.querySelector(q));
  return {
    picture: seen(figure.querySelector(':scope > img')),
    live: seen(figure.querySelector('.stage')),
    says: svg && svg.closest('[aria-label]').ariaLabel,
    svg: svg && box(svg),
    column: box(figure),
    slider: slider && box(slider),
    label: slider && slider.labels[0].innerText,
    line: svg && svg.querySelector('.mark-line path').getAttribute('d'),
    letters: svg && [...svg.querySelectorAll('text')].map(ink),
  }
}"""


def write_page(path, words, *shown):
    """A notebook of words and of cells that show something: data by type, and metadata."""
    cells = [nbformat.v4.new_markdown_cell(words)]
    for data, about in shown:
        output = nbformat.v4.new_output("execute_result", data=data, execution_count=1)
        cell = nbformat.v4.new_code_cell("show()", outputs=[output], execution_count=1)
        cell.metadata["mystnb"] = about
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture(scope="module")
def book(root, tmp_path_factory):
    """A book of two pages, one with a figure to play with, one with still figures."""
    folder = tmp_path_factory.mktemp("small")
    live = {"text/html": explorable(SPEC, alt="A curve that the share kept makes steeper").data}
    about = {"figure": {"name": "fig-live", "caption": "What the share kept does."}}
    index = "# Live\n\n```{toctree}\nstill\n```\n\n## Figure"
    write_page(folder / "index.ipynb", index, (live, about))
    still = {
        "figure": {"name": "fig-still", "caption": "A line."},
        "image": {"alt": "A black line"},
    }
    own = {"image": {"alt": "A photograph", "classes": "own-colours"}}
    shown = [({"image/svg+xml": CARD}, still), ({"image/svg+xml": CARD}, own)]
    write_page(folder / "still.ipynb", "# Still\n\n## Here", *shown, ({"text/html": FOLDED}, {}))
    words = {"extension": str(root / "book" / "_ext"), "static": str(root / "book" / "_static")}
    (folder / "conf.py").write_text(CONF.format(**words), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", folder, folder / "site"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def visit(browser, book):
    """Open a page of the small book, as a file; whatever it asks for elsewhere is a problem."""
    contexts = []

    def visit(name="index.html", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        context.set_default_timeout(1000 * PATIENCE)
        contexts.append(context)
        page, problems = context.new_page(), []
        away = lambda url: url.partition(":")[0] not in ("file", "data", "blob")  # noqa: E731
        page.on("request", lambda r: away(r.url) and problems.append(r.url))
        page.on("console", lambda m: m.type == "error" and problems.append(m.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto((book / name).as_uri())
        if name == "index.html" and options.get("java_script_enabled", True):
            page.wait_for_selector(".explorable.live")
        return page, problems

    yield visit
    for context in contexts:
        context.close()


def test_the_live_figure_takes_the_place_of_its_picture(visit):
    page, problems = visit()
    look = page.evaluate(LOOK)
    assert (look["picture"], look["live"]) == (False, True)
    assert look["says"] == "A curve that the share kept makes steeper"
    assert problems == []


def test_has_a_caption_as_pictures_have(visit):
    page, _ = visit()
    caption = page.locator("figure#fig-live > figcaption")
    assert re.match(r"Fig\. \d What the share kept does\.", caption.inner_text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(visit, scheme):
    sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _ = visit(color_scheme=scheme)
    found = sync_playwright.Axe().run(page, context=".explorable").response["violations"]
    assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in found] == []


def test_arrow_keys_move_the_slider_and_the_curve(visit):
    page, problems = visit()
    before = page.evaluate(LOOK)
    page.focus(".explorable input[type=range]")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"({LOOK})().line !== {before['line']!r}")
    after = page.evaluate(LOOK)
    assert before["label"].split() == ["Share", "kept", "0.5"]
    assert after["label"].split() == ["Share", "kept", "0.6"]
    assert problems == []


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_is_as_wide_as_its_column_and_the_slider_large_enough_to_touch(visit, width):
    page, problems = visit(viewport={"width": width, "height": 844}, has_touch=True)
    look = page.evaluate(LOOK)
    assert look["slider"]["height"] >= 44
    assert look["slider"]["width"] >= 120
    assert abs(look["svg"]["width"] - look["column"]["width"]) <= 8
    assert look["svg"]["right"] <= width
    before = look["label"]
    page.locator("input[type=range]").tap(position={"x": look["slider"]["width"] - 5, "y": 22})
    page.wait_for_function(f"({LOOK})().label !== {before!r}")
    assert problems == []


def test_follows_the_window_as_it_changes(visit):
    page, problems = visit()
    page.set_viewport_size({"width": 400, "height": 844})
    page.wait_for_function(f"({LOOK})().svg.right <= 400")
    look = page.evaluate(LOOK)
    assert abs(look["svg"]["width"] - look["column"]["width"]) <= 8
    assert problems == []


def test_letters_follow_the_theme_and_the_slider_stays_where_it_is(visit):
    page, problems = visit(color_scheme="light")
    page.add_style_tag(content="* { transition: none !important }")
    page.focus(".explorable input[type=range]")
    page.keyboard.press("ArrowRight")
    for scheme, (low, high) in [*INK.items(), ("light", INK["light"])]:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        look = page.evaluate(LOOK)
        assert look["letters"]
        assert all(low <= c <= high for letter in look["letters"] for c in letter)
        assert look["label"].split()[-1] == "0.6"
    assert problems == []


def test_without_javascript_and_in_print_there_is_the_picture(visit):
    page, problems = visit(java_script_enabled=False)
    figure = page.locator(".explorable img")
    assert figure.is_visible()
    assert figure.get_attribute("alt") == "A curve that the share kept makes steeper"
    assert problems == []

    page, problems = visit()
    page.emulate_media(media="print")
    look = page.evaluate(LOOK)
    assert (look["picture"], look["live"]) == (True, False)
    page.emulate_media(media="screen")
    look = page.evaluate(LOOK)
    assert (look["picture"], look["live"]) == (False, True)
    assert look["svg"]["width"] > 300
    assert problems == []


def test_its_scripts_are_small_and_only_where_they_are_needed(book):
    names = ("vega.js", "explorable.js")
    pages = ("index.html", "still.html")
    live, still = ((book / page).read_text(encoding="utf-8") for page in pages)
    for name in names:
        assert f'src="_static/{name}' in live
        assert name not in still
    assert sum((book / "_static" / name).stat().st_size for name in names) <= MOST_BYTES


def test_an_svg_has_text_caption_and_number_as_other_pictures(visit):
    page, problems = visit("still.html")
    picture = page.locator("figure#fig-still img")
    assert picture.get_attribute("alt") == "A black line"
    assert picture.get_attribute("src").endswith(".svg")
    caption = page.locator("figure#fig-still figcaption").inner_text()
    assert re.match(r"Fig\. \d A line\.", caption)
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_the_dark_still_figures_are_light_on_the_page_but_for_those_with_own_colours(
    visit, scheme
):
    page, _ = visit("still.html", color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ground = [int(c) for c in ground.strip("rgb()").split(",")]
    curve, photograph = page.locator(".cell_output img").all()

    def colours(picture):  # near its edge, and on its line
        image = Image.open(io.BytesIO(picture.screenshot())).convert("RGB")
        return [image.getpixel((image.width // 2, y)) for y in (9, image.height // 2)]

    edge, line = colours(curve)
    assert max(abs(a - b) for a, b in zip(edge, ground, strict=True)) <= 2
    assert min(line) > 220 if scheme == "dark" else max(line) < 30
    edge, line = colours(photograph)
    assert min(edge) > 220
    assert max(line) < 30


def test_paper_is_white_and_shows_what_cards_fold(visit):
    page, problems = visit("still.html", color_scheme="dark")
    state = "[document.documentElement.dataset.theme, document.querySelector('details').open]"
    assert page.evaluate(state) == ["dark", False]
    for _ in range(2):
        page.emulate_media(media="print")
        page.wait_for_function(f"String({state}) === 'light,true'")
        page.emulate_media(media="screen")
        page.wait_for_function(f"String({state}) === 'dark,false'")
    assert problems == []
