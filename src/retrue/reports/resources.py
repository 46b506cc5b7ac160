"""What the serving processes used, in words: a few figures on a page, a line of Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.reports.figures import Figure, count, number, share, size
from retrue.results import Resources, SystemHealth

TITLE = "The serving processes"


def resource_figures(health: SystemHealth | None) -> tuple[Figure, ...]:
    """Return what one process used at most, and of the processor usually; nothing where none was sampled."""
    used = health.resources if health else None
    return (*_processor(used), *_peaks(used)) if used else ()


def sampled(health: SystemHealth | None) -> str:
    """Return of how much the figures are."""
    used = health.resources if health else None
    if used is None:
        return ""
    processes = f"{count(used.processes)} process{'' if used.processes == 1 else 'es'}"
    return f"{processes}, {count(used.samples)} sample{'' if used.samples == 1 else 's'}; each figure is of one process"


def resources_markdown(health: SystemHealth | None) -> Iterator[str]:
    """Yield the figures as a Markdown table; they hold numbers of ours alone."""
    figures = resource_figures(health)
    if not figures:
        return
    yield from ("", f"## {TITLE}", "", "| figure | value | |", "| --- | --- | --- |")
    yield from (f"| {figure.label} | {figure.value} | {figure.note} |" for figure in figures)
    yield from ("", f"{sampled(health)}.")


def _processor(used: Resources) -> Iterator[Figure]:
    cores = used.cpu_cores
    if cores:
        note = f"p50 {number(cores['p50'])}, peak {number(cores['max'])}"
        yield Figure(label="Processor p95", value=f"{number(cores['p95'])} cores", note=note)


def _peaks(used: Resources) -> Iterator[Figure]:
    if used.memory_bytes is not None:
        yield Figure(label="Peak memory", value=size(used.memory_bytes))
    if used.connections is not None:
        note = "" if used.open_files is None else f"{count(used.open_files)} open files"
        yield Figure(label="Peak connections", value=count(used.connections), note=note)
    if used.threads is not None:
        yield Figure(label="Peak threads", value=count(used.threads))
    if used.gpu_share is not None:
        note = "" if used.gpu_memory_bytes is None else f"{size(used.gpu_memory_bytes)} on all GPUs"
        yield Figure(label="Peak GPU", value=share(used.gpu_share), note=note)
    if used.queue_records:
        yield Figure(label="Peak log queue", value=count(used.queue_records), note="records waiting")
