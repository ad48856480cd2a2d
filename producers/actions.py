"""The common actions by their names, for whoever records them."""

from abc import ABC, abstractmethod
from typing import Unpack

from keytrail.producers.acting import UNSET, KeyLike, Unset
from keytrail.producers.details import Details


class Said(Details, total=False):
    """As `Details`, and who did it with which key; what `acting_as` says holds where they are left out."""

    key: KeyLike | Unset
    actor: str | Unset


class Actions(ABC):
    """A method for each common action; `record` takes any."""

    @abstractmethod
    def record(
        self,
        action: str,
        *,
        key: KeyLike | Unset = UNSET,
        actor: str | Unset = UNSET,
        subject: str | None = None,
        role: str | None = None,
        **details: Unpack[Details],
    ) -> None: ...

    def grant(self, subject: str, role: str, **more: Unpack[Said]) -> None:
        """`subject` was given `role`."""
        self.record("grant", subject=subject, role=role, **more)

    def revoke(self, subject: str, role: str, **more: Unpack[Said]) -> None:
        """`role` was taken from `subject`."""
        self.record("revoke", subject=subject, role=role, **more)

    def approve(self, subject: str, role: str, **more: Unpack[Said]) -> None:
        """The actor agreed that `subject` gets `role`."""
        self.record("approve", subject=subject, role=role, **more)

    def deny(self, subject: str, role: str, **more: Unpack[Said]) -> None:
        """The actor refused `role` to `subject`."""
        self.record("deny", subject=subject, role=role, **more)

    def use(self, role: str | None, **more: Unpack[Said]) -> None:
        """The actor did something privileged to `resource`, by virtue of `role` where that is known."""
        self.record("use", role=role, **more)

    def login(self, **more: Unpack[Said]) -> None:
        """The actor logged in."""
        self.record("login", **more)

    def create(self, subject: str, **more: Unpack[Said]) -> None:
        """The account, role or group `subject` came to be."""
        self.record("create", subject=subject, **more)

    def update(self, subject: str, **more: Unpack[Said]) -> None:
        """The account, role or group `subject` was changed, from `before` to `after`."""
        self.record("update", subject=subject, **more)

    def delete(self, subject: str, **more: Unpack[Said]) -> None:
        """The account, role or group `subject` is gone."""
        self.record("delete", subject=subject, **more)

    def update_trust(self, subject: str, **more: Unpack[Said]) -> None:
        """It was changed who may take on the role `subject`."""
        self.record("update_trust", subject=subject, **more)

    def issue_key(self, subject: str, **more: Unpack[Said]) -> None:
        """`subject` was given a credential; `resource` says of what sort."""
        self.record("issue_key", subject=subject, **more)

    def rotate_key(self, subject: str, **more: Unpack[Said]) -> None:
        """A credential of `subject` was replaced by a new one."""
        self.record("rotate_key", subject=subject, **more)

    def suspend_key(self, subject: str, **more: Unpack[Said]) -> None:
        """A credential of `subject` was switched off for a time."""
        self.record("suspend_key", subject=subject, **more)

    def revoke_key(self, subject: str, **more: Unpack[Said]) -> None:
        """A credential of `subject` was ended."""
        self.record("revoke_key", subject=subject, **more)
