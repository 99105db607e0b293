"""Whether every destination of a configuration is there and lets the bucket tell it something; asked before it is put.

All failures are told together, as AWS does. A queue's and a topic's policy is read as its owner; a function is asked to
be invoked without being run, which asks exactly what the true invocation will be asked.
"""

from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError
from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import parse
from lambent.aws.policy.principals import Principal
from lambent.aws.policy.text import PolicyError
from lambent.aws.service import Source
from lambent.services.s3.errors import error, invalid_argument
from lambent.services.s3.notifications.delivery import PRINCIPAL, owner_of
from lambent.services.s3.notifications.rules import LISTS, Rules
from lambent.services.s3.records import Bucket

_UNABLE: Final = "Unable to validate the following destination configurations"
_REGION: Final = "The notification destination service region is not valid for the bucket location constraint"
_NOUNS: Final = {"sqs": "queue", "sns": "topic"}
_ELEMENTS: Final = {service: element for _, element, service in LISTS.values()}
_NO_SUCH_FUNCTION: Final = ("ResourceNotFoundException", "AccessDeniedException", "InvalidParameterValueException")


async def check(caller: Caller, bucket: Bucket, rules: Rules) -> None:
    """Raises InvalidArgument that names every destination which cannot be told."""
    failures: dict[str, str] = {}
    for rule in rules.rules:
        arn = Arn.parse(rule.arn)
        if arn.region != bucket.region:
            raise invalid_argument(_REGION, _ELEMENTS[rule.service], rule.arn)
        if rule.arn in failures:
            continue
        if rule.service == "lambda":
            if not await _may_invoke(caller, bucket, arn):
                failures[f"{rule.arn}, null"] = f"Not authorized to invoke function [{rule.arn}]"
        elif (problem := await _problem(caller, bucket, rule.service, arn)) is not None:
            failures[rule.arn] = problem
    if failures:
        members: dict[str, object] = {}
        for number, (name, value) in enumerate(failures.items(), 1):
            members |= {f"ArgumentName{number}": name, f"ArgumentValue{number}": value}
        raise error("InvalidArgument", _UNABLE, 400, **members)


async def _may_invoke(caller: Caller, bucket: Bucket, function: Arn) -> bool:
    try:
        await caller.call(
            "lambda",
            "Invoke",
            {"FunctionName": str(function), "InvocationType": "DryRun"},
            account=function.account,
            region=function.region,
            principal=PRINCIPAL,
            source=Source(bucket.arn, bucket.account),
        )
    except ApiError as refused:
        # Any other answer is of a function that is there and lets the bucket in, though it cannot run just now.
        return refused.code not in _NO_SUCH_FUNCTION
    return True


async def _problem(caller: Caller, bucket: Bucket, service: str, arn: Arn) -> str | None:
    noun = _NOUNS[service]
    if arn.resource.endswith(".fifo"):
        return f"FIFO {noun}s are not supported as destinations of S3 notifications"
    try:
        policy = await _policy(caller, service, arn)
    except ApiError as refused:
        if refused.status == 501:
            raise
        return f"The destination {noun} does not exist"
    if policy is None or not _allows(policy, bucket, service, arn):
        return f"Permissions on the destination {noun} do not allow S3 to publish notifications from this bucket"
    return None


async def _policy(caller: Caller, service: str, arn: Arn) -> str | None:
    async def ask(operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return await caller.call(
            service, operation, parameters, account=arn.account, region=arn.region, principal=owner_of(arn)
        )

    if service == "sns":
        topic = await ask("GetTopicAttributes", {"TopicArn": str(arn)})
        return (topic.get("Attributes") or {}).get("Policy")
    url = await ask("GetQueueUrl", {"QueueName": arn.resource})
    queue = await ask("GetQueueAttributes", {"QueueUrl": url["QueueUrl"], "AttributeNames": ["Policy"]})
    return (queue.get("Attributes") or {}).get("Policy")


def _allows(policy: str, bucket: Bucket, service: str, arn: Arn) -> bool:
    action = "sqs:SendMessage" if service == "sqs" else "sns:Publish"
    context = {
        "aws:SourceArn": bucket.arn,
        "aws:SourceAccount": bucket.account,
        "aws:PrincipalServiceName": PRINCIPAL,
        "aws:PrincipalIsAWSService": "true",
    }
    try:
        document = parse(policy)
    except PolicyError:
        return False
    request = Request(Principal.of_service(PRINCIPAL), action, str(arn), context)
    return decide([document], request) is Decision.ALLOWED
