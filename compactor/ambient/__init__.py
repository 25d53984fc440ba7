"""What a program otherwise takes from its surroundings: time, sleep, ids, randomness. Ports, with real and deterministic versions.

Direct use of `time`, `random`, `uuid` or `secrets` elsewhere is banned by the architecture test: without that there is no simulation.
"""

from compactor.ambient.deterministic import SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.ports import Ambient, Clock, Ids, Randomness
from compactor.ambient.system import SystemClock, SystemIds, SystemRandomness, system_ambient

__all__ = [
    "Ambient",
    "Clock",
    "Ids",
    "Randomness",
    "SeededIds",
    "SeededRandomness",
    "SystemClock",
    "SystemIds",
    "SystemRandomness",
    "VirtualClock",
    "system_ambient",
]
