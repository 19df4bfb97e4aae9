"""Logging to standard output: one event with facts per line, JSON unless on a terminal.

Set-up of loggers belongs here; what to log does not. Log changes of state, not states.
"""

import logging
import sys

import structlog


def configure(service: str) -> None:
    """Send structlog's and the standard library's lines to standard output in one format."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stdout.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("hazelcast", "httpx2"):  # httpx2 would log the whole address of a signed request
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def get() -> structlog.stdlib.BoundLogger:
    """Return the logger of this process."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("dolphin")
    return logger
