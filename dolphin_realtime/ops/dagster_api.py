"""A client of a running Dagster webserver over GraphQL: launch assets, read asset checks.

It uses HTTP only and does not import Dagster.
"""

import json
import time
import urllib.error
import urllib.request
from typing import Any, Final

from dolphin_realtime.model.errors import ServiceError

TIMEOUT_S: Final = 20.0
LOCATION_TIMEOUT_S: Final = 60.0
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The webserver is on loopback, so it is never requested through a proxy."""
REPOSITORY: Final = "__repository__"
RUN_KEY_TAG: Final = "dolphin/run_key"

_LAUNCH: Final = """
mutation($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_LOCATION: Final = """
{ workspaceOrError { __typename ... on Workspace { locationEntries { name loadStatus
  locationOrLoadError { __typename ... on PythonError { message } } } }
  ... on PythonError { message } } }"""
_OPEN: Final = {"statuses": ["QUEUED", "NOT_STARTED", "STARTING", "STARTED"]}
_RUNS: Final = """
query($f: RunsFilter!) { runsOrError(filter: $f, limit: 1) {
  __typename ... on Runs { results { runId } } ... on PythonError { message } } }"""
_CHECKS: Final = """
{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { timestamp } assetChecksOrError { ... on AssetChecks { checks {
  name executionForLatestMaterialization { status evaluation { severity } }
  partitionStatuses { __typename ... on AssetCheckTimePartitionStatuses { ranges { status } }
    ... on AssetCheckMultiPartitionStatuses { ranges { secondaryDim {
      ... on AssetCheckDefaultPartitionStatuses { succeededPartitions failedPartitions } } } } }
} } } } }"""


def query(
    port: int, text: str, variables: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """Return the data of a GraphQL request.

    Raises:
        ServiceError: If the webserver does not answer, or answers with errors.
    """
    body = json.dumps({"query": text, "variables": variables or {}}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    try:
        with _OPENER.open(request, timeout=timeout_s) as response:
            answer = json.load(response)
    except (OSError, urllib.error.URLError, ValueError) as e:
        raise ServiceError(f"the Dagster webserver on port {port} did not answer: {e}") from e
    if answer.get("errors"):
        raise ServiceError(f"Dagster refused: {answer['errors'][0].get('message')}")
    data: dict[str, Any] = answer["data"]
    return data


def code_trouble(port: int, timeout_s: float) -> str | None:
    """Return why the webserver cannot load Dolphin's definitions, None if it can.

    Raises:
        ServiceError: If the webserver does not answer, or is still loading them.
    """
    found = query(port, _LOCATION, timeout_s=timeout_s)["workspaceOrError"]
    entries = found.get("locationEntries") or []
    if any(entry["loadStatus"] == "LOADING" for entry in entries):
        raise ServiceError("the Dagster webserver is still loading the definitions")
    for entry in entries:
        place = entry["locationOrLoadError"] or {}
        if place.get("__typename") == "PythonError":
            return str(place["message"]).strip().splitlines()[0][:200]
    return None if entries else str(found.get("message") or "it has no code location")


def launch_job(port: int, job: str, run_key: str = "") -> str:
    """Launch a run of a job and return the run's id.

    If a run with the same run key was launched before, that run is returned instead.

    Raises:
        ServiceError: If the run could not be launched.
    """
    if not run_key:
        return _launch(port, {"pipelineName": job}, [], job)
    tag = {"key": RUN_KEY_TAG, "value": run_key}
    run = _newest_run(port, {"tags": [tag]})
    return run or _launch(port, {"pipelineName": job}, [tag], job)


def has_open_runs(port: int) -> bool:
    """Return whether any run is queued or running.

    Raises:
        ServiceError: If the webserver does not answer.
    """
    return _newest_run(port, _OPEN) is not None


def _newest_run(port: int, runs_filter: dict[str, Any]) -> str | None:
    found = query(port, _RUNS, {"f": runs_filter})["runsOrError"]
    runs = found.get("results")
    if runs is None:
        raise ServiceError(f"Dagster did not list its runs of {runs_filter}: {found}")
    return str(runs[0]["runId"]) if runs else None


def materialize(port: int, asset_path: list[str], partition: str | None = None) -> str:
    """Launch a run that materializes one asset and return the run's id.

    Raises:
        ServiceError: If the run could not be launched.
    """
    tags = [{"key": "dagster/partition", "value": partition}] if partition else []
    selector = {"pipelineName": "__ASSET_JOB", "assetSelection": [{"path": asset_path}]}
    return _launch(port, selector, tags, "/".join(asset_path))


def _launch(port: int, selector: dict[str, Any], tags: list[dict[str, str]], what: str) -> str:
    parameters = {
        "mode": "default",
        "executionMetadata": {"tags": tags},
        "selector": {
            "repositoryLocationName": "dolphin",
            "repositoryName": REPOSITORY,
            **selector,
        },
    }
    deadline = time.monotonic() + LOCATION_TIMEOUT_S
    while True:
        result = query(port, _LAUNCH, {"p": parameters})["launchPipelineExecution"]
        if result["__typename"] == "LaunchRunSuccess":
            return str(result["run"]["runId"])
        if time.monotonic() > deadline:
            raise ServiceError(f"{what} was not launched: {result}")
        time.sleep(1.0)


def _state_of_days(statuses: dict[str, Any] | None) -> str | None:
    """Return the state of a check with a result for each partition: FAILED if any failed.

    None if it has no partitions, or no result yet.
    """
    ranges = (statuses or {}).get("ranges", [])
    dims = [one["secondaryDim"] for one in ranges if "secondaryDim" in one]
    words = [one["status"] for one in ranges if "status" in one]
    words += ["FAILED" for dim in dims if dim["failedPartitions"]]
    words += ["SUCCEEDED" for dim in dims if dim["succeededPartitions"]]
    return next((word for word in ("FAILED", "SUCCEEDED") if word in words), None)


def check_states(port: int) -> dict[str, str]:
    """Return the state of every asset check: SUCCEEDED, FAILED, …, or NOT_EVALUATED.

    An asset that was never materialized owes no result: only its checks that were evaluated
    anyway are returned.

    Raises:
        ServiceError: If the webserver does not answer.
    """
    states = {}
    for node in query(port, _CHECKS)["assetNodes"]:
        for check in (node["assetChecksOrError"] or {}).get("checks", []):
            run = check["executionForLatestMaterialization"]
            name = f"{'/'.join(node['assetKey']['path'])}:{check['name']}"
            of_days = _state_of_days(check["partitionStatuses"])
            if of_days or run or node["assetMaterializations"]:
                states[name] = of_days or (run["status"] if run else "NOT_EVALUATED")
    return states


def red_checks(port: int) -> list[str]:
    """Return the checks that failed or lack a result that they should have, with their state."""
    try:
        return red_of(check_states(port))
    except ServiceError as e:
        return [str(e)]


def red_of(states: dict[str, str]) -> list[str]:
    """Return the checks that are red, with their state."""
    fine = ("SUCCEEDED", "IN_PROGRESS")
    return [f"{name} {state}" for name, state in states.items() if state not in fine]
