"""`register=true`: a bundle in MLflow's model registry, loaded by our own code from plain data."""

from __future__ import annotations

import warnings
from importlib import metadata
from pathlib import Path

from aero_search.errors import AeroSearchError
from aero_search.export.choice import Choice
from aero_search.export.layout import TOKENIZER_FILE
from aero_search.export.serving import COMPLETION, DEFAULTS, PROMPT
from aero_search.passwords import masked
from aero_search.version import __version__

_NEEDED = ("torch", "tokenizers", "safetensors")


def register_bundle(bundle: Path, name: str, uri: str, experiment: str, choice: Choice) -> str:
    """Log the bundle as a pyfunc model of the store's experiment and register it.

    Nothing is pickled: the model is `aero_search.export.serving` by name, and the bundle as its data.

    Args:
        uri: of the tracking store, which holds the registry too.
        name: of the registered model; a name that exists gets a further version.

    Returns:
        The model's address, `models:/NAME/VERSION`.

    Raises:
        AeroSearchError: the bundle has no tokenizer, or the store cannot be written.
    """
    if not (bundle / TOKENIZER_FILE).is_file():
        raise AeroSearchError(
            f"{bundle} has no tokenizer, so that it cannot serve text: nothing is registered"
        )
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    kinds = {int: "long", float: "double"}
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", PROMPT)]),
        outputs=Schema([ColSpec("string", COMPLETION)]),
        params=ParamSchema([ParamSpec(key, kinds[type(value)], value) for key, value in DEFAULTS.items()]),
    )
    record = choice.record
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        mlflow.set_experiment(experiment)
        with (
            warnings.catch_warnings(),
            mlflow.start_run(run_name=f"{record.notation} #{record.number} exported"),
        ):
            warnings.simplefilter("ignore")
            mlflow.set_tags({"aero.kind": "export", "study": choice.study, "trial": str(record.number)})
            info = mlflow.pyfunc.log_model(
                name="bundle",
                loader_module="aero_search.export.serving",
                data_path=str(bundle),
                signature=signature,
                pip_requirements=[
                    f"aero-search=={__version__}",
                    *(f"{package}=={metadata.version(package)}" for package in _NEEDED),
                ],
                registered_model_name=name,
                metadata={"notation": record.notation, "perplexity": record.perplexity, **record.costs},
            )
    except MlflowException as problem:
        said = masked(str(problem).splitlines()[0])
        raise AeroSearchError(f"the store {masked(uri)} did not take the model: {said}") from problem
    return f"models:/{name}/{info.registered_model_version}"
