"""The views that MLflow's pages are given: valid, found again, and the user's own settings kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from aero_search.tracking.tracker import Tracker
from aero_search.tracking.views import SHARED, links, studies_of, view_tags

METRICS = ("perplexity", "flops")


def test_views_name_columns_order_and_charts() -> None:
    tags = view_tags("a.b", ["perplexity", "latency_s", "flops"], ["norm", "ffn.layers"], ["norm"])
    every, front = (json.loads(tags[f"{SHARED}a.b{end}"]) for end in ("", ".front"))
    assert (every["orderByKey"], every["orderByAsc"]) == ("metrics.`perplexity`", True)
    assert front["orderByKey"] == "metrics.`latency_s`"
    assert "`aero.verdict` = 'front'" in front["searchFilter"]
    assert every["runsHiddenMode"] == "SHOWALL"
    assert every["selectedColumns"][:2] == ["tags.`aero.verdict`", "metrics.`perplexity`"]
    assert every["selectedColumns"][-2:] == ["params.`norm`", "params.`ffn.layers`"]
    kinds = [chart["type"] for chart in every["compareRunCharts"]]
    assert kinds[:3] == ["SCATTER", "SCATTER", "PARALLEL"]
    assert every["compareRunCharts"][2]["selectedParams"] == ["norm"]
    sections = {section["uuid"] for section in every["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in every["compareRunCharts"]} <= sections
    assert tags["mlflow.experiment.primaryMetric.greaterIsBetter"] == "false"
    better_higher = view_tags("a.b", ["accuracy", "flops"], [], [], maximized=True)
    assert better_higher["mlflow.experiment.primaryMetric.greaterIsBetter"] == "true"
    assert json.loads(better_higher[f"{SHARED}a.b"])["orderByAsc"] is False
    # MLflow's limit on a tag of an experiment.
    assert max(map(len, tags.values())) < 20_000


def test_links_and_names_are_found_from_the_tags() -> None:
    tags = view_tags("x+y", METRICS, [], []) | view_tags("b", METRICS, [], []) | {"mine": "1"}
    assert studies_of(tags) == ["b", "x+y"]
    assert (
        links("http://h", "3", "x+y")["front"]
        == "http://h/#/experiments/3/runs?viewStateShareKey=x%2By.front"
    )


def test_views_are_stored_and_what_a_user_has_set_stays(tracker: Tracker, client: Any) -> None:
    experiment = client.get_experiment_by_name("tests").experiment_id
    client.set_experiment_tag(experiment, "mlflow.experimentKind", "genai_development")
    for cost in ("flops", "latency_s"):
        tracker.present("views", ["perplexity", cost], [], [])
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.experimentKind"] == "genai_development"
    assert tags["mlflow.experiment.primaryMetric.name"] == "perplexity"
    # Ours follow the study.
    assert json.loads(tags[f"{SHARED}views"])["compareRunCharts"][0]["xaxis"]["key"] == "latency_s"


def test_a_verdict_replaces_the_one_before(tracker: Tracker, client: Any, result: Any) -> None:
    run = tracker.start_candidate(None, "SM", {}, {})
    run.finish(result)
    for verdict, colour in (("front", "#0072B2"), ("dominated", "#8A8F94")):
        tracker.judge(run.run_id, verdict, colour)
    tags = client.get_run(run.run_id).data.tags
    assert (tags["aero.verdict"], tags["mlflow.runColor"]) == ("dominated", "#8A8F94")


def test_the_charts_are_of_whole_trainings(tracker: Tracker, client: Any, result: Any) -> None:
    """An interrupted seed once stood in the chart of the front with the perplexity of its last validation."""
    tracker.present("whole", METRICS, [], [])
    tags = {"study": "whole"}
    curve = result.curve[0]
    for verdict in ("finished", "stopped", "plateau", "diverged"):
        tracker.start_candidate(None, verdict, {}, {}, tags).finish(replace(result, verdict=verdict))
    running, interrupted = (tracker.start_candidate(None, name, {}, {}, tags) for name in ("on", "off"))
    for run in (running, interrupted):
        run.validated(curve, [list(layer) for layer in curve.entropy])
    interrupted.abandon()
    experiment = client.get_experiment_by_name("tests")
    views = experiment.tags
    shown = {
        end: {
            run.info.run_name
            for run in client.search_runs(
                [experiment.experiment_id], json.loads(views[f"{SHARED}whole{end}"])["searchFilter"]
            )
        }
        for end in ("", ".charts")
    }
    assert shown[".charts"] == {"finished"}
    assert shown[""] == {"finished", "stopped", "plateau", "diverged", "on", "off"}
