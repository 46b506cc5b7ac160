"""Tensors of the V2 inference protocol (Triton, KServe, MLServer) and of Seldon into rows. Pure.

Source: kserve/open-inference-protocol, inference_rest.md; SeldonIO/seldon-core, proto/prediction.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retrue.sources.formats.refused import RefusedEventError

Row = dict[str, Any]


def is_tensors(value: Any) -> bool:
    """Tell whether a value is the list of tensors of a V2 request or response."""
    return (
        isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) and "shape" in each for each in value)
    )


def tensor_rows(tensors: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Row]:
    """Return the rows of V2 tensors; the first dimension is the batch.

    A tensor with one value a row has its own name; one with several has ``names``, or ``<tensor>_<n>`` from 0.

    Raises:
        RefusedEventError: Data in binary, or shapes that do not fit.
    """
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        if "data" not in tensor:
            raise RefusedEventError("a tensor has its data in binary, which was not logged")
        rows = _rows(tensor["data"], tensor["shape"])
        width = len(rows[0]) if rows else 0
        own = [str(tensor["name"])] if width == 1 else [f"{tensor['name']}_{number}" for number in range(width)]
        chosen = names if len(names) == width and len(tensors) == 1 else own
        columns |= {name: [row[number] for row in rows] for number, name in enumerate(chosen)}
    if len({len(values) for values in columns.values()}) > 1:
        raise RefusedEventError("the tensors have different numbers of rows")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows(data: Any, shape: Sequence[int]) -> list[list[Any]]:
    flat = list(_flat(data))
    if math.prod(shape) != len(flat) or not shape:
        raise RefusedEventError("the shape of a tensor does not fit its data")
    width = len(flat) // shape[0] if shape[0] else 0
    return [flat[start * width : (start + 1) * width] for start in range(shape[0])]


def _flat(data: Any) -> Iterator[Any]:
    for each in data:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def seldon_rows(message: Mapping[str, Any]) -> Iterator[tuple[Sequence[str], Any]]:
    """Yield the names of a Seldon message's columns, none where it has none, and each of its rows.

    Raises:
        RefusedEventError: Data in binary, or shapes that do not fit.
    """
    data = message.get("data")
    if isinstance(data, Mapping):
        names = [str(name) for name in data.get("names") or ()]
        if "tensor" in data:
            tensor = data["tensor"]
            rows: Sequence[Any] = _rows(tensor.get("values", ()), tensor["shape"])
        elif "ndarray" in data:
            rows = data["ndarray"]
        else:
            raise RefusedEventError("the payload is in binary")
        for row in rows:
            yield names, row if isinstance(row, list) else [row]
    elif "jsonData" in message:
        json_data = message["jsonData"]
        for row in json_data if isinstance(json_data, list) else [json_data]:
            yield (), row
    elif "strData" in message:
        yield (), [message["strData"]]
    else:
        raise RefusedEventError("the payload is in binary")
