"""Refusals, with Confluent's error codes, so that its clients understand them."""

from keytrail.schemas.errors import KeytrailError

SUBJECT_NOT_FOUND = 40401
VERSION_NOT_FOUND = 40402
SCHEMA_NOT_FOUND = 40403
SUBJECT_SOFT_DELETED = 40404
SUBJECT_NOT_SOFT_DELETED = 40405
VERSION_SOFT_DELETED = 40406
VERSION_NOT_SOFT_DELETED = 40407
LEVEL_NOT_FOUND = 40408
INCOMPATIBLE = 409
UNSUPPORTED_MEDIA = 415
BAD_REQUEST = 422
INVALID_SCHEMA = 42201
INVALID_VERSION = 42202
INVALID_LEVEL = 42203
STORE_FAILED = 50001
STORE_TIMED_OUT = 50002


class RegistryError(KeytrailError):
    """`code` is Confluent's: its first three digits are the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status(self) -> int:
        return self.code // 100 if self.code >= 10_000 else self.code


def subject_not_found(subject: str) -> RegistryError:
    return RegistryError(SUBJECT_NOT_FOUND, f"Subject '{subject}' not found.")


def version_not_found(version: int) -> RegistryError:
    return RegistryError(VERSION_NOT_FOUND, f"Version {version} not found.")
