"""Machines on one network: network namespaces joined by a bridge; needs root and iproute2."""

import os
import subprocess
from typing import Self

PORT = 5701


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Network:
    """Some machines, numbered from 1, and this host, which sees all of them."""

    def __init__(self, n: int) -> None:
        self.mark, self.net = f"dm{os.getpid() % 100_000}", f"10.97.{os.getpid() % 250}"
        self.machines = range(1, n + 1)

    def address(self, machine: int) -> str:
        return f"{self.net}.{machine}"

    def within(self, machine: int) -> tuple[str, ...]:
        """Return the command that runs another on a machine."""
        return ("ip", "netns", "exec", f"{self.mark}n{machine}")

    def __enter__(self) -> Self:
        try:
            _ip("link", "add", self.mark, "type", "bridge")
            _ip("addr", "add", f"{self.net}.254/24", "dev", self.mark)
            _ip("link", "set", self.mark, "up")
            for machine in self.machines:
                self._add(machine)
        except BaseException:
            self.close()
            raise
        return self

    def _add(self, machine: int) -> None:
        name, outside, inside = (
            f"{self.mark}n{machine}",
            f"{self.mark}o{machine}",
            f"{self.mark}i{machine}",
        )
        _ip("netns", "add", name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside)
        _ip("link", "set", inside, "netns", name)
        _ip("link", "set", outside, "master", self.mark, "up")
        _ip("-n", name, "addr", "add", f"{self.address(machine)}/24", "dev", inside)
        _ip("-n", name, "link", "set", inside, "up")
        _ip("-n", name, "link", "set", "lo", "up")

    def cut(self, machine: int) -> None:
        """Take a machine off the network: nothing reaches it, and nobody is told."""
        _ip("link", "set", f"{self.mark}o{machine}", "nomaster")

    def heal(self, machine: int) -> None:
        """Bring it back."""
        _ip("link", "set", f"{self.mark}o{machine}", "master", self.mark)

    def close(self) -> None:
        for machine in self.machines:
            _ip("netns", "del", f"{self.mark}n{machine}", check=False)
            _ip("link", "del", f"{self.mark}o{machine}", check=False)
        _ip("link", "del", self.mark, check=False)

    def __exit__(self, *_: object) -> None:
        self.close()
