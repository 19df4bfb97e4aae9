import pytest

from dolphin_realtime.infra.extras import need
from dolphin_realtime.model.errors import SettingsError


def test_an_extra_that_is_missing_says_how_it_is_installed():
    with pytest.raises(SettingsError) as refused:
        need("dolphin_no_such_module", "ray", "DOLPHIN_RAY_ADDRESS")
    assert "DOLPHIN_RAY_ADDRESS needs packages" in str(refused.value)
    assert "pip install 'dolphin-trader[ray]'" in str(refused.value)
    assert "make setup WITH=ray" in str(refused.value)


def test_an_extra_that_is_there_needs_no_word():
    need("json", "ray", "DOLPHIN_RAY_ADDRESS")
