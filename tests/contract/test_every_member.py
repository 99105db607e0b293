"""No member of a built operation is taken and forgotten: each is known here by what it does, or is refused by its name.

A model that gains a member fails this until somebody has decided. The members of the operations that create and update
functions have a table of their own (`functions/api/options.py`), down to the innermost.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lambent.aws.models import service_model
from lambent.functions.api.options import GUARDED
from lambent.testing.registered import registered

WHAT: Final[Mapping[str, frozenset[str]]] = {
    "names what is meant": frozenset(
        {
            *("Arn", "CodeSigningConfigArn", "FunctionName", "FunctionVersion", "LayerName", "Name", "Qualifier"),
            *("Resource", "ResourceArn", "StatementId", "TagKeys", "UUID", "VersionNumber", "EventSourceArn"),
        }
    ),
    "guards a change": frozenset({"RevisionId"}),
    "cuts a list": frozenset({"CompatibleArchitecture", "CompatibleRuntime", "Marker", "MasterRegion", "MaxItems"}),
    "is told again to whom asks": frozenset(
        {"CompatibleArchitectures", "CompatibleRuntimes", "Description", "LicenseInfo", "Tags"}
    ),
    "decides about invocations": frozenset(
        {
            *("ClientContext", "DestinationConfig", "InvocationType", "InvokeArgs", "LogType", "Payload"),
            *("MaximumEventAgeInSeconds", "MaximumRetryAttempts", "ProvisionedConcurrentExecutions"),
            *("TenantId", "RecursiveLoop", "ReservedConcurrentExecutions", "RoutingConfig"),
        }
    ),
    "decides about function URLs": frozenset({"AuthType", "Cors"}),
    "decides who gets in": frozenset(
        {
            *("Action", "EventSourceToken", "FunctionUrlAuthType", "InvokedViaFunctionUrl", "OrganizationId", "Policy"),
            *("Principal", "PrincipalOrgID", "SourceAccount", "SourceArn"),
        }
    ),
    "decides about packages": frozenset({"AllowedPublishers", "CodeSigningPolicies", "Content"}),
    "is for the poller of a mapping, whose State says when there is none": frozenset(
        {
            *("AmazonManagedKafkaEventSourceConfig", "BatchSize", "BisectBatchOnFunctionError", "Enabled"),
            *("DocumentDBEventSourceConfig", "FilterCriteria", "FunctionResponseTypes", "KMSKeyArn", "LoggingConfig"),
            *("MaximumBatchingWindowInSeconds", "MaximumRecordAgeInSeconds", "MetricsConfig", "ParallelizationFactor"),
            *("ProvisionedPollerConfig", "Queues", "ScalingConfig", "SelfManagedEventSource", "StartingPosition"),
            *("SelfManagedKafkaEventSourceConfig", "SourceAccessConfigurations", "StartingPositionTimestamp"),
            *("Topics", "TumblingWindowInSeconds"),
        }
    ),
    "is refused by its name while it asks for something": frozenset(
        {"DurableExecutionName", "InvokeMode", "RuntimeVersionArn", "UpdateRuntimeOn"}
    ),
}


async def test_every_member_of_a_built_operation_does_something_or_is_refused(tmp_path: Path) -> None:
    model = service_model("lambda")
    async with registered(tmp_path / "data") as services:
        operations = set(services["lambda"].operations) - set(GUARDED)
    shapes = [model.operation_model(name).input_shape for name in operations]
    members = {name for shape in shapes if shape is not None for name in shape.members}
    assert members == frozenset().union(*WHAT.values())


def test_a_member_is_known_once() -> None:
    assert sum(map(len, WHAT.values())) == len(frozenset().union(*WHAT.values()))
