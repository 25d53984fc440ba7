"""The service file, read again when it has changed: a new one holds as a whole or, when anything in it is wrong, not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from compactor.errors import SettingsError
from compactor.service.config import ServiceConfig
from compactor.service.config_file import parse_config, read_config


class ConfigFile:
    """`current` is the newest content that was right. Raises SettingsError when the file is wrong from the start."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self.current: ServiceConfig = read_config(self._path)
        self.problem: str | None = None
        self._seen: bytes | None = None
        self.look()

    def look(self) -> bool:
        """Whether `current` is another one than before. What is wrong with a newer content stands in `problem` until it is mended.

        A file that cannot be read for a moment (it is being replaced) is wrong too, and nothing more.
        """
        try:
            data = self._path.read_bytes()
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            self.problem, self._seen = f"The service file {self._path} cannot be read: {why}; the earlier one holds.", None
            return False
        if data == self._seen:
            return False
        self._seen = data
        try:
            found = parse_config(data.decode("utf-8"), str(self._path))
        except (SettingsError, UnicodeDecodeError) as error:
            self.problem = f"{error} The earlier file holds."
            return False
        fixed = [name for name, was, now in _fixed(self.current, found) if was != now]
        if fixed:
            self.problem = (
                f"{self._path}: {fixed[0]}: it cannot change while the service runs; restart the service. The earlier file holds."
            )
            return False
        self.problem = None
        changed = found != self.current
        self.current = found
        return changed


def _fixed(before: ServiceConfig, after: ServiceConfig) -> Iterator[tuple[str, object, object]]:
    """What a process is bound to from its start."""
    yield "state", before.state, after.state
    yield "[http]", before.http, after.http
    yield "[service] traces", before.pace.traces, after.pace.traces
