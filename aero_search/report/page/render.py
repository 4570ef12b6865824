"""The page itself: a template, styles, scripts and data in one HTML file that loads nothing from anywhere.

Plotly draws: its code makes 4.8 MB of the page, and gives zoom, hover, touch and print that a page of our own SVG
would have to grow. Data are JSON in a script element that is never run, written so that nothing in them can end the
element; the scripts put text into the page as text alone. A content security policy lets exactly these scripts run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from aero_search.invocation import BARE
from aero_search.printing import visible

# In the order in which they run; one subject each.
SCRIPTS = (
    "state.js",
    "format.js",
    "dom.js",
    "glossary.js",
    "pricing.js",
    "pareto.js",
    "standing.js",
    "theme.js",
    "axis.js",
    "panel.js",
    "labels.js",
    "front.js",
    "choosing.js",
    "table.js",
    "detail.js",
    "heatmap.js",
    "systems.js",
    "progress.js",
    "importance.js",
    "ladder.js",
    "what_if.js",
    "provenance.js",
    "controls.js",
    "main.js",
)


def render_page(document: Mapping[str, Any]) -> str:
    """The whole HTML document of a `page_document`, plotly's code included (about 5 MB).

    Raises:
        ValueError: the document holds a number that JSON has no word for.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    document = _visible(document)
    scripts = [_inline(text) for text in (get_plotlyjs(), *map(_asset, SCRIPTS))]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_asset("page.html")).render(
        study=document["study"],
        bare=BARE,
        tie=f"{100 * document['tie']:g}",
        baseline=document["baseline"]["notation"],
        style=Markup(_asset("page.css")),
        scripts=[Markup(script) for script in scripts],
        hashes=" ".join(f"'sha256-{_sha256(script)}'" for script in scripts),
        data=Markup(script_json(document)),
    )


def script_json(data: object) -> str:
    """JSON that may stand in a script element: no `<`, `>` or `&`, and no line end that JavaScript knows alone.

    Raises:
        ValueError: NaN or an infinity.
    """
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _visible(data: Any) -> Any:
    """The same document; an override in a name, which would show a page's text in another order, as its escape."""
    match data:
        case str():
            return visible(data)
        case Mapping():
            return {visible(str(key)): _visible(value) for key, value in data.items()}
        case list() | tuple():
            return [_visible(value) for value in data]
        case _:
            return data


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """A script as it may stand in its element; a browser normalizes line ends before it hashes."""
    if "</script" in script.lower() or "<!--" in script:
        script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
