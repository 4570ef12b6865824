"""docs/extending.md: its files are written, its commands run; what would train for hours is composed and priced."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from aero_search.app.ablation import AblateOptions
from aero_search.cli import main
from aero_search.config.compose import compose_request
from aero_search.init.checkpoint import open_checkpoint

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("aero-search ") and line.split()[1] in ("cost", "plan")
]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's files, each named by its first line, in the current folder."""
    for name, text in re.findall(r"```yaml\n# (\S+\.yaml)\n(.*?)```", PAGE, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)


def documented(line: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main([*shlex.split(line)[1:], "format=json"]) == 0, capsys.readouterr().err
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def total(line: str, capsys: pytest.CaptureFixture[str]) -> float:
    bytes_ = documented(line, capsys)["communication_bytes"]
    assert isinstance(bytes_, dict)
    return float(bytes_["total"])


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_run(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert documented(line, capsys)


def test_the_family_is_trained_as_it_says(tiny: list[str]) -> None:
    own = ["model=parallel_llama", "norm=rmsnorm", "norm.final=rmsnorm", "--config-dir", "mine"]
    assert main(["train", *own, *tiny, "model.n_kv_head=2", "recipe.steps=2", "tracking=none"]) == 0
    [folder] = Path("outputs/train").iterdir()
    a = open_checkpoint(folder, "").architecture
    assert (a.family, a.wiring.parallel_residual, a.wiring.rotary_share) == ("llama", True, 1.0)


@pytest.mark.parametrize(
    ("name", "variant"), [("semi2k_segments", "sm_ln_g"), ("semi2k_small_compare", "sm_ln_r")]
)
def test_the_protocols_change_the_price(name: str, variant: str, capsys: pytest.CaptureFixture[str]) -> None:
    mine = total(f"aero-search cost variant={variant} protocol={name} --config-dir mine", capsys)
    shipped = total(f"aero-search cost variant={variant} protocol=spu_semi2k", capsys)
    assert mine < shipped
    unchanged = total(f"aero-search cost variant=sm protocol={name} --config-dir mine", capsys)
    assert (unchanged == total("aero-search cost variant=sm protocol=spu_semi2k", capsys)) == (
        name == "semi2k_segments"  # softmax compares too
    )


def test_the_ladder_s_rows_can_be_built(tmp_path: Path) -> None:
    own = [f"hydra.searchpath=[file://{tmp_path / 'mine'}]", "ladder=slopes"]
    ladder = compose_request("ablate", {}, own).options(AblateOptions).ladder
    keys = [compose_request("cost", {}, cell.overrides).architecture for cell in ladder.cells().values()]
    assert [sorted({layer.activation for layer in a.layers}) for a in keys] == [["relu"], ["leaky_relu"]]
    assert {layer.norm for a in keys for layer in a.layers} == {"none"}
