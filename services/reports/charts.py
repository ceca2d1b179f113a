"""Geometry of the charts. Pure: numbers in, coordinates in SVG user units out; the template only draws them."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.reports.wording import counted, number, visible

BAR_ROW = 28
BAR_WIDTH = 520
_BAR_LABEL_WIDTH = 190
_BAR_VALUE_WIDTH = 60
_LABEL_CELLS = 23
"""Character cells that fit the label's width."""

COLUMNS_WIDTH = 960
COLUMNS_HEIGHT = 220
_AXIS_WIDTH = 48
_TOP = 12
_BASELINE = 190
_MOST_TICKS = 12
_DAY_LABEL = len("2024-03-05")
_DAY_LABEL_WIDTH = 72
_TABLE = "The table has all figures."


@dataclass(frozen=True)
class Datum:
    """One bar or column to be drawn. `marked` sets it apart from the others, as the chart's legend says."""

    label: str
    value: int
    detail: str
    """The value in words, with its unit."""
    marked: bool = False
    shown: str = ""
    """The value as it stands at the end of a bar; the number itself when empty."""


@dataclass(frozen=True)
class Bar:
    """A drawn bar: `y` is the top of its row."""

    label: str
    tooltip: str
    value: str
    y: int
    length: float
    value_x: float
    marked: bool


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars, one row each."""

    id: str
    title: str
    description: str
    bars: tuple[Bar, ...]
    label_x: int = _BAR_LABEL_WIDTH - 10
    bar_x: int = _BAR_LABEL_WIDTH
    width: int = BAR_WIDTH

    @property
    def height(self) -> int:
        """Height of all rows."""
        return BAR_ROW * len(self.bars)


@dataclass(frozen=True)
class Column:
    """A drawn column with the words it shows when pointed at."""

    x: float
    y: float
    width: float
    height: float
    tooltip: str


@dataclass(frozen=True)
class Mark:
    """A place on an axis and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class ColumnChart:
    """Columns over time with grid lines."""

    id: str
    title: str
    description: str
    columns: tuple[Column, ...]
    grid: tuple[Mark, ...]
    ticks: tuple[Mark, ...]
    left: int = _AXIS_WIDTH
    baseline: int = _BASELINE
    width: int = COLUMNS_WIDTH
    height: int = COLUMNS_HEIGHT


def bar_chart(
    chart_id: str,
    title: str,
    data: Sequence[Datum],
    keep: Literal["start", "end"] = "start",
    full: int | None = None,
) -> BarChart | None:
    """Bars as long as their values; None when there is nothing to compare.

    `keep` says which end of a label too long is kept: the end for paths. `full` is the value over the full width,
    the largest there is when it is left out; a bar by itself is compared with it.
    """
    largest = full or max((datum.value for datum in data), default=0)
    if not data or largest <= 0 or (full is None and len(data) == 1):
        return None
    bars = tuple(_bar(row, datum, largest, keep) for row, datum in enumerate(data))
    first = max(data, key=lambda datum: datum.value)
    rows = counted(len(data), "bar")
    description = f"{rows}; the longest is {visible(first.label)} with {first.detail}. {_TABLE}"
    return BarChart(chart_id, title, description, bars)


def _bar(row: int, datum: Datum, largest: int, keep: Literal["start", "end"]) -> Bar:
    label = visible(datum.label)
    length = _scaled(datum.value, largest, BAR_WIDTH - _BAR_LABEL_WIDTH - _BAR_VALUE_WIDTH)
    return Bar(
        label=fit(label, _LABEL_CELLS, keep),
        tooltip=f"{label}: {datum.detail}",
        value=datum.shown or number(datum.value),
        y=row * BAR_ROW,
        length=length,
        value_x=_BAR_LABEL_WIDTH + length + 7,
        marked=datum.marked,
    )


def column_chart(
    chart_id: str, title: str, data: Sequence[Datum], *, table: str = _TABLE, full: int | None = None
) -> ColumnChart | None:
    """One column for each year, month or day (`2024`, `2024-03`, `2024-03-05`), in their order.

    None when there is nothing to compare. `table` says where the figures are, `full` is as of `bar_chart`.
    """
    largest = max((datum.value for datum in data), default=0)
    if largest <= 0 or len(data) == 1:
        return None
    step = _nice_step(full or largest)
    top = -(-(full or largest) // step) * step
    pitch = (COLUMNS_WIDTH - _AXIS_WIDTH) / len(data)
    width = round(min(40.0, pitch * 0.8), 2)
    columns = tuple(
        Column(
            x=round(_AXIS_WIDTH + pitch * index + (pitch - width) / 2, 2),
            y=round(_BASELINE - (height := _scaled(datum.value, top, _BASELINE - _TOP)), 1),
            width=width,
            height=height,
            tooltip=f"{datum.label}: {datum.detail}",
        )
        for index, datum in enumerate(data)
        if datum.value > 0
    )
    grid = tuple(
        Mark(round(_BASELINE - _scaled(value, top, _BASELINE - _TOP), 1), number(value))
        for value in range(0, top + 1, step)
    )
    most = max(data, key=lambda datum: datum.value)
    description = f"{data[0].label} to {data[-1].label}; the most is {most.detail} in {most.label}. {table}"
    return ColumnChart(chart_id, title, description, columns, grid, _ticks([datum.label for datum in data], pitch))


def _ticks(labels: Sequence[str], pitch: float) -> tuple[Mark, ...]:
    """Labels under the time axis: each January by its year, or every one when there are few or days; never too many."""
    all_of_them = len(labels) <= _MOST_TICKS or len(labels[0]) == _DAY_LABEL
    places = [
        (_AXIS_WIDTH + pitch * (index + 0.5), label if all_of_them else label[:4])
        for index, label in enumerate(labels)
        if all_of_them or len(label) == len("2024") or label.endswith("-01")
    ]
    every = -(-len(places) // _MOST_TICKS)
    return tuple(
        Mark(round(at, 2), label)
        for at, label in places[::every]
        if len(label) < _DAY_LABEL or at + _DAY_LABEL_WIDTH / 2 <= COLUMNS_WIDTH
    )


def _scaled(value: int, largest: int, room: int) -> float:
    """Length for a value, to a tenth of a unit; at least 1 for anything above zero. Integers: no value overflows."""
    return max(10, 10 * room * value // largest) / 10 if value > 0 else 0.0


def _nice_step(largest: int) -> int:
    """Distance of grid lines: 1, 2 or 5 times a power of ten, for at most five lines above zero."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * 5 >= largest:
                return factor * power
        power *= 10


def fit(text: str, cells: int, keep: Literal["start", "end"]) -> str:
    """`text` cut to a width in character cells (wide East Asian characters take two), with an ellipsis."""
    if _width(text) <= cells:
        return text
    kept = ""
    for char in text if keep == "start" else reversed(text):
        if _width(kept) + _width(char) > cells - 1:
            break
        kept = kept + char if keep == "start" else char + kept
    return f"{kept}…" if keep == "start" else f"…{kept}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
