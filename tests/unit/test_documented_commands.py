import re

import click
import pytest

from dolphin_realtime.cli.app import COMMANDS, dolphin
from tests.docs.written import ROOT, commands, fault_of, parts

FOUND = commands()


@pytest.mark.parametrize("command", [c for c in FOUND if c.startswith("dolphin")])
def test_a_documented_command_is_one(command):
    assert fault_of(command) == "", FOUND[command]


@pytest.mark.parametrize("command", [c for c in FOUND if re.match("make [a-z]", c)])
def test_a_documented_target_is_one(command):
    target = command.split()[1]
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), (
        FOUND[command]
    )


def helps(group, context):
    for name in getattr(group, "commands", None) or COMMANDS:
        command = group.get_command(context, name)
        yield command.help
        if isinstance(command, click.Group):
            yield from helps(command, click.Context(command, parent=context))


def test_an_example_of_a_help_text_is_a_command():
    shown = re.findall(
        r"(?:Examples?:|^) +(dolphin .*)$",
        "\n".join(helps(dolphin, click.Context(dolphin))),
        re.MULTILINE,
    )
    examples = [re.split(r" {2,}", part)[0].rstrip("\\") for line in shown for part in parts(line)]
    assert len(examples) > 30
    assert [(e, fault) for e in examples if (fault := fault_of(e))] == []


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("dolphin stauts", "no command"),
        ("dolphin status --jsn", "--jsn"),
        ("dolphin posture sit HALTED", "sit"),
    ],
)
def test_a_command_that_is_none_is_found(command, fault):
    assert fault in fault_of(command)
