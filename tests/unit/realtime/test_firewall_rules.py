"""The firewall's rules as text: which ports, which users, what without a socket meets."""

import re

import pytest

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.ops import firewall
from dolphin_realtime.ops.firewall import Users, ports, render

USERS = Users(services=frozenset({7, 8}), operators=frozenset({20}), door=frozenset({30}))
ONE = Settings(viewer_port=3001, instances="BLUE,GREEN")
THREE = Settings(grid_members="10.0.0.1:5701,10.0.0.2:5701,10.0.0.3:5702", grid_bind="10.0.0.1")


def rules(settings=ONE):
    return [line.strip() for line in render("t", settings, USERS).splitlines()]


def test_every_port_of_the_stack_is_guarded():
    inner, outer = ports(ONE)
    assert inner == {5701, 4266}
    assert {3000, 3001, 9400, 9401, 9402, 9404, 9410, 9411} == outer
    text = render("t", Settings(metrics_port=0), USERS)
    assert "{ 3000 }" in text
    assert "94" not in text


def test_the_grid_is_for_services_and_operators_the_ui_also_for_the_door():
    to_grid = [r for r in rules() if "dport { 4266, 5701 }" in r]
    assert all("{ 0, 7, 8, 20 }" in r for r in to_grid if "skuid" in r)
    to_ui = [r for r in rules() if "dport { 3000" in r]
    assert all("{ 0, 7, 8, 20, 30 }" in r for r in to_ui if "skuid" in r)
    answers = [r for r in rules() if "sport" in r and "skuid" in r]
    assert all("{ 0, 7, 8 }" in r for r in answers)


@pytest.mark.parametrize("settings", [ONE, THREE])
def test_after_who_is_let_in_whatever_opens_a_connection_is_refused(settings):
    """A packet without a socket matches no rule about users: the one after them must meet it."""
    found = [r for r in rules(settings) if r.startswith(("oif", "ip daddr"))]
    groups = [found[n : n + 3] for n in range(0, len(found), 3)]
    for accept, refuse, other in groups:
        assert accept.endswith("accept")
        assert "syn" in accept
        assert re.fullmatch(r".*syn (counter reject with tcp reset|counter drop)", refuse), refuse
        assert "skuid !=" in other
        assert (
            len({r.split(" tcp flags")[0].split(" meta skuid")[0] for r in (accept, refuse, other)})
            == 1
        )


def test_members_on_other_hosts_are_reached_by_the_same_users_and_reach_this_one_alone():
    text = render("t", THREE, USERS)
    assert "ip daddr { 10.0.0.1, 10.0.0.2, 10.0.0.3 } tcp dport { 5701, 5702 }" in text
    assert (
        'iif != "lo" tcp dport 5701 ip saddr != { 10.0.0.1, 10.0.0.2, 10.0.0.3 } counter drop'
        in text
    )
    assert "chain input" not in render("t", ONE, USERS)


def test_a_note_of_other_ports_is_none_of_this_stack(tmp_path, monkeypatch):
    monkeypatch.setattr(firewall, "MARKS", tmp_path)
    monkeypatch.setattr(firewall, "_is_there", lambda table: table == "mine")
    assert not firewall.holds(ONE)
    (tmp_path / "mine").write_text("[1, 2, 3]")
    assert not firewall.holds(ONE)
    (tmp_path / "mine").write_text(str(firewall._guarded(ONE)))
    assert firewall.holds(ONE)
    (tmp_path / "mine").rename(tmp_path / "flushed")
    assert not firewall.holds(ONE)
