"""The commands that the documents show: fenced shell lines, and code in a sentence."""

import re
import shlex
from pathlib import Path

import click

from dolphin_realtime.cli.app import dolphin

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]  # fmt: skip
_FENCED = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def lines_of(text):
    """Yield every shell line of a document, and every code of a sentence."""
    for language, block in _FENCED.findall(text):
        if language == "sh":
            yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", _FENCED.sub("", text))


def parts(line):
    """Yield the commands of one line, without comment, sudo and folder."""
    for part in re.split(r"\s*&&\s*", re.sub(r"(^|\s)#.*$", "", line).strip()):
        bare = re.sub(r"^(sudo (env \S+ )?|(\w+=\S+ )+)?(\.venv/bin/)?", "", part)
        yield bare.split(" > ")[0].strip()


def commands():
    """Return the documents' commands, each with the documents that show it."""
    found = {}
    for document in DOCUMENTS:
        for line in lines_of(document.read_text()):
            for part in parts(line):
                if re.match(r"(dolphin|make)( |$)", part):
                    found.setdefault(part, []).append(document.name)
    return found


def fault_of(command):
    """Return what is wrong with a `dolphin` command: an unknown word or option; nothing if nothing."""
    words = shlex.split(command)[1:]
    group, context = dolphin, click.Context(dolphin)
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        found = group.get_command(context, words[0])
        if found is None:
            return "" if words[0] == "…" or "/" in words[0] else f"no command {words[0]}"
        context = click.Context(found, parent=context)
        group, words = found, words[1:]
    try:
        group.make_parser(context).parse_args(list(words))
    except click.UsageError as e:
        return e.format_message()
    return ""
