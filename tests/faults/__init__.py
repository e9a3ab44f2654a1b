"""The faults that `python -m tests.mutations` puts in: each is small, each was feared, each has to be caught."""

from __future__ import annotations

from tests.faults.cores import CORES
from tests.faults.fault import Fault as Fault
from tests.faults.people import PEOPLE
from tests.faults.resting import RESTING
from tests.faults.road import ROAD
from tests.faults.runtime import RUNTIME

FAULTS = ROAD + CORES + RUNTIME + RESTING + PEOPLE
