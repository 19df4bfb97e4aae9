"""Print the slowest tests of a folder of JUnit files, with the stage of each."""

import sys
from pathlib import Path
from xml.etree import ElementTree

SHOWN = 20


def main() -> None:
    """Print SHOWN lines: seconds, stage, test; set-up and tear-down are counted with their test."""
    found = [
        (float(case.get("time", "0")), file.stem, f"{case.get('classname')}::{case.get('name')}")
        for file in sorted(Path(sys.argv[1]).glob("*.xml"))
        for case in ElementTree.parse(file).iter("testcase")  # noqa: S314 - our own files
    ]
    for seconds, stage, name in sorted(found, reverse=True)[:SHOWN]:
        sys.stdout.write(f"{seconds:7.1f} s  {stage:12} {name}\n")


if __name__ == "__main__":
    main()
