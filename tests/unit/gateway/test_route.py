"""Routing by the models."""

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.gateway.route import Match, router_of

LAMBDA = router_of(service_model("lambda"))
LOGS = router_of(service_model("logs"))


def route(method: str, path: str, query: str = "") -> Match:
    return LAMBDA.match(method, path, query, None)


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/2015-03-31/functions", "", "ListFunctions"),
        ("GET", "/2015-03-31/functions/", "", "ListFunctions"),
        ("POST", "/2015-03-31/functions/", "", "CreateFunction"),
        ("GET", "/2015-03-31/event-source-mappings/", "", "ListEventSourceMappings"),
        ("GET", "/2016-08-19/account-settings/", "", "GetAccountSettings"),
        ("POST", "/2014-11-13/functions/f/invoke-async/", "", "InvokeAsync"),
        ("GET", "/2018-10-31/layers", "", "ListLayers"),
        ("GET", "/2018-10-31/layers", "find=LayerVersion&Arn=a", "GetLayerVersionByArn"),
        ("GET", "/2018-10-31/layers", "find=Other", "ListLayers"),
        ("GET", "/2019-09-30/functions/f/provisioned-concurrency", "Qualifier=1", "GetProvisionedConcurrencyConfig"),
        ("GET", "/2019-09-30/functions/f/provisioned-concurrency", "List=ALL", "ListProvisionedConcurrencyConfigs"),
    ],
)
def test_paths_find_their_operation(method: str, path: str, query: str, operation: str) -> None:
    assert route(method, path, query).operation.name == operation


def test_a_label_is_decoded_once_and_never_split() -> None:
    arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Af%3A%24LATEST%2Fdurable-execution%2Fn%2Fi"
    match = route("GET", f"/2025-12-01/durable-executions/{arn}/history")
    assert match.operation.name == "GetDurableExecutionHistory"
    assert match.labels == {
        "DurableExecutionArn": "arn:aws:lambda:us-east-1:1:function:f:$LATEST/durable-execution/n/i"
    }
    assert route("GET", "/2015-03-31/functions/a%252Fb").labels == {"FunctionName": "a%2Fb"}


def test_a_label_that_is_not_encoded_is_taken_as_it_is() -> None:
    assert route("GET", "/2015-03-31/functions/arn:aws:lambda:us-east-1:1:function:f").labels == {
        "FunctionName": "arn:aws:lambda:us-east-1:1:function:f"
    }


def test_a_label_may_look_like_the_models_own_notation() -> None:
    for name in ("{}", "{+}", "{FunctionName}"):
        assert route("GET", f"/2015-03-31/functions/{name}").labels == {"FunctionName": name}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "//"),
        ("GET", "/2015-03-31"),
        ("GET", "/2015-03-31/functions//configuration"),
        ("PATCH", "/2015-03-31/functions"),
        ("GET", "/2015-03-31/functions/f/nonsense"),
        ("GET", "/2015-03-31/functions/f/configuration/more"),
        ("GET", "/2015-03-31/functions/f//"),
    ],
)
def test_anything_else_is_an_unknown_operation(method: str, path: str) -> None:
    with pytest.raises(ApiError) as raised:
        route(method, path)
    assert (raised.value.code, raised.value.status) == ("UnknownOperationException", 404)


def test_a_label_of_invalid_utf8_is_the_callers_mistake() -> None:
    with pytest.raises(ApiError, match="not valid UTF-8"):
        route("GET", "/2015-03-31/functions/%ff%fe")


def test_targets_name_operations() -> None:
    assert LOGS.match("POST", "/", "", "Logs_20140328.CreateLogGroup").operation.name == "CreateLogGroup"


@pytest.mark.parametrize("target", [None, "", "Logs_20140328", "Logs_20140328.Nonsense", "Other.CreateLogGroup"])
def test_another_target_is_an_unknown_operation(target: str | None) -> None:
    with pytest.raises(ApiError, match="Unknown operation"):
        LOGS.match("POST", "/", "", target)
