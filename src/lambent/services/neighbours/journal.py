"""Which requests of IAM are done again after a restart: what is kept, what a later one makes needless.

Pure. A request is kept when it changed something. What concerned a role, user, group, policy or instance profile goes
when that is deleted; of two requests that set the same thing the later one stays; setting and removing cancel out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

READING: Final = ("Get", "List", "Simulate", "Generate")
SUBJECTS: Final = {
    "RoleName": "role",
    "UserName": "user",
    "GroupName": "group",
    "InstanceProfileName": "instance profile",
    "PolicyArn": "policy",
    "AccessKeyId": "key",
}
DELETED: Final = {
    "DeleteRole": "RoleName",
    "DeleteServiceLinkedRole": "RoleName",
    "DeleteUser": "UserName",
    "DeleteGroup": "GroupName",
    "DeleteInstanceProfile": "InstanceProfileName",
    "DeletePolicy": "PolicyArn",
    "DeleteAccessKey": "AccessKeyId",
}
RENAMED: Final = {"UpdateUser": ("UserName", "NewUserName"), "UpdateGroup": ("GroupName", "NewGroupName")}
SET: Final = {
    "PutRolePolicy": ("inline", "RoleName", "PolicyName"),
    "PutUserPolicy": ("inline", "UserName", "PolicyName"),
    "PutGroupPolicy": ("inline", "GroupName", "PolicyName"),
    "AttachRolePolicy": ("attached", "RoleName", "PolicyArn"),
    "AttachUserPolicy": ("attached", "UserName", "PolicyArn"),
    "AttachGroupPolicy": ("attached", "GroupName", "PolicyArn"),
    "AddUserToGroup": ("member", "GroupName", "UserName"),
    "AddRoleToInstanceProfile": ("in profile", "InstanceProfileName", "RoleName"),
    "UpdateAssumeRolePolicy": ("trust", "RoleName"),
    "UpdateRoleDescription": ("description", "RoleName"),
}
"""What such a request sets, and the members that say of what."""
REMOVED: Final = {
    "DeleteRolePolicy": "PutRolePolicy",
    "DeleteUserPolicy": "PutUserPolicy",
    "DeleteGroupPolicy": "PutGroupPolicy",
    "DetachRolePolicy": "AttachRolePolicy",
    "DetachUserPolicy": "AttachUserPolicy",
    "DetachGroupPolicy": "AttachGroupPolicy",
    "RemoveUserFromGroup": "AddUserToGroup",
    "RemoveRoleFromInstanceProfile": "AddRoleToInstanceProfile",
}

MAX_FORM_BYTES: Final = 256 * 1024
"""The longest policy is half of that, encoded."""
MAX_WRITES: Final = 10_000
"""Of one account. All of them are done again when moto starts, 1 to 2 ms each."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""The forms of one account together."""

Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Write:
    """One accepted request. With its seed and moment, moto makes up the same ids, keys and dates again."""

    account: str
    region: str
    form: str
    """The body: `Action=CreateRole&...`."""
    seed: str
    moment: float
    made: Mapping[str, str] = field(default_factory=dict)
    """What its reply named: `Arn`, `UserName`, `UserId`, `AccessKeyId`, `SecretAccessKey`, ..."""
    sequence: int = 0
    _members: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Parsed once: every later write looks at all that are kept.
        object.__setattr__(self, "_members", dict(parse_qsl(self.form, keep_blank_values=True)))

    def members(self) -> Mapping[str, str]:
        return self._members


def changes_something(form: str) -> bool:
    action = dict(parse_qsl(form)).get("Action", "")
    return bool(action) and not action.startswith(READING)


def full(new: Write, kept: Sequence[Write]) -> bool:
    """Whether there is no room for `new`. What makes room always has some."""
    if new.members()["Action"] in DELETED or new.members()["Action"] in REMOVED:
        return False
    sizes = [len(write.form) for write in kept if write.account == new.account]
    return len(sizes) >= MAX_WRITES or sum(sizes) + len(new.form) > MAX_BYTES


def needless(new: Write, kept: Sequence[Write]) -> tuple[frozenset[int], bool]:
    """The sequences of `kept`, oldest first, that need not be done again, and whether `new` has to be."""
    members = new.members()
    action = members["Action"]
    earlier = [write for write in kept if write.account == new.account]
    if action in DELETED:
        found = _concerning((SUBJECTS[DELETED[action]], members.get(DELETED[action], "")), earlier)
        return frozenset(found), not found
    place = _place(REMOVED.get(action, action), members)
    if place is None:
        return frozenset(), True
    same = frozenset(w.sequence for w in earlier if _place(w.members()["Action"], w.members()) == place)
    return same, not (same and action in REMOVED)


def _place(action: str, members: Mapping[str, str]) -> tuple[str, ...] | None:
    if action not in SET:
        return None
    kind, *names = SET[action]
    return (kind, *(f"{name}={members.get(name, '')}" for name in names))


def _concerning(deleted: Subject, earlier: Sequence[Write]) -> list[int]:
    found = []
    subject = deleted
    # From the newest on: before it was renamed it had another name.
    for write in reversed(earlier):
        named = _subjects(write)
        if subject in named:
            found.append(write.sequence)
            members = write.members()
            old, new = RENAMED.get(members["Action"], ("", ""))
            if members.get(new) == subject[1] and SUBJECTS.get(old) == subject[0]:
                subject = (subject[0], members[old])
    return found


def _subjects(write: Write) -> set[Subject]:
    members = write.members()
    found = {(kind, members[name]) for name, kind in SUBJECTS.items() if name in members}
    action = members["Action"]
    if action in RENAMED:
        old, new = RENAMED[action]
        if new in members:
            found.add((SUBJECTS[old], members[new]))
    if action in ("CreatePolicy", "CreateServiceLinkedRole", "CreateAccessKey"):
        made = {"PolicyArn": write.made.get("Arn", "")} if action == "CreatePolicy" else write.made
        found |= {(kind, made[name]) for name, kind in SUBJECTS.items() if name in made}
    return found
