"""Where the groups of one run will be rewritten, begun as soon as it is likely to be needed, so that it starts while the run is planned.

Nothing is made or started for a run that finds nothing to do; what was begun for a plan that then came out empty is closed again.
"""

from __future__ import annotations

from collections.abc import Callable

from compactor.execution.base import Executor


class Early:
    """Makes executors; the first may have been begun early."""

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make
        self._begun: Executor | None = None

    def expect(self) -> None:
        """An executor will probably be asked for."""
        if self._begun is None:
            self._begun = self._make()
            self._begun.begin()

    def __call__(self) -> Executor:
        """An executor that has begun, which is the caller's to close."""
        self.expect()
        executor, self._begun = self._begun, None
        assert executor is not None
        return executor

    def close(self) -> None:
        """Close what was begun and not asked for."""
        if self._begun is not None:
            self._begun.close()
            self._begun = None
