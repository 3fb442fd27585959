"""Groups of at least so many rows that lie near each other: what a shared artifact keeps instead of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cells(points: NDArray[np.floating], size: int) -> NDArray[np.int64]:
    """(N,) cell of each of (N, D) points, 0..; every cell holds `size` rows or more, all rows where there are fewer.

    Halves the points along their widest coordinate, as a k-d tree does, while both halves are large enough.
    """
    cell = np.zeros(len(points), np.int64)
    waiting, done = [np.arange(len(points))], 0
    while waiting:
        rows = waiting.pop()
        if len(rows) < 2 * size:
            cell[rows] = done
            done += 1
            continue
        widest = int(points[rows].var(axis=0).argmax()) if points.shape[1] else 0
        order = rows[np.argsort(points[rows, widest], kind="stable")] if points.shape[1] else rows
        waiting += [order[: len(order) // 2], order[len(order) // 2 :]]
    return cell


def cells_by_pattern(points: NDArray[np.floating], known: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
    """As `cells`, and rows of one cell know the same columns. (N,); -1 where a pattern has fewer than `size` rows."""
    cell = np.full(len(points), -1, np.int64)
    _, pattern = np.unique(known, axis=0, return_inverse=True)
    start = 0
    for each in range(int(pattern.max(initial=-1)) + 1):
        rows = np.flatnonzero(pattern.ravel() == each)
        if len(rows) < size:
            continue
        cell[rows] = cells(points[rows], size) + start
        start = int(cell.max()) + 1
    return cell
