"""`docs/coverage.md`, written from the models and the registered operations, so that it cannot say what is not true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lambent.aws.models import service_model
from lambent.aws.service import Service
from lambent.aws.shapes import ServiceModel

INTRODUCTION = """# Coverage

Generated from botocore's models and the operations that Lambent registers; do not edit. An operation that is not built
answers 501 `NotImplementedException` and names itself. An option whose effect does not exist yet is refused by name;
an operation with such options is partial.
"""


IN_MEMORY = """## In memory

Answered by moto in a process of its own, as far as moto goes: what it has not built answers 501. State is in memory and
ends with the server, except IAM's. See [neighbours](neighbours.md).
"""


def coverage_page(services: Mapping[str, Service], in_memory: Sequence[str] = ()) -> str:
    """The whole page, with one line of totals and two lists of operations for each service.

    `in_memory`: the services that the neighbours answer.
    """
    parts = [INTRODUCTION, _totals(services)]
    parts += [_section(service) for service in services.values()]
    if in_memory:
        others = [name for name in in_memory if name not in services]
        parts.append(IN_MEMORY + "\n" + "\n".join(f"- {name}" for name in others) + "\n")
    return "\n".join(parts)


def _totals(services: Mapping[str, Service]) -> str:
    lines = ["| service | built | partial | of | API version |", "| --- | --- | --- | --- | --- |"]
    for service in services.values():
        model = service_model(service.name)
        split = _split(service, model)
        total = len(split.built) + len(split.partial) + len(split.absent)
        counts = f"{len(split.built)} | {len(split.partial)} | {total}"
        lines.append(f"| [{service.name}](#{service.name}) | {counts} | {model.metadata['apiVersion']} |")
    return "\n".join(lines) + "\n"


def _section(service: Service) -> str:
    model = service_model(service.name)
    split = _split(service, model)
    lines = [f"## {service.name}", "", f"{model.metadata['serviceFullName']}, protocol {model.metadata['protocol']}."]
    partial = [f"{name}: without {', '.join(service.partial()[name])}" for name in split.partial]
    for title, names in (("Built", split.built), ("Partial", partial), ("Not built", split.absent)):
        if names:
            lines += ["", f"### {title}", "", *(f"- {name}" for name in names)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Split:
    """Names of operations, sorted."""

    built: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def _split(service: Service, model: ServiceModel) -> Split:
    """What the dispatcher would call, and what it would answer with 501."""
    split = Split()
    for name in sorted(model.operation_names):
        operation = model.operation_model(name)
        if name not in service.operations or operation.has_event_stream_input:
            split.absent.append(name)
        elif service.partial().get(name):
            split.partial.append(name)
        else:
            split.built.append(name)
    return split
