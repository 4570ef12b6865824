"""Overrides and flags that Hydra would stumble over: each refused by name, with exit code 2 and nothing written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aero_search.cli import main
from aero_search.config.flags import read_flags
from aero_search.config.overrides import MOST_COMBINATIONS, check_overrides
from aero_search.errors import RequestError


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("recipe=[1,2]", r"recipe=\[1, 2\] is not a choice: .*proxy"),
        ("ffn=[null]", "ffn=.*is not a choice"),
        ("regularizer=-1", "regularizer=-1 is not a choice: .*entropy"),
        ("attention=1e309", "attention=inf is not a choice"),
        ("norm=true", "norm=True is not a choice"),
        ("norm=null", "~norm leaves the group out"),
        ("norm=", "norm= is not a choice"),
        ("norm=../model/proxy", "is not a choice"),
        ("norm=/etc/passwd", "is not a choice"),
        ("ffn='${python_version:nope}'", "is not a choice"),
        ("norm=layernorm,3", "norm=3 is not a choice"),
        ("norm=choice(layernorm,null)", "cannot be read"),
        ("~search/sampler=1e-400", "search/sampler=0.0 is not a choice"),
        ("+norm=" + "a" * 300, "norm=a+... is not a choice"),
        ("norm." + "a" * 300 + "=1", "names a setting of more than 200 characters"),
        ("mine=" + "x" * 30_000, "has 30,005 characters"),
        ("objective.constraints.flops.max=" + "9" * 5000, "has a number of 5,000 digits"),
        ("search.seed=" + "[" * 500, "is nested more than 32 deep"),
        ("search.seed=" + "{a:" * 50, "is nested more than 32 deep"),
        ("recipe.seed=range(1,10,0)", "a step that is not 0"),
        ("recipe.seed=range(0,1e12)", "more than 10,000 values"),
        ("recipe.seed=shuffle(range(0,1000000000))", "more than 10,000 values"),
        ("recipe.lr=range(0,nan)", "finite"),
        ("network=interval(0,1)", "a group has options, no interval"),
        ("search/sampler=tag(log,interval(1e-4,1))", "write search/sampler=OPTION,OPTION"),
        ("recipe.lr=int(x)", "cannot be read"),
        ("recipe.lr=interval(1,2,3)", "cannot be read"),
        ("a=\x00", "no UTF-8"),
        ("data.path=/x\udcff", "no UTF-8"),
        ("nonsense", "'nonsense' is not an override"),
        ("=", "'=' is not an override"),
        ("hydra.verbose=1e309", "is Hydra's own setting"),
        ("hydra.run.dir=-0.0", "is Hydra's own setting"),
        ("hydra.sweeper._target_=.", "is Hydra's own setting"),
        ("hydra/sweeper=basic", "is Hydra's own setting"),
        ("+hydra.callbacks.x._target_=joblib.load", "is Hydra's own setting"),
        ("hydra={run: {dir: x}}", "is Hydra's own setting"),
        ("hydra.launcher._target_=os.system", "names code to run"),
        ("+hydra.launcher={_target_: os.system}", "names code to run"),
    ],
)
def test_an_override_is_refused_by_name(line: str, says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        check_overrides([line], [])
    assert len(str(caught.value)) < 500
    assert len(str(caught.value).splitlines()) == 1


def test_what_may_be_written_passes() -> None:
    check_overrides(
        [
            "model=proxy", "norm='layernorm'", "norm=layernorm,none", "~variant", "recipe={lr: 1e-3}",
            "ffn.layers=[0,2]", "+mine.field=3", "recipe.lr=tag(log,interval(1e-4,1e-2))", "norm=glob(*)",
            "hydra/launcher=joblib", "+hydra.launcher.ray.init.num_cpus=2", "hydra.searchpath=[file:///x]",
            "recipe.seed=range(0,100)", "output_dir='a,b'", "output_dir=${oc.env:HOME}/x", "study.name=null",
            "objective.constraints.latency_s.max='1 ns'", "recipe.data_seed=" + ",".join(map(str, range(20))),
        ],
        [],
    )  # fmt: skip


def test_a_sweep_has_a_largest_size() -> None:
    check_overrides(["a=range(0,100)", "b=range(0,100)"], [])
    with pytest.raises(RequestError, match=f"larger than {MOST_COMBINATIONS:,} combinations"):
        check_overrides(["a=range(0,100)", "b=range(0,101)"], [])


def test_groups_of_ones_own_are_groups(tmp_path: Path) -> None:
    (tmp_path / "pricing").mkdir()
    check_overrides(["+pricing=3"], [])
    with pytest.raises(RequestError, match="pricing=3 is not a choice"):
        check_overrides(["+pricing=3"], [tmp_path])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--experimental-rerun x.pickle", "reads a pickle"),
        ("--experimental-rerun=x.pickle", "reads a pickle"),
        ("--experimental-re x.pickle", "--experimental-re is not a flag"),
        ("--shell-completion", "--completion bash"),
        ("-sc install=bash", "--completion bash"),
        ("--config-path x", "add your own folder with --config-dir"),
        ("--resolve", "--resolve belongs to --cfg"),
        ("--package x", "--package belongs to --cfg"),
        ("--cfg jobs", "did you mean 'job'"),
        ("--cfg", "--cfg needs a value"),
        ("--info=nothing", "--info=nothing is not a choice"),
        ("--multirun --cfg job", "exclude each other"),
        ("--run --multirun", "exclude each other"),
        ("--multirun=3", "--multirun takes no value"),
        ("--config-dir missing", "--config-dir=missing is no folder"),
        ("--config-name " + "a" * 300, "1 to 200 characters"),
        ("--multi", "did you mean '--multirun'"),
        ("-x", "-x is not a flag"),
        ("--", "-- is not a flag"),
    ],
)
def test_a_flag_is_refused_by_name(line: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        read_flags(line.split())


def test_flags_stand_anywhere(tmp_path: Path) -> None:
    flags, overrides = read_flags(
        ["norm=none", "-m", "a=1", f"--config-dir={tmp_path}", "--config-name", "x", "b=2"]
    )
    assert overrides == ["norm=none", "a=1", "b=2"]
    assert flags.arguments() == ["--multirun", f"--config-dir={tmp_path}", "--config-name=x"]
    assert not flags.inspecting
    assert read_flags(["-i", "defaults", "a=1"])[0].given == {"--info": "defaults"}
    assert read_flags(["-i", "a=1"]) == read_flags(["--info=all", "a=1"])
    assert read_flags(["-c", "job", "--resolve"])[0].inspecting


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("plan --run", "leave --run out"),
        ("front hydra.run.dir=-0.0", "is Hydra's own setting"),
        ("cost recipe='${recipe}'", "recipe"),
        ("cost model.d_model=${model.d_model}", "model.d_model"),
        ("cost output_dir=${oc.env:AERO_NO_SUCH_VARIABLE}", "AERO_NO_SUCH_VARIABLE"),
        ("cost +model.n_layer.x=1", "."),
        ("cost ~model.n_layer", "n_layer is missing"),
        ("cost model={}", "."),
        ("cost hydra.searchpath=3", "."),
        ("cost hydra.searchpath=[ftp://x]", "."),
        ("cost hydra.job.env_copy=[AERO_NO_SUCH_VARIABLE]", "."),
    ],
)
def test_nothing_is_written_by_a_refused_request(
    line: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(line.split())
    captured = capsys.readouterr()
    if line.startswith("cost model={}"):
        assert code == 0  # an empty mapping changes no field
        return
    assert code == 2, captured.err
    assert re.search(says, captured.err), captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
