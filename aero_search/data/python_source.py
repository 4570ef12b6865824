"""The default corpus: Python source that is on every machine where this project is installed.

Text of CodeParrot's kind without a download: the standard library and the packages that this project itself
depends on. Packages are found without importing them; none of their code is executed.
"""

from __future__ import annotations

import sysconfig
from collections import Counter
from importlib.machinery import PathFinder
from pathlib import Path

from aero_search.data.duplicates import NearDuplicates
from aero_search.data.files import Candidate, Document, hand_written, read_text, walk
from aero_search.data.progress import Advance
from aero_search.data.select import choose_validation, fill
from aero_search.data.spec import MB, STDLIB, CorpusSpec
from aero_search.errors import RequestError


def candidates(spec: CorpusSpec) -> list[Candidate]:
    """Every source file of the named packages that are installed, sorted by name."""
    found: list[Candidate] = []
    for unit in spec.units:
        for package in unit:
            for root in roots(package):
                if root.is_dir():
                    found += walk(
                        root,
                        prefix=f"{package}/",
                        suffixes=spec.suffixes,
                        exclude=spec.exclude,
                        min_bytes=spec.min_file_bytes,
                        max_bytes=spec.max_file_bytes,
                        unit=unit[0],
                    )
    return sorted(found, key=lambda c: c.name)


def roots(package: str) -> list[Path]:
    """The folder of an installed package, or nothing if it is not installed.

    Namespace packages have no folder of their own: what lies in them depends on which other distributions
    are installed, so they are passed over, and the corpus stays the same with and without extras.
    """
    if package == STDLIB:
        return [Path(sysconfig.get_path("stdlib"))]
    module = PathFinder.find_spec(package)
    if module is None or module.origin is None or module.submodule_search_locations is None:
        return []
    return [Path(module.origin).parent]


def select(spec: CorpusSpec, found: list[Candidate], advance: Advance) -> list[Document]:
    """Choose validation packages, then read, filter and deduplicate files of both sides up to their caps.

    Validation is read first: a train file too close to a validation file is then the one that is dropped.

    Raises:
        RequestError: too few of the packages are installed, or nothing readable is left on one side.
    """
    sizes = Counter[str]()
    for candidate in found:
        sizes[candidate.unit] += candidate.size
    if len(sizes) < 2:
        raise RequestError(
            f"data.packages has text in {len(sizes)} of the {len(spec.units)} named packages: name at least "
            "two that are installed"
        )
    target = min(spec.validation_mb * MB, spec.validation_share * sizes.total())
    chosen = choose_validation(sizes, target, spec.seed) or {min(sizes, key=lambda unit: (sizes[unit], unit))}

    seen = NearDuplicates(spec.near_duplicate)

    def read(candidate: Candidate) -> str | None:
        advance(candidate.size)
        text = read_text(candidate.path)
        return text if text and hand_written(text) and seen.keep(text) else None

    valid = (c for c in found if c.unit in chosen)
    train = (c for c in found if c.unit not in chosen)
    documents = fill(valid, "validation", round(spec.validation_mb * MB), read, seed=spec.seed)
    documents += fill(train, "train", round(spec.train_mb * MB), read, seed=spec.seed)
    return documents
