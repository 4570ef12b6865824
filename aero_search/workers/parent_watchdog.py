"""A worker's eye on the process that launched it."""

from __future__ import annotations

import os
import socket
import threading


def stop_with_parent(process: int, host: str) -> None:
    """End this process when the launching one is gone, so that a killed search does not go on unseen.

    Does nothing in that process itself, or on another host, where it is out of sight.
    """
    if os.getpid() == process or socket.gethostname() != host:
        return
    child = os.getppid() == process

    def watch() -> None:
        while _alive(process) and (not child or os.getppid() == process):
            pause.wait(1.0)
        os._exit(1)

    pause = threading.Event()
    threading.Thread(target=watch, name="stop-with-parent", daemon=True).start()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
