import html
import json
import re
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import numpy as np
import pytest

from winnow.reporting.explorable import explorable

SLIDER = {"input": "range", "min": 0, "max": 1, "step": 0.1, "name": "Share kept"}
SPEC = {
    "height": 120,
    "params": [{"name": "share", "value": 0.5, "bind": SLIDER}],
    "data": {"values": [{"x": k / 3, "kept": "yes" if k < 2 else "no"} for k in range(4)]},
    "transform": [{"calculate": "datum.x * share", "as": "y"}],
    "mark": {"type": "point", "clip": True},
    "encoding": {
        "x": {"field": "x", "type": "quantitative", "title": "Seeds \"a\" & 'b' <100 %"},
        "y": {"field": "y", "type": "quantitative", "scale": {"domain": [0, 1]}},
        "color": {"field": "kept"},
    },
}


def parts(shown):
    """The spec for the page, the picture, and its text."""
    found = re.fullmatch(
        r'<figure class="explorable"><img alt="([^"]+)" src="data:image/svg\+xml,([^"]+)">\n'
        r'<script type="application/json">([^\n]+)</script></figure>',
        shown.data,
    )
    alt, picture, spec = found.groups()
    return json.loads(spec), ET.fromstring(unquote(picture)), html.unescape(alt)


def test_holds_the_spec_a_picture_and_its_text():
    spec, picture, alt = parts(explorable(SPEC, alt='It "grows" <fast>'))
    assert alt == spec["description"] == 'It "grows" <fast>'
    for key in ("params", "transform", "mark", "encoding"):
        assert spec[key] == SPEC[key]
    texts = [e.text for e in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Seeds \"a\" & 'b' <100 %", "kept", "yes", "no"} <= {*texts}


def test_is_the_same_every_time_though_vega_counts_its_clips():
    first = explorable(SPEC, alt="x").data
    assert "url(%23_0)" in first
    assert first == explorable(SPEC, alt="x").data


def test_numbers_keep_four_digits_and_may_be_numpys():
    rows = [{"x": np.float64(1 / 3), "n": np.int64(12345678), "v": np.array([1e-9 / 3])}]
    spec, _, _ = parts(explorable(SPEC | {"data": {"values": rows}}, alt="x"))
    assert spec["data"]["values"] == [{"x": 0.3333, "n": 12345678, "v": [3.333e-10]}]


def test_the_picture_is_opaque_and_small_and_its_labels_keep_their_digits():
    axis = {"values": [0.0625], "format": ".4f"}
    exact = SPEC | {"encoding": {"x": SPEC["encoding"]["x"] | {"axis": axis}}}
    shown = explorable(exact, alt="x")
    picture = unquote(shown.data)
    assert 'fill="white"' in picture
    assert ">0.0625<" in picture
    assert not re.search(r"translate\([^)]*\.\d{5}", picture)
    assert len(explorable(SPEC, alt="x").data) < 16_000


def test_one_view_is_as_wide_as_its_page_and_what_was_said_stays():
    spec, _, _ = parts(explorable(SPEC, alt="x"))
    assert spec["width"] == "container"
    wide = {"width": 200, "config": {"axis": {"grid": False}}}
    spec, picture, _ = parts(explorable(SPEC | wide, alt="x"))
    assert spec["width"] == 200
    assert picture.attrib["width"] == "200"
    assert spec["config"]["axis"] == {"grid": False}
    view = {key: value for key, value in SPEC.items() if key != "params"}
    beside = {"params": SPEC["params"], "hconcat": [view, view]}
    spec, _, _ = parts(explorable(beside, alt="x"))
    assert "width" not in spec


def test_leaves_its_input_alone():
    before = json.dumps(SPEC)
    explorable(SPEC, alt="x")
    assert json.dumps(SPEC) == before


@pytest.mark.parametrize(
    ("spec", "alt", "why"),
    [
        ("point", "x", "a dict"),
        (SPEC, "", "alt, a text"),
        (SPEC, None, "alt, a text"),
        ({}, "x", "Invalid specification"),
        (SPEC | {"transform": [{"calculate": "1 +* 2", "as": "y"}]}, "x", "Unexpected token"),
        (SPEC | {"data": {"url": "https://example.org/a.csv"}}, "x", "not allowed"),
        (SPEC | {"data": {"values": [{"x": np.nan}]}}, "x", "JSON"),
    ],
)
def test_refuses_in_one_line(spec, alt, why):
    with pytest.raises(ValueError, match=why) as error:
        explorable(spec, alt=alt)
    assert "\n" not in str(error.value)
