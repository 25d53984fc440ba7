"""Who decides which writer gets the next version of a table. One port, one adapter a mechanism; chosen by explicit configuration."""

from compactor.tables.delta.arbiter.base import Arbiter
from compactor.tables.delta.arbiter.choice import arbiter_for
from compactor.tables.delta.arbiter.conditional_put import ConditionalPut

__all__ = ["Arbiter", "ConditionalPut", "arbiter_for"]
