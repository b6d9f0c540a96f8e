#!/usr/bin/env python3
"""sandbox.py UNIT -- COMMAND...: runs a command under the system call rules of a unit.

For machines on which no systemd runs: a filter is made from SystemCallFilter,
MemoryDenyWriteExecute and RestrictAddressFamilies of the unit, by the lists that this machine's
systemd-analyze knows, so that a call which the unit forbids fails here too. Namespaces, mounts and
addresses are not imitated. Needs python3-seccomp.
"""

import errno
import os
import socket
import subprocess
import sys

import seccomp

PROT_WRITE, PROT_EXEC = 2, 4


def members(name):
    """The calls of @name, sets within it included."""
    if not name.startswith("@"):
        return {name}
    lines = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True
    ).stdout.splitlines()[1:]
    words = [line.strip() for line in lines]
    return {call for word in words if word and word[0] != "#" for call in members(word)}


def settings(unit):
    with open(unit, encoding="utf-8") as lines:
        pairs = [line.strip().split("=", 1) for line in lines if "=" in line and line[0] != "#"]
    return pairs


def main():
    unit, rest = sys.argv[1], sys.argv[2:]
    command = rest[rest.index("--") + 1 :]
    allowed, families, no_exec = set(), [], False
    for key, value in settings(unit):
        if key == "SystemCallFilter":
            calls = {call for name in value.lstrip("~").split() for call in members(name)}
            allowed = allowed - calls if value.startswith("~") else allowed | calls
        elif key == "RestrictAddressFamilies":
            families += value.split()
        elif key == "MemoryDenyWriteExecute":
            no_exec = value == "yes"

    # systemd lets these through whatever the unit says: nothing would start without them
    allowed |= members("@default") | {"execve", "exit", "exit_group", "rt_sigreturn", "sigreturn"}
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    known = 0
    for call in sorted(allowed):
        equal = []
        if call == "socket":
            for family in families:
                equal.append([seccomp.Arg(0, seccomp.EQ, getattr(socket, family))])
        elif no_exec and call == "mmap":
            both = PROT_WRITE | PROT_EXEC
            for bits in (0, PROT_WRITE, PROT_EXEC):
                equal.append([seccomp.Arg(2, seccomp.MASKED_EQ, both, bits)])
        elif no_exec and call in ("mprotect", "pkey_mprotect"):
            equal.append([seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0)])
        try:
            for conditions in equal or [[]]:
                rules.add_rule(seccomp.ALLOW, call, *conditions)
            known += 1
        except (RuntimeError, ValueError, OSError):
            continue  # a call of another architecture
    rules.set_attr(seccomp.Attr.CTL_NNP, True)
    print(f"{unit}: {known} calls allowed", file=sys.stderr)
    rules.load()
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
