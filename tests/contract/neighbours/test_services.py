"""boto3 against services that are not ours: every protocol, in the caller's account and region."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session

from lambent.aws.models import metadata
from lambent.aws.outside import OutsideRequest
from tests.contract.neighbours.conftest import World

ACCOUNT = "123456789012"
TRUSTED = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTED]})
TABLE = {
    "TableName": "orders",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
Row = tuple[str, str, str, Mapping[str, Any], Callable[[Any], Any], Any]
CALLS: list[Row] = [
    (
        "iam",
        "query",
        "create_role",
        {"RoleName": "reader", "AssumeRolePolicyDocument": TRUST},
        lambda reply: reply["Role"]["Arn"],
        f"arn:aws:iam::{ACCOUNT}:role/reader",
    ),
    (
        "ssm",
        "json",
        "put_parameter",
        {"Name": "/app/colour", "Value": "blue", "Type": "String"},
        lambda reply: reply["Version"],
        1,
    ),
    ("kms", "json", "create_key", {}, lambda reply: reply["KeyMetadata"]["AWSAccountId"], ACCOUNT),
    ("ec2", "ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}, lambda reply: reply["Vpc"]["CidrBlock"], "10.0.0.0/16"),
    (
        "dynamodb",
        "json",
        "create_table",
        TABLE,
        lambda reply: reply["TableDescription"]["TableArn"],
        f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/orders",
    ),
    (
        "sns",
        "query",
        "create_topic",
        {"Name": "news"},
        lambda reply: reply["TopicArn"],
        f"arn:aws:sns:us-east-1:{ACCOUNT}:news",
    ),
    (
        "secretsmanager",
        "json",
        "create_secret",
        {"Name": "password", "SecretString": "x"},
        lambda reply: reply["ARN"].rpartition("-")[0],
        f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:password",
    ),
    (
        "events",
        "json",
        "put_rule",
        {"Name": "daily", "ScheduleExpression": "rate(1 day)"},
        lambda reply: reply["RuleArn"],
        f"arn:aws:events:us-east-1:{ACCOUNT}:rule/daily",
    ),
    ("kinesis", "json", "create_stream", {"StreamName": "clicks", "ShardCount": 1}, lambda reply: None, None),
    (
        "ecr",
        "json",
        "create_repository",
        {"repositoryName": "images"},
        lambda reply: reply["repository"]["registryId"],
        ACCOUNT,
    ),
    (
        "signer",
        "rest-json",
        "put_signing_profile",
        {"profileName": "mine", "platformId": "AWSLambda-SHA384-ECDSA"},
        lambda reply: reply["arn"],
        f"arn:aws:signer:us-east-1:{ACCOUNT}:/signing-profiles/mine",
    ),
    ("efs", "rest-json", "create_file_system", {"CreationToken": "a"}, lambda reply: reply["OwnerId"], ACCOUNT),
    ("stepfunctions", "json", "list_state_machines", {}, lambda reply: reply["stateMachines"], []),
    ("cloudwatch", "smithy-rpc-v2-cbor", "list_metrics", {}, lambda reply: reply["Metrics"], []),
    ("autoscaling", "query", "describe_auto_scaling_groups", {}, lambda reply: reply["AutoScalingGroups"], []),
    ("route53", "rest-xml", "list_hosted_zones", {}, lambda reply: reply["HostedZones"], []),
]


@pytest.mark.parametrize(("service", "protocol", "operation", "parameters", "read", "expected"), CALLS)
def test_boto3_gets_what_the_service_answers(
    world: World,
    service: str,
    protocol: str,
    operation: str,
    parameters: Mapping[str, Any],
    read: Callable[[Any], Any],
    expected: Any,
) -> None:
    assert metadata(service)["protocol"] == protocol
    reply = getattr(world.client(service), operation)(**parameters)
    assert read(reply) == expected
    assert reply["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"].count("-") == 4


def test_accounts_and_regions_do_not_see_each_other(world: World) -> None:
    world.client("ssm").put_parameter(Name="apart", Value="1", Type="String")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        world.client("ssm", account="222222222222").get_parameter(Name="apart")
    paris = client_of(world, "ssm", region="eu-west-3")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        paris.get_parameter(Name="apart")
    paris.put_parameter(Name="apart", Value="2", Type="String")
    assert paris.get_parameter(Name="apart")["Parameter"]["ARN"] == f"arn:aws:ssm:eu-west-3:{ACCOUNT}:parameter/apart"


def test_a_client_cannot_name_another_account_or_drive_moto(world: World) -> None:
    client = world.client("ssm")
    client.meta.events.register(
        "before-send", lambda request, **_: request.headers.update({"X-Moto-Account-Id": "999999999999"})
    )
    client.put_parameter(Name="whose", Value="mine", Type="String")
    assert world.client("ssm").get_parameter(Name="whose")["Parameter"]["Value"] == "mine"
    scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=00"
    reset = urllib.request.Request(
        f"http://127.0.0.1:{world.port}/moto-api/reset", b"", {"Authorization": scope}, method="POST"
    )
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(reset, timeout=20)
    assert client.get_parameter(Name="whose")["Parameter"]["Value"] == "mine"


def test_a_service_whose_part_of_moto_is_not_installed_is_not_built(world: World) -> None:
    with pytest.raises(ClientError) as raised:
        world.client("apigateway").get_rest_apis()
    assert raised.value.response["Error"]["Code"] == "NotImplementedException"


def test_what_moto_does_not_build_is_501_by_name(world: World) -> None:
    with pytest.raises(ClientError) as raised:
        world.client("ec2").describe_fast_launch_images()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "moto" in raised.value.response["Error"]["Message"]


def test_a_service_that_moto_does_not_know_is_not_built(world: World) -> None:
    with pytest.raises(ClientError) as raised:
        world.client("gameliftstreams").list_applications()
    assert raised.value.response["Error"]["Code"] == "NotImplementedException"
    assert raised.value.response["Error"]["Message"].startswith("The service gameliftstreams is not built")


def client_of(world: World, service: str, *, region: str) -> Any:
    return Session().create_client(
        service,
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{world.port}",
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="x",
    )


@pytest.mark.parametrize("kind", ["sns", "events"])
def test_no_neighbour_connects_to_an_address_that_a_caller_names(world: World, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/?X-Amz-Credential=222222222222/20260101/us-east-1/iam/x"
        send = _publish(world, url) if kind == "sns" else _put_event(world, url)
        try:
            send()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NotImplementedException"  # noqa: PT017  (moto may swallow it)
        with pytest.raises(BlockingIOError):
            listener.accept()


def _publish(world: World, url: str) -> Callable[[], Any]:
    sns = world.client("sns", aws_access_key_id=ACCOUNT)
    topic = sns.create_topic(Name="outwards")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
    return lambda: sns.publish(TopicArn=topic, Message="hello")


def _put_event(world: World, url: str) -> Callable[[], Any]:
    events = world.client("events", aws_access_key_id=ACCOUNT)
    connection = events.create_connection(
        Name="outwards",
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "a", "ApiKeyValue": "b"}},
    )["ConnectionArn"]
    destination = events.create_api_destination(
        Name="outwards", ConnectionArn=connection, InvocationEndpoint=url, HttpMethod="POST"
    )["ApiDestinationArn"]
    events.put_rule(Name="outwards", EventPattern=json.dumps({"source": ["me"]}))
    events.put_targets(Rule="outwards", Targets=[{"Id": "1", "Arn": destination}])
    return lambda: events.put_events(Entries=[{"Source": "me", "DetailType": "t", "Detail": "{}"}])


def test_no_template_that_names_python_is_read(world: World, tmp_path: Path) -> None:
    made = tmp_path / "made"
    template = f'Resources: !!python/object/apply:os.mkdir ["{made}"]'
    with pytest.raises(ClientError, match="not built"):
        world.client("cloudformation").validate_template(TemplateBody=template)
    assert not made.exists()


FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
STACK = json.dumps({"Resources": {"F": {"Type": "AWS::Lambda::Function", "Properties": {}}}})
MACHINE = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "name"),
    [
        ("cloudformation", "create_stack", {"StackName": "s", "TemplateBody": STACK}, "CloudFormation"),
        ("events", "put_targets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": MACHINE}]}, "PutTargets"),
    ],
)
def test_what_nothing_would_carry_out_is_refused_by_name(
    world: World, service: str, operation: str, parameters: dict[str, Any], name: str
) -> None:
    with pytest.raises(ClientError) as failure:
        getattr(world.client(service, account=ACCOUNT), operation)(**parameters)
    response = failure.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert response["Error"]["Code"] == "NotImplementedException"
    assert response["Error"]["Message"].startswith(name)


def test_other_subscriptions_and_targets_are_answered(world: World) -> None:
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
    sns, events = world.client("sns", account=ACCOUNT), world.client("events", account=ACCOUNT)
    topic = sns.create_topic(Name="lambda")["TopicArn"]
    assert sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    events.put_rule(Name="r", ScheduleExpression="rate(1 day)")
    assert events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": queue}])["FailedEntryCount"] == 0


def test_an_execution_of_a_state_machine_runs_nothing(world: World) -> None:
    """docs/neighbours.md says so; when moto changes, so must the page."""
    client = world.client("stepfunctions", account=ACCOUNT)
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    machine = client.create_state_machine(name="m", definition=definition, roleArn=role)["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=machine)["executionArn"]
    assert client.describe_execution(executionArn=execution)["status"] == "RUNNING"


def test_an_image_in_a_foreign_page_changes_nothing(world: World) -> None:
    scope = f"X-Amz-Credential={ACCOUNT}/20260101/us-east-1"
    host = f"http://127.0.0.1:{world.port}"

    def loaded(url: str) -> int:
        request = urllib.request.Request(url, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert loaded(f"{host}/?Action=CreateUser&UserName=page&{scope}/iam/aws4_request") == 403
    assert all(
        user["UserName"] != "page" for user in world.client("iam", aws_access_key_id=ACCOUNT).list_users()["Users"]
    )


def test_an_account_does_not_reach_what_another_one_has(world: World) -> None:
    other = "222222222222"
    sns = world.client("sns", aws_access_key_id=other)
    topic = sns.create_topic(Name="private")["TopicArn"]
    mine = world.client("sns", aws_access_key_id=ACCOUNT)
    attempts: list[Callable[[], Any]] = [
        lambda: mine.publish(TopicArn=topic, Message="m"),
        lambda: mine.delete_topic(TopicArn=topic),
        lambda: mine.get_topic_attributes(TopicArn=topic),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match="another account"):
            attempt()
    assert sns.publish(TopicArn=topic, Message="m")["MessageId"]


def test_one_caller_who_waits_does_not_take_the_place_of_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a long poll of moto's SQS, which no server asks: it is the one call of moto that waits."""
    monkeypatch.setattr("lambent.services.neighbours.neighbours.AT_ONE_TIME", 2)
    patient = world.client("sqs", aws_access_key_id="333333333333")
    url = patient.create_queue(QueueName="quiet")["QueueUrl"]
    asked: list[str] = []

    async def ask(key: str) -> None:
        waits = key == "333333333333"
        await world.neighbours.forward(
            OutsideRequest(
                service="sqs" if waits else "ssm",
                account=key,
                region="us-east-1",
                access_key_id=key,
                method="POST",
                path="/",
                query="",
                headers={
                    "host": "localhost",
                    "content-type": "application/x-amz-json-1.0" if waits else "application/x-amz-json-1.1",
                    "x-amz-target": "AmazonSQS.ReceiveMessage" if waits else "AmazonSSM.DescribeParameters",
                },
                body=json.dumps({"QueueUrl": url, "WaitTimeSeconds": 2} if waits else {}).encode(),
            )
        )
        asked.append(key)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(ask("333333333333"))
            group.create_task(ask(ACCOUNT))

    world.run(all_of_them())
    assert asked[0] == ACCOUNT
    assert len(asked) == 5
