"""LoggingConfig: formats, levels, what stays and what goes with a change of them."""

from collections.abc import Mapping
from typing import Any, Final

from tests.contract.functions.conftest import Lambda

NEEDS_JSON = (
    'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the '
    'LogFormat to "JSON" and try again.'
)
DEFAULTS: Final = {
    "LogFormat": "JSON",
    "ApplicationLogLevel": "INFO",
    "SystemLogLevel": "INFO",
    "LogGroup": "/aws/lambda/f",
}


async def changed(lambda_: Lambda, **parameters: Any) -> Mapping[str, Any]:
    await lambda_.update_function_configuration(FunctionName="f", **parameters)
    return await lambda_.updated()


async def test_json_has_the_levels_of_aws_when_nobody_chose_others(lambda_: Lambda) -> None:
    reply = await lambda_.created(LoggingConfig={"LogFormat": "JSON"})
    assert reply["LoggingConfig"] == DEFAULTS
    configuration = await lambda_.get_function_configuration(FunctionName="f")
    assert configuration["LoggingConfig"] == DEFAULTS


async def test_levels_that_were_chosen_are_kept_over_changes_of_other_things(lambda_: Lambda) -> None:
    chosen = {"LogFormat": "JSON", "ApplicationLogLevel": "TRACE", "SystemLogLevel": "WARN", "LogGroup": "/mine"}
    await lambda_.created(LoggingConfig=chosen)
    after = await changed(lambda_, Description="new")
    assert after["LoggingConfig"] == chosen
    after = await changed(lambda_, LoggingConfig={"LogGroup": "/other"})
    assert after["LoggingConfig"] == chosen | {"LogGroup": "/other"}
    after = await changed(lambda_, LoggingConfig={"SystemLogLevel": "DEBUG"})
    assert after["LoggingConfig"] == chosen | {"LogGroup": "/other", "SystemLogLevel": "DEBUG"}


async def test_text_has_no_levels(lambda_: Lambda) -> None:
    await lambda_.created(LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "ERROR"})
    after = await changed(lambda_, LoggingConfig={"LogFormat": "Text"})
    assert after["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}
    refusal = await lambda_.refused(
        "update_function_configuration", FunctionName="f", LoggingConfig={"ApplicationLogLevel": "ERROR"}
    )
    assert refusal == (400, "InvalidParameterValueException", NEEDS_JSON)
    after = await changed(lambda_, LoggingConfig={"LogFormat": "JSON"})
    assert after["LoggingConfig"] == DEFAULTS


async def test_a_version_keeps_the_format_that_it_was_published_with(lambda_: Lambda) -> None:
    await lambda_.created(LoggingConfig={"LogFormat": "JSON"}, Publish=True)
    await changed(lambda_, LoggingConfig={"LogFormat": "Text"})
    version = await lambda_.get_function_configuration(FunctionName="f", Qualifier="1")
    assert version["LoggingConfig"] == DEFAULTS
