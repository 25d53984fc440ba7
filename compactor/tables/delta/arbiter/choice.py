"""From the configured name of an arbiter to the arbiter. Another mechanism is one more name here and one more module beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compactor.ambient.ports import Ambient
from compactor.errors import SettingsError
from compactor.tables.delta.arbiter.base import Arbiter
from compactor.tables.delta.arbiter.conditional_put import ConditionalPut
from compactor.tables.delta.options import DeltaOptions, DynamoDBOptions

if TYPE_CHECKING:
    from compactor.tables.delta.arbiter.dynamodb import DynamoDB

CONDITIONAL_PUT = "conditional-put"
DYNAMODB = "dynamodb"


def arbiter_for(options: DeltaOptions, ambient: Ambient) -> Arbiter:
    """The arbiter that `options` name; None means put-if-absent, the rule of the protocol. Raises SettingsError for an unknown name."""
    if options.arbiter in (None, CONDITIONAL_PUT):
        return ConditionalPut()
    if options.arbiter == DYNAMODB:
        return dynamodb(options.dynamodb or DynamoDBOptions(), ambient)
    raise SettingsError(f'"{options.arbiter}" is no commit arbiter; choose "{CONDITIONAL_PUT}" or "{DYNAMODB}".')


def dynamodb(options: DynamoDBOptions, ambient: Ambient) -> DynamoDB:
    """The DynamoDB arbiter. No request is made yet."""
    from compactor.tables.delta.arbiter.dynamodb import DynamoDB

    return DynamoDB(table_name=options.table, client=_client_of(options), ambient=ambient)


def _client_of(options: DynamoDBOptions) -> Callable[[], Any]:
    def client() -> Any:
        from compactor.storage.aws import aws_session, boto_options

        here = replace(options.storage, region=options.region, endpoint_url=None, anonymous=False)
        arguments = boto_options(here, service="dynamodb")
        if options.endpoint_url:
            arguments["endpoint_url"] = options.endpoint_url
        return aws_session(here, f"the DynamoDB table {options.table}").client("dynamodb", **arguments)

    return client
