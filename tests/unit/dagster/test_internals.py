"""What Dolphin needs of each private name of Dagster: an upgrade that moves one fails here first."""

import re
from pathlib import Path

import dagster as dg
import pytest

from dolphin_dagster.instance import dagster_internals as internals

ROOT = Path(__file__).parents[3]
NEEDED = {
    "AssetCheckExecutionRecord": ("key", "status", "run_id", "event", "create_timestamp", "partition"),
    "AssetCheckExecutionRecordStatus": ("PLANNED", "SUCCEEDED", "FAILED"),
    "AssetGraph": ("get", "get_all_asset_keys", "asset_check_keys", "get_check_spec"),
    "CapturedLogContext": ("__new__",),
    "CheckRunHealthResult": ("status", "msg"),
    "ComputeIOType": ("STDOUT", "STDERR"),
    "ConfigurableClassData": ("rehydrate",),
    "DefaultRunLauncher": ("supports_check_run_worker_health", "check_run_worker_health", "from_config_value"),
    "FreshnessState": ("FAIL",),
    "InstigatorStatus": ("STOPPED", "RUNNING"),
    "InstigatorType": ("SCHEDULE",),
    "LocalComputeLogManager": ("capture_logs", "get_captured_local_path", "complete_artifact_path", "from_config_value"),
    "PartitionKeyFilter": ("key",),
    "SqlEventLogStorage": ("index_connection",),
    "SqliteEventLogStorage": ("index_connection", "run_connection", "path_for_shard"),
    "TickStatus": ("SUCCESS", "SKIPPED", "FAILURE"),
    "WorkerStatus": ("RUNNING", "FAILED"),
}  # fmt: skip
COLUMNS = {
    "AssetCheckExecutionsTable": {"id", "run_id", "asset_key", "check_name", "create_timestamp", "evaluation_event_storage_id"},
    "SqlEventLogStorageTable": {"id", "run_id", "asset_key", "partition", "dagster_event_type", "timestamp"},
}  # fmt: skip
CALLED = {"ensure_file", "redirect_to_file", "touch_file"}


@pytest.mark.parametrize("name", NEEDED)
def test_a_class_has_what_is_used_of_it(name):
    found = getattr(internals, name)
    known = {*dir(found), *getattr(found, "__annotations__", {})}
    assert set(NEEDED[name]) <= known


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_has_the_columns_that_are_pruned_by(name):
    assert COLUMNS[name] <= set(getattr(internals, name).c.keys())


def test_files_are_made_and_written_to(tmp_path):
    path = str(tmp_path / "folder" / "out")
    internals.ensure_file(path)
    with Path(path).with_suffix(".2").open("w") as stream, internals.redirect_to_file(stream, path):
        pass
    internals.touch_file(path)
    assert Path(path).is_file()
    assert set(internals.IO_TYPE_EXTENSION) == {internals.ComputeIOType.STDOUT, internals.ComputeIOType.STDERR}  # fmt: skip


def test_every_name_is_needed_for_something():
    assert {*NEEDED, *COLUMNS, *CALLED, "IO_TYPE_EXTENSION", "GRPC_INFO_TAG"} == set(
        internals.__all__
    )


def test_nothing_else_imports_what_is_private():
    own = ROOT / "dolphin_dagster/instance/dagster_internals.py"
    for path in (ROOT / "dolphin_dagster").rglob("*.py"):
        if path != own:
            assert not re.search(
                r"^\s*(from|import) dagster\w*\._", path.read_text(), re.MULTILINE
            ), path


def test_run_monitoring_asks_a_launcher_that_can_tell():
    assert not dg.DefaultRunLauncher().supports_check_run_worker_health
