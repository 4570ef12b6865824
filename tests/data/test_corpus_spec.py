from __future__ import annotations

from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from aero_search.data import CorpusSpec
from aero_search.errors import RequestError
from aero_search.schema import from_mapping

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "data"


KINDS = {"codeparrot": "huggingface", "codeparrot_paper": "huggingface", "languini": "tokenized"}


def read(name: str, **fields: object) -> CorpusSpec:
    return from_mapping(CorpusSpec, yaml.safe_load((CONF / name).read_text()) | fields, "data")


def composed(path: Path) -> dict[str, object]:
    """A file of the group with those it builds on; `chunk` as at seq_len 128."""
    said = yaml.safe_load(path.read_text())
    for base in said.pop("defaults", []):
        said = composed(CONF / f"{base}.yaml") | said
    return {name: 128 if value == "${model.seq_len}" else value for name, value in said.items()}


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_the_group_is_a_valid_spec(path: Path) -> None:
    fields = composed(path)
    if "path" in fields and fields["path"] is None:
        fields["path"] = "somewhere"
    assert from_mapping(CorpusSpec, fields, "data").kind == KINDS.get(path.stem, path.stem)


def runtime_distributions() -> set[str]:
    """What `pip install aero-search` brings, without extras: the closure of [project.dependencies]."""
    import tomllib

    pending = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found: dict[str, set[str]] = {}
    while pending:
        need = Requirement(pending.pop())
        name = canonicalize_name(need.name)
        new = {"", *need.extras} - found.setdefault(name, set())
        found[name] |= new
        try:
            further = requires(name) or []
        except PackageNotFoundError:
            continue
        for line in further if new else ():
            marker = Requirement(line).marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in new):
                pending.append(line)
    return set(found)


def test_default_corpus_reads_only_what_a_plain_installation_brings() -> None:
    brought = runtime_distributions()
    owners = packages_distributions()
    for unit in read("python_source.yaml").units:
        for package in unit:
            if package in owners:
                assert {canonicalize_name(owner) for owner in owners[package]} <= brought, package


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"train_mb": 0}, "data.train_mb=0"),
        ({"validation_mb": -1}, "data.validation_mb=-1"),
        ({"validation_share": 0.9}, "data.validation_share=0.9"),
        ({"min_file_bytes": 0}, "data.min_file_bytes=0"),
        ({"max_file_bytes": 5, "min_file_bytes": 9}, "data.max_file_bytes=5"),
        ({"near_duplicate": 1.5}, "data.near_duplicate=1.5"),
        ({"path": None}, "data.path is missing"),
        ({"suffixes": ()}, "data.suffixes is empty"),
        ({"kind": "huggingface"}, "data.train_dataset is missing"),
        ({"train_rows": 0}, "data.train_rows=0"),
        ({"kind": "python_source", "packages": ("numpy",)}, "data.packages must name at least two"),
        ({"kind": "python_source", "packages": ("numpy", "aero_search")}, "'aero_search'"),
        ({"kind": "python_source", "packages": ("numpy", "../etc")}, "'../etc'"),
        ({"kind": "python_source", "packages": ("numpy", ("torch", "numpy"))}, "'numpy' twice"),
    ],
)
def test_bad_values_are_refused_by_name(fields: dict[str, object], named: str) -> None:
    with pytest.raises(RequestError) as caught:
        CorpusSpec(**({"kind": "text_folder", "path": "x"} | fields))  # type: ignore[arg-type]
    assert named in str(caught.value)


def test_cache_folder_is_field_then_environment_then_user_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AERO_SEARCH_CACHE", raising=False)
    assert CorpusSpec("text_folder", "x").cache_folder().name == "aero-search"
    monkeypatch.setenv("AERO_SEARCH_CACHE", str(tmp_path / "b"))
    assert CorpusSpec("text_folder", "x").cache_folder() == tmp_path / "b"
    assert CorpusSpec("text_folder", "x", cache_dir=str(tmp_path / "a")).cache_folder() == tmp_path / "a"


def test_a_folder_that_was_not_given_is_asked_for() -> None:
    with pytest.raises(RequestError, match=r"data\.path is missing: .* needs data\.path=FOLDER"):
        read("text_folder.yaml")
