"""Which requests of IAM are done again after a restart: what is kept, what a later one makes needless.

Pure. A request is kept when it changed something. What concerned a role, user, group, policy or instance profile goes
when that is deleted; what later ones set again goes (`cells`); setting and removing cancel out.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from lambent.services.neighbours.cells import Cell, begins, cells, initial, removes

READING: Final = ("Get", "List", "Simulate", "Generate")
SUBJECTS: Final = {
    "RoleName": "role",
    "UserName": "user",
    "GroupName": "group",
    "InstanceProfileName": "instance profile",
    "PolicyArn": "policy",
    "AccessKeyId": "key",
    "OpenIDConnectProviderArn": "identity provider",
    "SAMLProviderArn": "SAML provider",
    "ServerCertificateName": "server certificate",
    "SerialNumber": "device",
    "SSHPublicKeyId": "SSH key",
    "CertificateId": "signing certificate",
}
DELETED: Final = {
    "DeleteRole": "RoleName",
    "DeleteServiceLinkedRole": "RoleName",
    "DeleteUser": "UserName",
    "DeleteGroup": "GroupName",
    "DeleteInstanceProfile": "InstanceProfileName",
    "DeletePolicy": "PolicyArn",
    "DeleteAccessKey": "AccessKeyId",
    "DeleteOpenIDConnectProvider": "OpenIDConnectProviderArn",
    "DeleteSAMLProvider": "SAMLProviderArn",
    "DeleteServerCertificate": "ServerCertificateName",
    "DeleteVirtualMFADevice": "SerialNumber",
    "DeleteSSHPublicKey": "SSHPublicKeyId",
    "DeleteSigningCertificate": "CertificateId",
}
RENAMED: Final = {
    "UpdateUser": ("UserName", "NewUserName"),
    "UpdateGroup": ("GroupName", "NewGroupName"),
    "UpdateServerCertificate": ("ServerCertificateName", "NewServerCertificateName"),
}
MADE: Final = (
    *("CreatePolicy", "CreateServiceLinkedRole", "CreateAccessKey", "CreateOpenIDConnectProvider"),
    *("CreateSAMLProvider", "CreateVirtualMFADevice", "UploadSSHPublicKey", "UploadSigningCertificate"),
)
"""What these make has a name that only the reply tells."""
VERSIONS: Final = ("CreatePolicyVersion", "DeletePolicyVersion", "SetDefaultPolicyVersion")

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
    form: str = field(repr=False)
    """The body: `Action=CreateRole&...`."""
    seed: str = field(repr=False)
    moment: float
    made: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What its reply named: `Arn`, `UserName`, `UserId`, `AccessKeyId`, `SecretAccessKey`, ..."""
    sequence: int = 0
    _members: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Parsed once: every later write looks at all that are kept.
        object.__setattr__(self, "_members", dict(parse_qsl(self.form, keep_blank_values=True)))

    def members(self) -> Mapping[str, str]:
        return self._members


@functools.lru_cache(maxsize=4096)
def _members(form: str) -> dict[str, str]:
    return dict(parse_qsl(form, keep_blank_values=True))


def changes_something(form: str) -> bool:
    action = dict(parse_qsl(form)).get("Action", "")
    return bool(action) and not action.startswith(READING)


def full(new: Write, kept: Sequence[Write]) -> bool:
    """Whether there is no room for `new`. What makes room always has some."""
    if new.members()["Action"] in DELETED or removes(new.members()["Action"]):
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
    if action in VERSIONS[:2]:
        return _versions(new, earlier)
    own = cells(members)
    if not own or _renamed(new, earlier):
        return frozenset(), True
    return _overwritten(new, own, earlier)


def _overwritten(new: Write, own: frozenset[Cell], earlier: Sequence[Write]) -> tuple[frozenset[int], bool]:
    places = {cell[:2] for cell in own}
    each = [(old, cells(old.members())) for old in earlier]
    related = [(old, found) for old, found in each if places & {cell[:2] for cell in found}]
    dropped, later = set(), set(own)
    for old, found in reversed(related):
        if found <= later:
            dropped.add(old.sequence)
        later |= found
    # moto has some keys of tags without regard to case.
    kinds = {cell[0] for cell in own}
    wanted = {begins(cell) for cell in own}
    begun = any(initial(old.members()) & wanted and _subjects(old) & _subjects(new) for old in earlier)
    there: set[Cell] = set()
    made = set().union(*(initial(old.members()) for old in earlier))
    for old, found in related:
        if old.sequence in dropped:
            continue
        if not removes(old.members()["Action"]):
            there |= _folded(found)
        elif kinds == {"tag"} and not {begins(cell) for cell in found} & made and not _folded(found) & there:
            dropped.add(old.sequence)
    needed = not removes(new.members()["Action"]) or begun or bool(_folded(own) & there)
    return frozenset(dropped), needed or not (dropped or kinds == {"tag"})


def _folded(found: Iterable[Cell]) -> set[Cell]:
    return {tuple(part.casefold() for part in cell) for cell in found}


def _versions(new: Write, earlier: Sequence[Write]) -> tuple[frozenset[int], bool]:
    """Versions that came and went, but for the newest: its number is not given out again."""
    members = new.members()
    about = [w for w in earlier if w.members().get("PolicyArn") == members.get("PolicyArn")]
    about = [w for w in about if w.members()["Action"] in VERSIONS]
    made = {w.made["VersionId"]: w for w in about if w.members()["Action"] == VERSIONS[0] and "VersionId" in w.made}
    gone = {w.members().get("VersionId", "") for w in about if w.members()["Action"] == VERSIONS[1]}
    if members["Action"] == VERSIONS[1]:
        gone.add(members.get("VersionId", ""))
        newest = max(made, key=lambda version: made[version].sequence, default="")
    else:
        newest = ""
    gone = (gone & made.keys()) - {newest}
    dropped = {made[version].sequence for version in gone}
    dropped |= {w.sequence for w in about if w.members().get("VersionId") in gone}
    return frozenset(dropped), members["Action"] == VERSIONS[0] or members.get("VersionId") not in gone


def _renamed(new: Write, earlier: Sequence[Write]) -> bool:
    """Whether a name in `new` was, or is, the name of something else, so that names do not tell what is what."""
    named = _subjects(new)
    return any(w.members()["Action"] in RENAMED and len(_subjects(w)) > 1 and _subjects(w) & named for w in earlier)


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
    if action in MADE:
        made = {"PolicyArn": write.made.get("Arn", "")} if action == "CreatePolicy" else write.made
        found |= {(kind, made[name]) for name, kind in SUBJECTS.items() if name in made}
    return found
