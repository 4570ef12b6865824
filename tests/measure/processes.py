"""What runs and listens on this machine, from /proc."""

from __future__ import annotations

import time
from pathlib import Path


def parties(folder: Path) -> list[int]:
    """Process ids of the parties whose folders are in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            except OSError:
                continue
            if alive and "aero_search.measure.party" in words and str(folder.resolve()) in " ".join(words):
                found.append(int(entry.name))
    return found


def wait_until_gone(folder: Path, seconds: float = 30.0) -> list[int]:
    """The parties that are still there after `seconds`; none if they went before."""
    deadline = time.monotonic() + seconds
    while (left := parties(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def listening(pid: int) -> set[str]:
    """Addresses (hexadecimal, as the kernel writes them) on which a process accepts TCP connections."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in inodes:
                addresses.add(columns[1].rpartition(":")[0])
    return addresses
