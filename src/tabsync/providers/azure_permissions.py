"""What an account may do with a container app, as Azure says of itself.

https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tabsync.kernel.errors import NotAllowed
from tabsync.providers.application import Permission
from tabsync.providers.rest import Api

_VERSION = "2022-04-01"
_APP = "Microsoft.App/containerApps"
_NEEDED = (
    (f"{_APP}/read", "actions", "app switch-database"),
    (f"{_APP}/revisions/read", "actions", "app restart, app logs"),
    (f"{_APP}/revisions/restart/action", "actions", "app restart"),
    (f"{_APP}/revisions/replicas/read", "actions", "app restart, app logs"),
    (f"{_APP}/getAuthToken/action", "actions", "app logs"),
    (f"{_APP}/logstream/action", "dataActions", "app logs"),
    (f"{_APP}/write", "actions", "app switch-database"),
)


def permissions(api: Api, path: str) -> list[Permission]:
    """Each permission that the commands need, by name. path: the app's resource id. Raises TabsyncError."""
    place = f"{path}/providers/Microsoft.Authorization/permissions?api-version={_VERSION}"
    try:
        listed = api.get(place, needs="Microsoft.Authorization/permissions/read").get("value")
    except NotAllowed as error:
        return [Permission(name, use, None, error.fact, _grant(name, kind, path)) for name, kind, use in _NEEDED]
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [
        Permission(name, use, allowed, "", "" if allowed else _grant(name, kind, path))
        for name, kind, use in _NEEDED
        for allowed in [is_allowed(name, kind, entries)]
    ]


def is_allowed(name: str, kind: str, entries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of the roles allows it, and does not except it at the same time. kind: "actions", "dataActions".

    https://learn.microsoft.com/azure/role-based-access-control/role-definitions
    """
    excepted = f"not{kind[0].upper()}{kind[1:]}"
    return any(_matches(name, one.get(kind)) and not _matches(name, one.get(excepted)) for one in entries)


def _matches(name: str, patterns: Any) -> bool:
    return any(
        re.fullmatch(re.escape(str(one)).replace(r"\*", ".*"), name, re.IGNORECASE) is not None
        for one in patterns or ()
    )


def _grant(name: str, kind: str, path: str) -> str:
    return (
        f'az role definition create --role-definition \'{{"Name": "TabSync {name.removeprefix(f"{_APP}/")}", '
        f'"{kind[0].upper()}{kind[1:]}": ["{name}"], "AssignableScopes": ["{path}"]}}\'; '
        f"then: az role assignment create --assignee ACCOUNT --role NAME --scope {path}"
    )
