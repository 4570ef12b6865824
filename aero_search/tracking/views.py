"""How MLflow's own pages show a study: which columns, which order, which charts.

The run table reads its columns from the browser or, where a link names one, from a view that is stored as a tag of
the experiment: what its button "Share" makes. We store three a study, so that a link opens a table worth reading:

    #/experiments/ID/runs?viewStateShareKey=STUDY           every candidate, best perplexity first
    #/experiments/ID/runs?viewStateShareKey=STUDY.front     the front, cheapest first
    ...?viewStateShareKey=STUDY.charts&compareRunsMode=CHART    scatter, parallel coordinates and curves

The charts are of whole trainings alone: one that runs, was interrupted or was stopped has the perplexity of its
last validation, which beside the others would look like a worse network.

Names and values are those of MLflow 3.17's page (`ExperimentPageUIState`, `RunsChartsCardConfig`); a page that does
not know them shows its own defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

SHARED = "mlflow.sharedViewState."
# Opens on runs and charts, not on the pages for language-model applications.
KIND = {"mlflow.experimentKind": "custom_model_development"}
PRIMARY = ("mlflow.experiment.primaryMetric.name", "mlflow.experiment.primaryMetric.greaterIsBetter")
FRONT, CHARTS = ".front", ".charts"
VERDICT_TAG, STUDY_TAG = "aero.verdict", "study"
# MLflow's word for a run that ended by itself; these do so before their last step.
_FINISHED, _PARTIAL = "attributes.status = 'FINISHED'", ("stopped", "plateau", "diverged")
_CURVES = ("perplexity", "validation_loss", "train_loss")


def view_tags(
    study: str, metrics: Sequence[str], params: Sequence[str], always: Sequence[str], maximized: bool = False
) -> dict[str, str]:
    """The experiment's tags that make MLflow's pages show a study.

    Args:
        metrics: the objective's, quality first, the first cost the chart's.
        maximized: whether the quality is better higher.
        params: what varies, the first ones first.
        always: those that every candidate has; MLflow draws no line of a run that lacks one.
    """
    of_study = f"tags.`aero.kind` = 'candidate' and tags.`{STUDY_TAG}` = '{study}'"
    quality, *costs = metrics
    ascending = not maximized
    every = _view(of_study, quality, metrics, params, always, ascending)
    front = _view(f"{of_study} and tags.`{VERDICT_TAG}` = 'front'", costs[0], metrics, params, always, True)
    whole = " and ".join([_FINISHED, *(f"tags.`{VERDICT_TAG}` != '{verdict}'" for verdict in _PARTIAL)])
    charts = _view(f"{of_study} and {whole}", quality, metrics, params, always, ascending)
    return {
        **KIND,
        PRIMARY[0]: quality,
        PRIMARY[1]: str(not ascending).lower(),
        f"{SHARED}{study}": json.dumps(every, separators=(",", ":")),
        f"{SHARED}{study}{FRONT}": json.dumps(front, separators=(",", ":")),
        f"{SHARED}{study}{CHARTS}": json.dumps(charts, separators=(",", ":")),
    }


def studies_of(tags: Mapping[str, str]) -> list[str]:
    """The studies that have views among an experiment's tags."""
    names = (name.removeprefix(SHARED) for name in tags if name.startswith(SHARED))
    return sorted(name.removesuffix(FRONT) for name in names if name.endswith(FRONT))


def links(base: str, experiment_id: str, study: str) -> dict[str, str]:
    """What to open for a study, by what it shows."""
    at = f"{base}/#/experiments/{experiment_id}/runs?viewStateShareKey={quote(study, safe='')}"
    return {"candidates": at, "front": f"{at}{FRONT}", "charts": f"{at}{CHARTS}&compareRunsMode=CHART"}


def _view(
    where: str, by: str, metrics: Sequence[str], params: Sequence[str], always: Sequence[str], ascending: bool
) -> dict[str, Any]:
    numbers = [f"metrics.`{metric}`" for metric in metrics]
    columns = [f"tags.`{VERDICT_TAG}`", *numbers, *(f"params.`{param}`" for param in params)]
    widths = {_NAME: 330, **dict.fromkeys(numbers, 120), columns[0]: 110}
    return {
        "searchFilter": where,
        "orderByKey": f"metrics.`{by}`",
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
        "columnOrder": [_NAME, *columns],
        "columnWidths": widths,
        # MLflow would draw the first 20 alone: the best perplexities, without the cheap end of the front.
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": _charts(metrics, always),
        # Otherwise sections are put in order of their names.
        "isAccordionReordered": True,
        "compareRunSections": [
            {"uuid": name, "name": name, "display": shown, "columns": _COLUMNS.get(name, 3), **_SECTION}
            for name, shown in _SECTIONS.items()
        ],
    }


# More do not fit the card that the chart begins in.
_AXES = 4
_NAME = "attributes.`Run Name`"
_SECTION = {"isReordered": True, "deleted": False, "isGenerated": False}
# Charts beside each other: names of axes lie over each other in a third of the page.
_COLUMNS = {"Front": 2, "What varies": 1}
# Ours, open; then those that MLflow makes of names with a slash, closed.
_SECTIONS = {
    "Front": True,
    "What varies": True,
    "Curves": True,
    "Model metrics": False,
    "entropy": False,
    "entropy_by_head": False,
    "health": False,
    "seconds_by_part": False,
    "bytes_by_part": False,
    "System metrics": False,
}


def _charts(metrics: Sequence[str], params: Sequence[str]) -> list[dict[str, Any]]:
    def chart(uuid: str, kind: str, section: str, **fields: Any) -> dict[str, Any]:
        shared = {
            "uuid": uuid,
            "type": kind,
            "metricSectionId": section,
            "deleted": False,
            "isGenerated": False,
        }
        return {**shared, "runsCountToCompare": 100, **fields}

    def axis(metric: str) -> dict[str, str]:
        return {"key": metric, "type": "METRIC"}

    return [
        *(
            chart(f"scatter-{cost}", "SCATTER", "Front", xaxis=axis(cost), yaxis=axis(metrics[0]))
            for cost in metrics[1:]
        ),
        chart(
            "parallel",
            "PARALLEL",
            "What varies",
            selectedParams=list(params[:_AXES]),
            selectedMetrics=[*metrics[1:], metrics[0]],
            showAllRuns=False,
        ),
        *(
            chart(f"curve-{metric}", "LINE", "Curves", metricKey=metric, selectedMetricKeys=[metric], **_LINE)
            for metric in dict.fromkeys((metrics[0], *_CURVES))
        ),
    ]


_LINE = {
    "lineSmoothness": 0,
    "scaleType": "log",
    "xAxisScaleType": "linear",
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "range": {},
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}
