"""Running a program that refuses root, when we are root, without opening any folder's permissions (TRAPS 18)."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from models.errors import UnavailableError


@dataclass(frozen=True)
class Account:
    """How to start a program so that it does not see itself as root, and who owns its data directory then."""

    prefix: tuple[str, ...]
    """Goes before the program's command line."""
    uid: int
    gid: int
    """Owner of the data directory, as seen from outside of the prefix."""


def _in_user_namespace() -> Account:
    # The kernel still sees the user root, so 0700 folders stay readable and nothing changes owner; only inside of the
    # namespace the user has another number. It must be one with an account: initdb looks its name up.
    nobody = pwd.getpwnam("nobody")
    mapping = (f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    return Account(("unshare", "--user", *mapping), os.geteuid(), os.getegid())


def _as_nobody_past_permissions() -> Account:
    # For containers that forbid user namespaces. `no_setuid_fixup`: without it access(2), by which PostgreSQL finds
    # its own programs, ignores the capability and fails in 0700 folders.
    nobody = pwd.getpwnam("nobody")
    rights = ("--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    identity = (f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    return Account(("setpriv", *identity, *rights), nobody.pw_uid, nobody.pw_gid)


WAYS = (_in_user_namespace, _as_nobody_past_permissions)


def account_for(program: Path) -> Account:
    """The first way in which `program` starts as somebody who is not root; no prefix when we are not root.

    Raises UnavailableError with every way's own words when none works.
    """
    if os.geteuid() != 0:
        return Account((), os.geteuid(), os.getegid())
    refusals: list[str] = []
    for way in WAYS:
        try:
            account = way()
            probe = [*account.prefix, str(program), "--version"]
            tried = subprocess.run(probe, capture_output=True, text=True, check=False)  # noqa: S603 - own command line
        except (OSError, KeyError) as error:
            refusals.append(f"{way.__name__.strip('_')}: {error}")
            continue
        if tried.returncode == 0:
            return account
        refusals.append(f"{account.prefix[0]}: {tried.stderr.strip() or tried.returncode}")
    raise UnavailableError(
        f"{program.name} refuses to run as root and no way to run it as another user works here "
        f"({'; '.join(refusals)}): run TooLoo as an ordinary user, or set DATABASE_URL to a server of yours"
    )


def hand_over(directory: Path, account: Account) -> None:
    """Make the account the owner of a directory and all in it, if it is not yet."""
    if directory.stat().st_uid == account.uid:
        return
    for root, _, files in os.walk(directory):
        for path in (Path(root), *(Path(root, name) for name in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
