import re
import subprocess
import zipfile

import pytest
from click.testing import CliRunner

from dolphin_realtime.cli.app import dolphin
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops.upgrade.comparison import Change, Version, compare
from dolphin_realtime.ops.upgrade.versions import IN_CHECKOUT, installed, of_commit, of_wheel

HERE = Version(
    "0.1.0",
    "# Changes\n\n- An old entry\n  of two lines.\n",
    "| `DOLPHIN_A` | `1` | One. |\n| `DOLPHIN_B` | `2` | Two. |\n| `DOLPHIN_C` | empty | Three. |\n",
    "click==8.3.0 \\\n    --hash=sha256:0\nephem==4.2 \\\n",
)
THERE = Version(
    "0.2.0",
    "# Changes\n\n- New: faster.\n- Other storage. **After this upgrade**, where it is used:\n"
    "  `make setup WITH=postgres`.\n- An old entry\n  of two lines.\n",
    "| `DOLPHIN_A` | `7` | One. |\n| `DOLPHIN_C` | empty | Three. |\n| `DOLPHIN_D` | `4` | New. |\n",
    "click==8.4.0 ; sys_platform != 'win32' \\\nhttpx2==2.16 \\\n",
)


def test_an_upgrade_is_what_differs():
    found = compare(HERE, THERE, {"DOLPHIN_B", "DOLPHIN_C", "PATH"})
    assert (found.here, found.there) == ("0.1.0", "0.2.0")
    assert [entry.split()[0] for entry in found.news] == ["New:", "Other"]
    assert found.to_do == ["where it is used: `make setup WITH=postgres`."]
    assert found.gone == ["DOLPHIN_B"]
    assert found.defaults == [Change("DOLPHIN_A", "`1`", "`7`")]
    assert found.packages == [
        Change("click", "8.3.0", "8.4.0"),
        Change("ephem", "4.2", ""),
        Change("httpx2", "", "2.16"),
    ]


def test_a_default_that_is_set_here_is_no_news():
    assert compare(HERE, THERE, {"DOLPHIN_A"}).defaults == []


def test_the_same_version_changes_nothing():
    found = compare(installed(), installed(), {"DOLPHIN_MODE"})
    assert not any((found.news, found.to_do, found.gone, found.defaults, found.packages))


def test_what_is_installed_has_a_changelog_settings_and_packages():
    here = installed()
    assert len(compare(Version("", "", "", ""), here, ()).news) > 20
    assert "DOLPHIN_HOME" in here.settings
    assert "\nnautilus-trader==" in here.lock


def a_wheel(path, texts):
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in texts.items():
            wheel.writestr(name, text)
    return path


METADATA = "dolphin_trader-0.2.0.dist-info/METADATA"
CHANGES = "dolphin_realtime/ops/upgrade/CHANGELOG.md"
WHEEL = {
    METADATA: "Name: dolphin-trader\nVersion: 0.2.0\n\nDolphin\n",
    CHANGES: THERE.changes,
    "dolphin_realtime/ops/upgrade/settings.md": THERE.settings,
    "dolphin_realtime/ops/upgrade/requirements.lock": THERE.lock,
}


def test_a_wheel_is_read(tmp_path):
    assert of_wheel(a_wheel(tmp_path / "dolphin.whl", WHEEL)) == THERE


@pytest.mark.parametrize(
    "texts",
    [{}, {"other-1.dist-info/METADATA": "Version: 1\n"}, {**WHEEL, METADATA: "Name: other\nVersion: 1\n"},
     {**WHEEL, CHANGES: "x" * (9 << 20)}],
)  # fmt: skip
def test_a_wheel_of_something_else_is_refused_by_name(tmp_path, texts):
    path = a_wheel(tmp_path / "other.whl", texts)
    with pytest.raises(ServiceError, match=r"other\.whl is no wheel of Dolphin"):
        of_wheel(path)
    with pytest.raises(ServiceError, match="no wheel"):
        of_wheel(tmp_path / "missing.whl")


def git(folder, *words):
    name = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    subprocess.run(["git", "-C", folder, *name, *words], check=True, capture_output=True)


def commit(folder, version):
    for what, name in IN_CHECKOUT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(getattr(version, what))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", version.name)


def test_the_newest_of_the_branch_is_fetched_and_read(tmp_path):
    origin, checkout = tmp_path / "origin", tmp_path / "checkout"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    commit(origin, HERE)
    git(tmp_path, "clone", "-q", str(origin), str(checkout))
    commit(origin, THERE)
    found = of_commit(checkout, "")
    assert found.name.startswith("origin/main (")
    assert found.name.endswith(", 1 commits that are not here)")
    assert found.settings == THERE.settings.strip()
    assert compare(HERE, found, {"DOLPHIN_B"}).gone == ["DOLPHIN_B"]
    for name in ("v9.9", "--output=stolen", "-n", "two words"):
        with pytest.raises(ServiceError, match=re.escape(name)):
            of_commit(checkout, name)
    assert not list(checkout.glob("stolen*"))
    assert "a step back" in of_commit(origin, "HEAD~1").name


def test_the_command_shows_what_changes_and_exits_by_what_is_in_the_way(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dolphin_realtime.cli.upgrade.installed", lambda: HERE)
    monkeypatch.setattr("dolphin_realtime.cli.upgrade.of_commit", lambda *_: THERE)
    monkeypatch.setattr("dolphin_realtime.cli.upgrade._used", lambda: {"DOLPHIN_B"})
    done = CliRunner().invoke(dolphin, ["upgrade", "check"])
    assert done.exit_code == 1
    assert "in the way" in done.output
    assert "  DOLPHIN_B" in done.output
    assert "click  8.3.0 -> 8.4.0" in done.output
    monkeypatch.setattr("dolphin_realtime.cli.upgrade.IS_CHECKOUT", False)
    refused = CliRunner().invoke(dolphin, ["upgrade", "check"])
    assert refused.exit_code == 2
    assert "FILE.whl" in refused.output


def test_the_settings_in_use_are_those_of_the_file_and_the_environment(monkeypatch, tmp_path):
    from dolphin_realtime.cli.upgrade import _used

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOLPHIN_MODE", "paper")
    (tmp_path / "dolphin.toml").write_text("[instance.GREEN.signal]\ns_in = 1.4\n")
    assert {"DOLPHIN_MODE", "DOLPHIN_SIGNAL_S_IN"} <= _used()
