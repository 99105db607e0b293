"""GetCallerIdentity, AssumeRole, GetSessionToken, GetAccessKeyInfo.

Sessions are kept until a week after their end, so that a late key is told that it has expired; less long when the key
that they were got with has too many (`bound`). Their secrets are
derived from their key and one of the data directory, so no row holds one.
"""

import base64
import hashlib
import secrets
import string
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

from sqlalchemy import Connection

from lambent.aws.arn import Arn, partition_of
from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.keys import KeyRing, KnownKey, Secret
from lambent.aws.policy.principals import Principal
from lambent.aws.service import CallContext, Identity, Operations, Parameters, Result
from lambent.aws.trust import ASSUME, refused_action
from lambent.core.clock import Clock
from lambent.services.sts import store
from lambent.services.sts.bound import LIVE_SESSIONS, Bound
from lambent.store.database import Database

REMEMBERED: Final = timedelta(days=7)
ASSUMED_S: Final = 3600
CHAINED_S: Final = 3600
"""The longest session of a role that a role assumes."""
SESSION_S: Final = 43_200
_KEY_ALPHABET: Final = string.ascii_uppercase + "234567"


class StsService:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        keys: KeyRing,
        caller: Caller,
        secret: bytes,
        *,
        live_sessions: int = LIVE_SESSIONS,
    ) -> None:
        """`secret`: what the secrets of sessions are derived from. `live_sessions`: of one key, at one time."""
        self._database = database
        self._clock = clock
        self._keys = keys
        self._caller = caller
        self._secret = secret
        self._bound = Bound(live_sessions)

    def load(self) -> None:
        """Before the first call."""
        for access_key_id, key in self._database.read_now(store.load).items():
            self._keys.learn(access_key_id, replace(key, secret=self._secret_of(access_key_id)))

    def operations(self) -> Operations:
        return {
            "GetCallerIdentity": self.get_caller_identity,
            "AssumeRole": self.assume_role,
            "GetSessionToken": self.get_session_token,
            "GetAccessKeyInfo": self.get_access_key_info,
        }

    async def reset(self) -> None:
        for access_key_id in await self._database.read(store.load):
            self._keys.forget(access_key_id)
        self._bound.clear()
        await self._database.write(store.remove_everything)

    async def get_caller_identity(self, context: CallContext, parameters: Parameters) -> Result:
        identity = context.identity
        return {"UserId": self._user_id(context), "Account": identity.account, "Arn": identity.arn}

    async def assume_role(self, context: CallContext, parameters: Parameters) -> Result:
        role = await self._role(context, parameters["RoleArn"])
        self._check_trust(context, role, parameters)
        duration_s = parameters.get("DurationSeconds", ASSUMED_S)
        if duration_s > CHAINED_S and ":assumed-role/" in context.identity.arn:
            text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            raise ApiError("ValidationError", text, status=400)
        if duration_s > role.get("MaxSessionDuration", ASSUMED_S):
            text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise ApiError("ValidationError", text, status=400)
        arn = Arn.parse(role["Arn"])
        session = parameters["RoleSessionName"]
        name = arn.resource.rpartition("/")[2]
        assumed = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{name}/{session}"
        user_id = f"{role['RoleId']}:{session}"
        credentials = await self._issue(KnownKey(arn.account, assumed, user_id), duration_s, context.identity)
        result = {"Credentials": credentials, "AssumedRoleUser": {"AssumedRoleId": user_id, "Arn": assumed}}
        return {**result, **{name: parameters[name] for name in ("SourceIdentity",) if name in parameters}}

    async def get_session_token(self, context: CallContext, parameters: Parameters) -> Result:
        key = KnownKey(context.account, context.identity.arn, self._user_id(context))
        duration_s = parameters.get("DurationSeconds", SESSION_S)
        return {"Credentials": await self._issue(key, duration_s, context.identity)}

    async def get_access_key_info(self, context: CallContext, parameters: Parameters) -> Result:
        asked: str = parameters["AccessKeyId"]
        known = self._keys.find(asked)
        if known is not None:
            return {"Account": known.account}
        # Any other key is its own caller here, and its account is the default one.
        return {"Account": "000000000000"}

    async def _role(self, context: CallContext, text: str) -> Any:
        """GetRole of the role's account. A role that does not exist cannot be told from one that is not allowed."""
        refused = _refused(context.identity, ASSUME, text)
        try:
            arn = Arn.parse(text)
        except ValueError as error:
            raise ApiError("ValidationError", f"{text} is invalid", status=400) from error
        if (
            arn.service != "iam"
            or not arn.resource.startswith("role/")
            or arn.partition != partition_of(context.region)
        ):
            raise ApiError("ValidationError", f"{text} is invalid", status=400)
        name = arn.resource.rpartition("/")[2]
        try:
            found = await self._caller.call(
                "iam",
                "GetRole",
                {"RoleName": name},
                account=arn.account,
                region=context.region,
                principal=context.identity.arn,
            )
        except ApiError as error:
            if error.code in ("NoSuchEntity", "ValidationError"):
                raise refused from error
            raise
        if found["Role"]["Arn"] != text:
            raise refused
        return found["Role"]

    def _check_trust(self, context: CallContext, role: Any, parameters: Parameters) -> None:
        """Identity policies of the caller are not evaluated; a role that trusts an account trusts all in it."""
        tags = parameters.get("Tags") or []
        source = parameters.get("SourceIdentity")
        actions = [ASSUME, *(["sts:TagSession"] if tags else []), *(["sts:SetSourceIdentity"] if source else [])]
        identity, now = context.identity, self._clock.now()
        conditions: dict[str, str | list[str]] = {
            "aws:PrincipalArn": Principal.of_arn(identity.arn).role_arn or identity.arn,
            "aws:PrincipalAccount": identity.account,
            "aws:userid": self._user_id(context),
            "aws:RequestedRegion": context.region,
            "aws:CurrentTime": now.isoformat(),
            "aws:EpochTime": str(int(now.timestamp())),
            "sts:RoleSessionName": parameters["RoleSessionName"],
            **{f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags},
        }
        if ":user/" in identity.arn:
            conditions["aws:username"] = identity.arn.rpartition("/")[2]
        if "ExternalId" in parameters:
            conditions["sts:ExternalId"] = parameters["ExternalId"]
        if source:
            conditions["sts:SourceIdentity"] = source
        if tags:
            conditions["aws:TagKeys"] = [tag["Key"] for tag in tags]
        document = unquote(role.get("AssumeRolePolicyDocument") or "")
        action = refused_action(document, Principal.of_arn(identity.arn), role["Arn"], actions, conditions)
        if action is not None:
            raise _refused(identity, action, role["Arn"])

    async def _issue(self, key: KnownKey, duration_s: int, caller: Identity) -> Result:
        now = self._clock.now()
        expires = (now + timedelta(seconds=duration_s)).replace(microsecond=0)
        access_key_id = "ASIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))
        secret = self._secret_of(access_key_id)
        owner = self._keys.find(caller.access_key_id)
        origin = None if owner is None else owner.origin or caller.access_key_id
        known = replace(key, expires=expires, secret=secret, origin=origin)
        expired = [] if origin is None else self._bound.take(origin, access_key_id, expires, now)
        try:
            forgotten = await self._database.write(
                lambda connection: _add(connection, access_key_id, known, expired, now)
            )
        except PlatformFault:
            if origin is not None:
                self._bound.give_back(origin, access_key_id)
            raise
        for old in (*expired, *forgotten):
            self._forget(old)
        self._keys.learn(access_key_id, known)
        return {
            "AccessKeyId": access_key_id,
            "SecretAccessKey": secret.access_key,
            "SessionToken": secret.session_token,
            "Expiration": expires,
        }

    def _forget(self, access_key_id: str) -> None:
        known = self._keys.find(access_key_id)
        if known is not None and known.origin is not None:
            self._bound.give_back(known.origin, access_key_id)
        self._keys.forget(access_key_id)

    def _secret_of(self, access_key_id: str) -> Secret:
        made = hashlib.shake_256(self._secret + b"/" + access_key_id.encode()).digest(222)
        return Secret(base64.b64encode(made[:30]).decode(), base64.b64encode(made[30:]).decode())

    def _user_id(self, context: CallContext) -> str:
        identity = context.identity
        known = self._keys.find(identity.access_key_id)
        if identity.arn.endswith(":root"):
            return identity.account
        if ":assumed-role/" in identity.arn and (known is None or ":" not in known.user_id):
            role, _, session = identity.arn.rpartition("/")
            return f"{_role_id(role)}:{session}"
        return identity.account if known is None else known.user_id


def _add(connection: Connection, access_key_id: str, key: KnownKey, expired: Sequence[str], now: datetime) -> list[str]:
    store.remove(connection, expired)
    forgotten = store.remove_expired(connection, now - REMEMBERED)
    store.add(connection, access_key_id, key)
    return forgotten


def _refused(identity: Identity, action: str, role_arn: str) -> ApiError:
    text = f"User: {identity.arn} is not authorized to perform: {action} on resource: {role_arn}"
    return ApiError("AccessDenied", text, status=403)


def _role_id(arn: str) -> str:
    """For an execution role, which need not exist: the same each time, in the form of a role's id."""
    return "AROA" + base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()[:17]
