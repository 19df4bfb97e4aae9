"""A journal as tests ask it: read only, beside the trader that writes it."""

from dolphin_realtime.journal import database


def rows(folder, text, *values):
    """Return what a query of a journal's folder finds; nothing while there is no journal yet."""
    if not database.path_of(folder).is_file():
        return []
    db = database.open_read_only(folder)
    try:
        return db.execute(text, values).fetchall()
    finally:
        db.close()
