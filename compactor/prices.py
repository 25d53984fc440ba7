"""Reads price lists: prices.toml in this package, or a file of the user's own in TOML or JSON with the same keys. Reads only."""

from __future__ import annotations

import json
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from compactor.errors import SettingsError
from compactor.model.usage import Prices

DEFAULT_PRICES = Path(__file__).with_name("prices.toml")


def load_prices(file: str | None) -> Prices:
    """The price list in `file`, or the package's own. Raises SettingsError naming the file and what is wrong with it."""
    path = DEFAULT_PRICES if file is None else Path(file)
    try:
        text = path.read_text(encoding="utf-8")
        body = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"The price list {path} cannot be read: {(error.strerror or type(error).__name__).lower()}.") from None
    except ValueError as error:
        raise SettingsError(f"The price list {path} is not {'JSON' if path.suffix == '.json' else 'TOML'}: {error}.") from None
    return _prices(body, path)


def _prices(body: Any, path: Path) -> Prices:
    if not isinstance(body, dict):
        raise SettingsError(f"The price list {path} is no list of keys and prices.")
    names = [field.name for field in fields(Prices)]
    needed = [field.name for field in fields(Prices) if field.default is MISSING]
    wrong = next((key for key in body if key not in names), None) or next((name for name in needed if name not in body), None)
    if wrong is not None:
        raise SettingsError(f"{path}: {wrong}: {'there is no such price' if wrong in body else 'this price is missing'}.")
    for name, value in body.items():
        text = name in ("name", "currency")
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
        if not (isinstance(value, str) if text else number):
            raise SettingsError(f"{path}: {name}: {value!r} is not {'a text' if text else 'a price of zero or more'}.")
    return Prices(**body)
