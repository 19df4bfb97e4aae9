"""A demo stack as in production: its storage in PostgreSQL, a read-only UI, nginx before both."""

import pytest

from dolphin_realtime import dagster_api
from dolphin_realtime.bench.stack import Stack, free_port, wait_for
from tests.production.door import Door
from tests.production.postgres import Postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory, postgres):
    settings = {
        "postgres": postgres.url,
        "postgres_passfile": postgres.passfile,
        "viewer_port": free_port(),
    }
    with Stack(tmp_path_factory.mktemp("production") / "home", "--demo", **settings) as stack:
        wait_for(lambda: not dagster_api.red_checks(stack.ui_port), 120.0, "every check green")
        yield stack


@pytest.fixture(scope="session")
def door(stack):
    door = Door(stack.env)
    yield door
    door.close()
