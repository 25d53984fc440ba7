"""Where one output ends and the next begins: even shares of the input bytes, cut at rows. Pure.

Within a file its bytes are taken to be spread evenly over its surviving rows, so one input is cut into even rows. An output without a row
is not made: fewer rows than outputs give fewer outputs. Rows that stay together may make outputs of half to one and three quarters of a
share: they fill one to one and a half at most, and one that begins early, by half of such rows, may be filled to its place by others.
"""

from __future__ import annotations

from compactor.model.rewrite import InputFile

_LEAST_SHARE, _MOST_SHARE = 0.5, 1.5
_ROUNDING = 1e-6


def weight_of(file: InputFile) -> int:
    """An input's share of the outputs: its bytes by the log."""
    return max(1, file.size_bytes)


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
        self._begun = 0.0

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
            if self._in_current:
                self._end_output()
                return 0, True
            self._end_output()
            end = self._end_in_file()
        taken = rows if end is None else min(rows, end - self._row)
        self._row += taken
        self._in_current += taken
        if end is None or self._row < end:
            return taken, False
        self._end_output()
        return taken, True

    def take_whole(self, rows: int) -> tuple[bool, bool]:
        """The `rows` (at least one) that come next stay together: whether the current output ends before them, and whether behind them.

        They go where most of them would go if they could be divided, but an output does not end before it has half of its share, and never
        without a row.
        """
        before = self._ends_before(rows)
        if before:
            self._end_output()
        self._row += rows
        self._in_current += rows
        end = self._end_in_file()
        if end is None or self._row < end:
            return before, False
        self._end_output()
        return before, True

    def fits_whole(self, rows: int) -> bool:
        """Whether the `rows` (at least one) that come next make no output too large if they stay together, or dividing would not help."""
        if self._current >= self._outputs - 1:
            return True
        taken = 0.0 if self._ends_before(rows) else self._taken()
        return taken + self._bytes_of(rows) <= (_MOST_SHARE + _ROUNDING) * self._total / self._outputs

    def _ends_before(self, rows: int) -> bool:
        """Whether the current output ends before these rows, if they stay together."""
        end = self._end_in_file()
        if end is None or not self._in_current or self._taken() < (_LEAST_SHARE - _ROUNDING) * self._total / self._outputs:
            return False
        return 2 * (end - self._row) < rows and end < self._row + rows

    def _position(self) -> float:
        """Bytes of all inputs up to here."""
        return self._bytes_before + self._bytes_of(self._row)

    def _bytes_of(self, rows: int) -> float:
        return self._file_bytes * rows / max(1, self._file_rows)

    def _taken(self) -> float:
        """Bytes in the current output."""
        return self._position() - self._begun

    def _end_output(self) -> None:
        self._in_current, self._begun = 0, self._position()
        self._skip_to_next()

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
