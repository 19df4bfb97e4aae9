"""The service table follows the settings."""

import pytest
import yaml

from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.ops.runner import services


def table(**settings):
    return services.table(Settings(**settings), is_demo=False, with_dagster=True)


def names(**settings):
    return [s.name for s in table(**settings)]


def test_a_second_ui_and_the_alerter_are_there_when_they_are_wanted():
    assert not {"alerter", "dagster-viewer"} & set(names())
    assert {"alerter", "dagster-viewer"} <= set(names(viewer_port=3001, alerts_file="/x"))


def test_the_viewers_ui_is_read_only():
    (viewer,) = [s for s in table(viewer_port=3001) if s.port == 3001]
    assert "--read-only" in viewer.command


def test_postgres_takes_the_storages_place_and_nothing_elses():
    settings = Settings(postgres="postgresql://dolphin@127.0.0.1:5432/dagster")
    found = yaml.safe_load(services.render_instance(settings))
    own = yaml.safe_load((services.ROOT / "dagster.yaml").read_text())
    url = "postgresql+psycopg2://dolphin@127.0.0.1:5432/dagster"
    assert found.pop("storage") == {"postgres": {"postgres_url": url}}
    own.pop("storage")
    assert found == own
    env = services.environment(settings, {})
    assert env["DAGSTER_HOME"] == str(services.instance_folder(settings)) != str(services.ROOT)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://dolphin:secret@127.0.0.1/dagster", "holds a password"),
        ("mysql://dolphin@127.0.0.1/dagster", "not as in"),
        ("postgresql://dolphin@127.0.0.1", "not as in"),
    ],
)
def test_an_address_that_will_not_do_is_refused_without_its_secret(url, said):
    with pytest.raises(SettingsError, match=said) as e:
        services.render_instance(load({"DOLPHIN_POSTGRES": url}))
    assert "secret" not in str(e.value)
