"""Replacing files whole, and files of lines that a crash may tear."""

import os

import msgspec
import pytest

from dolphin_realtime.infra import files


class Line(msgspec.Struct, frozen=True):
    n: int


def read(path):
    return list(files.read_lines(path, Line))


def test_what_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    files.replace(path, b"old")

    def write_half():
        with files.replacing(path) as partial:
            partial.write_bytes(b"half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_durable", [True, False])
def test_a_replaced_file_has_its_content_and_its_mode(tmp_path, is_durable):
    path = tmp_path / "a.json"
    files.replace(path, b"old")
    files.replace(path, b"new", 0o640, is_durable=is_durable)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_lines_come_back_and_a_torn_one_stays_alone(tmp_path):
    path = tmp_path / "deep" / "a.jsonl"
    assert read(path) == []
    lines = files.JsonLines(path)
    lines.append(Line(1))
    lines.close()
    with path.open("ab") as file:
        file.write(b'{"n": ')
    files.append_line(path, Line(2), is_durable=True)
    assert read(path) == [Line(1), None, Line(2)]
    assert list(files.parse_lines(b'\n{"n":3}\n\n{"m":4}\n', Line)) == [Line(3), None]


def test_a_line_that_does_not_fit_is_said_and_ended_by_the_next(tmp_path, monkeypatch):
    path, write = tmp_path / "a.jsonl", os.write
    lines = files.JsonLines(path)
    with monkeypatch.context() as m:
        m.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
        with pytest.raises(OSError, match="only 3 of 8 bytes"):
            lines.append(Line(1))
    lines.append(Line(2))
    lines.sync()
    assert read(path) == [None, Line(2)]


def test_debris_of_a_killed_writer_goes_and_other_files_stay(tmp_path):
    path, other = tmp_path / "a.parquet", tmp_path / ".b.parquet.1.part"
    for file in (other, tmp_path / ".a.parquet.99.part"):
        file.write_bytes(b"half")
    files.clear_debris(path)
    assert list(tmp_path.iterdir()) == [other]


def test_a_planted_link_is_not_followed(tmp_path):
    target, path = tmp_path / "target", tmp_path / "lines.jsonl"
    target.write_text("mine")
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        files.append_line(path, {"n": 1})
    files.replace(path, b"whole")
    assert target.read_text() == "mine"
    assert (path.read_bytes(), path.is_symlink()) == (b"whole", False)
