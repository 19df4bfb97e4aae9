"""The routes below `/reports/`: the index, each report's files, and why a decision was made."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.day_files import is_day
from dolphin_realtime.reports.index import index_page

KINDS: Final = {
    ".html": "text/html", ".js": "text/javascript", ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}  # fmt: skip
"""Files that are served, with their types; everything else is not there."""
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src data: blob:; form-action 'self'; base-uri 'none'; "
        "sandbox allow-scripts allow-forms allow-downloads allow-popups"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WHY_S: Final = 20.0
LONGEST: Final = 64
_asking: Final = asyncio.Semaphore(1)
"""One explanation at a time: it is a process of its own, and reads a day of scans."""


def routes(settings: Settings) -> list[Route]:
    """Return the routes for a stack's reports."""
    root = settings.reports.absolute()

    async def index(request: Request) -> Response:
        month = request.query_params.get("month", "")
        page = await asyncio.to_thread(index_page, settings, month)
        return HTMLResponse(page, headers=HEADERS)

    async def file(request: Request) -> Response:
        path = await asyncio.to_thread(found, root, request.path_params["path"])
        if path is None:
            return PlainTextResponse(
                "There is no such report: it was not made yet, or is older than DOLPHIN_REPORT_DAYS.\n",
                404,
                headers=HEADERS,
            )
        return FileResponse(path, media_type=KINDS[path.suffix], headers=HEADERS)

    async def why(request: Request) -> Response:
        return await explanation(settings, dict(request.query_params))

    return [Route("/", index), Route("/why", why), Route("/{path:path}", file)]


def found(root: Path, name: str) -> Path | None:
    """Return a file below the reports' folder, None if it is not there or not to be served."""
    try:
        path = (root / name).resolve(strict=True)
    except (OSError, ValueError):
        return None
    is_inside = path.is_relative_to(root.resolve())
    return path if is_inside and path.is_file() and path.suffix in KINDS else None


async def explanation(settings: Settings, asked: dict[str, str]) -> Response:
    """Return `dolphin why` as a page, made by a process of its own with a bounded time."""
    words = [asked.get(name, "") for name in ("day", "time", "asset", "instance")]
    day, time, asset, instance = words
    is_short = all(0 < len(word) <= LONGEST and word.isprintable() for word in words)
    if not is_day(day) or instance not in settings.instance_names or not is_short:
        said = "Give day, time, asset and instance, e.g. ?day=2025-05-13&time=12:00:00&asset=BTCUSDT&instance=BLUE\n"  # fmt: skip
        return PlainTextResponse(said, 400, headers=HEADERS)
    command = ["nice", "-n", "10", sys.executable, "-m", "dolphin_realtime.cli", "why", "--html", "--instance", instance, "--", day, time, asset]  # fmt: skip
    if _asking.locked():
        return PlainTextResponse(
            "Another decision is being explained: ask again in a moment.\n", 429, headers=HEADERS
        )
    async with _asking:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "DOLPHIN_HOME": str(settings.home)},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), WHY_S)
        except TimeoutError:
            return PlainTextResponse(
                f"It took longer than {WHY_S:.0f} s: `{' '.join(command[2:])}` says it at a terminal.\n",
                504,
                headers=HEADERS,
            )
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode:
        return PlainTextResponse(err.decode(errors="replace"), 404, headers=HEADERS)
    return HTMLResponse(out.decode(), headers=HEADERS)
