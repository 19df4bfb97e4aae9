"""The realtime services as external assets, from NG6's files to the traders' journals.

Keys, descriptions and lineage belong here; what is checked belongs in rules.py.
"""

from typing import Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_realtime.config.services import (
    BRIDGE,
    HAZELCAST,
    META_HEALTH,
    ORDERBOOK,
    SAFETY,
    SCANNER,
    TRADER,
    shown,
    trader_of,
)
from dolphin_realtime.config.settings import Settings

GROUP: Final = "realtime"
SCAN_FILES: Final = "scan_files"
SCAN_FEED: Final = "scan_feed"
LIVENESS_POLICY: Final = dg.FreshnessPolicy.time_window(
    fail_window=3 * checks.REFRESH, warn_window=1.5 * checks.REFRESH
)
"""The sensor materializes each asset every REFRESH; an asset turns stale if the sensor stops."""


def journal(instance: str) -> str:
    """Return the key of an instance's journal."""
    return f"journal_{instance}"


def _spec(name: str, description: str, kinds: set[str], deps: list[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=name,
        group_name=GROUP,
        description=f"{description} Runs outside Dagster; seen here through its checks.",
        kinds=kinds,
        owners=["team:dolphin"],
        deps=deps,
        freshness_policy=LIVENESS_POLICY,
    )


def book_services(settings: Settings) -> list[str]:
    """Return the key of the order-book service, if the stack has one."""
    return [ORDERBOOK] if settings.orderbook_ws else []


def _services(settings: Settings) -> dict[str, tuple[str, set[str], list[str]]]:
    """Return description, kinds and dependencies of the asset of each kind of service."""
    books = book_services(settings)
    return {
        HAZELCAST: ("The grid that carries every document between services.", {"java"}, []),
        BRIDGE: (
            "The scan bridge: scan files into the grid within milliseconds.",
            {"python", "arrow"}, [SCAN_FILES, "hazelcast"],
        ),
        SCANNER: ("Scans of a venue's public mark prices, in place of NG6's: files in the scan folder.",
                  {"python", "binance"}, []),
        SAFETY: ("The posture of all traders: what they may do, and why.",
                 {"python"}, ["hazelcast"]),
        META_HEALTH: ("Five health sensors, one number: `DOLPHIN_META_HEALTH/latest`.",
                      {"python"}, ["hazelcast"]),
        ORDERBOOK: ("The order books of the venue: `DOLPHIN_FEATURES/ob_features_latest`.",
                    {"python", "binance"}, ["hazelcast"]),
        TRADER: (
            "Trader {}: `compute_signal` and Nautilus orders, " + settings.mode + ".",
            {"python", "nautilus"},
            [SCAN_FEED, "safety", "external_factors", "calendar_factors", *books],
        ),
    }  # fmt: skip


def make_assets(settings: Settings) -> list[dg.AssetSpec]:
    """Return the assets of the stack's services that the service table shows, and of their data."""
    found = []
    described = _services(settings)
    for name, key in shown(settings).items():
        kind, _, instance = name.partition("@")
        description, kinds, deps = described[kind]
        found.append(_spec(key, description.format(instance), kinds, deps))
    found.append(
        _spec(
            SCAN_FEED, "NG6's scans as they are in the grid: `DOLPHIN_FEATURES/latest_eigen_scan`.",
            {"hazelcast"}, ["bridge"],
        )
    )  # fmt: skip
    return [*found, *(_journal(instance, settings) for instance in settings.instance_names)]


def _journal(instance: str, settings: Settings) -> dg.AssetSpec:
    description = f"What trader {instance} did: orders, fills, cash and days in one SQLite file."
    return _spec(journal(instance), description, {"sqlite"}, [shown(settings)[trader_of(instance)]])
