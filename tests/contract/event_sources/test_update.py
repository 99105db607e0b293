"""UpdateEventSourceMapping, DeleteEventSourceMapping, lists, tags, and the states between."""

from typing import Any

import pytest

from lambent.event_sources.sources import Kind
from lambent.testing.scripted_poller import ScriptedPollers
from tests.contract.event_sources.conftest import BROKER, MINIMAL, QUEUE, STREAM, Mappings, Server
from tests.contract.functions.conftest import ACCOUNT, ARN

IPV = "InvalidParameterValueException"
MISSING = "00000000-0000-4000-8000-000000000000"
GONE = (404, "ResourceNotFoundException", "The resource you requested does not exist.")


class TestWithoutPollers:
    async def test_a_mapping_says_that_nobody_reads_its_source(self, mapped: Mappings) -> None:
        reply = await mapped.at_rest((await mapped.mapped())["UUID"])
        assert reply["State"] == "Disabled"
        assert reply["StateTransitionReason"].startswith("This server has no poller for SQS queues yet.")

    async def test_an_update_changes_what_it_names_and_keeps_the_rest(self, mapped: Mappings) -> None:
        uuid = (await mapped.mapped("kinesis", MaximumRetryAttempts=5))["UUID"]
        before = await mapped.at_rest(uuid)
        reply = await mapped.update_event_source_mapping(UUID=uuid, BatchSize=7, ParallelizationFactor=2)
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == 202
        assert (reply["State"], reply["StateTransitionReason"]) == ("Updating", "User action")
        assert reply["LastModified"] >= before["LastModified"]
        after = await mapped.at_rest(uuid)
        changed = {name for name in after if after[name] != before.get(name)} - {"ResponseMetadata", "LastModified"}
        assert changed == {"BatchSize", "ParallelizationFactor"}

    async def test_empty_structures_take_settings_away(self, mapped: Mappings) -> None:
        uuid = (
            await mapped.mapped(
                FilterCriteria={"Filters": [{"Pattern": '{"body":["x"]}'}]},
                ScalingConfig={"MaximumConcurrency": 5},
                FunctionResponseTypes=["ReportBatchItemFailures"],
                MetricsConfig={"Metrics": ["EventCount"]},
            )
        )["UUID"]
        await mapped.at_rest(uuid)
        empty: dict[str, Any] = {
            "FilterCriteria": {},
            "ScalingConfig": {},
            "FunctionResponseTypes": [],
            "MetricsConfig": {"Metrics": []},
        }
        await mapped.update_event_source_mapping(UUID=uuid, **empty)
        after = await mapped.at_rest(uuid)
        assert after["FunctionResponseTypes"] == []
        assert not {"FilterCriteria", "ScalingConfig", "MetricsConfig"} & after.keys()

    async def test_provisioned_mode_cannot_go_while_settings_need_it(self, mapped: Mappings) -> None:
        pollers = {"MinimumPollers": 1, "MaximumPollers": 2}
        made = await mapped.mapped("msk", ProvisionedPollerConfig=pollers, BisectBatchOnFunctionError=True)
        uuid = made["UUID"]
        await mapped.at_rest(uuid)
        refused = await mapped.refused("update_event_source_mapping", UUID=uuid, ProvisionedPollerConfig={})
        assert "'bisectBatchOnFunctionError'" in refused[2]
        await mapped.update_event_source_mapping(
            UUID=uuid, ProvisionedPollerConfig={}, BisectBatchOnFunctionError=False
        )
        assert "ProvisionedPollerConfig" not in await mapped.at_rest(uuid)

    async def test_provisioned_mode_and_maximum_concurrency_exclude_each_other(self, mapped: Mappings) -> None:
        both = (
            "Provisioned mode for SQS ESM does not support maximum concurrency feature."
            " Use MaximumPollers as the control mechanism and remove maximum concurrency."
        )
        scaling, pollers = {"MaximumConcurrency": 5}, {"MinimumPollers": 3}
        uuid = (await mapped.mapped("sqs", Enabled=False, ScalingConfig=scaling))["UUID"]

        async def refused(**sent: Any) -> Any:
            return await mapped.refused("update_event_source_mapping", UUID=uuid, **sent)

        assert await refused(ProvisionedPollerConfig=pollers) == (400, IPV, both)
        await mapped.update_event_source_mapping(UUID=uuid, ScalingConfig={}, ProvisionedPollerConfig=pollers)
        assert (await mapped.at_rest(uuid))["ProvisionedPollerConfig"] == {"MinimumPollers": 3, "MaximumPollers": 200}
        assert await refused(ScalingConfig=scaling) == (400, IPV, both)
        fewer = await refused(ProvisionedPollerConfig={"MaximumPollers": 2})
        assert fewer[2].startswith("MinimumPollers should be between [2, 200]")
        await mapped.update_event_source_mapping(UUID=uuid, ScalingConfig=scaling, ProvisionedPollerConfig={})
        after = await mapped.at_rest(uuid)
        assert after["ScalingConfig"] == scaling
        assert "ProvisionedPollerConfig" not in after

    async def test_a_mapping_moves_to_another_function(self, mapped: Mappings) -> None:
        await mapped.created("g")
        uuid = (await mapped.mapped())["UUID"]
        await mapped.at_rest(uuid)
        assert (await mapped.update_event_source_mapping(UUID=uuid, FunctionName="g"))["FunctionArn"] == ARN + "g"
        await mapped.at_rest(uuid)
        other = (await mapped.mapped(Enabled=False))["UUID"]
        refused = await mapped.refused("update_event_source_mapping", UUID=other, FunctionName="g")
        assert refused[:2] == (409, "ResourceConflictException")

    @pytest.mark.parametrize(
        ("sent", "message"),
        [
            ({"FunctionName": "nope"}, "Function does not exist"),
            (
                {"BatchSize": 11},
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            ),
            (
                {"TumblingWindowInSeconds": 1},
                "Unsupported TumblingWindowInSeconds parameter for given event source mapping type.",
            ),
            ({"FilterCriteria": {"Filters": [{"Pattern": "x"}]}}, "Invalid filter pattern definition."),
        ],
    )
    async def test_a_bad_update_changes_nothing(self, mapped: Mappings, sent: dict[str, Any], message: str) -> None:
        uuid = (await mapped.mapped(Enabled=False))["UUID"]
        before = await mapped.get_event_source_mapping(UUID=uuid)
        assert await mapped.refused("update_event_source_mapping", UUID=uuid, **sent) == (400, IPV, message)
        after = await mapped.get_event_source_mapping(UUID=uuid)
        assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}

    @pytest.mark.parametrize("operation", ["get", "update", "delete"])
    async def test_what_is_not_there_is_not_found(self, mapped: Mappings, operation: str) -> None:
        assert await mapped.refused(f"{operation}_event_source_mapping", UUID=MISSING) == GONE

    async def test_a_deleted_mapping_is_gone_and_can_be_made_again(self, mapped: Mappings) -> None:
        uuid = (await mapped.mapped())["UUID"]
        await mapped.at_rest(uuid)
        reply = await mapped.delete_event_source_mapping(UUID=uuid)
        assert (reply["ResponseMetadata"]["HTTPStatusCode"], reply["State"]) == (202, "Deleting")
        await mapped.gone(uuid)
        assert await mapped.refused("get_event_source_mapping", UUID=uuid) == GONE
        await mapped.mapped()

    async def test_mappings_stay_when_their_function_is_deleted(self, mapped: Mappings) -> None:
        uuid = (await mapped.mapped(Enabled=False))["UUID"]
        await mapped.delete_function(FunctionName="f")
        assert (await mapped.get_event_source_mapping(UUID=uuid))["FunctionArn"] == ARN + "f"
        await mapped.delete_event_source_mapping(UUID=uuid)
        await mapped.gone(uuid)

    async def test_lists_filter_by_source_and_function_and_come_in_pages(self, mapped: Mappings) -> None:
        await mapped.publish_version(FunctionName="f")
        made = {source: (await mapped.mapped(source, Enabled=False))["UUID"] for source in MINIMAL}
        qualified = (await mapped.mapped(function="f:1", Enabled=False))["UUID"]

        async def listed(**parameters: Any) -> set[str]:
            pages = await mapped.pages("list_event_source_mappings", **parameters)
            return {each["UUID"] for page in pages for each in page["EventSourceMappings"]}

        assert await listed(PaginationConfig={"PageSize": 2}) == {*made.values(), qualified}
        assert await listed(EventSourceArn=BROKER) == {made["mq"]}
        assert await listed(EventSourceArn=QUEUE) == {made["sqs"], qualified}
        assert await listed(FunctionName="f:1") == {qualified}
        assert await listed(FunctionName=ARN + "f") == set(made.values())
        assert await listed(FunctionName="nope") == set()
        page = await mapped.list_event_source_mappings(MaxItems=3)
        assert len(page["EventSourceMappings"]) == 3
        assert page["NextMarker"]

    async def test_tags_of_a_mapping(self, mapped: Mappings) -> None:
        arn = (await mapped.mapped(Tags={"a": "1", "b": "2"}, Enabled=False))["EventSourceMappingArn"]
        await mapped.tag_resource(Resource=arn, Tags={"b": "3", "c": "4"})
        await mapped.untag_resource(Resource=arn, TagKeys=["a"])
        assert (await mapped.list_tags(Resource=arn))["Tags"] == {"b": "3", "c": "4"}
        missing = f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{MISSING}"
        refused = await mapped.refused("list_tags", Resource=missing)
        assert refused == (404, "ResourceNotFoundException", f"Event source mapping not found: {missing}")
        elsewhere = arn.replace("us-east-1", "eu-west-1")
        assert (await mapped.refused("list_tags", Resource=elsewhere))[0] == 404

    async def test_encrypted_filters_show_in_get_and_not_in_lists(self, mapped: Mappings) -> None:
        criteria = {"Filters": [{"Pattern": '{"body":["secret"]}'}]}
        key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"
        uuid = (await mapped.mapped(FilterCriteria=criteria, KMSKeyArn=key))["UUID"]
        reply = await mapped.at_rest(uuid)
        assert (reply["FilterCriteria"], reply["KMSKeyArn"]) == (criteria, key)
        (listed,) = (await mapped.list_event_source_mappings())["EventSourceMappings"]
        assert listed["KMSKeyArn"] == key
        assert "FilterCriteria" not in listed

    async def test_reset_leaves_no_mapping(self, mapped: Mappings, server: Server) -> None:
        await mapped.mapped()
        await server.mappings.reset()
        assert (await mapped.list_event_source_mappings())["EventSourceMappings"] == []


class TestWithPollers:
    @pytest.fixture
    def pollers(self) -> ScriptedPollers:
        return ScriptedPollers()

    async def test_the_whole_life_of_a_mapping(self, mapped: Mappings, pollers: ScriptedPollers) -> None:
        pollers.hold()
        uuid = (await mapped.mapped("kinesis"))["UUID"]
        busy = (400, "ResourceInUseException", "Cannot {} the event source mapping because it is in use.")
        for operation in ("update", "delete"):
            refused = await mapped.refused(f"{operation}_event_source_mapping", UUID=uuid)
            assert refused == (busy[0], busy[1], busy[2].format(operation))
        pollers.release()
        reply = await mapped.at_rest(uuid)
        assert (reply["State"], reply["StateTransitionReason"]) == ("Enabled", "User action")

        pollers.hold()
        assert (await mapped.update_event_source_mapping(UUID=uuid, BatchSize=5))["State"] == "Updating"
        pollers.release()
        assert (await mapped.at_rest(uuid))["State"] == "Enabled"
        assert pollers.running[uuid].settings.batch_size == 5

        assert (await mapped.update_event_source_mapping(UUID=uuid, Enabled=False))["State"] == "Disabling"
        assert (await mapped.at_rest(uuid))["State"] == "Disabled"
        assert not pollers.running
        assert (await mapped.update_event_source_mapping(UUID=uuid, Enabled=True))["State"] == "Enabling"
        assert (await mapped.at_rest(uuid))["State"] == "Enabled"

        assert (await mapped.delete_event_source_mapping(UUID=uuid))["State"] == "Deleting"
        await mapped.gone(uuid)
        assert not pollers.running
        assert pollers.events == ["start", "stop", "start", "stop", "start", "stop"]

    async def test_a_poller_that_cannot_start_is_tried_again(self, mapped: Mappings, pollers: ScriptedPollers) -> None:
        pollers.faults = 1
        uuid = (await mapped.mapped())["UUID"]
        assert (await mapped.at_rest(uuid))["State"] == "Enabled"
        assert uuid in pollers.running

    async def test_reset_stops_every_poller(self, mapped: Mappings, pollers: ScriptedPollers, server: Server) -> None:
        await mapped.at_rest((await mapped.mapped())["UUID"])
        await server.mappings.reset()
        assert not pollers.running


class TestWithPollersForStreamsAlone:
    @pytest.fixture
    def pollers(self) -> ScriptedPollers:
        return ScriptedPollers(kinds=(Kind.KINESIS,))

    async def test_each_kind_of_source_is_by_itself(self, mapped: Mappings) -> None:
        stream, queue = (await mapped.mapped("kinesis"))["UUID"], (await mapped.mapped("sqs"))["UUID"]
        assert (await mapped.at_rest(stream))["State"] == "Enabled"
        assert (await mapped.at_rest(queue))["State"] == "Disabled"
        assert (await mapped.get_event_source_mapping(UUID=stream))["EventSourceArn"] == STREAM
