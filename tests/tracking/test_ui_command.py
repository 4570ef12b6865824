"""`aero-search ui` beside its server: what is said while it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aero_search.cli import main
from aero_search.commands import ui
from aero_search.tracking import dashboard


class Server:
    """Stays up until Ctrl-C."""

    def wait(self) -> int:
        raise KeyboardInterrupt


@pytest.fixture
def _handlers() -> Iterator[None]:
    """The command takes signals for itself; here the process goes on after it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_ctrl_c_is_answered_before_the_server_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said_before_stop: list[str] = []
    monkeypatch.setattr(dashboard, "dashboard", lambda *_: Server())
    monkeypatch.setattr(dashboard, "stop", lambda _: said_before_stop.append(capsys.readouterr().out))
    monkeypatch.setattr(ui, "_links", lambda *_: [])
    assert main(["ui", f"output_dir={tmp_path}"]) == 0
    (said,) = said_before_stop
    assert said.splitlines()[-2:] == [
        "MLflow: http://127.0.0.1:5000  (Ctrl-C stops it)",
        "stopping MLflow ...",
    ]


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("at", ["study", "MLflow"])
def test_ctrl_c_that_comes_before_it_waits_stops_the_server_too(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped: list[object] = []

    def printed(text: str) -> None:
        print(text)
        if text.startswith(at):
            raise KeyboardInterrupt

    monkeypatch.setattr(dashboard, "dashboard", lambda *_: Server())
    monkeypatch.setattr(dashboard, "stop", stopped.append)
    monkeypatch.setattr(ui, "_links", lambda *_: ["study one"])
    monkeypatch.setattr(ui, "print_line", printed)
    assert main(["ui", f"output_dir={tmp_path}"]) == 0
    assert len(stopped) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "stopping MLflow ..."
