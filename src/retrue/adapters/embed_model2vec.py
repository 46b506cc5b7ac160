"""Embeddings of texts by a Model2Vec model in a folder of this machine; the extra ``text`` brings the library.

Its static embeddings need neither torch nor a graphics card, and are read from a path, so that nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrue.errors import ConfigError

KEY = "drift.text.model"


def load_embedder(folder: Path, *, file: Path) -> Callable[[Sequence[str]], Any]:
    """Return a function from texts to their embeddings, shape (texts, width).

    Args:
        folder: Where the model is.
        file: The retrue.yaml that names it, for the message.

    Raises:
        ConfigError: No such folder, no model in it, or the extra ``text`` is not installed.
    """
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}: a model is never fetched, save it there first", file=file, key=KEY)
    try:
        from model2vec import StaticModel
    except ImportError as error:
        raise ConfigError(
            "Model2Vec is not installed: pip install 'retrue[text]', or name a function of yours under drift.text.embed",
            file=file,
            key=KEY,
        ) from error
    try:
        model = StaticModel.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"no Model2Vec model in {folder} ({type(error).__name__})", file=file, key=KEY) from error
    return lambda texts: model.encode(list(texts))
