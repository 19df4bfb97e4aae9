"""The nginx configuration of the reverse proxy with login before the Dagster UI.

Dagster has no authentication, accepts mutations by GET, and accepts form posts from any page open
in an operator's browser. So only nginx may be reachable from other machines.
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
    "nobody": "The Dagster UI does not answer. Only operators have one: DOLPHIN_VIEWER_PORT is 0.",
}
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+")


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """The public side of the reverse proxy.

    Attributes:
        host: Host name of the site; requests for other names are refused.
        listen: Address and port that nginx listens on.
        certificate: TLS certificate and, beside it as `.key`, its key; None: plain HTTP, which
            is allowed on loopback only.
        folder: Folder of `htpasswd` (who may log in) and `operators` (who may change things).
    """

    host: str
    listen: str = "443"
    certificate: Path | None = None
    folder: Path = FOLDER

    @property
    def origin(self) -> str:
        """The site's origin, as a browser sends it."""
        port = self.listen.rpartition(":")[2]
        scheme, usual = ("https", "443") if self.certificate else ("http", "80")
        return f"{scheme}://{self.host}" + ("" if port == usual else f":{port}")


def render(settings: Settings, front: Front) -> str:
    """Return the configuration, for nginx's http context (conf.d/dolphin.conf).

    Raises:
        SettingsError: If the host is not a host name, or other machines would send passwords in
            clear text.
    """
    if not _HOST.fullmatch(front.host):
        raise SettingsError(f"--host: {front.host!r} is no host name")
    if front.certificate is None and not front.listen.startswith("127.0.0.1:"):
        raise SettingsError("without --certificate nginx may listen on 127.0.0.1:PORT only")
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
# Lines of the form "~^alice$" operator; in {folder}/operators. A plain word would also match ALICE:
# user names are case-sensitive, nginx's plain words are not. Everybody else is {others}.
map $remote_user $dolphin_role {{
    default {others};
    include {folder}/operators;
}}
map $http_upgrade $dolphin_connection {{ default upgrade; "" ""; }}
# Requests from pages of other sites are refused, even if the user is logged in here.
map $http_origin $dolphin_is_foreign {{ default 1; "" 0; "{origin}" 0; }}
# GraphQL: queries and mutations by POST, subscriptions by websocket; a plain GET is refused.
map "$request_method $http_upgrade" $dolphin_is_graphql {{
    default 0;
    "POST " 1;
    "~*^GET websocket$" 1;
}}
# Only JSON is accepted: forms of other sites cannot send it.
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
    # plotly's script alone needs no login: pages of reports have no origin, so that browsers send
    # none for what they load. It is the same file everywhere, and holds nothing of this stack.
    location ~ ^/reports/(?<dolphin_script>plotly-[0-9.]+[.]min[.]js)$ {{
        auth_basic off;
        if ($dolphin_changes) {{ return 405; }}
        proxy_pass http://dolphin_operator/reports/$dolphin_script;
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
