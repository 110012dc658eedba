"""Small figures that a reader can play with, without a kernel and without a network."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from IPython.display import HTML

from winnow.reporting.figures import COLOURS, shorter

#: The page's colour of letters for all that is no mark, and the chapters' colours.
_CONFIG = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
_CONFIG |= {"range": {"category": COLOURS.as_hex()}, "mark": {"color": COLOURS.as_hex()[0]}}
_UNSEEN = re.compile(r' (?:class|role|pointer-events|aria-[a-z]+)="[^"]*"| opacity="1"')


def explorable(spec: Mapping[str, object], *, alt: str) -> HTML:
    """A Vega-Lite figure that is live on the book's pages, and a picture everywhere else.

    The page's script draws it in the page's colours, light or dark, and as wide as the text. The
    picture is drawn now, at the values with which parameters begin. A notebook, a printer and a
    browser without JavaScript show it.

    Parameters
    ----------
    spec
        Of Vega-Lite 6. One view or layers are as wide as the page; a height is yours to give.
        Colours that are not given follow the page; ``"currentColor"`` is that of its letters.
        Data stand inside it, as ``{"values": rows}``; numbers keep four digits, so that outputs
        repeat. A slider is one of its ``params`` with a ``value`` and
        ``"bind": {"input": "range", "min": …, "max": …, "step": …, "name": label}``.
    alt
        What the figure shows, and what the slider changes, for who does not see it.

    Raises
    ------
    ValueError
        If ``spec`` is no dict, or not one that Vega-Lite draws from what it holds, or ``alt`` is
        empty; NaN and infinities are refused.
    """
    import vl_convert

    if not isinstance(spec, Mapping) or not isinstance(alt, str) or not alt.strip():
        raise ValueError("an explorable needs a Vega-Lite spec, a dict, and alt, a text")
    whole = {"description": alt, "background": "transparent"}
    if "mark" in spec or "layer" in spec:
        whole |= {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    whole |= {**spec, "config": {**_CONFIG, **spec.get("config", {})}}
    text = json.dumps(whole, allow_nan=False, default=lambda x: x.tolist())
    whole = json.loads(text, parse_float=lambda x: float(f"{float(x):.4g}"))
    still = {**whole, "background": "white", "config": {**whole["config"], "aria": False}}
    try:
        svg = vl_convert.vegalite_to_svg(still, allowed_base_urls=[])
    except ValueError as error:
        raise ValueError(" ".join(str(error).splitlines()[:2])) from None
    svg = shorter(_UNSEEN.sub("", svg))
    for k, name in enumerate(re.findall(r' id="([^"]+)"', svg)):  # counted since the kernel began
        svg = re.sub(rf'(?<=["#]){name}(?=[")])', f"_{k}", svg)
    data = json.dumps(whole, separators=(",", ":"), ensure_ascii=False).replace("<", r"\u003c")
    picture = f'<img alt="{html.escape(alt)}" src="data:image/svg+xml,{quote(svg, " <>=/:;,()")}">'
    script = f'<script type="application/json">{data}</script>'
    return HTML(f'<figure class="explorable">{picture}\n{script}</figure>')
