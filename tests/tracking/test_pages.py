"""MLflow's own pages in a real browser: the run table, a study's page with its front, the charts.

Needs Chromium with its driver and the package selenium. AERO_SEARCH_PICTURES=FOLDER keeps what was looked at; the
pictures in docs/images/ come from here, with AERO_SEARCH_STUDY=FOLDER naming a folder whose outputs/ hold a study
`aero` of the default search.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tracking.servers import free_port

selenium = pytest.importorskip("selenium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium and chromium-driver"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    """A folder in which a small study `aero` was searched."""
    if given := os.environ.get("AERO_SEARCH_STUDY"):
        return Path(given)
    folder = tmp_path_factory.mktemp("pages")
    command = ["search", "study.name=aero", "search.n_trials=8", "search.workers=1", *tiny]
    subprocess.run([sys.executable, "-m", "aero_search", *command], cwd=folder, check=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def opened(study: Path) -> Iterator[dict[str, str]]:
    """What `aero-search ui` prints, by what each line shows, while it serves."""
    command = [sys.executable, "-m", "aero_search", "ui", f"port={free_port()}"]
    server = subprocess.Popen(command, cwd=study, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    links: dict[str, str] = {}
    try:
        for line in server.stdout:
            what, _, link = line.partition(": ")
            links[what.rpartition(", ")[2]] = link.split()[0]
            if what == "MLflow":
                break
        yield links
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1500,900",
        "--no-proxy-server",
    ):
        options.add_argument(argument)
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def shown(browser: Any, *texts: str) -> str:
    """Wait until a page shows all of these; returns its text."""
    end = time.monotonic() + 600
    while True:
        text: str = browser.execute_script("return document.body.innerText")
        if all(wanted in text for wanted in texts):
            # Charts are drawn, and tables fade in, a little after their text is there.
            time.sleep(3)
            return text
        assert time.monotonic() < end, f"{[t for t in texts if t not in text]} not in:\n{text}"
        time.sleep(0.3)


def drawn(browser: Any, what: str, least: int = 1) -> None:
    """Wait until a chart shows so many of these; a busy machine draws late."""
    end = time.monotonic() + 600
    while (found := len(browser.find_elements("css selector", what))) < least:
        assert time.monotonic() < end, f"{found} of {what}, {least} expected"
        time.sleep(0.3)


def keep(browser: Any, name: str) -> None:
    if folder := os.environ.get("AERO_SEARCH_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def close_hints(browser: Any) -> None:
    """Close what MLflow offers a newcomer."""
    for button in browser.find_elements("css selector", "[aria-label='Close']"):
        if button.is_displayed():
            button.click()


def test_the_run_table_is_useful_at_once(browser: Any, opened: dict[str, str]) -> None:
    browser.get(opened["candidates"])
    text = shown(browser, "SM + LN + G", "aero.verdict", "perplexity", "latency_s")
    close_hints(browser)
    keep(browser, "mlflow-runs")
    assert "Error loading shared view state" not in text
    # Sorted by perplexity: the first column of numbers rises.
    cells = browser.find_elements("css selector", "[col-id='metrics.`perplexity`'] ")
    values = [float(cell.text) for cell in cells if cell.text.replace(".", "").isdigit()]
    assert values
    assert values == sorted(values)


def test_the_charts_show_the_front(browser: Any, opened: dict[str, str]) -> None:
    browser.set_window_size(1500, 1000)
    browser.get(opened["charts"])
    shown(browser, "Front", "Curves")
    close_hints(browser)
    # A scatter for each cost and the parallel coordinates, each with something in it.
    drawn(browser, ".js-plotly-plot .scatterlayer .point", least=9)
    drawn(browser, "canvas, .parcoords-lines, svg path.parcoords")
    keep(browser, "mlflow-charts")


def test_the_study_s_page_shows_its_front(browser: Any, opened: dict[str, str], study: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{study / 'outputs' / 'mlflow.db'}")
    [run] = client.search_runs(["1"], "tags.`aero.kind` = 'study'")
    base = opened["MLflow"]
    browser.set_window_size(1300, 1000)
    browser.get(f"{base}/#/experiments/1/runs/{run.info.run_id}")
    text = shown(browser, "Varied", "aero-search export study=aero", "Hypervolume")
    close_hints(browser)
    for button in browser.find_elements("xpath", "//*[text()='Show more']"):
        browser.execute_script("arguments[0].click()", button)
    time.sleep(1)
    keep(browser, "mlflow-study")
    assert "best balance" in text
    assert browser.find_elements("css selector", "table td")
