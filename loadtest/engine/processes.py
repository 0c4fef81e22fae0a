"""What the system tells of a process: processor time and memory. 0 where there is no /proc to ask."""

import os
from pathlib import Path


def cpu_s(pid: int | None) -> float:
    """Return the processor time that the process has used so far, in steps of the kernel's clock (10 ms)."""
    fields = _proc(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def rss_mb(pid: int | None) -> float:
    """Return the resident memory in MB (10^6 bytes)."""
    lines = _proc(pid, "status").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6


def _proc(pid: int | None, name: str) -> str:
    path = Path(f"/proc/{pid}/{name}")
    return path.read_text() if pid is not None and path.exists() else ""
