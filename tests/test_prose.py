"""No result is typed: numbers and comparisons in a chapter's words come from code, or are cited.

A sentence may hold a number, or a word such as "most" that is true of some samples only, where it
cites, in code and in maths. A result is pasted (``sheet.paste`` and ``{glue:md}``), never written.
"""

import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"

#: Notebooks in the new form, which begin with what is claimed; the others are to be rewritten.
WRITTEN_ANEW = (
    "orderedness",
    "orderedness_supplement",
    "noise_pruning",
    "noise_pruning_supplement",
)


# --- from Markdown to sentences -------------------------------------------------------------------

#: Blocks without prose; of all others, such as notes, the words count.
NO_PROSE = r"glue:\w+|math|code\S*|figure|image|bibliography|eval-rst|mermaid|raw|toctree"
CITE = "†"  # stands for a citation

#: Comments and equations, which may go over empty lines.
LONG = [(r"<!--.*?-->", " "), (r"\$\$.*?\$\$(?:\s*\([\w:-]+\))?", " ")]

#: What a reader does not take for a number found, or does not see; in this order.
PLAIN = [
    (r"\{\{.*?\}\}", " "),  # substitutions
    (r"\{cite:\w+\}`[^`]*`", CITE),
    (r"\{[\w:-]+\}`([^`<]*?)\s*<[^`>]*>`", r"\1"),  # a role with words for its target
    (r"\{[\w:-]+\}`[^`]*`", " "),
    (r"(`+)(?!`).+?(?<!`)\1(?!`)", " "),  # code
    (r"(?<![\\$])\$[^$]+\$", " "),  # maths
    (r"!?\[([^\[\]]*)\]\([^()]*(?:\([^()]*\)[^()]*)*\)", r"\1"),  # of links and pictures the words
    (r"<[/a-zA-Z][^<>]*>", " "),  # tags; also <https://…>
    (r"\b(?:https?://|doi:|10\.\d{4,}/)\S+", " "),
    (r"\barXiv[: ]*\d{4}\.\d{4,5}(?:v\d+)?", " "),
    (r"\[\^?\d+\]", " "),  # footnotes
]
LABEL = r"\([\w-]+\)="
#: What begins a block of its own: a heading, an item, a quotation, a row of a table.
BEGINS = re.compile(r"\s*(?:#+\s+(?:\d+(?:\.\d+)*\.?\s+)?|[-*+]\s+|\d+[.)]\s+|>\s*|(?=\|))")
ABBREVIATED = re.compile(
    r"\b(e\.g|i\.e|cf|vs|resp|approx|ca|al|etc|[Ff]igs?|[Ee]qs?|[Ss]ecs?|[Nn]os?|pp?|Dr|[A-Z])\."
)


def blocks(markdown):
    """Paragraphs, headings, items and rows of tables, without what is no prose."""
    lines, skip, found = [], "", [""]
    for line in markdown.splitlines():
        fence = re.match(r"\s*(`{3,}|:{3,}|~{3,})\s*(\{[^}]*\})?(.*)", line)
        if skip:  # until the block ends
            skip = "" if fence and fence[1].startswith(skip) and not fence[2] else skip
        elif fence and (not fence[2] or re.fullmatch(NO_PROSE, fence[2].strip("{}"))):
            closes = not fence[2] and not fence[3].strip() and fence[1] in lines
            skip = "" if closes else fence[1]
            lines = [x for x in lines if x != fence[1]] if closes else lines
            found.append("")
        elif fence:
            lines.append(fence[1])
            found += [fence[3], ""]
        elif re.fullmatch(rf"\s*(?::[\w-]+:.*|{LABEL}|[\s|:-]*)", line):  # an option, a rule
            found.append("")
        else:
            begins = BEGINS.match(line)
            if begins:
                found.append("")
            found[-1] += f" {line[begins.end() if begins else 0 :].strip()}"
            if begins and begins[0].lstrip().startswith("#"):
                found.append("")
    return [text.strip() for text in found if text.strip()]


def sentences(markdown):
    """What a reader reads, sentence by sentence; a row of a table is one, too."""
    for pattern, words in LONG:
        markdown = re.sub(pattern, words, markdown, flags=re.DOTALL)
    for block in blocks(markdown):
        for pattern, words in PLAIN:
            block = re.sub(pattern, words, block)
        block = re.sub(ABBREVIATED, r"\1․", " ".join(block.split()))
        yield from re.split(rf"(?<=[.!?])[*_”\")]*\s+(?=[*_“\"(]*[A-Z\d{CITE}])", block)


# --- from sentences to what is typed --------------------------------------------------------------

COUNT = (
    "three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    "|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
NO_NAME = "In|Of|By|At|On|All|And|But|The|These|Those|For|From|With|After|Our|Some|Among|Over"
YEAR = r"(?:19|20)\d\d"

#: Numbers that are names: of a figure, a version, a data set, a year beside a name or in brackets.
NAMES = re.compile(
    r"\b(?:[Ff]ig(?:ure)?s?|[Tt]ables?|[Ee]q(?:uation)?s?|[Ss]ec(?:tion)?s?|[Cc]hapters?|[Pp]arts?"
    r"|[Tt]heorem|[Pp]ython|[Vv]ersion|BY)[․.]? \(?\d[\d.]*\w?\)?"
    rf"|\b(?!(?:{NO_NAME})\b)[A-Z][\w’'-]* {YEAR}\b"
    rf"|\({YEAR}\w?\)|\b(?:in|of|since) {YEAR}(?=[,;:.)]|$)"
    r"|\b[A-Za-z]+-?\d[\w.]*|\b\d[A-Z]\b"
)
TYPED = re.compile(
    r"(?:(?<!\w)[-−+])?\d[\d.,]*(?:\s?%)?|%|\bper ?cent\b"
    rf"|\b(?:{COUNT})\b|\b(?:dozens?|hundreds?|thousands?|millions?)\b"
    r"|(?<!at )\bmost\b|\b(?:mostly|mainly|majority|twice|thrice|few|fewest)\b"
    r"|\bhalf\b(?!-)|\bhalves\b|\bdoubl(?:e|ed|es|ing)\b(?! precision)|\b(?:tripled?|triples)\b"
    r"|\b(?:a|one|two) (?:third|quarter|fifth|tenth)s?\b|\b(?:two|several|many) times\b|\b\w+fold\b"
    r"|\b(?:nearly|almost|hardly|virtually) (?:all|any|every|none|no|always|never)\b",
    re.IGNORECASE,
)


def typed(markdown):
    """Each sentence that may hold a typed result, with what looks like it."""
    for sentence in sentences(markdown):
        hits = [hit[0].strip(".,") for hit in TYPED.finditer(NAMES.sub(" ", sentence))]
        if hits and CITE not in sentence:
            yield sentence.replace("․", "."), hits


# --- the chapters ---------------------------------------------------------------------------------


def anew():
    """The cells of each notebook in the new form, by its name."""
    found = {}
    for name in WRITTEN_ANEW:
        path = FOLDER / f"{name}.ipynb"
        cells = nbformat.read(path, as_version=4).cells if path.is_file() else []
        if cells and "**Claimed.**" in cells[0].source:
            found[name] = cells
    return found


def report(cells):
    """A line for each sentence with a typed result: cell, words and sentence."""
    return [
        f"cell {k}: {', '.join(hits)} in “{sentence}”"
        for k, cell in enumerate(cells)
        if cell.cell_type == "markdown"
        for sentence, hits in typed(cell.source)
    ]


def test_no_chapter_has_a_typed_result():
    found = [f"{name}, {line}" for name, cells in anew().items() for line in report(cells)]
    assert not found, "\n" + "\n".join(found)


def test_a_typed_result_is_named_with_its_cell_and_sentence():
    texts = ["Two networks. They rise by `0.1`.", "It rises. Most of them\nrise, e.g. XOR, by 0.1."]
    cells = [nbformat.v4.new_code_cell("n = 3"), *map(nbformat.v4.new_markdown_cell, texts)]
    assert report(cells) == ["cell 2: Most, 0.1 in “Most of them rise, e.g. XOR, by 0.1.”"]


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("It rises by 0.069.", ["0.069"]),
        ("The rise is −0.05 at least.", ["−0.05"]),
        ("Of the networks 93 % learn.", ["93 %"]),
        ("Half of them learn, and ten percent fail.", ["Half", "ten", "percent"]),
        ("It holds in five of eight cases.", ["five", "eight"]),
        ("A dozen networks fail, hundreds do not.", ["dozen", "hundreds"]),
        ("Mostly, sparsity does.", ["Mostly"]),
        ("Most of the order is in few weights.", ["Most", "few"]),
        ("Sparse networks learn twice as fast, or three times.", ["twice", "three"]),
        ("The error doubled.", ["doubled"]),
        ("Almost none learns; nearly all of the others do.", ["Almost none", "nearly all"]),
        ("Hardly any weight is left.", ["Hardly any"]),
        ("A third of it stays, a tenfold rise.", ["A third", "tenfold"]),
        (
            "The order falls many times, **most** in [the long run](#order-42).",
            ["many times", "most"],
        ),
        ("As {cite:t}`song2025` says, 5 do. Here 6 do.", ["6"]),
        ("See {cite:p}`song2025`, e.g. Fig. 3. We find 7.", ["7"]),
        ("```{admonition} Facts\n:class: note\n\nIt takes 80 seconds.\n```", ["80"]),
        ("```{admonition} In 3 words\n:class: note-9\nNo.\n```\n\nAnd 4.", ["3", "4"]),
        (":::{tip}\nIt takes 80 s.\n:::", ["80"]),
        ("| task | rise |\n| --- | --- |\n| XOR | 0.3 |", ["0.3"]),
        ("## 2. What 40 networks say", ["40"]),
        ("- one\n- 2 of them", ["2"]),
        ("1. 16 networks", ["16"]),
        ("Here `n` is 16, and $n$ is 17.", ["16", "17"]),
        ("In 2020 networks of 2048 it holds.", ["2020", "2048"]),
        ("{numref}`Figure 9 <fig-9>` and {doc}`four more <x>`.", ["four"]),
        ("<b>12</b> networks of 31-30", ["12", "31", "30"]),
    ],
)
def test_typed_results_are_found(text, hits):
    assert [hit for _, found in typed(text) for hit in found] == hits


@pytest.mark.parametrize(
    "text",
    [
        "It rises in {glue:md}`n_held` of the cases, by {glue:md}`rise`.",
        "The paper finds 0.7 in most of its eight tasks {cite:p}`song2025`.",
        "Most do, says {cite:t}`song2025`, e.g. in Fig. 3 with 5 units, cf. [theirs](http://x.y/2).",
        "With `n_seeds=128` and `density = 0.5` it runs longer; ``a`3`` too.",
        "For $n = 5$ units there are $n(n-1)/2 = 10$ pairs.",
        "Then\n\n$$ o = 1 - \\frac{2b}{3}, $$ (eq-order-3)\n\nwhere $b$ is the share.",
        "Then\n$$\no = 4\n\n+ 5\n$$",
        "See [the card](#order-no-cost-2) and [methods](../book/methods.md#part-3_(new)).",
        "{cite:t}`song2025`, arXiv 2507.14747, MOSS workshop at ICML 2025",
        "Released in May 2025 (2025), and again in 2026.",
        "## 3. The idea\n\n### 3.1 Pairs",
        "1. first\n2. second\n   and more\n10) last",
        "(fig-order-12)=\n## Order",
        "```{glue:md} verdicts-2\n:format: myst\n```\n\nIt holds.",
        "```python\nn = 300  # most of them\n```",
        "````{note}\nRun this:\n```sh\nwinnow run -p n=256\n```\nIt is quick.\n````",
        "| verdicts | {{ orderedness_book }} |\n| --- | --- |\n| paper | {{ orderedness_paper }} |",
        "One or two of them, both, at most all; in double precision, a half-network.",
        "CIFAR-10, ImageNet32, Python 3.11, Table 1, equation (2), GPL-3.0 and a 2D torus.",
        "<!-- 80 s, mostly -->\n<span id='a3'>It holds.</span>",
        "![a network](images/net-3.png) as in {numref}`fig-3` and {ref}`that one <fig-4>`.",
        "A note.[^3] See https://example.org/v2/page and doi:10.1000/182.",
    ],
)
def test_words_that_are_no_results_pass(text):
    assert list(typed(text)) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It is so. So is this! “Is it?” Yes.", ["It is so.", "So is this!", "“Is it?", "Yes."]),
        ("E.g. here, i.e. A, cf. B et al. C, vs. d. New.", 2),
        ("By J. S. Bach. In Fig. 3 it is.", 2),
        (
            "It is [so. And](http://a.b/c.D) so. Then `a. B` too.",
            ["It is so.", "And so.", "Then too."],
        ),
        ("**It holds.** So\ndoes this.\n\nAnd this", ["**It holds.", "So does this.", "And this"]),
        ("- a. B\n- c", ["a.", "B", "c"]),
    ],
)
def test_sentences_are_told_apart(text, parts):
    found = list(sentences(text))
    assert (len(found) if isinstance(parts, int) else found) == parts


def test_the_old_form_is_left_alone():
    assert set(anew()) <= {*WRITTEN_ANEW}
