"""What a user asks for: which text, how much of it, and where its packed form is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from aero_search.errors import RequestError
from aero_search.plugins import Names, Options
from aero_search.schema import OneOf
from aero_search.user_path import user_path

CORPORA = Names(
    "aero_search.corpora", "python_source", "text_folder", "huggingface", "tokenized", "classification"
)
STDLIB = "stdlib"
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """One entry of `conf/data/`; built by `schema.from_mapping(CorpusSpec, mapping, "data")`.

    Attributes:
        kind: `python_source` reads installed packages, `text_folder` a folder of the user's own files,
            `huggingface` two named datasets, `tokenized` a folder that is packed already, `classification` a
            file of texts and labels; else a plug-in's (`aero_search.corpora`).
        path: the folder of `text_folder` and `tokenized`, the file of `classification`.
        suffixes: endings of the file names that are read.
        exclude: shell patterns; a file or folder whose name matches one is passed over.
        packages: import names of `python_source`; `stdlib` is the standard library. A nested list is one
            unit: packages that share code and therefore stay on the same side of the split.
        train_mb, validation_mb: at most so much text, in MB of 10^6 bytes.
        validation_share: validation takes this share of all text where `validation_mb` is not less.
        min_file_bytes, max_file_bytes: files outside are passed over; a null maximum is none.
        near_duplicate: files whose sets of lines have a Jaccard similarity of at least this are kept once;
            null drops exact copies only.
        seed: which packages or files go to validation, and which files are read where not all fit.
        cache_dir: where packed corpora are kept; null is `AERO_SEARCH_CACHE` or the user's cache folder.
        train_dataset, validation_dataset, train_split, validation_split, text_field: of `huggingface`.
        text_field, label_field: columns of `classification`.
        tokenizer: a tokenizer on the hub; null trains one on the train text.
        train_rows, validation_rows: at most so many rows; null is all.
        stream: read rows as they arrive, train rows shuffled within a buffer; false downloads both datasets
            first and takes rows of the whole in shuffled order.
        chunk: null packs texts end to end; a number of tokens cuts each text by itself into sequences of so
            many, each with the token that follows it, and drops the shorter tail. Each text of
            `classification` is cut or filled up to it, or where null to the model's. model.seq_len must equal it.
        options: what a plug-in's corpus is told.
    """

    kind: Annotated[str, OneOf(CORPORA)]
    path: str | None = None
    suffixes: tuple[str, ...] = (".txt", ".md", ".rst", ".py")
    exclude: tuple[str, ...] = (".*", "__pycache__")
    packages: tuple[str | tuple[str, ...], ...] = ()
    train_mb: float = 24.0
    validation_mb: float = 1.5
    validation_share: float = 0.1
    min_file_bytes: int = 1
    max_file_bytes: int | None = None
    near_duplicate: float | None = 0.7
    seed: int = 0
    cache_dir: str | None = None
    train_dataset: str | None = None
    validation_dataset: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    text_field: str = "content"
    label_field: str = "label"
    tokenizer: str | None = None
    train_rows: int | None = None
    validation_rows: int | None = None
    stream: bool = True
    chunk: int | None = None
    options: Options = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            RequestError: a value outside its range, or a field that this kind needs and lacks.
        """
        _check(self.train_mb > 0, f"data.train_mb={self.train_mb} must be above 0")
        _check(self.validation_mb > 0, f"data.validation_mb={self.validation_mb} must be above 0")
        share = self.validation_share
        _check(0 < share <= 0.5, f"data.validation_share={share} must be above 0 and at most 0.5")
        _check(self.min_file_bytes >= 1, f"data.min_file_bytes={self.min_file_bytes} must be at least 1")
        most = self.max_file_bytes
        _check(
            most is None or most >= self.min_file_bytes,
            f"data.max_file_bytes={most} is below data.min_file_bytes={self.min_file_bytes}: raise it",
        )
        near = self.near_duplicate
        _check(
            near is None or 0 < near <= 1,
            f"data.near_duplicate={near} must be above 0 and at most 1, or null",
        )
        for name, rows in (("train_rows", self.train_rows), ("validation_rows", self.validation_rows)):
            _check(rows is None or rows >= 1, f"data.{name}={rows} must be at least 1, or null for all rows")
        _check(
            self.chunk is None or self.chunk >= 1,
            f"data.chunk={self.chunk} must be at least 1 token, or null to pack texts end to end",
        )
        if self.kind in ("text_folder", "tokenized"):
            _check(bool(self.path), f"data.path is missing: data.kind={self.kind} needs data.path=FOLDER")
        if self.kind == "classification":
            _check(
                bool(self.path),
                "data.path is missing: data.kind=classification needs data.path=FILE.csv or .jsonl",
            )
            _check(
                self.chunk is None or self.chunk >= 2,
                f"data.chunk={self.chunk} must be at least 2 tokens for data.kind=classification",
            )
            _check(
                self.text_field != self.label_field,
                f"data.label_field={self.label_field} is data.text_field too: name another column",
            )
        if self.kind == "huggingface":
            for name in ("train_dataset", "validation_dataset"):
                _check(bool(getattr(self, name)), f"data.{name} is missing: name a dataset on the hub")
        if self.kind == "python_source":
            _check(len(self.units) >= 2, "data.packages must name at least two packages, one for validation")
        if self.kind in ("python_source", "text_folder"):
            _check(bool(self.suffixes), "data.suffixes is empty: name at least one ending such as .txt")
        names = [name for unit in self.units for name in unit]
        for name in names:
            plain = name.isidentifier() and name not in ("aero_search", "hydra_plugins")
            _check(plain, f"data.packages: {name!r} is not an installed package to read; remove it")
            _check(names.count(name) == 1, f"data.packages names {name!r} twice; remove one")

    @property
    def units(self) -> tuple[tuple[str, ...], ...]:
        """The packages, each unit a tuple of import names that stay on one side of the split."""
        return tuple((unit,) if isinstance(unit, str) else unit for unit in self.packages)

    def folder(self) -> Path:
        """The folder the user named.

        Raises:
            RequestError: it is missing or not a folder.
        """
        folder = user_path(self.path or "")
        if not folder.exists():
            raise RequestError(f"data.path={self.path} does not exist: name a folder of text files")
        if not folder.is_dir():
            raise RequestError(f"data.path={self.path} is not a folder: name the folder that holds the file")
        return folder.resolve()

    def cut_for(self, seq_len: int) -> CorpusSpec:
        """Itself, or of a labelled set without a length, the one of the model's."""
        if self.kind != "classification" or self.chunk is not None:
            return self
        return replace(self, chunk=seq_len)

    def file(self) -> Path:
        """The file of texts and labels that the user named.

        Raises:
            RequestError: it is missing, or neither CSV nor JSON Lines by its ending.
        """
        path = user_path(self.path or "")
        if not path.is_file():
            wrong = "is not a file" if path.exists() else "does not exist"
            raise RequestError(
                f"data.path={self.path} {wrong}: name a .csv or .jsonl file of texts and labels"
            )
        if path.suffix.lower() not in (".csv", ".jsonl"):
            raise RequestError(
                f"data.path={self.path} ends in neither .csv nor .jsonl: save it as one of these, and name that"
            )
        return path.resolve()

    def cache_folder(self) -> Path:
        """Where packed corpora are kept: `cache_dir`, `AERO_SEARCH_CACHE` or the user's cache folder."""
        named = self.cache_dir or os.environ.get("AERO_SEARCH_CACHE")
        if named:
            return user_path(named).resolve()
        from platformdirs import user_cache_path

        return user_cache_path("aero-search", appauthor=False)


def _check(holds: bool, sentence: str) -> None:
    if not holds:
        raise RequestError(sentence)
