"""The door's configuration: what it refuses to be."""

import pytest

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.ops.nginx import Front, render


def test_passwords_never_go_in_the_clear_over_a_network():
    with pytest.raises(SettingsError, match="without --certificate"):
        render(Settings(), Front(host="dolphin.example"))


@pytest.mark.parametrize("host", ["", "a b", "x; return 200", "x\n}"])
def test_a_host_that_is_none_is_refused(host, tmp_path):
    with pytest.raises(SettingsError, match="no host name"):
        render(Settings(), Front(host=host, certificate=tmp_path / "c.pem"))


def test_without_a_viewers_ui_only_operators_see_anything(tmp_path):
    front = Front(host="dolphin.example", certificate=tmp_path / "c.pem")
    assert "default nobody;" in render(Settings(), front)
    assert "default viewer;" in render(Settings(viewer_port=3001), front)
    assert '"https://dolphin.example" 0;' in render(Settings(), front)


def test_no_page_of_another_site_may_frame_the_ui(tmp_path):
    front = Front(host="dolphin.example", certificate=tmp_path / "c.pem")
    assert "add_header X-Frame-Options DENY always;" in render(Settings(), front)
