"""Starts a program as an unprivileged account that is told to stop when its parent dies.

PostgreSQL refuses to run as root. When Parley runs as root (a container, a first look), its
embedded server runs as the owner of the data folder, or as `nobody`. No permission of any other
folder is loosened for that: if the account cannot reach the program or its data (a 0700 folder on
the way), the program keeps one capability that lets it pass, the weakest that the system grants.

This file is also the launcher itself, run as a script that becomes the program by exec. It is no
`preexec_fn`, because Python code between fork and exec can deadlock in a process with threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

NOBODY = 65534

# linux/prctl.h, linux/securebits.h, linux/capability.h
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_SETPCAP = 1, 2, 8
_CAPABILITY_VERSION_3 = 0x20080522

_RESET = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores or catches these


class Account(NamedTuple):
    """Who a program runs as."""

    uid: int
    gid: int


def account_for(folder: Path) -> Account | None:
    """Who to run as when we are root: the folder's owner, else nobody. None: as ourselves.

    An owner without a name counts as none, because initdb insists on a name.
    """
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid
    with contextlib.suppress(KeyError):
        if owner != 0:
            return Account(owner, pwd.getpwuid(owner).pw_gid)
    with contextlib.suppress(KeyError):
        nobody = pwd.getpwnam("nobody")
        return Account(nobody.pw_uid, nobody.pw_gid)
    return Account(NOBODY, NOBODY)


def give(tree: Path, account: Account) -> None:
    """Make a folder and all that is in it the account's, following no links."""
    for _, folders, files, descriptor in os.fwalk(tree):
        for name in (*folders, *files):
            os.chown(name, *account, dir_fd=descriptor, follow_symlinks=False)
    os.chown(tree, *account)


def wrap(argv: Sequence[str], account: Account | None, needs: Sequence[Path]) -> list[str]:
    """The command that runs `argv` as the account; `needs` are the paths that it must reach.

    The program gets SIGINT when the thread that started it ends (Linux; elsewhere nothing).
    """
    who = account or Account(-1, -1)
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    return [*launcher, *map(str, (os.getpid(), *who, *needs)), "--", *argv]


def _become(libc: ctypes.CDLL, account: Account, needs: Sequence[str]) -> None:
    os.setgroups([])
    if sys.platform == "linux":
        _prctl(libc, _PR_SET_KEEPCAPS, 1)
    os.setgid(account.gid)
    os.setuid(account.uid)
    if all(os.access(path, os.R_OK | os.X_OK) for path in needs):
        return  # what KEEPCAPS kept is lost at the exec
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if _keep(libc, capability):
            return
    unreached = next(path for path in needs if not os.access(path, os.R_OK | os.X_OK))
    raise PermissionError(f"uid {account.uid} cannot reach {unreached}")


def _keep(libc: ctypes.CDLL, capability: int) -> bool:
    """Keep one capability across the exec (an ambient one); False where it is not granted.

    access(2), by which PostgreSQL's programs look for each other, goes by it only with
    NO_SETUID_FIXUP, which another capability may set; that one does not outlive the exec.
    """
    mask = 1 << capability
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    both = mask | 1 << _CAP_SETPCAP
    if libc.capset(header, struct.pack("IIIIII", both, both, mask, 0, 0, 0)) == 0:
        with contextlib.suppress(OSError):
            _prctl(libc, _PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    elif libc.capset(header, struct.pack("IIIIII", mask, mask, mask, 0, 0, 0)) != 0:
        return False
    try:
        _prctl(libc, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
    except OSError:
        return False
    return True


def _prctl(libc: ctypes.CDLL, option: int, first: int, second: int = 0) -> None:
    arguments = (ctypes.c_ulong(value) for value in (first, second, 0, 0))
    if libc.prctl(option, *arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def _die_with(libc: ctypes.CDLL, parent: int) -> None:
    """Ask for SIGINT at the parent's end; after the change of uid, which would clear the wish."""
    if sys.platform != "linux":
        return
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:  # it died before the wish was known
        raise ProcessLookupError("the process that asked for this is gone")


def _main(arguments: list[str]) -> None:
    split = arguments.index("--")
    parent, uid, gid = (int(word) for word in arguments[:3])
    needs, argv = arguments[3:split], arguments[split + 1 :]
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if uid >= 0:
            _become(libc, Account(uid, gid), needs)
        _die_with(libc, parent)
        for number in _RESET:
            signal.signal(number, signal.SIG_DFL)
        os.execv(argv[0], argv)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"parley: cannot start {argv[0]}: {error}")


if __name__ == "__main__":
    _main(sys.argv[1:])
