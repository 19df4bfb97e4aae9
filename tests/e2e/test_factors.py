"""What an operator sees of each external factor: its plots, its checks, its schedule's toggle."""

import re

import pytest
from playwright.sync_api import expect

from dolphin_dagster.factors.registry import external
from tests.e2e.pages import schedule_state, toggle, wait_for_all

CHECKS = ("is_fresh", "is_in_range", "source_answers", "agrees_with_history")
NAMES = sorted(external())


def test_the_indicators_group_is_green(page):
    page.goto("/locations/__repository__@dolphin/asset-groups/indicators/lineage")
    expect(page.get_by_text("external_factors", exact=True).first).to_be_visible()
    expect(page.get_by_text("4 / 4 Passed").first).to_be_visible()
    assert page.get_by_text(re.compile(r"Failed|Not evaluated|Never materialized")).count() == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_indicator_has_its_plot_and_its_checks(page, name):
    page.goto(f"/assets/{name}")
    page.get_by_text("Plots", exact=True).first.click()
    quantity = external()[name].names[0]
    expect(page.get_by_text(re.compile(quantity)).first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    wait_for_all(page, [name], CHECKS[0], "Succeeded", 90)
    for check in CHECKS:
        expect(page.get_by_text(check, exact=True).first).to_be_visible()
    assert page.get_by_text("docs/runbook.md#factor-").count() > 0


def test_each_schedule_can_be_toggled(page, stack):
    for wanted in ("STOPPED", "RUNNING"):
        page.goto("/automation")
        for name in NAMES:
            toggle(
                page, f"{name}_schedule", wanted,
                lambda s=f"{name}_schedule": schedule_state(stack, s)["status"],
            )  # fmt: skip
