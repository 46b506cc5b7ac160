"""Findings about the input itself: what could not be read, duplicates, versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.results import Finding, Measurements, PullReport, Severity


def source_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    """Yield what is to be said of the input itself, also of a window that cannot be judged."""
    pull = measurements.pull
    if pull.set_aside:
        places = ", ".join(f"{item.place} ({item.reason})" for item in pull.set_aside[:3])
        yield Finding(
            check="source.set_aside",
            scope="",
            severity=Severity.INFO,
            value=f"{pull.set_aside_share:.2%}",
            threshold=f"{settings.quality.max_set_aside_share:.2%}",
            message=f"{sum(item.count for item in pull.set_aside)} lines or files could not be read: {places}.",
            next_step="Look at what wrote these files; the rest of the window was judged.",
        )
    yield from _loss_findings(pull, settings)
    read = pull.rows + pull.duplicates
    if read and pull.duplicates / read > settings.quality.max_duplicate_share:
        yield Finding(
            check="source.duplicates",
            scope="",
            severity=Severity.WARNING,
            value=f"{pull.duplicates / read:.2%}",
            threshold=f"{settings.quality.max_duplicate_share:.2%}",
            message=f"{pull.duplicates} records repeat an inference_id; each inference was counted once.",
            next_step="Check the logger's retries: it may deliver records twice.",
        )
    if len(pull.model_versions) > 1:
        yield Finding(
            check="source.versions",
            scope="",
            severity=Severity.INFO,
            value=str(len(pull.model_versions)),
            threshold="1",
            message=f"{len(pull.model_versions)} versions served; judged against version {measurements.model_version}.",
            next_step="Expected while a version is being rolled out.",
        )
    if pull.erased:
        yield Finding(
            check="source.erased",
            scope="",
            severity=Severity.INFO,
            value=str(pull.erased),
            threshold="0",
            message=f"{pull.erased} records of erased people were left out.",
            next_step="`retrue purge` removes them from the disk; find out what delivers them again.",
        )


def _loss_findings(pull: PullReport, settings: ModelSettings) -> Iterator[Finding]:
    if pull.lost:
        share = pull.lost / (pull.rows + pull.duplicates + pull.lost)
        limit = settings.quality.max_set_aside_share
        yield Finding(
            check="source.lost",
            scope="",
            severity=Severity.WARNING if share > limit else Severity.INFO,
            value=f"{share:.2%}",
            threshold=f"{limit:.2%}",
            message=f"{pull.lost} records that the logger accepted are missing: their numbers are not in the log.",
            next_step="A process or machine died, or a file was damaged: see what happened at that time.",
        )
    gone = {
        reason: count for reason, count in pull.dropped.items() if reason != "pressure"
    }  # weights make up for those
    if gone:
        reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in gone.items())
        yield Finding(
            check="source.dropped",
            scope="",
            severity=Severity.INFO,
            value=str(sum(gone.values())),
            threshold="0",
            message=f"The logger let go of {sum(gone.values())} records: {reasons}.",
            next_step="Give the spool more room, or see what the disk says.",
        )
