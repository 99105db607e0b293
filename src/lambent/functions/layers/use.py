"""The `Layers` of a function: which layer versions they are, and whether they fit."""

from collections.abc import Sequence

from lambent.aws.errors import invalid_parameter
from lambent.aws.service import CallContext
from lambent.functions.archive import too_large
from lambent.functions.layers.access import check_number, usable
from lambent.functions.layers.catalog import Layers
from lambent.functions.layers.records import LayerKey, parse_arn
from lambent.functions.quotas import Quotas
from lambent.functions.records import FunctionVersion, LayerReference


def chosen(
    layers: Layers, quotas: Quotas, context: CallContext, arns: Sequence[str] | None
) -> tuple[LayerReference, ...] | None:
    """What a function that lists `arns` will hold; None when the caller sent no list. `ApiError` in AWS's words."""
    if arns is None:
        return None
    if len(arns) > quotas.max_layers:
        raise invalid_parameter(f"Cannot reference more than {quotas.max_layers} layers.")
    references: list[LayerReference] = []
    seen: dict[LayerKey, str] = {}
    for arn in arns:
        parsed = parse_arn(arn)
        if parsed is None or parsed[1] is None:
            raise _missing(arn)
        key, number = parsed[0], parsed[1]
        if key.region != context.region:
            raise invalid_parameter(
                "Layers are not in the same region as the function."
                f" Layers are expected to be in region {context.region}."
            )
        check_number(number)
        version = usable(layers, context, key, number)
        if version is None:
            raise _missing(arn)
        if key in seen:
            raise invalid_parameter(
                "Two different versions of the same layer are not allowed to be referenced in the same function."
                f" {seen[key]} and {arn} are versions of the same layer."
            )
        seen[key] = arn
        references.append(LayerReference(version.arn, version.code, version.signed))
    return tuple(references)


def check_unzipped(version: FunctionVersion, quotas: Quotas) -> None:
    """Refuse a function that is too large together with its layers."""
    total = version.code.unpacked_bytes + sum(layer.code.unpacked_bytes for layer in version.layers)
    if version.layers and total >= quotas.max_unzipped_bytes:
        raise invalid_parameter(str(too_large(quotas)))


def _missing(arn: str) -> Exception:
    return invalid_parameter(f"Layer version {arn} does not exist.")
