"""The page as a file: whole, offline, and nothing that comes from a study can become code."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import page_source

from aero_search.front.seed_scatter import TIE
from aero_search.invocation import BARE
from aero_search.report.page.document import page_document
from aero_search.report.page.render import SCRIPTS, render_page, script_json

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\u2028{{ 7*7 }}"
ORDER = "<!--<script>a\u202eb\u2066c\u200f\x1b[31m"
ORDER_SEEN = r"<!--<script>a\u202eb\u2066c\u200f\x1b[31m"


class Elements(HTMLParser):
    """Every element with its attributes, and the text of each script."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.title = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "title":
            self.title += data


def parsed(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    return elements


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_page(page_document(page_source(tmp_path_factory.mktemp("page"))))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile")
    return render_page(page_document(page_source(folder, name=HOSTILE, renamed=HOSTILE)))


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    for tag, attributes in parsed(page).elements:
        assert not {"src", "srcset", "action", "formaction", "data"} & attributes.keys(), (tag, attributes)
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_names_exactly_the_scripts_that_are_there(page: str) -> None:
    elements = parsed(page)
    policy = next(a["content"] for tag, a in elements.elements if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    named = re.findall(r"'sha256-([^']+)'", policy)
    data, *scripts = elements.scripts
    assert [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts] == named
    assert len(scripts) == 1 + len(SCRIPTS)
    assert json.loads(data)["study"] == "made"
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_a_hostile_name_stays_a_name(page: str, hostile: str) -> None:
    one, two = parsed(page), parsed(hostile)
    # The same elements with the same attributes, whatever the study and its candidates are called.
    assert [tag for tag, _ in one.elements] == [tag for tag, _ in two.elements]
    assert two.title == f"{HOSTILE} · AERO Search"
    data = json.loads(two.scripts[0])
    assert data["study"] == HOSTILE
    assert data["candidates"][0]["notation"] == HOSTILE
    assert "49" not in two.title


def test_no_text_of_a_study_orders_a_page_or_ends_its_script(tmp_path: Path) -> None:
    """Whatever holds it: the study, a notation, a reason, an override, a setting, a protocol, a network."""
    made = page_source(tmp_path, name=ORDER, renamed=ORDER)
    first, *rest = made.records
    records = [replace(first, reason=ORDER, overrides=(ORDER,)), *rest]
    settings = {ORDER: ORDER, "list": [ORDER]}
    protocols = {**made.protocols, ORDER: replace(made.protocols["aero_paper"], name=ORDER, title=ORDER)}
    networks = {**made.networks, ORDER: replace(made.networks["lan"], name=ORDER, source=ORDER)}
    html = render_page(
        page_document(
            replace(made, records=records, settings=settings, protocols=protocols, networks=networks)
        )
    )
    elements = parsed(html)
    data = json.loads(elements.scripts[0])
    assert not set("\u202e\u2066\u200f\x1b") & set(elements.title + elements.scripts[0])
    assert len(elements.scripts) == 2 + len(SCRIPTS)
    assert elements.title == f"{ORDER_SEEN} · AERO Search"
    entry = data["candidates"][0]
    said = [data["study"], entry["notation"], entry["reason"], *entry["overrides"]]
    said += [*data["provenance"]["settings"]["list"], data["provenance"]["settings"][ORDER_SEEN]]
    said += [data["protocols"][-1]["title"], data["networks"][-1]["source"]]
    assert set(said) == {ORDER_SEEN}


@given(st.text())
def test_json_in_a_script_element_comes_back_and_cannot_end_it(text: str) -> None:
    written = script_json({"name": text, text: 1})
    assert json.loads(written) == {"name": text, text: 1}
    assert not re.search("[<>&\u2028\u2029]", written)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_without_a_json_word_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json({"perplexity": number})


def test_the_page_says_in_words_how_to_read_it(page: str) -> None:
    told = re.sub(r"<[^>]+>", "", page.split('<details id="how">')[1].split("</details>")[0])
    for word in (
        "Perplexity",
        "Softmax",
        "LayerNorm",
        "Proxy",
        "Seed",
        "Tie",
        "Front",
        "Baseline SM + LN + G",
    ):
        assert any(line.strip().startswith(word) for line in told.splitlines()), word
    assert f"within {100 * TIE:g} %" in told
    assert f'<p id="bare" class="muted">Commands are typed where the search was started: {BARE}</p>' in page


def test_every_script_that_is_packed_is_used() -> None:
    assets = files("aero_search.report.page") / "assets"
    packed = {Path(str(asset)).name for asset in assets.iterdir()}
    assert packed == {*SCRIPTS, "page.html", "page.css"}


def test_scripts_put_text_in_as_text() -> None:
    assets = files("aero_search.report.page") / "assets"
    for name in SCRIPTS:
        code = (assets / name).read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", code
        ), name
