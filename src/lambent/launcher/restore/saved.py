"""Which sandboxes of a launcher are for CRIU: those whose runtime it saves, and those that are like one of them."""

import os

from lambent.launcher import base_tree, request
from lambent.launcher.restore import criu

_PREFIX = "saved-"


def sweep(folder: str) -> None:
    """What a launcher that was killed has left."""
    for name in os.listdir(folder):
        if name.startswith(_PREFIX):
            criu.remove(f"{folder}/{name}")


class Saved:
    """By slot. Those that are alike have the same user, so its number is kept until the last of them is gone."""

    def __init__(self, program: str | None) -> None:
        """Before the host's tree is left. `program` was chosen by who started us: it gets privileges, so the supervisor
        chooses none."""
        self.program = None if program is None else os.open(program, os.O_RDONLY | os.O_CLOEXEC)
        self._to_save: set[int] = set()
        self._like: dict[int, int] = {}
        self._ended: set[int] = set()
        """Others have its user still."""

    def check(self, wanted: request.Prepare) -> None:
        """Raises BadRequest."""
        if wanted.like is not None and wanted.like not in self._to_save:
            raise request.BadRequest("there is no such template")

    def add(self, slot: int, wanted: request.Prepare) -> None:
        if wanted.like is not None:
            self._like[slot] = wanted.like
        elif wanted.to_save:
            self._to_save.add(slot)

    def folder(self, wanted: request.Saving) -> str:
        """Where the files of it are. Raises BadRequest for what is not to be saved, or is not like that one."""
        if wanted.like not in self._to_save or wanted.like != self._like.get(wanted.sandbox, wanted.sandbox):
            raise request.BadRequest("this is no sandbox for CRIU")
        return _folder(wanted.like)

    def end(self, slot: int) -> list[int]:
        """A sandbox is gone; the slots that may be used again."""
        if slot in self._to_save:
            self._to_save.discard(slot)
            criu.remove(_folder(slot))
        free = []
        template = self._like.pop(slot, None)
        if template in self._ended and template not in self._like.values():
            self._ended.discard(template)
            free.append(template)
        if slot in self._like.values():
            self._ended.add(slot)
        else:
            free.append(slot)
        return free

    def close(self) -> None:
        for slot in self._to_save:
            criu.remove(_folder(slot))


def _folder(slot: int) -> str:
    return f"{base_tree.IMAGES}/{_PREFIX}{slot}"
