"""What TooLoo expects of a Temporal namespace, made sure of at each `up` (TRAPS 13, 14)."""

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client

RETENTION_SECONDS = 30 * 24 * 3600
"""How long closed runs stay in Temporal; the development server's own choice is one day."""

SEARCH_ATTRIBUTES: Mapping[str, IndexedValueType.ValueType] = MappingProxyType(
    {
        "TooLooDefinition": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "TooLooFailedStep": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "TooLooTrigger": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "TooLooUser": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "TooLooVersion": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    }
)


async def prepare_namespace(client: Client) -> None:
    """Register the missing search attributes of the client's namespace and let its closed runs stay 30 days.

    Raises RPCError when the server refuses; a namespace that keeps runs even longer is left as it is.
    """
    operator, service = client.operator_service, client.workflow_service
    known = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {name: kind for name, kind in SEARCH_ATTRIBUTES.items() if name not in known.custom_attributes}
    if missing:
        await operator.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    described = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    if described.config.workflow_execution_retention_ttl.seconds < RETENTION_SECONDS:
        retention = NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=RETENTION_SECONDS))
        await service.update_namespace(UpdateNamespaceRequest(namespace=client.namespace, config=retention))
