"""Where one output ends and the next begins: even shares of the input bytes, cut at rows. Pure.

Within a file its bytes are taken to be spread evenly over its surviving rows, so one input is cut into even rows. An output without a row
is not made: fewer rows than outputs give fewer outputs.
"""

from __future__ import annotations


class Division:
    """Follows the rows of the inputs as they come and says how many may still go to the current output."""

    def __init__(self, total_bytes: int, outputs: int) -> None:
        self._total = max(1, total_bytes)
        self._outputs = max(1, outputs)
        self._current = 0
        self._in_current = 0
        self._bytes_before = 0
        self._file_bytes = 0
        self._file_rows = 0
        self._row = 0

    def next_file(self, size_bytes: int, rows: int) -> None:
        """The next input begins: its bytes, and its rows that are not deleted."""
        self._bytes_before += self._file_bytes
        self._file_bytes, self._file_rows, self._row = size_bytes, rows, 0

    def take(self, rows: int) -> tuple[int, bool]:
        """Of the `rows` (at least one) that come next in this file: how many go to the current output, and whether it is full then.

        None may go when the output was full before them; it has a row by then.
        """
        end = self._end_in_file()
        if end is not None and end <= self._row:
            self._skip_to_next()
            if self._in_current:
                self._in_current = 0
                return 0, True
            end = self._end_in_file()
        taken = rows if end is None else min(rows, end - self._row)
        self._row += taken
        self._in_current += taken
        if end is None or self._row < end:
            return taken, False
        self._skip_to_next()
        self._in_current = 0
        return taken, True

    def take_whole(self, rows: int) -> tuple[bool, bool]:
        """The `rows` (at least one) that come next stay together: whether the current output ends before them, and whether behind them.

        They go where most of them would go if they could be divided, but never leave an output without a row.
        """
        before = False
        while (end := self._end_in_file()) is not None and 2 * (end - self._row) < rows and end < self._row + rows:
            before |= self._in_current > 0
            if not self._in_current:
                break
            self._in_current = 0
            self._skip_to_next()
        self._row += rows
        self._in_current += rows
        end = self._end_in_file()
        if end is None or self._row < end:
            return before, False
        self._skip_to_next()
        self._in_current = 0
        return before, True

    def _end_in_file(self) -> int | None:
        """The row of this file before which the current output ends; None when that is not in this file, or it is the last output."""
        if self._current >= self._outputs - 1 or self._file_bytes <= 0:
            return None
        boundary = self._total * (self._current + 1) - self._bytes_before * self._outputs  # scaled by the number of outputs
        if boundary > self._file_bytes * self._outputs:
            return None
        return -(-boundary * self._file_rows // (self._file_bytes * self._outputs))

    def _skip_to_next(self) -> None:
        """On to the next output whose end is still ahead."""
        while True:
            self._current += 1
            end = self._end_in_file()
            if end is None or end > self._row:
                return
