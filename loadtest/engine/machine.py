"""What is known of the machine and of the service, for the report. Figures of different machines are not comparable."""

import http.client
import json
import os
import platform
from pathlib import Path

from loadtest.engine.server import ServerFailed
from loadtest.report.model import Machine, Service

_TIMEOUT_S = 10.0


def this_machine(directory: Path) -> Machine:
    """Describe it, with the file system that the data is on."""
    return Machine(
        cores=os.cpu_count() or 0,
        cpu=_cpu(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        disk=_disk(directory.resolve()),
    )


def service_at(host: str, port: int, lane: str) -> Service:
    """Ask the service for its version, which it does not tell everyone. Raises: ServerFailed, where there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        known = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServerFailed(
            f"no service answers at http://{host}:{port} ({error}): start it first, or leave --url out"
        ) from error
    finally:
        connection.close()
    return Service(version=known.get("process", {}).get("version", "unknown"), lane=lane)


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _disk(directory: Path) -> str:
    """Return the type of the file system with the longest mount point above the directory."""
    path = Path("/proc/mounts")
    mounts = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    above = [(len(mount[1]), mount[2]) for mount in mounts if directory.is_relative_to(mount[1])]
    return max(above)[1] if above else "unknown"
