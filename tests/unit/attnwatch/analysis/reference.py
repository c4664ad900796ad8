"""The measures of MEASURES.md once more, from their formulas alone: loops over Python floats, summed exactly."""

import math
from collections.abc import Sequence

Map = Sequence[Sequence[float]]


def spatial(rows: Map) -> dict[str, float]:
    height, width = len(rows), len(rows[0])
    cells = [
        (float(value), (x + 0.5) / width, (y + 0.5) / height)
        for y, row in enumerate(rows)
        for x, value in enumerate(row)
    ]
    count, total = len(cells), math.fsum(value for value, _, _ in cells)
    shares = [(value / total, x, y) for value, x, y in cells]
    entropy = -math.fsum(q * math.log(q) for q, _, _ in shares if q > 0)
    centre_x, centre_y = math.fsum(q * x for q, x, _ in shares), math.fsum(q * y for q, _, y in shares)
    squares = (q * (((x - centre_x) * width) ** 2 + ((y - centre_y) * height) ** 2) for q, x, y in shares)
    peak = max(cells, key=lambda cell: cell[0])
    left, hottest = 0.1 * count, []
    for q, _, _ in sorted(shares, reverse=True):
        hottest.append(q * max(0.0, min(1.0, left)))
        left -= 1
    return {
        "mass": total / count,
        "peak": peak[0],
        "peak_x": peak[1],
        "peak_y": peak[2],
        "entropy": entropy / math.log(count),
        "concentration": 1 - entropy / math.log(count),
        "effective_area": math.exp(entropy) / count,
        "centroid_x": centre_x,
        "centroid_y": centre_y,
        "spread": math.sqrt(math.fsum(squares) / (width**2 + height**2)),
        "hottest_share": math.fsum(hottest),
    }


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    mean_a, mean_b = math.fsum(first) / len(first), math.fsum(second) / len(second)
    a, b = [value - mean_a for value in first], [value - mean_b for value in second]
    return _dot(a, b) / math.sqrt(_dot(a, a) * _dot(b, b))


def cosine(first: Sequence[float], second: Sequence[float]) -> float:
    return _dot(first, second) / math.sqrt(_dot(first, first) * _dot(second, second))


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    hot_a, hot_b = _hottest(first), _hottest(second)
    return len(hot_a & hot_b) / len(hot_a | hot_b)


def _hottest(cells: Sequence[float]) -> set[int]:
    count = max(1, round(0.1 * len(cells)))
    least = sorted(cells, reverse=True)[count - 1]
    return {index for index, value in enumerate(cells) if value >= least and value > 0}


def _dot(first: Sequence[float], second: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))
