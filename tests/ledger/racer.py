"""A process that works on a ledger beside others: one JSON command a line in, one JSON answer a line out."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from retrue.errors import FencedError, RetrueError
from retrue.ledger import Ledger
from tests.ledger.verdicts import DROP, NOW, commit, render, verdict, watched, week


def open_only(ledger: Ledger, name: str) -> object:
    return ledger.models.champion("m")


def commit_weeks(ledger: Ledger, name: str) -> object:
    new = 0
    for number in range(10):
        try:
            new += commit(ledger, verdict(number, DROP)).new
        except FencedError:
            continue
    return new


def take(ledger: Ledger, name: str) -> object:
    taken: list[int] = []
    while rows := ledger.outbox.take_due(NOW, name, kinds=["event"], limit=2):
        taken += [row.id for row in rows]
    return taken


def promote(ledger: Ledger, name: str) -> object:
    try:
        ledger.models.promote("m", name, expected_champion="1", reason="better", now=NOW)
    except FencedError:
        return None
    return name


def die_deciding(ledger: Ledger, name: str) -> object:
    def die(*_: object) -> tuple[str, str]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    entry = {"metrics": {}, "report_dir": "", "step": 0, "flow_run_url": "", "settings": watched()}
    ledger.commit(verdict(0, DROP), token=ledger.claim(week(0)), render=die, now=NOW, **entry)  # type: ignore[arg-type]
    return render


WORK: dict[str, Callable[[Ledger, str], object]] = {
    work.__name__: work for work in (open_only, commit_weeks, take, promote, die_deciding)
}


def main() -> None:
    name = sys.argv[1]
    for line in sys.stdin:
        command = json.loads(line)
        try:
            with Ledger.open(command["url"], root=Path(command["root"])) as ledger:
                answer: object = WORK[command["work"]](ledger, name)
        except RetrueError as error:
            answer = f"{type(error).__name__}: {error}"
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
