"""What MLflow loads to serve a bundle: this module by its name and the bundle as data, so nothing is unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aero_search.errors import AeroSearchError
from aero_search.export.complete import complete
from aero_search.export.load import load_bundle

PROMPT, COMPLETION = "prompt", "completion"
DEFAULTS = {"max_new_tokens": 32, "temperature": 0.0, "seed": 0}


class Completion:
    """Completes prompts. Loaded once; every call is independent of the last."""

    def __init__(self, folder: str) -> None:
        bundle = load_bundle(folder)
        tokenizer = bundle.tokenizer()
        if tokenizer is None:
            raise AeroSearchError(f"{folder} has no tokenizer.json: prompts cannot be read")
        self._tokenizer, self._model = tokenizer, bundle.folded()

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """A table with a column `prompt` becomes one with a column `completion`, row by row."""
        import pandas as pd

        asked = {**DEFAULTS, **(params or {})}
        texts = [
            complete(
                self._model,
                self._tokenizer,
                str(prompt),
                int(asked["max_new_tokens"]),
                float(asked["temperature"]),
                int(asked["seed"]),
            )
            for prompt in model_input[PROMPT]
        ]
        return pd.DataFrame({COMPLETION: texts})


def _load_pyfunc(data_path: str) -> Completion:
    """MLflow's entry point of a `loader_module`."""
    return Completion(data_path)
