"""What goes wrong with an object store, in our words.

The library's own text is never shown: it may hold addresses with a signature in them, headers, or a whole XML page.
It is only looked at for the names that the services give their errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from tabsync.kernel.errors import CannotConnect, FailedPartway, NotAllowed, TabsyncError
from tabsync.stores.address import Address

_NO_CONTAINER = ("ContainerNotFound", "NoSuchBucket", "The specified bucket does not exist")
_BAD_KEY = (
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "AuthFailure",
    "ExpiredToken",
    "NoAuthenticationInformation",
    "Server failed to authenticate",
)
_NO_KEY = ("169.254.169.254", "metadata", "InstanceMetadata", "Account must be specified", "MissingAccount")
_NO_KEY_ERRORS = ("credential", "Credential", "base64", "Invalid symbol", "access key", "AccessKey")
_UNREACHABLE = (
    "error sending request",
    "dns error",
    "Connection refused",
    "timed out",
    "TimedOut",
    "tcp connect",
    "HTTP error",
    "ConnectError",
)


@contextlib.contextmanager
def asking(address: Address, what: str, *, taking: bool = False) -> Iterator[None]:
    """Put what the store answers to a request into words.

    what: for "could not {what}"; taking: whether a backup is being taken, which then isn't recorded.
    Raises CannotConnect, NotAllowed or FailedPartway, with nothing chained to it.
    """
    try:
        yield
    except (BaseError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a file of ours, not the store
        told = in_words(error, address, what, "; no backup was recorded" if taking else "")
        raise told from None


def in_words(error: Exception, address: Address, what: str, tail: str = "") -> TabsyncError:
    """The error to tell instead of one of the library's."""
    text = f"{error!s} {error!r}"
    word = address.kind.container
    if any(sign in text for sign in _NO_CONTAINER):
        return CannotConnect(
            f"there is no {word} {address.container!r} for {address}{tail}", f"create the {word} first"
        )
    if "BadScheme" in text:
        told = f"the endpoint of {address} is not https: backups would be sent unencrypted{tail}"
        return NotAllowed(told, f"use an https endpoint, or allow it: {address.kind.allow_http}=true")
    log_in = f"set {address.kind.log_in}"
    if isinstance(error, UnauthenticatedError) or any(sign in text for sign in _BAD_KEY):
        return NotAllowed(f"{address} rejects the credentials{tail}", log_in)
    if isinstance(error, PermissionDeniedError):
        return NotAllowed(f"not allowed to {what} in {address}{tail}", "allow it to read, write and list there")
    if any(sign in text for sign in _NO_KEY) or any(sign in text for sign in _NO_KEY_ERRORS):
        return NotAllowed(f"there are no valid credentials for {address}{tail}", log_in)
    if any(sign in text for sign in _UNREACHABLE):
        return CannotConnect(f"{address} can't be reached{tail}", "check the network and the endpoint, and try again")
    return FailedPartway(f"could not {what} in {address}: {type(error).__name__}{tail}", "try again")


def is_no_container(error: Exception) -> bool:
    """Whether "not found" speaks of the container and not of an object in it (the answer to HEAD can't say)."""
    return any(sign in f"{error!s} {error!r}" for sign in _NO_CONTAINER)
