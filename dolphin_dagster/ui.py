"""`python -m dolphin_dagster.ui`: Dagster's webserver, with the reports below `/reports/`.

One port and one host: who may see the UI may open a report, through the same login, and a link in
an asset's page needs no other address. Reports are served as pages without an origin (CSP sandbox):
whatever stands in one cannot act as the person who opened it.
"""

from typing import Any

from dagster_webserver import app, cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.routing import Mount

from dolphin_dagster.report_pages import routes
from dolphin_realtime.config.loading import load
from dolphin_realtime.infra import log


class DolphinWebserver(DagsterWebserver[Any, Any]):
    """Dagster's webserver with one more folder."""

    def build_routes(self) -> list[Any]:
        """Return the reports' routes before Dagster's, whose last one takes everything."""
        return [Mount("/reports", routes=routes(load())), *super().build_routes()]  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    log.configure("dagster-webserver")
    vars(app)["DagsterWebserver"] = DolphinWebserver  # the one place where it is made
    cli.main()  # type: ignore[no-untyped-call]
