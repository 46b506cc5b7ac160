"""Drain3 beside retrue: groups the messages it reads from standard input, in a process of its own.

Drain3 0.9.11 wants a cachetools of 2021, which Prefect refuses; so it lives in a folder of its own and never in the
environment of retrue. ``masks`` are those of the example configuration that Drain3 is shipped with.
"""

from __future__ import annotations

import json
import sys

VERSION = "0.9.11"
_ALONE = r"((?<=[^A-Za-z0-9])|^)({})((?=[^A-Za-z0-9])|$)"
MASKS = {
    "ID": r"([0-9a-f]{2,}:){3,}([0-9a-f]{2,})",
    "IP": r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
    "SEQ": r"([0-9a-f]{6,} ?){3,}",
    "SEQ ": r"([0-9A-F]{4} ?){4,}",
    "HEX": r"0x[a-f0-9A-F]+",
    "NUM": r"[\-\+]?\d+",
}


def groups(messages: list[str], *, masked: bool) -> list[int]:
    """Return the cluster of each message once all have been read."""
    from drain3 import TemplateMiner  # type: ignore[import-not-found]
    from drain3.masking import MaskingInstruction  # type: ignore[import-not-found]
    from drain3.template_miner_config import TemplateMinerConfig  # type: ignore[import-not-found]

    config = TemplateMinerConfig()
    config.profiling_enabled = False
    if masked:
        config.drain_extra_delimiters = ["_"]
        config.masking_instructions = [
            MaskingInstruction(_ALONE.replace("{}", pattern), name.strip()) for name, pattern in MASKS.items()
        ]
    miner = TemplateMiner(config=config)
    return [int(miner.add_log_message(message)["cluster_id"]) for message in messages]


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump([groups(each["messages"], masked=each["masked"]) for each in given], sys.stdout)
