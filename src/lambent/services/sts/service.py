"""GetCallerIdentity, AssumeRole, GetSessionToken, GetAccessKeyInfo.

Sessions are kept until a week after their end, so that a late key is told that it has expired. Their secrets are not
kept: on loopback nobody checks them.
"""

import base64
import hashlib
import os
import secrets
import string
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from lambent.aws.arn import Arn, partition_of
from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError
from lambent.aws.keys import KeyRing, KnownKey
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.sts import store
from lambent.store.database import Database

REMEMBERED: Final = timedelta(days=7)
ASSUMED_S: Final = 3600
SESSION_S: Final = 43_200
_KEY_ALPHABET: Final = string.ascii_uppercase + "234567"


class StsService:
    def __init__(self, database: Database, clock: Clock, keys: KeyRing, caller: Caller) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._caller = caller

    def load(self) -> None:
        """Before the first call."""
        for access_key_id, key in self._database.read_now(store.load).items():
            self._keys.learn(access_key_id, key)

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
        await self._database.write(store.remove_everything)

    async def get_caller_identity(self, context: CallContext, parameters: Parameters) -> Result:
        identity = context.identity
        return {"UserId": self._user_id(context), "Account": identity.account, "Arn": identity.arn}

    async def assume_role(self, context: CallContext, parameters: Parameters) -> Result:
        role = await self._role(context, parameters["RoleArn"])
        duration_s = parameters.get("DurationSeconds", ASSUMED_S)
        if duration_s > role.get("MaxSessionDuration", ASSUMED_S):
            text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise ApiError("ValidationError", text, status=400)
        arn = Arn.parse(role["Arn"])
        session = parameters["RoleSessionName"]
        name = arn.resource.rpartition("/")[2]
        assumed = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{name}/{session}"
        user_id = f"{role['RoleId']}:{session}"
        credentials = await self._issue(KnownKey(arn.account, assumed, user_id), duration_s)
        return {"Credentials": credentials, "AssumedRoleUser": {"AssumedRoleId": user_id, "Arn": assumed}}

    async def get_session_token(self, context: CallContext, parameters: Parameters) -> Result:
        key = KnownKey(context.account, context.identity.arn, self._user_id(context))
        return {"Credentials": await self._issue(key, parameters.get("DurationSeconds", SESSION_S))}

    async def get_access_key_info(self, context: CallContext, parameters: Parameters) -> Result:
        asked: str = parameters["AccessKeyId"]
        known = self._keys.find(asked)
        if known is not None:
            return {"Account": known.account}
        # Any other key is its own caller here, and its account is the default one.
        return {"Account": "000000000000"}

    async def _role(self, context: CallContext, text: str) -> Any:
        """GetRole of the role's account. A role that does not exist cannot be told from one that is not allowed."""
        refused = ApiError(
            "AccessDenied",
            f"User: {context.identity.arn} is not authorized to perform: sts:AssumeRole on resource: {text}",
            status=403,
        )
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

    async def _issue(self, key: KnownKey, duration_s: int) -> Result:
        now = self._clock.now()
        expires = (now + timedelta(seconds=duration_s)).replace(microsecond=0)
        access_key_id = "ASIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))
        known = KnownKey(key.account, key.arn, key.user_id, expires)
        forgotten = await self._database.write(lambda connection: _add(connection, access_key_id, known, now))
        for old in forgotten:
            self._keys.forget(old)
        self._keys.learn(access_key_id, known)
        return {
            "AccessKeyId": access_key_id,
            "SecretAccessKey": base64.b64encode(os.urandom(30)).decode(),
            "SessionToken": base64.b64encode(os.urandom(192)).decode(),
            "Expiration": expires,
        }

    def _user_id(self, context: CallContext) -> str:
        identity = context.identity
        known = self._keys.find(identity.access_key_id)
        if identity.arn.endswith(":root"):
            return identity.account
        if ":assumed-role/" in identity.arn and (known is None or ":" not in known.user_id):
            role, _, session = identity.arn.rpartition("/")
            return f"{_role_id(role)}:{session}"
        return identity.account if known is None else known.user_id


def _add(connection: Connection, access_key_id: str, key: KnownKey, now: datetime) -> list[str]:
    forgotten = store.remove_expired(connection, now - REMEMBERED)
    store.add(connection, access_key_id, key)
    return forgotten


def _role_id(arn: str) -> str:
    """For an execution role, which need not exist: the same each time, in the form of a role's id."""
    return "AROA" + base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()[:17]
