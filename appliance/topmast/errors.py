"""The errors of the appliance, and the exit code each becomes.

TopmastError (1)
├── ConfigError (78)       topmast.yml, a flag or an environment variable is wrong
├── InputError (65)        a file that a command was given is not what it has to be
├── NoLedgerError (66)     there is no ledger that `topmast cost` could read, or it cannot be read
├── PrerequisiteError (69) the machine lacks something: a port, disk, an engine, a registry
├── StateError (73)        the state folder cannot be used, or another run holds it
├── NotRunningError (3)    the command needs a running stack
└── CommandError (126)     a command of the user's cannot be run; 127 where there is none, as a shell says it
"""


class TopmastError(Exception):
    """What a person must know: where, what, and the remedy, in one sentence. Exit code 1."""

    exit_code = 1


class ConfigError(TopmastError):
    """The configuration is refused. Exit code 78 (EX_CONFIG of sysexits.h)."""

    exit_code = 78


class InputError(TopmastError):
    """A file that the command was given cannot be used. Exit code 65 (EX_DATAERR of sysexits.h)."""

    exit_code = 65


class NoLedgerError(TopmastError):
    """There is no ledger, or it cannot be read. Exit code 66 (EX_NOINPUT of sysexits.h)."""

    exit_code = 66


class PrerequisiteError(TopmastError):
    """The machine lacks something that the command needs. Exit code 69 (EX_UNAVAILABLE)."""

    exit_code = 69


class StateError(TopmastError):
    """The state folder cannot be written, or another run holds it. Exit code 73 (EX_CANTCREAT)."""

    exit_code = 73


class NotRunningError(TopmastError):
    """The command needs a running stack and there is none. Exit code 3 (as `systemctl status` says it)."""

    exit_code = 3


class CommandError(TopmastError):
    """A command of the user's cannot be run: 127 where there is none, else 126, as a POSIX shell says it."""

    def __init__(self, message: str, *, found: bool) -> None:
        super().__init__(message)
        self.exit_code = 126 if found else 127
