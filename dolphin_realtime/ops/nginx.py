"""The nginx configuration that stands before the Dagster UI: who may see it, who may change it.

Dagster itself asks nobody who they are, takes a mutation from a GET and a form post from any page
that an operator's browser has open. So nothing but nginx may be reachable from elsewhere.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import SettingsError

FOLDER: Final = Path("/etc/dolphin")
AWAY: Final = {
    "viewer": "The Dagster UI does not answer: look with dolphin status.",
    "nobody": "The Dagster UI does not answer; who is no operator has none: DOLPHIN_VIEWER_PORT is 0.",
}
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+")


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """What people reach.

    Attributes:
        host: Name in the address bar; every other is refused.
        listen: Address and port that nginx listens on.
        certificate: TLS certificate and, beside it as `.key`, its key; None: plain HTTP, which
            is for loopback alone.
        folder: Where `htpasswd` (who may come in) and `operators` (who may change) lie.
    """

    host: str
    listen: str = "443"
    certificate: Path | None = None
    folder: Path = FOLDER

    @property
    def origin(self) -> str:
        """What a browser calls the site."""
        port = self.listen.rpartition(":")[2]
        scheme, usual = ("https", "443") if self.certificate else ("http", "80")
        return f"{scheme}://{self.host}" + ("" if port == usual else f":{port}")


def render(settings: Settings, front: Front) -> str:
    """Return the configuration, for nginx's http context (conf.d/dolphin.conf).

    Raises:
        SettingsError: If the host is no host name, or others than this machine would send
            their passwords in the clear.
    """
    if not _HOST.fullmatch(front.host):
        raise SettingsError(f"--host: {front.host!r} is no host name")
    if front.certificate is None and not front.listen.startswith("127.0.0.1:"):
        raise SettingsError("without --certificate nginx may listen on 127.0.0.1:PORT alone")
    tls = ""
    if front.certificate is not None:
        key = front.certificate.with_suffix(".key")
        tls = f"    ssl_certificate {front.certificate};\n    ssl_certificate_key {key};\n"
        tls += "    ssl_protocols TLSv1.2 TLSv1.3;\n"
        tls += '    add_header Strict-Transport-Security "max-age=31536000" always;\n'
    viewer_port = settings.viewer_port
    others = "viewer" if viewer_port else "nobody"
    return _TEMPLATE.format(
        host=front.host,
        origin=front.origin,
        listen=f"{front.listen}{' ssl' if front.certificate else ''}",
        tls=tls,
        folder=front.folder,
        operator=f"127.0.0.1:{settings.ui_port}",
        viewer=f"127.0.0.1:{viewer_port}" if viewer_port else "127.0.0.1:1 down",
        others=others,
        away=AWAY[others],
    )


_TEMPLATE: Final = """\
# Rendered by `dolphin nginx`; docs/operations.md says how it is used.
upstream dolphin_operator {{ server {operator}; }}
upstream dolphin_viewer {{ server {viewer}; }}
upstream dolphin_nobody {{ server 127.0.0.1:1 down; }}
# Lines of the form "~^alice$" operator; in {folder}/operators (as a plain word, ALICE would be one
# as well); everybody else is {others}.
map $remote_user $dolphin_role {{
    default {others};
    include {folder}/operators;
}}
map $http_upgrade $dolphin_connection {{ default upgrade; "" ""; }}
# A page of another site may not speak for whoever is logged in here.
map $http_origin $dolphin_is_foreign {{ default 1; "" 0; "{origin}" 0; }}
# GraphQL: queries and mutations by POST, subscriptions by a websocket, nothing by a plain GET.
map "$request_method $http_upgrade" $dolphin_is_graphql {{
    default 0;
    "POST " 1;
    "~*^GET websocket$" 1;
}}
# JSON alone: other sites' forms cannot send it.
map "$request_method $content_type" $dolphin_is_form {{
    default 0;
    "~^POST (?!application/json)" 1;
}}
map $request_method $dolphin_changes {{ default 1; GET 0; HEAD 0; }}

server {{
    listen {listen} default_server;
    server_name _;
{tls}    return 421;
}}

server {{
    listen {listen};
    server_name {host};
{tls}    auth_basic "Dolphin";
    auth_basic_user_file {folder}/htpasswd;
    client_max_body_size 1m;
    add_header X-Frame-Options DENY always;

    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Authorization "";
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $dolphin_connection;
    proxy_read_timeout 1h;

    if ($dolphin_is_foreign) {{ return 403; }}
    error_page 502 504 @away;

    location = /graphql {{
        if ($dolphin_is_graphql = 0) {{ return 405; }}
        if ($dolphin_is_form) {{ return 415; }}
        proxy_pass http://dolphin_$dolphin_role;
    }}
    location / {{
        if ($dolphin_changes) {{ return 405; }}
        proxy_pass http://dolphin_$dolphin_role;
    }}
    location @away {{
        default_type text/plain;
        return 502 "{away}\n";
    }}
}}
"""
