"""The file of settings: what it sets, what wins, and fifty wrong files, each refused by name."""

import os
import subprocess
import sys
import tomllib

import msgspec
import pytest

from dolphin_realtime.cli.settings_check import allowed, check_file
from dolphin_realtime.cli.settings_table import GROUPS, example, meanings, settings_of
from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings_file import (
    FILE,
    NAMED_BY,
    TABLES,
    apply_settings,
    read_settings,
    settings_path,
)
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.model.errors import SettingsError

GOOD = """
[stack]
instances = ["BLUE", "GREEN"]
ui_port = 3100
rehearsal = true
mhs_recovery = "dry-run"
[signal]
s_in = 1.5
[limit]
allow = ["BTCUSDT", "ETHUSDT"]
[source]
off = "all"
[safety_limit]
rejects_of_10 = 4
[instance.GREEN.signal]
s_in = 1.75
[instance.GREEN.limit]
share_of_all = 0.25
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "dolphin.toml"

    def write(text):
        path.write_text(text)
        return path

    return write


def test_every_table_becomes_the_variables_of_its_group(file):
    path, env = file(GOOD), {}
    assert check_file(path) == []
    env = {NAMED_BY: str(path)}
    assert apply_settings(env) == path
    settings = load(env)
    assert settings.instance_names == ["BLUE", "GREEN"]
    assert (settings.ui_port, settings.rehearsal, settings.mhs_recovery) == (3100, "on", "dry-run")
    blue, green = (load_parameters(name, env) for name in settings.instance_names)
    assert (blue.signal.s_in, green.signal.s_in) == (1.5, 1.75)
    assert (blue.limits.share_of_all, green.limits.share_of_all) == (0.5, 0.25)
    assert blue.limits.allowed == {"BTCUSDT", "ETHUSDT"}


def test_the_environment_wins_and_the_source_of_each_value_is_told(file):
    path = file(GOOD)
    env = {NAMED_BY: str(path), "DOLPHIN_UI_PORT": "3200"}
    found = {one.variable: one for one in settings_of(env, read_settings(path), str(path))}
    assert found["DOLPHIN_UI_PORT"][3:6] == ("3200", "3000", "environment")
    assert found["DOLPHIN_SIGNAL_S_IN"][3:6] == ("1.5", "1.25", str(path))
    assert found["DOLPHIN_CODE_PORT"][3:6] == ("4266", "4266", "default")
    of_green = found["DOLPHIN_GREEN__SIGNAL_S_IN"]
    assert (of_green.table, of_green.value, of_green.default) == (
        "instance.GREEN.signal",
        "1.75",
        "1.5",
    )
    apply_settings(env)
    assert load(env).ui_port == 3200


def test_the_file_is_the_one_that_is_named_or_that_of_the_folder(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings_path({}) is None
    path = file(GOOD)
    assert settings_path({}) == tmp_path / FILE
    elsewhere = path.rename(tmp_path / "other.toml")
    assert settings_path({NAMED_BY: str(elsewhere)}) == elsewhere
    with pytest.raises(SettingsError, match=r"DOLPHIN_SETTINGS: .*dolphin\.toml is no file"):
        settings_path({NAMED_BY: str(path)})


def test_every_setting_is_described_and_in_the_example(file):
    text = example()
    commented = tomllib.loads(text)
    assert list(commented) == list(TABLES) == list(GROUPS)
    for table, kind in GROUPS.items():
        assert set(meanings(kind)) == set(kind.__struct_fields__), table
        section = text.partition(f"\n[{table}]\n")[2].partition("\n[")[0]
        for name in kind.__struct_fields__:
            assert f"\n# {name} = " in section, name
    whole = "\n".join(
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line
        for line in text.splitlines()
        if not line.startswith("# [")
    )
    given = read_settings(file(whole.partition("# One trader's own")[0]))
    assert load(given) == load({})
    assert check_file(file(text)) == []


WRONG = (
    ("s_in = 1", "s_in = 1", "outside of a table"),
    ("[signl]\ns_in = 1", "[signl]", "did you mean [signal]"),
    ("[nothing]\nx = 1", "[nothing]", "known tables: stack"),
    ("[stack\n", "dolphin.toml", "Expected ']'"),
    ("[signal]\ns_in = ", "dolphin.toml", "Invalid value"),
    ("[signal]\ns_in = 1\ns_in = 2", "dolphin.toml", "Cannot overwrite"),
    ("[signal]\ns_in = {a = 1}", "[signal] s_in = {'a': 1}", "a text, a number or a list"),
    ("[signal]\ns_in = 2025-01-01", "[signal] s_in = datetime", "a text, a number or a list"),
    ("[signal]\ns_in = [[1]]", "[signal] s_in = [[1]]", "a text, a number or a list"),
    ("[signal]\ns_in = 'x'", "[signal] s_in = 'x'", "a number"),
    ("[signal]\ns_in = -1", "[signal] s_in = '-1'", "a number above 0"),
    ("[signal]\ns_inn = 1", "[signal] s_inn = '1'", "did you mean s_in"),
    ("[signal]\nn_min = 2.5", "[signal] n_min = '2.5'", "a whole number"),
    ("[target]\nband = 'wide'", "[target] band = 'wide'", "a number"),
    ("[target]\nzzz = 1", "[target] zzz = '1'", "known: "),
    ("[cost]\ntaker_fee_bps = 'free'", "[cost] taker_fee_bps = 'free'", "a number"),
    ("[limit]\nmax_gross_share = 0", "[limit] max_gross_share = '0'", "above 0 and at most 100"),
    ("[limit]\nmax_gross_share = 101", "[limit] max_gross_share = '101'", "at most 100"),
    ("[limit]\nmax_orders_per_minute = 0", "[limit] max_orders_per_minute = '0'", "a whole number at least 1"),
    ("[limit]\nmax_order_usd = 'much'", "[limit] max_order_usd = 'much'", "a number above 0"),
    ("[limit]\nshare_of_all = 1.5", "[limit] share_of_all = '1.5'", "above 0 and at most 1"),
    ("[limit]\nall_gross = 1", "[limit] all_gross = '1'", "did you mean all_gross_usd"),
    ("[paper]\nreject_share = 2", "[paper] reject_share = '2'", ""),
    ("[safety_limit]\nrejects_of_10 = 11", "[safety_limit] rejects_of_10 = '11'", "at least 1 and at most 10"),
    ("[safety_limit]\ndaily_loss_share = 0", "[safety_limit] daily_loss_share = '0'", "above 0"),
    ("[source]\ntimeout_s = 0", "[source] timeout_s = '0'", "a number above 0"),
    ("[source]\nbinanc = 'x'", "[source] binanc = 'x'", "did you mean binance"),
    ("[live]\nleverage = 126", "[live] leverage = '126'", "at least 0 and at most 125"),
    ("[live]\nsecret = 'abc'", "[live] secret = 'abc'", "there is no such setting"),
    ("[replay]\nspeed = 'fast'", "[replay] speed = 'fast'", "a number"),
    ("[replay]\nvenue_port = 70000", "[replay] venue_port = '70000'", "at most 65535"),
    ("[stack]\nui_port = 0", "[stack] ui_port = '0'", "at least 1 and at most 65535"),
    ("[stack]\nui_port = 99999", "[stack] ui_port = '99999'", "at most 65535"),
    ("[stack]\nui_port = true", "[stack] ui_port = 'on'", "a whole number"),
    ("[stack]\nmode = 'liv'", "[stack] mode = 'liv'", "one of live, paper"),
    ("[stack]\nmarket_clock = 'sun'", "[stack] market_clock = 'sun'", "one of replay, wall"),
    ("[stack]\nmhs_recovery = 'dry'", "[stack] mhs_recovery = 'dry'", "one of dry-run, off, on"),
    ("[stack]\nfirewall = 'yes'", "[stack] firewall = 'yes'", "one of off, on"),
    ("[stack]\nmanager = 'docker'", "[stack] manager = 'docker'", "one of auto, local, systemd"),
    ("[stack]\nrealtime_cpus = 'all'", "[stack] realtime_cpus = 'all'", "a text that fits"),
    ("[stack]\norderbook_stream_ms = 200", "[stack] orderbook_stream_ms = '200'", "one of 100, 250, 500"),
    ("[stack]\nwarm_up_days = -1", "[stack] warm_up_days = '-1'", "at least 0"),
    ("[stack]\nassets_max = 0", "[stack] assets_max = '0'", "at least 1"),
    ("[stack]\nwatchdog_s = 0", "[stack] watchdog_s = '0'", "a number above 0"),
    ("[stack]\nscan_idle_poll_s = 'often'", "[stack] scan_idle_poll_s = 'often'", "a number above 0"),
    ("[stack]\ninstances = 'BLUE,BL UE'", "INSTANCES is 'BLUE,BL UE'", "letters and digits"),
    ("[stack]\ninstances = 'BLUE,BLUE'", "INSTANCES is 'BLUE,BLUE'", "each once"),
    ("[stack]\nmhs_sources = 'scan,moon'", "'moon'", "there are "),
    ("[stack]\ngrid_members = 'here'", "'here'", "is not address:port"),
    ("[stack]\ngrid_members = ['10.0.0.1:1', '10.0.0.1:1']", "DOLPHIN_GRID_MEMBERS", "twice"),
    ("[stack]\npostgres = 'mysql://x'", "DOLPHIN_POSTGRES", "postgresql://user@"),
    ("[stack]\nmode = 'live'", "DOLPHIN_LIVE_INSTANCE is ''", "names the one of BLUE"),
    ("[instance]\nGREEN = 1", "instance.GREEN = 1", "outside of a table"),
    ("[instance.GREEN]\nsignal = 3", "instance.GREEN.signal = 3", "outside of a table"),
    ("[instance.GR-N.signal]\ns_in = 1", "[instance.GR-N]", "letters and digits"),
    ("[instance.GREEN.stack]\nui_port = 1", "[instance.GREEN.stack]", "known tables: signal"),
    ("[instance.GREEN.signal]\ns_in = 0", "[instance.GREEN.signal] s_in = '0'", "a number above 0"),
    ("[instance.RED.signal]\ns_in = 1", "DOLPHIN_RED__SIGNAL_S_IN", "DOLPHIN_INSTANCES has BLUE"),
    ("[stack]\ninstances = 'A,B'\n[instance.A.limit]\nshare_of_all = 0.9", "A 0.9, B 0.5", "more than 1 together"),
)  # fmt: skip


def test_there_are_fifty_and_more():
    assert len({text for text, *_ in WRONG}) >= 50


@pytest.mark.parametrize(("text", "named", "says"), WRONG)
def test_a_wrong_file_is_refused_by_field_value_and_what_is_allowed(file, text, named, says):
    found = check_file(file(text))
    assert len(found) == 1, found
    assert named in found[0]
    assert says in found[0]
    assert str(file(text)) in found[0]


def test_every_wrong_setting_of_a_file_is_told_at_once(file):
    wrong = check_file(file("[signal]\ns_in = 0\ns_out = 'x'\n[stack]\nui_port = 0\n"))
    assert len(wrong) == 3


def test_what_is_allowed_is_said_of_every_kind_of_setting():
    said = {allowed(f.type) for kind in GROUPS.values() for f in msgspec.structs.fields(kind)}
    assert {"a text", "a number", "a number above 0", "one of live, paper"} <= said


def command(tmp_path, *words, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    program = [sys.executable, "-m", "dolphin_realtime.cli", *words]
    return subprocess.run(
        program, cwd=tmp_path, env={**clean, **env}, capture_output=True, text=True, check=False
    )


def test_the_commands(file, tmp_path):
    file(GOOD)
    shown = command(tmp_path, "settings", "--changed", DOLPHIN_CODE_PORT="4300")
    assert shown.returncode == 0, shown.stderr
    for word in ("[instance.GREEN.signal]", "1.75", "environment", "4300", str(tmp_path / FILE)):
        assert word in shown.stdout
    assert command(tmp_path, "settings", "check", FILE).returncode == 0
    file("[signal]\ns_in = 0\n")
    refused = command(tmp_path, "settings", "check", FILE)
    assert (refused.returncode, "s_in = '0'" in refused.stderr) == (1, True)
    file("[signal\n")
    stopped = command(tmp_path, "journal", "check")
    assert (stopped.returncode, FILE in stopped.stderr) == (2, True)
