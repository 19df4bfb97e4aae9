"""A demo stack as in production: its storage in PostgreSQL, a read-only UI, nginx before both."""

import pytest

from dolphin_realtime.bench.stack import Stack, free_port
from tests.e2e.conftest import browser, page
from tests.production.door import Door
from tests.production.postgres import Postgres

__all__ = ["browser", "page"]


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
        stack.settle()
        yield stack


@pytest.fixture(scope="session")
def door(stack):
    door = Door(stack.env)
    yield door
    door.close()
