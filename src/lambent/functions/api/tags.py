"""TagResource, UntagResource, ListTags: for every kind of resource in an ARN, each kept by its own `Taggable`.

Owns the texts and limits that are the same for all kinds. A kind that nothing here keeps is 501.
"""

from functools import partial

from lambent.aws.arn import Arn
from lambent.aws.errors import invalid_parameter, not_built
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions.api.parts import Parts
from lambent.functions.api.validation import check_tags
from lambent.functions.ports import Taggable, Tags


def operations(parts: Parts) -> Operations:
    return {
        "TagResource": partial(tag_resource, parts),
        "UntagResource": partial(untag_resource, parts),
        "ListTags": partial(list_tags, parts),
    }


async def tag_resource(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    arn = parameters["Resource"]
    kept = _kept(parts, "TagResource", arn)
    new: Tags = parameters["Tags"]
    if not new:
        raise invalid_parameter("An error occurred and the request cannot be processed.")

    def added(tags: Tags) -> Tags:
        together = {**tags, **new}
        check_tags(together, parts.quotas)
        return together

    await kept.change_tags(context, arn, added)
    return {}


async def untag_resource(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    arn = parameters["Resource"]
    gone = frozenset(parameters["TagKeys"])

    def left(tags: Tags) -> Tags:
        return {name: value for name, value in tags.items() if name not in gone}

    await _kept(parts, "UntagResource", arn).change_tags(context, arn, left)
    return {}


async def list_tags(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    arn = parameters["Resource"]
    return {"Tags": dict(_kept(parts, "ListTags", arn).tags(context, arn))}


def _kept(parts: Parts, operation: str, arn: str) -> Taggable:
    kind = Arn.parse(arn).resource.partition(":")[0]
    kept = parts.taggables.get(kind)
    if kept is None:
        raise not_built(operation, f"{operation} for {arn}")
    return kept
