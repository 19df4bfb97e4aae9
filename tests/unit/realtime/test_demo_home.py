from datetime import UTC, datetime

import msgspec

from dolphin_realtime.cli.demo import begin_again
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.services.meta_health.files import maintenance, maintenance_path


def test_a_demo_begins_without_the_last_ones_journal_and_maintenance(tmp_path):
    settings = msgspec.structs.replace(Settings(), home=tmp_path)
    settings.run_dir.mkdir()
    path = maintenance_path(settings)
    for kept in (path, settings.journal_dir("BLUE") / "journal.sqlite"):
        kept.parent.mkdir(parents=True)
        kept.write_text("{}")
    begin_again(settings)
    assert maintenance(path, datetime.now(UTC)) is None
    assert not settings.journal_dir("BLUE").exists()
