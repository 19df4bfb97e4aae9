"""The index of a stack's reports: a month by day and instance, with links; read from report.json."""

import html
from typing import Final

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.reports.address import dated
from dolphin_realtime.reports.page import page
from dolphin_realtime.reports.tables import colour, usd
from dolphin_realtime.reports.write import HTML, JSON

KINDS: Final = ("paper", "backtest")
DAYS_SHOWN: Final = 62


class Net(msgspec.Struct):
    """The one figure of a report that the index shows."""

    net: float


def months(settings: Settings) -> list[str]:
    """Return the months that have a report of a day, the newest first."""
    days = (folder.name for kind in KINDS for folder in dated(settings.reports / kind))
    return sorted({day[:7] for day in days}, reverse=True)


def index_page(settings: Settings, month: str = "") -> str:
    """Return the page of a month, by default the newest with a report."""
    known = months(settings)
    shown = month if month in known else (known[0] if known else "")
    links = "".join(f"<a href='?month={m}'>{m}</a>" for m in known)
    parts = [f"<nav>{links}</nav>", _table(settings, shown), _weeks(settings), _others(settings)]
    title = f"Reports, {shown}" if shown else "Reports"
    subtitle = "Net after all costs, USDT. Each figure opens its report."
    notes = [] if known else ["There is no report yet: a day is reported once it is over."]
    return page(title, subtitle, notes, "".join(parts))


def _table(settings: Settings, month: str) -> str:
    found = {
        (kind, folder.parent.name, folder.name)
        for kind in KINDS
        for folder in dated(settings.reports / kind)
        if folder.name.startswith(month)
    }
    if not found:
        return ""
    instances = sorted({instance for _, instance, _ in found})
    days = sorted({day for _, _, day in found}, reverse=True)[:DAYS_SHOWN]
    head = "".join(f"<th>{html.escape(i)} {kind}</th>" for i in instances for kind in KINDS)
    rows = "".join(
        f"<tr><td>{day}</td>"
        + "".join(
            f"<td>{_link(settings, f'{kind}/{i}/{day}') if (kind, i, day) in found else ''}</td>"
            for i in instances
            for kind in KINDS
        )
        + "</tr>"
        for day in days
    )
    return f"<table><tr><th>day</th>{head}</tr>{rows}</table>"


def _link(settings: Settings, place: str) -> str:
    """Return a report's net as a link to its page; a dash if its figures cannot be read."""
    try:
        net = msgspec.json.decode((settings.reports / place / JSON).read_bytes(), type=Net).net
    except (OSError, msgspec.DecodeError):
        return "–"
    css = colour(net)
    return f"<a class='{css}' href='{html.escape(place)}/{HTML}'>{usd(net)}</a>"


def _weeks(settings: Settings) -> str:
    found = sorted(dated(settings.reports / "weekly"), key=lambda one: one.name, reverse=True)
    weeks = [(html.escape(one.parent.name), one.name) for one in found[:DAYS_SHOWN]]
    links = [f"<a href='weekly/{i}/{monday}/{HTML}'>{i} {monday}</a>" for i, monday in weeks]
    return _section("Weeks", links)


def _others(settings: Settings) -> str:
    root = settings.reports
    pages = [*root.glob(f"sweeps/*/{HTML}"), *root.glob(f"trials/*/*/*/{HTML}")]
    names = sorted((p.parent.relative_to(root).as_posix() for p in pages), reverse=True)
    links = [f"<a href='{html.escape(n)}/{HTML}'>{html.escape(n)}</a>" for n in names[:DAYS_SHOWN]]
    return _section("Sweeps and trials", links)


def _section(title: str, links: list[str]) -> str:
    body = "".join(f"<li>{link}</li>" for link in links)
    return f"<section><h2>{title}</h2><ul>{body}</ul></section>" if links else ""
