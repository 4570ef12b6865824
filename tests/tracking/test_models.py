"""Trained networks that lie in an MLflow store: found by their addresses, copied once, never loaded by MLflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from aero_search.cli import main
from aero_search.config.checkpoint import find_checkpoint
from aero_search.errors import RequestError
from aero_search.init.checkpoint import open_checkpoint
from aero_search.tracking import store
from aero_search.tracking.models import DOWNLOADS
from aero_search.tracking.spec import TrackingSpec

BUNDLE = Path(__file__).parents[1] / "export/first_bundle"
SPEC = TrackingSpec("mlflow", None, "aero-search")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An output folder whose store has the bundle as a model and among a run's artifacts; the run's id."""
    folder = tmp_path_factory.mktemp("store")
    experiment = store.initialize(SPEC, folder)
    uri = SPEC.resolved_uri(folder)
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    patch = pytest.MonkeyPatch()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        # MLflow sets both below, for children too.
        patch.setenv(name, uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with mlflow.start_run(experiment_id=experiment) as run:
            # As `export register=true` does it.
            mlflow.pyfunc.log_model(
                name="bundle",
                loader_module="aero_search.export.serving",
                data_path=str(BUNDLE),
                pip_requirements=[],
                registered_model_name="net",
            )
            mlflow.log_artifacts(str(BUNDLE), "kept/here")
            mlflow.log_text("no folder", "file.txt")
            mlflow.log_text("no weights", "other/note.txt")
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
        patch.undo()
    MlflowClient(uri, uri).set_registered_model_alias("net", "best", "1")
    return folder, run.info.run_id


@pytest.mark.parametrize(
    "address", ["models:/net/1", "models:/net@best", "runs:/RUN/kept/here", "runs:/RUN/bundle"]
)
def test_every_address_is_the_same_network(address: str, home: tuple[Path, str]) -> None:
    folder, run = home
    found = find_checkpoint(address.replace("RUN", run), folder, None, SPEC)
    expected = open_checkpoint(BUNDLE, "")
    assert (found.architecture, found.fingerprint) == (expected.architecture, expected.fingerprint)
    assert found.corpus == expected.corpus
    assert found.tokenizer is not None
    assert found.tokenizer.is_relative_to(folder / DOWNLOADS)


def test_it_is_copied_once_and_stays_when_the_store_goes(home: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = home
    for _ in range(2):
        find_checkpoint.cache_clear()
        found = find_checkpoint("models:/net/1", folder, None, SPEC)
    copies = [path for path in (folder / DOWNLOADS).iterdir() if path.is_dir()]
    assert found.folder.is_relative_to(folder / DOWNLOADS)
    assert not [path for path in copies if path.name.startswith(".")]
    names = {path.name for path in copies}
    find_checkpoint.cache_clear()
    find_checkpoint("models:/net@best", folder, None, SPEC)
    assert {path.name for path in (folder / DOWNLOADS).iterdir() if path.is_dir()} == names
    # Another network under the same name in another store is another copy.
    assert not (tmp_path / DOWNLOADS).exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("models:/net", "write models:/NAME/VERSION"),
        ("models:/net/latest", "write models:/NAME/VERSION"),
        ("runs:/RUN/../../etc", "write models:/NAME/VERSION"),
        ("models:/net/2", "does not give it .*version=2"),
        ("models:/none/1", "does not give it"),
        ("models:/net@none", "does not give it .*alias none"),
        ("runs:/00000000000000000000000000000000/bundle", "does not give it"),
        ("runs:/RUN/nothing", "has no folder and no model nothing"),
        ("runs:/RUN/file.txt", "has no folder and no model file.txt"),
        ("runs:/RUN/other", "it has neither architecture.yaml"),
    ],
)
def test_what_is_not_there_is_one_sentence(address: str, said: str, home: tuple[Path, str]) -> None:
    folder, run = home
    with pytest.raises(RequestError, match=said) as problem:
        find_checkpoint(address.replace("RUN", run), folder, None, SPEC)
    assert "\n" not in str(problem.value)
    assert str(problem.value).startswith(f"init.from={address.replace('RUN', run)}: ")


def test_a_pickle_among_the_artifacts_is_refused(home: tuple[Path, str], tmp_path: Path) -> None:
    folder, run = home
    gpt2 = {
        "model_type": "gpt2",
        "vocab_size": 97,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 24,
    }
    (tmp_path / "config.json").write_text(json.dumps(gpt2))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02")
    shutil.copyfile(BUNDLE / "tokenizer.json", tmp_path / "tokenizer.json")
    client = MlflowClient(SPEC.resolved_uri(folder))
    client.log_artifacts(run, str(tmp_path), "pickled")
    with pytest.raises(RequestError, match=r"init\.from=runs:/.*: pytorch_model\.bin is a pickle"):
        find_checkpoint(f"runs:/{run}/pickled", folder, None, SPEC)


def test_without_a_store_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "init.from=models:/net/1"]) == 2
    assert "init.from=models:/net/1: there is no MLflow store at" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_training_starts_from_a_registered_model(
    home: tuple[Path, str], text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ["data=text_folder", f"data.path={text_folder}", "recipe.steps=2", "recipe.validate_every=2"]
    said += ["recipe.batch_size=4", "recipe.validation_sequences=4", f"output_dir={home[0]}"]
    assert main(["train", "init.from=models:/net/1", *said]) == 0
    [trained] = (home[0] / "train").iterdir()
    assert f"from: {home[0] / DOWNLOADS}" in (trained / "candidate.yaml").read_text()
