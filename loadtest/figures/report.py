"""The report: figures beside their targets, as a table for people and as JSON for programs."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. A target is met below it (`is_ceiling`) or from it on."""

    figure: str
    label: str
    unit: str = ""
    target: float | None = None
    is_ceiling: bool = True

    def is_met(self, value: float) -> bool:
        """Tell whether the value is where it should be."""
        return self.target is None or (value < self.target if self.is_ceiling else value >= self.target)


# Targets: "Speed and memory" in issue 2, for claims in issue 3, for entities in issue 4, for events and mail in issue 6, for
# many messages in issue 7; for crashes and isolation in guarantees.md G15, G16.
LINES: Final = (
    Line("start_s", "start to first 200 of /health, median", "s", 1.0),
    Line("start_slowest_s", "  the slowest start", "s"),
    Line("idle_rss_mb", "idle resident memory", "MB", 70.0),
    Line("lock_table_check_p50_us", "lock table: check against {lock_table_entries:,.0f} entries, p50", "us", 50.0),
    Line("lock_table_check_p99_us", "  p99", "us"),
    Line("claims_check_p50_us", "claims: check against {claims_held:,.0f} claims, p50", "us"),
    Line("claims_check_p99_us", "  p99", "us", 2_000.0),
    Line("claims_check_growth", "  p50, times that against 1,000", "x", 3.0),
    Line("claims_reserve_p50_us", "claims: decide a reservation, p50", "us"),
    Line("claims_reserve_p99_us", "  p99", "us", 2_000.0),
    Line("claims_reserve_growth", "  p50, times that against 1,000", "x", 3.0),
    Line("claims_bytes_each", "claims: memory of one", "B", 2_048.0),
    Line("worst_pair_overlap_ms", "claims: worst pair of {worst_pair_of:,.0f}, overlap", "ms", 2.0),
    Line("worst_pair_relation_ms", "  relation", "ms", 2.0),
    Line("worst_pair_decide_ms", "  both, and the verdict", "ms"),
    Line("worst_request_ms", "claims: the worst legal request", "ms"),
    Line("crash_to_served_ms", "a request that crashes its project, to the next answer", "ms", 250.0),
    Line("isolation_crash_p99_ms", "19 projects while one crashes in a loop, p99", "ms"),
    Line("isolation_crash_ratio", "  times that without", "x", 1.2),
    Line("isolation_poison_p99_ms", "  while one is sent poison, p99", "ms"),
    Line("isolation_poison_ratio", "  times that without", "x", 1.2),
    Line("isolation_flood_p99_ms", "  while an agent floods one, p99", "ms"),
    Line("isolation_flood_ratio", "  times that without", "x", 1.2),
    Line("commits_per_s", "reference: single durable commits, this disk", "/s"),
    Line("echo_per_s", "reference: bare trio echo", "/s"),
    Line("echo_p50_ms", "  p50", "ms"),
    Line("single_per_s", "durable reservations, one commit each", "/s"),
    Line("single_p50_ms", "  p50", "ms"),
    Line("single_p99_ms", "  p99", "ms"),
    Line("single_server_cpu_us", "  server CPU a request", "us"),
    Line("batched_per_s", "durable reservations, group commit", "/s"),
    Line("batched_p50_ms", "  p50", "ms"),
    Line("batched_p99_ms", "  p99", "ms"),
    Line("batched_server_cpu_us", "  server CPU a request", "us"),
    Line("ratio_batched_to_single", "  times one commit each", "x", 2.0, is_ceiling=False),
    Line("ratio_batched_to_commits", "  times the disk's single commits", "x"),
    Line("check_per_s", "checks (GET)", "/s"),
    Line("check_p50_ms", "  p50", "ms"),
    Line("check_p99_ms", "  p99", "ms"),
    Line("check_server_cpu_us", "  server CPU a request", "us"),
    Line("ratio_check_to_echo", "  share of the echo's rate", "x"),
    Line("heartbeat_per_s", "heartbeats (POST)", "/s"),
    Line("heartbeat_p50_ms", "  p50", "ms"),
    Line("heartbeat_p99_ms", "  p99", "ms"),
    Line("heartbeat_server_cpu_us", "  server CPU a request", "us"),
    Line("entity_create_per_s", "tasks made (POST)", "/s"),
    Line("entity_create_p50_ms", "  p50", "ms"),
    Line("entity_create_p99_ms", "  p99", "ms"),
    Line("entity_get_per_s", "tasks read (GET)", "/s"),
    Line("entity_get_p50_ms", "  p50", "ms"),
    Line("entity_get_p99_ms", "  p99", "ms"),
    Line("entity_list_per_s", "lists of 50 out of {entities_many:,.0f} tasks, by status and agent", "/s"),
    Line("entity_list_p50_ms", "  p50", "ms"),
    Line("entity_list_p99_ms", "  p99", "ms"),
    Line("entity_list_few_p50_ms", "  one connection, out of 100, p50", "ms"),
    Line("entity_list_many_p50_ms", "  one connection, out of {entities_many:,.0f}, p50", "ms"),
    Line("entity_list_growth", "  times that out of 100", "x", 2.0),
    Line("follow_live_per_s", "client's events, 2,200/s written", "/s", 2_000.0, is_ceiling=False),
    Line("follow_age_p50_ms", "  age when given out, p50", "ms"),
    Line("follow_age_p99_ms", "  p99", "ms"),
    Line("follow_replay_per_s", "client's events, replayed from the log", "/s", 2_000.0, is_ceiling=False),
    Line("send_per_s", "messages sent (POST)", "/s"),
    Line("send_p50_ms", "  p50", "ms"),
    Line("send_p99_ms", "  p99", "ms"),
    Line("broadcast_p50_ms", "broadcast to {broadcast_agents:,.0f} agents, until the reply, p50", "ms", 50.0),
    Line("broadcast_p99_ms", "  p99", "ms"),
    Line("search_p50_ms", "search among {search_messages:,.0f} messages, one connection, p50", "ms", 5.0),
    Line("search_p99_ms", "  p99", "ms"),
    Line("search_common_p50_ms", "  for a word that is in nearly all of them, p50", "ms"),
    Line(
        "flat_page_ratio",
        "inbox page among {flat_messages:,.0f} messages, server CPU times that among 1,000",
        "x",
        1.15,
    ),
    Line("flat_send_ratio", "  message sent", "x", 1.15),
    Line("flat_reserve_ratio", "  durable reservation", "x", 1.15),
    Line("flat_check_ratio", "  check", "x", 1.15),
    Line("reservations_kept", "reservations held, listed again after SIGKILL"),
    Line("loaded_rss_mb", "  resident memory with them", "MB"),
)


def table(figures: Mapping[str, float]) -> str:
    """Return the figures as lines of text."""
    rows = [_row(line, figures) for line in LINES if line.figure in figures]
    width = max(len(label) for label, _, _ in rows)
    return "\n".join(f"{label:<{width}}  {value:>14}  {verdict}".rstrip() for label, value, verdict in rows)


def claims_curve(figures: Mapping[str, float]) -> str:
    """Return the times by the number of claims held, a line for each number."""
    names = ("check_p50", "check_p99", "reserve_p50", "reserve_p99", "release_p50")
    sizes = sorted(int(name.rpartition("_")[2]) for name in figures if name.startswith("claims_check_p50_us_"))
    lines = ["claims held" + "".join(f"{name.replace('_', ' '):>14}" for name in names) + "       granted"]
    for size in sizes:
        times = "".join(f"{figures[f'claims_{name}_us_{size}']:>11,.0f} us" for name in names)
        lines.append(f"{size:>11,}{times}{figures.get(f'claims_outcome_granted_{size}', 0):>14.0%}")
    return "\n".join(lines)


def claims_source(figures: Mapping[str, float]) -> str:
    """Return a line that tells what the claims were drawn from."""
    prefix = "claims_files_"
    files = ", ".join(
        f"{name.removeprefix(prefix)} {count:,.0f}" for name, count in figures.items() if name.startswith(prefix)
    )
    return (
        f"drawn from real files ({files}), {figures['claims_copies']:.0f} copies below prefixes of their own; "
        "80 % files, 15 % directories, 5 % globs"
    )


def missed(figures: Mapping[str, float]) -> list[str]:
    """Return the names of the figures that miss their target."""
    return [line.figure for line in LINES if line.figure in figures and not line.is_met(figures[line.figure])]


def write_json(path: Path, figures: Mapping[str, float], options: Mapping[str, object]) -> None:
    """Write figures, targets and surroundings to a file."""
    document = {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()},
        "options": dict(options),
        "figures": dict(figures),
        "targets": {line.figure: line.target for line in LINES if line.target is not None},
        "missed": missed(figures),
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def _row(line: Line, figures: Mapping[str, float]) -> tuple[str, str, str]:
    value = figures[line.figure]
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    verdict = ""
    if line.target is not None:
        sign = "<" if line.is_ceiling else ">="
        verdict = f"{'ok' if line.is_met(value) else 'MISSED'} (target {sign} {line.target:g})"
    return line.label.format_map(dict(figures)), f"{shown} {line.unit}".rstrip(), verdict
