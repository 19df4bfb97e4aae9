"""A limit over all traders is divided among them: the parts are never more than the whole."""

import pytest

from dolphin_realtime.config.trader_parameters import check_shares, load_parameters
from dolphin_realtime.model.errors import SettingsError

TEN = [f"T{n}" for n in range(10)]


def share(instance, **env):
    return load_parameters(instance, env).limits.share_of_all


def test_traders_have_equal_parts_unless_they_are_set():
    assert share("BLUE") == share("", DOLPHIN_INSTANCES="") == 1.0
    assert share("T3", DOLPHIN_INSTANCES=",".join(TEN)) == pytest.approx(0.1)
    own = {"DOLPHIN_INSTANCES": "BLUE,GREEN", "DOLPHIN_GREEN__LIMIT_SHARE_OF_ALL": "0.2"}
    assert (share("BLUE", **own), share("GREEN", **own)) == (0.5, 0.2)
    assert share("GREEN", **own, DOLPHIN_LIMIT_SHARE_OF_ALL="0.4") == 0.2
    assert share("BLUE", **own, DOLPHIN_LIMIT_SHARE_OF_ALL="0.4") == 0.4


def test_parts_that_are_more_than_the_whole_are_refused_by_name():
    names = {"DOLPHIN_INSTANCES": ",".join(TEN)}
    check_shares(TEN, names)
    check_shares(TEN, {**names, "DOLPHIN_T1__LIMIT_SHARE_OF_ALL": "0.05"})
    with pytest.raises(SettingsError, match=r"T1 0\.2.*more than 1 together"):
        check_shares(TEN, {**names, "DOLPHIN_T1__LIMIT_SHARE_OF_ALL": "0.2"})
    with pytest.raises(SettingsError):
        load_parameters("BLUE", {"DOLPHIN_LIMIT_SHARE_OF_ALL": "1.5"})
