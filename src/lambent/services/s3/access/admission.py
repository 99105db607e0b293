"""Who may do what with a bucket and what is in it: its owner, and others as policy, ACLs and access block leave them.

The owner's account may do everything that the policy does not deny: identity policies are not enforced here
(docs/security.md). Other accounts, services and strangers may do what is allowed to them, and nothing more. All
objects of a bucket are its owner's, whoever has written them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.policy.decision import Decision
from lambent.aws.policy.principals import ANONYMOUS, Principal
from lambent.aws.service import ANYONE, CallContext, Handler, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.s3.access import actions
from lambent.services.s3.access.keys import EXISTING_TAG, VERSION, Keys, condition_keys, of_object
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs import acl, policy
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.configs.public_access import blocks
from lambent.services.s3.errors import access_denied
from lambent.services.s3.objects import Objects
from lambent.services.s3.records import ENFORCED, Bucket, ObjectVersion
from lambent.services.s3.sources import source_of

_OPEN: Final = frozenset({"CreateBucket", "ListBuckets", "ListDirectoryBuckets", "WriteGetObjectResponse"})
"""Of no bucket that is there already: whoever is somebody may call them."""
_READS: Final = frozenset({"GetObject", "HeadObject", "GetObjectAttributes"})
_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion"})
_SILENT: Final = frozenset({"GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging", "PutObjectTagging"})
"""Do not tell that the requester was charged."""
MOST_DELETED: Final = 1000


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request at one bucket. `own`: by the account that owns it, and for no service."""

    bucket: Bucket
    principal: Principal
    own: bool
    policy: str | None
    keys: Keys

    def needs_tags(self, wanted: Iterable[tuple[str, str]]) -> bool:
        """Whether the policy asks for the tags of the object as it is."""
        if self.policy is None or EXISTING_TAG not in self.policy.lower():
            return False
        return any(action in actions.KNOW_TAGS for action, _ in wanted)


class Access:
    def __init__(self, buckets: Buckets, configs: Configs, objects: Objects, clock: Clock) -> None:
        self._buckets = buckets
        self._configs = configs
        self._objects = objects
        self._clock = clock

    def admitted(self, operations: Operations) -> Operations:
        """The same operations, behind what decides about the bucket that they name."""
        return {name: self._behind(name, handler) for name, handler in operations.items()}

    def _behind(self, operation: str, handler: Handler) -> Handler:
        async def admitted(context: CallContext, parameters: Parameters) -> Result:
            if operation in _OPEN:
                if principal_of(context) is ANONYMOUS:
                    raise access_denied()
                return await handler(context, parameters)
            asked = self._asked(context, parameters)
            if "CopySource" in parameters:
                await self.admit_source(context, parameters["CopySource"])
            if asked is None:
                return await handler(context, parameters)
            charged = self._charged(asked, parameters)
            if operation == "DeleteObjects":
                result = await self._deleted(handler, asked, context, parameters)
            else:
                await self._admit(operation, asked, parameters)
                try:
                    result = await handler(context, parameters)
                except ApiError as error:
                    raise self._hidden(operation, asked, error) from error
            return {**result, "RequestCharged": "requester"} if charged and operation not in _SILENT else result

        return admitted

    async def admit(self, operation: str, context: CallContext, parameters: Parameters) -> None:
        """Raises AccessDenied. A bucket that does not exist is left to the operation."""
        asked = self._asked(context, parameters)
        if asked is not None:
            await self._admit(operation, asked, parameters)

    async def admit_source(self, context: CallContext, given: object) -> None:
        """The same of what a copy reads. A source that is none is left to the operation."""
        try:
            source = source_of(given)
        except ApiError:
            return
        version = {} if source.version_id is None else {"VersionId": source.version_id}
        await self.admit("GetObject", context, {"Bucket": source.bucket, "Key": source.key, **version})

    def _asked(self, context: CallContext, parameters: Parameters) -> _Asked | None:
        """None: nothing has to be asked, for the owner asks and there is no policy, or there is no such bucket."""
        bucket = self._buckets.find(parameters["Bucket"])
        if bucket is None:
            return None
        own = context.source is None and context.identity.account == bucket.account
        text = self._configs.document(bucket.id, Kind.POLICY)
        if own and text is None:
            return None
        principal = principal_of(context)
        keys = condition_keys(context, principal, bucket, parameters, self._clock.now())
        return _Asked(bucket, principal, own, None if text is None else str(text), keys)

    async def _admit(self, operation: str, asked: _Asked, parameters: Parameters) -> None:
        if not await self._may_all(asked, parameters, list(actions.asked(operation, asked.bucket, parameters))):
            raise access_denied()

    async def _may_all(self, asked: _Asked, parameters: Parameters, wanted: Sequence[tuple[str, str]]) -> bool:
        """`parameters`: with the key and the version that `wanted` is about, where it is about an object."""
        version, keys, tagged = None, asked.keys, asked.needs_tags(wanted)
        if "Key" in parameters and (tagged or self._has_acls(asked, wanted)):
            version = await self._there(asked.bucket, parameters)
            if version is not None and tagged:
                keys = {**keys, **of_object(version.state.tags)}
        return all(self.may(asked, action, resource, keys, version) for action, resource in wanted)

    def _has_acls(self, asked: _Asked, wanted: Iterable[tuple[str, str]]) -> bool:
        if asked.own or asked.bucket.ownership == ENFORCED:
            return False
        return any(action in actions.OBJECT_PERMISSIONS for action, _ in wanted)

    async def _there(self, bucket: Bucket, parameters: Parameters) -> ObjectVersion | None:
        try:
            found = await self._objects.find(bucket, parameters["Key"], parameters.get("VersionId") or None)
        except ApiError:
            return None
        return None if found is None or found.marker else found

    def may(
        self, asked: _Asked, action: str, resource: str, keys: Mapping[str, Any], version: ObjectVersion | None
    ) -> bool:
        decision = Decision.SILENT
        if asked.policy is not None:
            decision = policy.verdict(asked.policy, asked.principal, action, resource, keys)
        if decision is Decision.DENIED:
            # Or nobody could ever take back a policy that shuts everybody out.
            return asked.own and action in actions.POLICIES and asked.principal.name.endswith(":root")
        if asked.own:
            return True
        if decision is Decision.ALLOWED and asked.policy is not None:
            bucket = asked.bucket
            restricted = blocks(self._configs, bucket, "RestrictPublicBuckets") and policy.is_public(asked.policy)
            return asked.principal.kind == "Service" or not restricted
        return self._granted(asked, action, version)

    def _granted(self, asked: _Asked, action: str, version: ObjectVersion | None) -> bool:
        bucket = asked.bucket
        if bucket.ownership == ENFORCED:
            return False
        permission = actions.BUCKET_PERMISSIONS.get(action)
        if permission is not None:
            grants = (self._configs.document(bucket.id, Kind.ACL) or {}).get("Grants") or ()
        else:
            permission = actions.OBJECT_PERMISSIONS.get(action)
            if version is None:
                # Whether it is there is told to who may list.
                return permission == "READ" and self._may_list(asked)
            grants = json.loads(version.state.acl) if version.state.acl else ()
        if permission is None:
            return False
        if blocks(self._configs, bucket, "IgnorePublicAcls"):
            grants = [grant for grant in grants if not acl.is_public([grant])]
        return acl.allows(grants, asked.principal.account, permission)

    def _may_list(self, asked: _Asked) -> bool:
        return self.may(asked, "s3:ListBucket", asked.bucket.arn, asked.keys, None)

    def _hidden(self, operation: str, asked: _Asked, error: ApiError) -> ApiError:
        """Who may not list is not told that a key is missing."""
        if operation in _READS and error.code in _MISSING and not self._may_list(asked):
            return access_denied()
        return error

    async def _deleted(self, handler: Handler, asked: _Asked, context: CallContext, parameters: Parameters) -> Result:
        """Of a DeleteObjects each key is decided by itself, and refused by itself."""
        wanted = parameters["Delete"]
        if len(wanted["Objects"]) > MOST_DELETED:
            return await handler(context, parameters)
        kept: list[Parameters] = []
        refused: list[Parameters] = []
        for item in wanted["Objects"]:
            each = list(actions.of_deletion(asked.bucket, item, parameters))
            one = (
                asked if not item.get("VersionId") else replace(asked, keys={**asked.keys, VERSION: item["VersionId"]})
            )
            (kept if await self._may_all(one, item, each) else refused).append(item)
        if not refused:
            return await handler(context, parameters)
        result: dict[str, Any] = {}
        if kept:
            result |= await handler(context, {**parameters, "Delete": {**wanted, "Objects": kept}})
        said = {"Code": "AccessDenied", "Message": "Access Denied"}
        names = [{name: item[name] for name in ("Key", "VersionId") if item.get(name)} for item in refused]
        return {**result, "Errors": [*result.get("Errors", ()), *({**name, **said} for name in names)]}

    def _charged(self, asked: _Asked, parameters: Parameters) -> bool:
        """Whether the request is one of those that the one who asks pays. Raises AccessDenied where he does not say
        that he will; strangers cannot."""
        document = self._configs.document(asked.bucket.id, Kind.PAYMENT)
        if asked.own or asked.principal.kind == "Service" or (document or {}).get("Payer") != "Requester":
            return False
        if asked.principal is ANONYMOUS or parameters.get("RequestPayer") != "requester":
            raise access_denied()
        return True


def principal_of(context: CallContext) -> Principal:
    arn = context.identity.arn
    if context.identity is ANYONE:
        return ANONYMOUS
    if arn.startswith("arn:"):
        return Principal.of_arn(arn)
    return Principal.of_service(arn)
