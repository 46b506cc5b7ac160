"""Functions that fail with a message about their argument, one for each way of writing a message."""

import json
from pathlib import Path
from typing import Any


class FareError(ValueError):
    """Raised with data alone; the words stand in the class."""

    def __init__(self, fare: object) -> None:
        super().__init__(f"the fare {fare} is out of range")


class MuteError(ValueError):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def formatted(data: str) -> None:
    raise ValueError(f"no fare for {data} in {data!r} today")


def percent(data: str) -> None:
    raise ValueError("passenger %s has no %s" % (data, data))  # noqa: UP031 - one of the ways


def format_method(data: str) -> None:
    raise KeyError("passenger {} is unknown".format(data))  # noqa: UP032 - one of the ways


def over_lines(data: str) -> None:
    raise ValueError(
        "one"
        f" part {data}"
        " and another"
    )  # fmt: skip


def named_before(data: str) -> None:
    message = "no fare for %s" % data  # noqa: UP031 - one of the ways
    raise ValueError(message)


def of_own_class(data: str) -> None:
    raise FareError(data)


def asserted(data: str) -> None:
    assert data is None, f"expected nothing, not {data}"


def several_arguments(data: str) -> None:
    raise ValueError("bad value", data)


def from_cause(data: str) -> None:
    try:
        formatted(data)
    except ValueError as error:
        raise RuntimeError(f"cannot price {data}") from error


def group(data: str) -> None:
    raise ExceptionGroup(f"several failed for {data}", [ValueError(data)])


def noted(data: str) -> None:
    error = ValueError("refused")
    error.add_note(f"it was {data}")
    raise error


def data_alone(data: str) -> None:
    raise RuntimeError(data)


def data_before_words(data: str) -> None:
    raise RuntimeError(data + " was refused")


def mute(data: str) -> None:
    raise MuteError(data)


def key(data: str) -> Any:
    return {}[data]


def number(data: str) -> float:
    return float(data)


def integer(data: str) -> int:
    return int(data)


def attribute(data: str) -> Any:
    return data.visibility  # type: ignore[attr-defined]


def attribute_of_data(data: str) -> Any:
    return getattr(1, data)


def added(data: str) -> Any:
    return data + 3  # type: ignore[operator]


def divided(data: str) -> float:
    return 1 / 0 if data else 0


def index(data: str) -> str:
    return data[len(data)]


def file(data: str) -> None:
    Path(f"/nowhere/{data}").read_bytes()


def parsed(data: str) -> None:
    json.loads(data)


WAYS = {
    formatted: "no fare for <*> in <*> today",
    percent: "passenger <*> has no <*>",
    format_method: "passenger <*> is unknown",
    over_lines: "one part <*> and another",
    named_before: "no fare for <*>",
    of_own_class: "the fare <*> is out of range",
    asserted: "expected nothing, not <*>",
    several_arguments: "<*>bad value<*>",
    from_cause: "cannot price <*>",
    group: "several failed for <*>",
    noted: "refused\n<text, {noted} characters>",
    data_alone: "<text, {length} characters>",
    data_before_words: "<*> was refused",
    mute: "<unprintable MuteError>",
    key: "<text, {quoted} characters>",
    number: "could not convert string to float: <*>",
    integer: "invalid literal for int() with base <*>: <*>",
    attribute: "'str' object has no attribute 'visibility'",
    attribute_of_data: "'int' object has no attribute '<*>'",
    added: 'can only concatenate str (not "int") to str',
    divided: "division by zero",
    index: "string index out of range",
    file: "[Errno 2] No such file or directory: <*>",
    parsed: "Expecting value<*>",
}
"""What is written of each message; lengths are of the data as it stands in the text."""
