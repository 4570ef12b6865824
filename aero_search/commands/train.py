"""`aero-search train`: one candidate; a --multirun sweep goes to the sweeper and its workers instead."""

from __future__ import annotations

from aero_search.api.training import train_request, training_views
from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.training.result import Result


def run(request: Request) -> Result:
    """Train the request's candidate, log it, and say what came out."""
    views = training_views()
    console = views.make_console()
    done = train_request(request, lambda title, steps: views.TrainingView(title, steps, console))
    if done.reused:
        console.print(
            f"already trained with this recipe, seed and corpus; delete {done.folder} to train again"
        )
    target = request.target.text if request.target else ""
    views.print_result(done.result, done.costs, done.folder, console, target)
    return done.result


COMMAND = Command(
    "train",
    run,
    sweep="study",
    waits_for="loading PyTorch, Optuna and MLflow",
    settings=(
        "model",
        "variant",
        "norm",
        "activation",
        "ffn",
        "recipe.steps",
        "recipe.lr",
        "recipe.seed",
        "data",
        "data.path",
        "init.from",
        "distill.weight",
        "study.name",
        "output_dir",
    ),
    examples=(
        "train variant=ereg_sm_t_scfuffn",
        "train data=text_folder data.path=my_texts",
        "train --multirun norm=layernorm,none activation=gelu,relu",
    ),
)
