"""IAM over restarts: its writes are kept before they are answered, and done again when moto's process starts.

Writes go one after another, so that they are done again in the order in which they were done. Keys of users that were
made are told to the key ring, at the start from the journal alone: moto does not run for that.
"""

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection

from lambent.aws.arn import Arn, partition_of
from lambent.aws.errors import ApiError
from lambent.aws.keys import KeyRing, KnownKey, Secret
from lambent.aws.limits import request_too_large
from lambent.aws.outside import OutsideReply, OutsideRequest
from lambent.core.clock import Clock
from lambent.services.neighbours import store
from lambent.services.neighbours.journal import MAX_FORM_BYTES, Write, changes_something, full, needless
from lambent.services.neighbours.trust import lets_lambda_assume, trust_policy
from lambent.store.database import Database

logger = logging.getLogger(__name__)

Repeat = Mapping[str, str | float]
Ask = Callable[[OutsideRequest, Repeat], Awaitable[OutsideReply]]
"""Ask moto; `Repeat` may hold `seed` and `moment`."""

_MADE: Final = re.compile(
    rb"<(Arn|UserName|UserId|AccessKeyId|SecretAccessKey|RoleName|VersionId|OpenIDConnectProviderArn|SAMLProviderArn"
    rb"|SerialNumber|SSHPublicKeyId|CertificateId)>([^<]*)</"
)
FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"


class IamOverRestarts:
    def __init__(self, database: Database, clock: Clock, keys: KeyRing) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._kept: list[Write] = []
        self._one_at_a_time = asyncio.Lock()

    @property
    def kept(self) -> int:
        return len(self._kept)

    def load(self) -> None:
        self._kept = self._database.read_now(store.load)
        for write in self._kept:
            self._teach(write)
        for access_key_id in self._database.read_now(store.load_gone_keys):
            self._keys.refuse(access_key_id)

    def refuses_lambda(self, role_arn: str, function_arn: str) -> bool:
        """Implements `functions.ports.Roles` from the journal, so moto does not start for it."""
        try:
            arn = Arn.parse(role_arn)
        except ValueError:
            return False
        document = trust_policy(self._kept, arn.account, arn.resource.rpartition("/")[2])
        return document is not None and not lets_lambda_assume(document, role_arn, function_arn)

    async def forward(self, request: OutsideRequest, ask: Ask, end: Callable[[], None]) -> OutsideReply:
        """`end` ends moto's process: its memory must not hold what the journal does not."""
        form = _form(request)
        if not changes_something(form):
            return await ask(request, {})
        if len(form) > MAX_FORM_BYTES:
            raise request_too_large(MAX_FORM_BYTES, "IAM")
        # A caller who gives up must not leave half of it done.
        task = asyncio.ensure_future(self._write(request, form, ask, end))
        task.add_done_callback(_seen)
        return await asyncio.shield(task)

    async def _write(self, request: OutsideRequest, form: str, ask: Ask, end: Callable[[], None]) -> OutsideReply:
        async with self._one_at_a_time:
            write = Write(request.account, request.region, form, os.urandom(16).hex(), self._clock.now().timestamp())
            if full(write, self._kept):
                raise ApiError(
                    "LimitExceeded",
                    "No more changes of IAM are kept for this account. Delete what is not needed.",
                    status=409,
                )
            reply = await ask(request, {"seed": write.seed, "moment": write.moment})
            kept = reply.status >= 300
            try:
                if not kept:
                    await self._keep(_with_what_it_made(write, reply.body))
                    kept = True
            finally:
                if not kept:
                    logger.error("A change of IAM could not be stored. moto starts again from what is.")
                    end()
            return reply

    async def replay(self, ask: Ask) -> None:
        """Do again what is kept, on a new process, before anyone else asks it."""
        async with self._one_at_a_time:
            # Of a commit that failed nobody knows whether it was done.
            self._kept = await self._database.read(store.load)
            for write in self._kept:
                action = write.members()["Action"]
                try:
                    reply = await ask(_again(write), _repeat(write))
                except ApiError as error:
                    # One write that moto fails at must not keep all other services from starting.
                    logger.warning("IAM %s could not be done again: %s", action, error.message)
                    continue
                if reply.status >= 300:
                    logger.warning("IAM %s could not be done again: %s", action, reply.body[:500])

    async def reset(self) -> None:
        async with self._one_at_a_time:
            gone = await self._database.write(store.remove_everything)
            for access_key_id in (*gone, *(write.made.get("AccessKeyId", "") for write in self._kept)):
                self._keys.forget(access_key_id)
            self._kept = []

    async def _keep(self, write: Write) -> None:
        # Every write looks at all others, which takes a while when there are thousands.
        dropped, needed = await asyncio.to_thread(needless, write, self._kept)

        deleted = [w.made["AccessKeyId"] for w in self._kept if w.sequence in dropped and "AccessKeyId" in w.made]

        def work(connection: Connection) -> tuple[int, list[str]]:
            store.remove(connection, dropped)
            forgotten = store.add_gone_keys(connection, deleted)
            return store.add(connection, write) if needed else 0, forgotten

        sequence, forgotten = await self._database.write(work)
        for access_key_id in (*deleted, *forgotten):
            self._keys.forget(access_key_id)
        for access_key_id in deleted:
            self._keys.refuse(access_key_id)
        self._kept = [old for old in self._kept if old.sequence not in dropped]
        if needed:
            self._kept.append(replace(write, sequence=sequence))
            self._teach(write)

    def _teach(self, write: Write) -> None:
        made, members = write.made, write.members()
        if members["Action"] == "UpdateAccessKey" and self._keys.find(members.get("AccessKeyId", "")) is not None:
            if members.get("Status") == "Inactive":
                self._keys.refuse(members["AccessKeyId"])
            elif members.get("Status") == "Active":
                self._keys.admit(members["AccessKeyId"])
        if members["Action"] != "CreateAccessKey" or not {"AccessKeyId", "UserName"} <= made.keys():
            return
        arn = f"arn:{partition_of(write.region)}:iam::{write.account}:user/{made['UserName']}"
        user_id = made["UserName"]
        for other in self._kept:
            same = other.account == write.account and other.made.get("UserName") == made["UserName"]
            if same and other.members()["Action"] == "CreateUser":
                arn, user_id = other.made.get("Arn", arn), other.made.get("UserId", user_id)
        secret = Secret(made["SecretAccessKey"]) if "SecretAccessKey" in made else None
        self._keys.learn(made["AccessKeyId"], KnownKey(write.account, arn, user_id, secret=secret))


def _seen(task: asyncio.Future[OutsideReply]) -> None:
    # Who gave up does not hear of a refusal, and that is no error of ours.
    if not task.cancelled():
        task.exception()


def _form(request: OutsideRequest) -> str:
    return request.body.decode("utf-8", "replace") if request.body else request.query


def _with_what_it_made(write: Write, reply: bytes) -> Write:
    made = _made(reply)
    members = write.members()
    if members["Action"] == "CreateAccessKey" and "UserName" not in members and "UserName" in made:
        # For the user whose key had signed; when it is done again nobody has.
        return replace(write, form=f"{write.form}&{urlencode({'UserName': made['UserName']})}", made=made)
    return replace(write, made=made)


def _made(body: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in _MADE.findall(body):
        found.setdefault(name.decode(), value.decode("utf-8", "replace"))
    return found


def _repeat(write: Write) -> Repeat:
    repeat: Repeat = {"seed": write.seed, "moment": write.moment}
    version = write.made.get("VersionId", "").removeprefix("v")
    if write.members()["Action"] == "CreatePolicyVersion" and version.isdecimal():
        # Versions before it that are gone are not made again, and it keeps its number.
        return {**repeat, "policy": write.members()["PolicyArn"], "version": int(version)}
    return repeat


def _again(write: Write) -> OutsideRequest:
    return OutsideRequest(
        service="iam",
        account=write.account,
        region=write.region,
        access_key_id=write.account,
        method="POST",
        path="/",
        query="",
        headers={"host": "localhost", "content-type": FORM},
        body=write.form.encode(),
    )
