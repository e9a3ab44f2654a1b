"""AccountStreamActor alone: reports go to their symbol's OrderActor, and what no order did to the reconciler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.account import AccountStreamActor
from actors.protocol import Frame
from tests.actors.alone import Alone, alone
from thunes.messages import Reconcile


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Alone]:
    with alone(tmp_path, "stream.account", AccountStreamActor) as made:
        made.start()
        made.tell()
        made.told("reconciler", Reconcile)
        yield made


def event(**members: Any) -> Frame:
    return Frame(json.dumps({"subscriptionId": 0, "event": {"E": 1, "T": 1, **members}}).encode(), 1)


@pytest.mark.parametrize("name", ["balanceUpdate", "externalLockUpdate"])
def test_a_deposit_or_a_lock_from_outside_has_both_sides_compared(bench: Alone, name: str) -> None:
    bench.tell(event(e=name, a="USDT", d="100.0"))
    assert bench.told("reconciler", Reconcile) == [Reconcile(f"the account stream told of a {name}")]


def test_what_changes_with_every_fill_does_not(bench: Alone) -> None:
    bench.tell(event(e="outboundAccountPosition", u=1, B=[{"a": "USDT", "f": "1", "l": "0"}]))
    assert bench.told("reconciler", Reconcile) == []
