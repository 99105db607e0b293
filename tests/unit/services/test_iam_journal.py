"""What of IAM's writes is kept, and what a later one makes needless."""

import asyncio
from functools import partial
from urllib.parse import parse_qsl, urlencode

from lambent.aws.errors import ApiError
from lambent.aws.outside import OutsideReply, OutsideRequest
from lambent.core.clock import SystemClock
from lambent.gateway.keys import KnownKeys
from lambent.services.neighbours import store
from lambent.services.neighbours.iam import IamOverRestarts, Repeat
from lambent.services.neighbours.journal import MAX_BYTES, MAX_WRITES, Write, changes_something, full, needless
from lambent.store.vault import CARRIED_AS, Vault
from tests.places import Place

POLICY = "arn:aws:iam::123456789012:policy/own"


def written(*requests: dict[str, str]) -> list[str]:
    """The actions that are left, with their object."""
    kept: list[Write] = []
    for sequence, request in enumerate(requests, 1):
        made = {"AccessKeyId": "AKIA1", "UserName": request.get("UserName", "")}
        if request["Action"] != "CreateAccessKey":
            made = {"Arn": POLICY} if request["Action"] == "CreatePolicy" else {}
        account = request.pop("account", "123456789012")
        write = Write(account, "us-east-1", urlencode(request), "00", 0.0, made, sequence)
        dropped, needed = needless(write, kept)
        kept = [old for old in kept if old.sequence not in dropped]
        if needed:
            kept.append(write)
    return [" ".join(write.members().values()) for write in kept]


def do(action: str, **members: str) -> dict[str, str]:
    return {"Action": action, **members}


def test_reading_is_not_kept() -> None:
    assert changes_something("Action=CreateRole&Version=2010-05-08")
    assert not any(map(changes_something, ("Action=GetRole", "Action=ListRoles", "Action=SimulateCustomPolicy", "")))


def test_a_deleted_role_leaves_nothing() -> None:
    left = written(
        do("CreateRole", RoleName="a"),
        do("CreateRole", RoleName="b"),
        do("AttachRolePolicy", RoleName="a", PolicyArn=POLICY),
        do("TagRole", RoleName="a"),
        do("AddRoleToInstanceProfile", RoleName="a", InstanceProfileName="p"),
        do("DeleteRole", RoleName="a"),
    )
    assert left == ["CreateRole b"]


def test_the_same_name_in_another_account_is_another_role() -> None:
    left = written(
        do("CreateRole", RoleName="a", account="222222222222"),
        do("CreateRole", RoleName="a"),
        do("DeleteRole", RoleName="a"),
    )
    assert left == ["CreateRole a"]


def test_a_role_made_again_is_kept() -> None:
    again = [do("CreateRole", RoleName="a"), do("DeleteRole", RoleName="a")] * 3
    assert written(*map(dict, again), do("CreateRole", RoleName="a")) == ["CreateRole a"]


def test_a_renamed_user_goes_with_what_it_had_under_its_old_name() -> None:
    left = written(
        do("CreateUser", UserName="old"),
        do("CreateAccessKey", UserName="old"),
        do("UpdateUser", UserName="old", NewUserName="new"),
        do("CreateUser", UserName="old"),
        do("PutUserPolicy", UserName="new", PolicyName="p"),
        do("DeleteUser", UserName="new"),
    )
    assert left == ["CreateUser old"]


def test_a_policy_goes_with_its_versions_and_attachments() -> None:
    left = written(
        do("CreateRole", RoleName="a"),
        do("CreatePolicy", PolicyName="own"),
        do("CreatePolicyVersion", PolicyArn=POLICY),
        do("AttachRolePolicy", RoleName="a", PolicyArn=POLICY),
        do("DeletePolicy", PolicyArn=POLICY),
    )
    assert left == ["CreateRole a"]


def test_setting_twice_keeps_the_last_and_removing_keeps_none() -> None:
    left = written(
        do("CreateRole", RoleName="a"),
        do("PutRolePolicy", RoleName="a", PolicyName="p", PolicyDocument="1"),
        do("PutRolePolicy", RoleName="a", PolicyName="q", PolicyDocument="1"),
        do("PutRolePolicy", RoleName="a", PolicyName="p", PolicyDocument="2"),
        do("UpdateAssumeRolePolicy", RoleName="a", PolicyDocument="1"),
        do("UpdateAssumeRolePolicy", RoleName="a", PolicyDocument="2"),
        do("AttachRolePolicy", RoleName="a", PolicyArn=POLICY),
        do("DetachRolePolicy", RoleName="a", PolicyArn=POLICY),
        do("DeleteRolePolicy", RoleName="a", PolicyName="q"),
    )
    assert left == ["CreateRole a", "PutRolePolicy a p 2", "UpdateAssumeRolePolicy a 2"]


def test_keys_that_come_and_go_leave_nothing() -> None:
    left = written(
        do("CreateUser", UserName="ada"),
        do("CreateAccessKey", UserName="ada"),
        do("UpdateAccessKey", UserName="ada", AccessKeyId="AKIA1", Status="Inactive"),
        do("DeleteAccessKey", UserName="ada", AccessKeyId="AKIA1"),
    )
    assert left == ["CreateUser ada"]


def test_a_key_that_is_off_or_deleted_stays_refused_after_a_restart(place: Place) -> None:
    database = place.open()
    database.carry(**{CARRIED_AS: Vault(b"5a" * 32)})

    async def ask(request: OutsideRequest, _repeat: Repeat) -> OutsideReply:
        number = dict(parse_qsl(request.body.decode())).get("Number", "")
        made = f"<UserName>ada</UserName><AccessKeyId>AKIA{number}</AccessKeyId>" if number else ""
        return OutsideReply(200, [], made.encode())

    def started() -> tuple[IamOverRestarts, KnownKeys]:
        keys = KnownKeys(SystemClock())
        iam = IamOverRestarts(database, SystemClock(), keys)
        iam.load()
        return iam, keys

    def refused(keys: KnownKeys) -> set[str]:
        found = set()
        for key in ("AKIA1", "AKIA2", "AKIA3", "AKIA4"):
            try:
                keys.identity(key)
            except ApiError as error:
                found.add(key if error.code == "UnrecognizedClientException" else error.code)
        return found

    async def run() -> None:
        iam, keys = started()
        for request in (
            *(do("CreateAccessKey", UserName="ada", Number=number) for number in "123"),
            do("UpdateAccessKey", UserName="ada", AccessKeyId="AKIA1", Status="Inactive"),
            do("DeleteAccessKey", UserName="ada", AccessKeyId="AKIA2"),
            # Not one of ours.
            do("UpdateAccessKey", UserName="ada", AccessKeyId="AKIA4", Status="Inactive"),
        ):
            body = urlencode(request).encode()
            sent = OutsideRequest(
                service="iam",
                account="123456789012",
                region="us-east-1",
                access_key_id="123456789012",
                method="POST",
                path="/",
                query="",
                headers={},
                body=body,
            )
            await iam.forward(sent, ask, lambda: None)
        assert refused(keys) == refused(started()[1]) == {"AKIA1", "AKIA2"}
        await iam.reset()
        assert refused(keys) == refused(started()[1]) == set()
        await database.close()

    asyncio.run(run())


def test_a_kept_request_does_not_print_its_secrets() -> None:
    form = urlencode(do("CreateLoginProfile", UserName="ada", Password="Hidden-1"))
    printed = repr(Write("123456789012", "us-east-1", form, "5eed", 0.0, {"SecretAccessKey": "hers"}))
    assert "123456789012" in printed
    assert not any(secret in printed for secret in ("Hidden-1", "5eed", "hers"))


def test_only_the_last_deleted_keys_are_kept(place: Place) -> None:
    database = place.open()

    async def run() -> None:
        first = [f"AKIA{n}" for n in range(store.GONE_KEYS)]
        assert await database.write(partial(store.add_gone_keys, access_key_ids=first)) == []
        assert await database.write(partial(store.add_gone_keys, access_key_ids=["AKIAZ"])) == ["AKIA0"]
        assert len(await database.read(store.load_gone_keys)) == store.GONE_KEYS
        await database.close()

    asyncio.run(run())


def write_of(sequence: int, account: str = "123456789012", **members: str) -> Write:
    return Write(account, "us-east-1", urlencode(members), "00", 0.0, {}, sequence)


def test_an_account_cannot_fill_the_journal() -> None:
    kept = [write_of(n, Action="TagRole", RoleName="a") for n in range(MAX_WRITES)]
    assert full(write_of(0, Action="TagRole", RoleName="a"), kept)
    assert not full(write_of(0, Action="TagRole", RoleName="a"), kept[1:])
    assert not full(write_of(0, "222222222222", Action="TagRole", RoleName="a"), kept)


def test_a_full_journal_takes_what_makes_room() -> None:
    kept = [write_of(1, Action="PutRolePolicy", RoleName="a", PolicyName="p", PolicyDocument="x" * MAX_BYTES)]
    assert full(write_of(2, Action="TagRole", RoleName="a"), kept)
    assert not full(write_of(2, Action="DeleteRole", RoleName="a"), kept)
    assert not full(write_of(2, Action="DeleteRolePolicy", RoleName="a", PolicyName="p"), kept)


def test_a_write_that_moto_fails_at_does_not_keep_the_others_from_being_done_again(place: Place) -> None:
    database = place.open()
    database.carry(**{CARRIED_AS: Vault(b"5a" * 32)})
    asked: list[bytes] = []

    async def ask(request: OutsideRequest, _repeat: Repeat) -> OutsideReply:
        asked.append(request.body)
        if b"boom" in request.body:
            raise ApiError("InternalFailure", "moto failed", status=500)
        return OutsideReply(200, [], b"")

    async def run() -> None:
        for name in ("boom", "good"):
            await database.write(partial(store.add, write=write_of(0, Action="CreateRole", RoleName=name)))
        iam = IamOverRestarts(database, SystemClock(), KnownKeys(SystemClock()))
        iam.load()
        await iam.replay(ask)
        await database.close()

    asyncio.run(run())
    assert asked == [b"Action=CreateRole&RoleName=boom", b"Action=CreateRole&RoleName=good"]


def test_tags_go_by_their_keys() -> None:
    def tag(*keys: str) -> dict[str, str]:
        return do("TagRole", RoleName="a", **{f"Tags.member.{n}.Key": key for n, key in enumerate(keys, 1)})

    def untag(*keys: str) -> dict[str, str]:
        return do("UntagRole", RoleName="a", **{f"TagKeys.member.{n}": key for n, key in enumerate(keys, 1)})

    plain = do("CreateRole", RoleName="a")
    tagged = do("CreateRole", RoleName="a", **{"Tags.member.1.Key": "x"})
    assert written(dict(plain), tag("x", "y"), tag("x"), tag("y")) == ["CreateRole a", "TagRole a x", "TagRole a y"]
    assert written(dict(plain), tag("x", "y"), untag("x", "y")) == ["CreateRole a"]
    assert written(dict(plain), tag("x", "y"), untag("x")) == ["CreateRole a", "TagRole a x y", "UntagRole a x"]
    assert written(dict(tagged), tag("y"), untag("x"), untag("y")) == ["CreateRole a x", "UntagRole a x"]
    assert written(dict(tagged), untag("x"), tag("x")) == ["CreateRole a x", "TagRole a x"]


def test_what_has_had_another_name_is_left_alone() -> None:
    left = written(
        do("CreateUser", UserName="old"),
        do("PutUserPolicy", UserName="old", PolicyName="p", PolicyDocument="1"),
        do("UpdateUser", UserName="old", NewUserName="new"),
        do("CreateUser", UserName="old"),
        do("PutUserPolicy", UserName="old", PolicyName="p", PolicyDocument="2"),
    )
    assert len(left) == 5
