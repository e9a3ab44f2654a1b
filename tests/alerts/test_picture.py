"""The equity picture: a PNG from a process of its own, or none, and never an exception."""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import subprocess
import sys
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from thunes.alerts import picture
from thunes.alerts.picture import HEIGHT, LINE, SIDES, SIGNATURE, WIDTH, Scale, draw, equity_png

D = Decimal
MIDNIGHT = 1_795_392_000_000
MINUTE = 60_000
HILL = [(MIDNIGHT + number * MINUTE, D(10_000) - (number - 720) ** 2 / D(10**6)) for number in range(1_441)]
UPWARD = [(MIDNIGHT, D(1)), (MIDNIGHT + 60 * MINUTE, D(2))]

Points = list[tuple[int, Decimal]]
Colour = tuple[int, ...]


def colour(name: str) -> Colour:
    return tuple(bytes.fromhex(name[1:]))


def drawn(points: Points, title: str = "2026-11-23", **more: Any) -> Image.Image:
    """What `draw` makes of it in this process, decoded."""
    return decoded(draw({"title": title, "points": [[ms, str(equity)] for ms, equity in points], **more}))


def decoded(png: bytes) -> Image.Image:
    """The picture, after a look at its first bytes: signature, IHDR's length and name, width and height."""
    assert struct.unpack(">8sI4sII", png[:24]) == (SIGNATURE, 13, b"IHDR", WIDTH, HEIGHT)
    image = Image.open(BytesIO(png))
    image.load()
    return image


def places_of(image: Image.Image, wanted: Colour) -> list[tuple[int, int]]:
    """Where it has this very colour: columns and rows from the upper left."""
    pixels = image.convert("RGB").tobytes()
    at = [index // 3 for index in range(0, len(pixels), 3) if tuple(pixels[index : index + 3]) == wanted]
    return [(index % WIDTH, index // WIDTH) for index in at]


def line(image: Image.Image) -> list[tuple[int, int]]:
    return sorted(places_of(image, colour(LINE)))


def asked_for(points: Points, timeout: float = 60, **more: Any) -> bytes | None:
    return asyncio.run(equity_png("2026-11-23", points, timeout, **more))


# --- what is on it ---


def test_the_line_goes_through_the_day_and_has_the_days_form() -> None:
    at = line(drawn(HILL))
    columns = {x for x, _ in at}
    top, left, right = min(at, key=lambda p: p[1]), at[0], max(at)

    assert len(columns) > 0.8 * WIDTH
    assert abs(top[0] - (left[0] + right[0]) / 2) < WIDTH / 10
    assert left[1] - top[1] > HEIGHT / 2
    assert right[1] - top[1] > HEIGHT / 2


def test_it_is_opaque_so_that_a_dark_chat_does_not_swallow_it() -> None:
    image = drawn(HILL).convert("RGBA")

    assert image.getchannel("A").getextrema() == (255, 255)
    assert image.getpixel((0, 0)) == (255, 255, 255, 255)


def test_without_a_point_it_says_so_and_has_no_line() -> None:
    image = drawn([])

    assert line(image) == []
    assert len(set(image.convert("L").tobytes())) > 10  # there are words


def test_one_point_is_a_dot() -> None:
    columns = {x for x, _ in line(drawn(HILL[:1]))}

    assert 5 < len(columns) < 30


def test_two_points_are_a_line_between_them() -> None:
    at = line(drawn(UPWARD))

    assert at[-1][0] - at[0][0] > 0.7 * WIDTH
    assert at[0][1] - at[-1][1] > HEIGHT / 2


def test_equal_equities_are_a_flat_line_in_the_middle() -> None:
    rows = {y for x, y in line(drawn([(ms, D(10_000)) for ms, _ in HILL])) if x < WIDTH / 2}

    assert 1 <= len(rows) <= 4
    assert HEIGHT / 4 < min(rows) < HEIGHT * 3 / 4


@pytest.mark.parametrize("factor", ["1e400", "1e15", "1e-400", "-1"])
def test_whatever_their_size_equities_have_the_same_form(factor: str) -> None:
    at = line(drawn([(ms, equity * D(factor)) for ms, equity in UPWARD]))
    rise = at[0][1] - at[-1][1]

    assert (rise if D(factor) > 0 else -rise) > HEIGHT / 2
    assert at[-1][0] - at[0][0] > 0.6 * WIDTH


def test_points_that_come_in_any_order_are_one_line() -> None:
    assert drawn(HILL[::-1]).tobytes() == drawn(HILL).tobytes()


def test_fills_are_marked_on_the_line_and_those_beside_it_left_out() -> None:
    fills = [(MIDNIGHT + 30 * MINUTE, "BUY"), (MIDNIGHT + 45 * MINUTE, "SELL"), (MIDNIGHT - MINUTE, "BUY")]
    bare, marked = drawn(UPWARD), drawn(UPWARD, fills=fills)

    for side in SIDES:
        assert places_of(bare, colour(SIDES[side][1])) == []
        assert places_of(marked, colour(SIDES[side][1]))
    assert drawn(UPWARD, fills=fills[2:]).tobytes() == bare.tobytes()


def test_a_fill_at_the_very_moment_of_the_only_point_is_marked_there() -> None:
    marked = drawn(HILL[:1], fills=[(MIDNIGHT, "SELL")])
    at = [(x, y) for x, y in places_of(marked, colour(SIDES["SELL"][1])) if y > HEIGHT / 4]

    assert all(abs(x - dot[0]) < 20 and abs(y - dot[1]) < 20 for x, y in at for dot in line(marked))
    assert at


def test_a_title_is_text_whatever_it_holds() -> None:
    assert line(drawn(HILL, title="$100 \\frac{ $"))


@pytest.mark.parametrize("equity", ["NaN", "sNaN", "Infinity", "-Infinity", "", "12 USDT", "1e99999999"])
def test_an_equity_that_is_no_number_is_refused(equity: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        draw({"title": "", "points": [[MIDNIGHT, equity]]})


def test_an_axis_is_labelled_with_round_numbers() -> None:
    scale = Scale.of([D("10000.07"), D("10001.93")])

    assert [scale.label(tick) for tick in scale.ticks] == [
        "10,000.00",
        "10,000.50",
        "10,001.00",
        "10,001.50",
        "10,002.00",
    ]


@pytest.mark.parametrize("amount", ["0", "1e400", "-1e400", "1e-400", "10000"])
def test_an_axis_of_one_amount_has_it_in_the_middle(amount: str) -> None:
    assert Scale.of([D(amount)]).place(D(amount)) == 0.5


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False).map(picture.DIGITS.create_decimal)


@given(st.lists(AMOUNTS, min_size=1, max_size=20))
def test_an_axis_has_room_for_all_and_tells_its_ticks_apart(amounts: list[Decimal]) -> None:
    scale = Scale.of(amounts)
    heights = [scale.place(amount) for amount in sorted(amounts)]

    assert heights == sorted(heights)
    assert 0 < heights[0] <= heights[-1] < 1
    assert 2 <= len(scale.ticks) <= 10
    assert all(0 <= scale.place(tick) <= 1 for tick in scale.ticks)


# --- the process that draws ---


def test_a_picture_from_the_other_process_is_that_of_this_one() -> None:
    png = asked_for(HILL, currency="USDT")

    assert png is not None
    assert decoded(png).tobytes() == drawn(HILL, currency="USDT").tobytes()


def test_a_hundred_thousand_points_are_drawn() -> None:
    many = [(MIDNIGHT + number * 864, D(10_000 + number * 7_919 % 1_000)) for number in range(100_000)]
    png = asked_for(many)

    assert png is not None
    assert len({x for x, _ in line(decoded(png))}) > 0.8 * WIDTH


def test_matplotlib_never_comes_into_the_process_that_asks() -> None:
    program = (
        "import asyncio, sys; from decimal import Decimal; from thunes.alerts.picture import equity_png;"
        "png = asyncio.run(equity_png('', [(0, Decimal(1))], 60));"
        "print(len(png), [name for name in sys.modules if name.partition('.')[0] in ('matplotlib', 'numpy', 'PIL')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    size, _, modules = done.stdout.strip().partition(" ")

    assert int(size) > 1_000
    assert modules == "[]"


def test_a_home_that_cannot_be_written_to_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/proc/nowhere")
    monkeypatch.setenv("MPLCONFIGDIR", "/proc/nowhere")

    assert asked_for(UPWARD) is not None
    assert caplog.records == []


def test_a_home_that_can_be_written_to_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path))

    assert asked_for(UPWARD) is not None
    assert list(tmp_path.iterdir()) == []


def test_an_equity_that_is_no_number_gives_a_warning_and_no_picture(caplog: pytest.LogCaptureFixture) -> None:
    assert asked_for([(MIDNIGHT, D("NaN"))]) is None
    assert "'NaN', which is no number" in warning(caplog)


def instead(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Let this shell script stand for the Python that would draw."""
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def warning(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    return record.getMessage()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo first >&2; echo 'the last words' >&2; exit 1", "the last words"),
        ("exit 1", "nothing was said why"),
        ("echo none", "nothing was said why"),
        (r"printf '\211PNG\r\n\032\nhalf of it'", "nothing was said why"),
        ("kill -9 $$", "nothing was said why"),
    ],
)
def test_a_process_that_fails_gives_a_warning_and_no_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, program: str, said: str
) -> None:
    instead(monkeypatch, tmp_path, program)

    assert asked_for(HILL) is None
    assert said in warning(caplog)


def test_a_process_that_cannot_be_started_gives_a_warning_and_no_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))

    assert asked_for(HILL) is None
    assert "absent" in warning(caplog)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_takes_too_long_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    instead(monkeypatch, tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")

    assert asked_for(HILL, timeout=1) is None
    assert "more than 1 s" in warning(caplog)
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_it_draws_at_the_least_priority_knows_no_keys_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "own"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("THUNES_API_SECRET", "hush")
    see = "import os, thunes.alerts.picture as p; p.draw = lambda document: b''; p.main();"
    seen = f"open('{tmp_path}/seen', 'w').write(f'{{os.nice(0)}} {{\"THUNES_API_SECRET\" in os.environ}}')"
    (tmp_path / "see.py").write_text(see + seen)
    instead(monkeypatch, tmp_path, f"exec {sys.executable} {tmp_path}/see.py")

    assert asked_for(HILL) is None
    assert (tmp_path / "seen").read_text() == "19 False"
    assert list((tmp_path / "own").iterdir()) == []
