"""A member's second start maps the classes that its first one left; nobody else's are used."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.grid.member.class_archive import ClassArchive
from dolphin_realtime.grid.member.config import MemberConfig
from dolphin_realtime.grid.member.jar import ensure_jar
from dolphin_realtime.grid.member.java import find_java
from dolphin_realtime.grid.member.member import Member


@pytest.fixture
def jar(tmp_path):
    return Path(shutil.copy(ensure_jar(os.environ.get("DOLPHIN_HAZELCAST_JAR", "")), tmp_path))


@pytest.fixture
def member(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        config = MemberConfig(cluster_name="archive", port=free_port(), run_dir=tmp_path / "run")
        member = Member(config, log)
        yield member
        member.stop()


def archives(jar):
    return sorted(path.name for path in jar.parent.glob("classes-*"))


def test_what_a_member_leaves_when_it_stops_is_mapped_by_the_next(jar, member, tmp_path):
    for _ in range(3):  # one that seems deaf, on a busy machine, is killed and leaves none
        member.start(str(jar))
        member.stop()
        if archives(jar):
            break
    (name,) = archives(jar)
    assert name.endswith(".jsa")
    member.start(str(jar))
    assert name in Path(f"/proc/{member.pid}/maps").read_text()
    assert "WARNING" not in (tmp_path / "log").read_text()


def test_a_member_that_is_killed_leaves_none(jar, member):
    member.start(str(jar))
    os.kill(member.pid, signal.SIGKILL)
    member._jvm.wait()
    member.stop()
    assert archives(jar) == []


def test_an_archive_that_others_could_have_written_is_not_used(jar):
    archive = ClassArchive(jar, find_java()[0], jar.parent)
    archive._file.write_bytes(b"whatever")
    archive._file.chmod(0o444)
    assert any("SharedArchiveFile" in flag for flag in archive.flags())
    archive._file.chmod(0o666)
    assert not any("SharedArchiveFile" in flag for flag in archive.flags())


def test_it_is_of_one_jar_and_one_java_whenever_they_were_last_read(jar, tmp_path):
    java = Path(shutil.copy(find_java()[0].resolve(), tmp_path / "java"))
    first = ClassArchive(jar, java, jar.parent)._file
    os.utime(java, ns=(1, java.stat().st_mtime_ns))
    assert ClassArchive(jar, java, jar.parent)._file == first
    os.utime(jar, ns=(1, 1))
    assert ClassArchive(jar, java, jar.parent)._file != first


def test_a_java_is_found_by_name_and_one_beside_foreign_papers_is_run(tmp_path):
    assert find_java("java") == find_java()
    wrapper = tmp_path / "bin" / "java"
    wrapper.parent.mkdir()
    wrapper.write_text("#!/bin/sh\necho 'openjdk version \"25.0.1\"' >&2\n")
    wrapper.chmod(0o755)
    (tmp_path / "release").write_text("something else\n")
    assert find_java(str(wrapper)) == (wrapper, 25)
