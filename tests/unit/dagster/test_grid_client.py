"""Dagster's way to a grid that accepts and never answers: bounded for everybody."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from dolphin_dagster import resources
from dolphin_dagster.resources import Grid
from dolphin_realtime.model.errors import GridError


def test_a_member_that_never_answers_holds_nobody_for_long(monkeypatch):
    monkeypatch.setattr(resources, "CONNECT_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(32)
        the_grid = Grid(cluster_name="dolphin", addresses=[f"127.0.0.1:{silent.getsockname()[1]}"])

        def ask(_):
            with pytest.raises(GridError, match="answer"):
                the_grid.get("m", "k")

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(ask, range(6)))
