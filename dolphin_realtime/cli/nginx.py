"""`dolphin nginx`: the configuration of the reverse proxy with login before the Dagster UI."""

from pathlib import Path

import click

from dolphin_realtime.cli.running import load_running
from dolphin_realtime.ops.nginx import FOLDER, Front, render


@click.command()
@click.option("--host", required=True, help="Name that people type, e.g. dolphin.example.")
@click.option("--listen", default="443", show_default=True, help="[ADDRESS:]PORT of nginx.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="TLS certificate; its key lies beside it as .key. Without one: listen on 127.0.0.1 only.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Folder of the files htpasswd and operators.",
)
def nginx(host: str, listen: str, certificate: Path | None, folder: Path) -> None:
    """Print nginx's configuration: login, operators and viewers, no mutation from other sites.

    \b
    Example: dolphin nginx --host dolphin.example --certificate /etc/ssl/dolphin.pem \\
                 > /etc/nginx/conf.d/dolphin.conf
    """
    front = Front(host=host, listen=listen, certificate=certificate, folder=folder)
    click.echo(render(load_running(), front), nl=False)
