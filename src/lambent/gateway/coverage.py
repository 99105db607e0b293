"""`docs/coverage.md`, written from the models and the registered operations, so that it cannot say what is not true."""

from collections.abc import Mapping

from botocore.model import ServiceModel

from lambent.aws.models import service_model
from lambent.aws.service import Service

INTRODUCTION = """# Coverage

Generated from botocore's models and the operations that Lambent registers; do not edit. An operation that is not built
answers 501 `NotImplementedException` and names itself. An option whose effect does not exist yet is refused by name.
"""


def coverage_page(services: Mapping[str, Service]) -> str:
    """The whole page, with one line of totals and two lists of operations for each service."""
    parts = [INTRODUCTION, _totals(services)]
    parts += [_section(service) for service in services.values()]
    return "\n".join(parts)


def _totals(services: Mapping[str, Service]) -> str:
    lines = ["| service | built | of | API version |", "| --- | --- | --- | --- |"]
    for service in services.values():
        model = service_model(service.name)
        built, absent = _split(service, model)
        version = model.metadata["apiVersion"]
        lines.append(f"| [{service.name}](#{service.name}) | {len(built)} | {len(built) + len(absent)} | {version} |")
    return "\n".join(lines) + "\n"


def _section(service: Service) -> str:
    model = service_model(service.name)
    built, absent = _split(service, model)
    lines = [f"## {service.name}", "", f"{model.metadata['serviceFullName']}, protocol {model.metadata['protocol']}."]
    for title, names in (("Built", built), ("Not built", absent)):
        if names:
            lines += ["", f"### {title}", "", *(f"- {name}" for name in names)]
    return "\n".join(lines) + "\n"


def _split(service: Service, model: ServiceModel) -> tuple[list[str], list[str]]:
    """What the dispatcher would call, and what it would answer with 501."""
    built: list[str] = []
    absent: list[str] = []
    for name in sorted(model.operation_names):
        operation = model.operation_model(name)
        streams = operation.has_event_stream_output or operation.has_event_stream_input
        (built if name in service.operations and not streams else absent).append(name)
    return built, absent
