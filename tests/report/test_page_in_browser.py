"""The page in a real Chromium without a network: re-pricing, choosing, filters, and no error on its console."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import NETWORKS, PROTOCOLS, ladder_document, page_source, priced_front
from test_page_render import HOSTILE

from aero_search.front.pricing import Pricing
from aero_search.front.tradeoffs import next_steps
from aero_search.report.page.document import LADDER_FILE, page_document
from aero_search.report.page.render import render_page

pytestmark = pytest.mark.slow


def programs() -> tuple[str, str]:
    """Chromium and its driver, or a skip that says which is missing."""
    pytest.importorskip("selenium", reason="selenium is not installed: pip install '.[dev]'")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with chromedriver: apt-get install chromium chromium-driver")
    return browser, driver


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium, chromedriver = programs()
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    # Containers give no user namespaces and little shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("browser")
    (folder / LADDER_FILE).write_text(json.dumps(ladder_document()))
    return page_source(folder)


@pytest.fixture
def page(browser: Any, source: Any, tmp_path: Path) -> Iterator[Any]:
    show(browser, source, tmp_path)
    yield browser
    assert console_errors(browser) == []


def show(browser: Any, source: Any, folder: Path) -> None:
    path = folder / "report.html"
    path.write_text(render_page(page_document(source)), encoding="utf-8")
    browser.get(path.as_uri())


def console_errors(browser: Any) -> list[str]:
    return [
        entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]


def choose(browser: Any, name: str, value: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element(By.ID, name)).select_by_value(value)


def write(browser: Any, name: str, text: str) -> None:
    from selenium.webdriver.common.by import By

    field = browser.find_element(By.ID, name)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
    field.clear()
    field.send_keys(text)


def front_of(browser: Any) -> set[int]:
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#candidates tr[data-verdict=front]')].map(r => +r.dataset.trial)"
    )
    return set(rows)


def rows_of(browser: Any) -> list[int]:
    found: list[int] = browser.execute_script(
        "return [...document.querySelectorAll('#candidates tr[data-trial]')].map(r => +r.dataset.trial)"
    )
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_protocol_and_network_gives_the_front_that_python_gives(
    page: Any, source: Any, protocol: str, network: str
) -> None:
    choose(page, "protocol", protocol)
    choose(page, "network", network)
    front = priced_front(source.records, Pricing(PROTOCOLS[protocol], NETWORKS[network]))
    assert front_of(page) == {record.number for record in front.points}
    view = page.execute_script("return {volume: aero.current.hypervolume, knee: aero.current.knee.trial}")
    assert view["volume"] == pytest.approx(front.hypervolume, rel=1e-9)
    assert view["knee"] == front.knee().number
    chart = page.execute_script("return document.getElementById('front').data.map(t => t.x.length)")
    assert sum(chart) > len(source.records)


def test_another_link_moves_the_latency_the_front_and_the_words(page: Any, source: Any) -> None:
    choose(page, "protocol", "spu_cheetah_0_9_5")
    before = front_of(page), page.execute_script("return aero.current.candidates[0].latency_s")
    choose(page, "network", "wan")
    after = front_of(page), page.execute_script("return aero.current.candidates[0].latency_s")
    assert after[1] > 2 * before[1]
    text = page.execute_script("return document.getElementById('priced').textContent")
    assert "100 Mbps, 80 ms" in text
    write(page, "bandwidth", "100")
    write(page, "rtt", "0")
    own = page.execute_script("return [aero.current.candidates[0].latency_s, aero.state.network]")
    ((sent, _, compute),) = page.execute_script("return aero.data.candidates[0].by.spu_cheetah_0_9_5")
    assert own == [pytest.approx(compute + sent / 12.5e6), ""]
    write(page, "bandwidth", "0")
    assert "above 0 Mbps" in page.execute_script("return document.getElementById('priced').textContent")
    assert page.execute_script("return aero.state.bandwidth") == 100


def test_switching_the_network_changes_the_front(browser: Any, source: Any, tmp_path: Path) -> None:
    """Two candidates, one with many bytes and few rounds: which is dominated depends on the link."""
    document = page_document(source)
    chatty, heavy = (dict(entry) for entry in document["candidates"][1:3])
    chatty |= {"perplexity": 60.0, "flops": 1.0, "by": {"aero_paper": [[1e6, 5000.0, 0.0]]}}
    heavy |= {"perplexity": 61.0, "flops": 1.0, "by": {"aero_paper": [[1e9, 10.0, 0.0]]}}
    document |= {"candidates": [chatty, heavy]}
    path = tmp_path / "two.html"
    path.write_text(render_page(document), encoding="utf-8")
    browser.get(path.as_uri())
    choose(browser, "network", "lan")
    assert front_of(browser) == {1}
    choose(browser, "network", "wan")
    assert front_of(browser) == {1, 2}
    assert console_errors(browser) == []


def test_filters_and_sorting(page: Any, source: Any) -> None:
    from selenium.webdriver.common.by import By

    write(page, "filter", "ScFuFFN ereg")
    wanted = {r.number for r in source.records if "ScFuFFN" in r.notation and "EReg" in r.notation}
    assert set(rows_of(page)) == wanted
    page.execute_script("document.getElementById('filter').value = ''")
    write(page, "filter", " ")
    assert len(rows_of(page)) == len(source.records)
    choose(page, "verdict", "diverged")
    assert set(rows_of(page)) == {15, 16}
    choose(page, "verdict", "all")
    for _ in range(2):
        head = page.find_element(By.CSS_SELECTOR, "[data-sort=perplexity]")
        page.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", head)
    perplexities = {r.number: r.perplexity for r in source.records}
    shown = [perplexities[number] for number in rows_of(page)]
    known = [value for value in shown if value is not None]
    assert known == sorted(known, reverse=True)
    assert shown[-2:] == [None, None]


def test_a_budget_chooses_what_python_chooses(page: Any, source: Any) -> None:
    limit = sorted(record.costs["latency_s"] for record in source.front.points)[2] * 1.0001
    write(page, "max-latency", f"{limit:.6f}")
    chosen = source.front.within({"latency_s": limit})
    text = page.execute_script("return document.getElementById('choice').textContent")
    assert f"#{chosen.number}" in text
    assert f"pick=trial:{chosen.number}" in text
    for step in next_steps(source.front, chosen):
        assert f"#{step.to.number}" in text
    write(page, "max-perplexity", "1.5")
    text = page.execute_script("return document.getElementById('choice').textContent")
    assert text.startswith("Nothing keeps these limits.The nearest, ")


def test_axes_candidates_progress_ladder_and_what_if(page: Any, source: Any) -> None:
    for across in ("communication_bytes", "flops", "rounds", "seconds"):
        choose(page, "x", across)
    choose(page, "of", "axes")
    choose(page, "y", "flops")
    choose(page, "y", "perplexity")
    choose(page, "over", "clock")
    page.execute_script("document.querySelector('#candidates tr[data-trial=\"4\"]').click()")
    about = page.execute_script("return document.getElementById('about').textContent")
    assert "SM + ScFuFFN  #4" in about
    tiles, cells = page.execute_script(
        "return [document.querySelectorAll('.tile').length, document.querySelectorAll('#entropy rect').length]"
    )
    assert (tiles, cells) == (17, 16)
    ladder = page.execute_script("return document.getElementById('ladder').textContent")
    assert "61.40 ± 0.30" in ladder
    assert "diverged at step 3" in ladder
    compared = page.execute_script("return document.querySelector('#what-if tbody tr').textContent")
    assert "for comparison" in compared
    assert compared.endswith("61.42")
    legend = page.execute_script("return document.getElementById('key').textContent")
    assert "lowest perplexity at each cost" in legend
    choose(page, "size", "1")
    what = page.execute_script(
        "return [document.getElementById('what-if-note').textContent, "
        "document.querySelectorAll('#what-if tr').length]"
    )
    assert "gpt2_small (12 layers" in what[0]
    assert what[1] > 4


def test_the_heat_map_marks_every_front_without_colour_alone(page: Any, source: Any) -> None:
    cells = page.execute_script(
        "return [...document.querySelectorAll('#systems tbody tr')].map(r => [r.cells[0].firstChild.textContent, "
        "[...r.querySelectorAll('td')].map(c => [c.textContent, c.getAttribute('aria-label')])])"
    )
    assert len(cells) == len(PROTOCOLS) * len(NETWORKS)
    heads = page.execute_script(
        "return [...document.querySelectorAll('#systems thead th a')].map(a => Number(a.textContent.slice(1)))"
    )
    for name, row in cells:
        protocol, _, network = name.partition(" on ")
        front = priced_front(source.records, Pricing(PROTOCOLS[protocol], NETWORKS[network]))
        points = {record.number for record in front.points if record.state == "finished"}
        marked = {trial for trial, (mark, _) in zip(heads, row, strict=True) if mark == "●"}
        assert marked == points & set(heads)
        assert all(f"under {name}: " in said for _, said in row)
    assert "in the worst case" in page.execute_script(
        "return document.getElementById('systems-best').textContent"
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_no_width_scrolls_sideways_and_labels_lie_apart(page: Any, width: int) -> None:
    page.set_window_size(width, 900)
    page.refresh()
    across, seen = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert across <= seen
    boxes = page.execute_script(
        "return [...document.querySelectorAll('#front .annotation-text')].map(t => {"
        "const r = t.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]})"
    )
    assert boxes
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)


def test_hostile_names_are_shown_and_do_nothing(browser: Any, tmp_path: Path) -> None:
    show(browser, page_source(tmp_path / "study", name=HOSTILE, renamed=HOSTILE), tmp_path)
    for _ in range(2):
        choose(browser, "network", "wan")
        choose(browser, "network", "paper")
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.execute_script("return document.querySelector('h1').textContent") == HOSTILE
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert console_errors(browser) == []


def test_an_empty_study_and_one_that_only_diverged_are_shown(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    document = page_document(page_source(tmp_path / "study"))
    for kept in ([], document["candidates"][15:]):
        path = tmp_path / "few.html"
        path.write_text(render_page({**document, "candidates": kept, "what_if": None}), encoding="utf-8")
        browser.get(path.as_uri())
        # The page's script may still run when a busy browser says that it is there.
        WebDriverWait(browser, 60).until(
            lambda b: "front is empty" in b.find_element(By.ID, "choice").get_attribute("textContent")
        )
        assert console_errors(browser) == []


def test_words_are_explained_where_the_pointer_rests(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    heading = next(h for h in page.find_elements(By.TAG_NAME, "h2") if "ypervolume" in h.text)
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", heading)
    ActionChains(page).move_to_element(heading).perform()
    assert heading.get_attribute("title").startswith("Hypervolume: ")


CONTRASTS = """
const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => linear(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const seen = (colour) => colour.startsWith("rgb") && !colour.endsWith(", 0)");
const ground = luminance(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll("path.yerror, .plot text, .infolayer text")]
  .filter((mark) => mark.getBoundingClientRect().height).map((mark) => {
    const { fill, stroke } = getComputedStyle(mark);
    const drawn = [fill, stroke].filter(seen).map(luminance);
    const [high, low] = [Math.max(ground, ...drawn), Math.min(ground, ...drawn)];
    return [mark.matches("path") ? "yerror" : mark.textContent, (high + 0.05) / (low + 0.05)];
  });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_and_words_of_plots_stand_out_from_the_ground(browser: Any, tmp_path: Path, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        show(browser, page_source(tmp_path / "study", again=0.02), tmp_path)
        drawn = browser.execute_script(CONTRASTS)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert {name for name, _ in drawn} >= {"yerror", "latency (s)"}
    # WCAG 2.2, 1.4.11, for graphics.
    assert [mark for mark in drawn if mark[1] < 3] == []
