"""The study on disk or in a database: opened, guarded against another search, freed of the dead.

Optuna keeps it: one journal file that several processes may append to, or a database. A process
that is killed leaves its trial marked as running; whoever opens the study next on that machine
gives up such a trial and has its values tried again. May import `exporter.errors`; Optuna is
imported inside.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.errors import BadUsage, MachineFailed, PackageMissing

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

FINGERPRINT = "search"
WORKER = "worker"
REASON = "reason"
"""Of a trial that failed by itself: it is not tried again, as one that was interrupted is."""
MACHINE_ID, BOOT_ID = Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id")
HEARTBEAT_SECONDS = 60
"""In a database every process says so often that it lives; silent for two of them, it is dead."""
NAMELESS_SECONDS = 60.0
"""How long a trial may run without saying who runs it: its process died as it began."""


def require() -> None:
    """Complain where Optuna is not installed.

    Raises:
        PackageMissing: It is not.
    """
    try:
        import optuna
        import tomlkit  # noqa: F401
    except ImportError as error:
        raise PackageMissing(
            f"tune: the package {error.name} is not installed; "
            "pip install 'keras-web-exporter[tune]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_study(storage: str | Path, name: str, fingerprint: str) -> optuna.Study:
    """The study of that name, made where it is missing; trials of dead processes wait again.

    Args:
        storage: The path of a journal file, or a database's URL ("sqlite:///…", "postgresql://…").
        name: Of the study; a database holds several.
        fingerprint: Of recipe, ranges and data.

    Raises:
        BadUsage: The study that is there searches something else, or the storage cannot be used.
        PackageMissing: The database's driver is not installed.
    """
    import optuna

    try:
        study = optuna.create_study(
            storage=_storage(storage), study_name=name, direction="maximize", load_if_exists=True
        )
        found = study.user_attrs.get(FINGERPRINT)
        if found is None and not study.get_trials(deepcopy=False):
            study.set_user_attr(FINGERPRINT, fingerprint)
            found = fingerprint
    except (PackageMissing, MachineFailed):
        raise
    except ImportError as error:
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        raise PackageMissing(
            f"{_masked(storage)}: the database's driver is not installed; pip install {cause.name}"
        ) from None
    except Exception as error:  # every database's driver has errors of its own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        shown = _masked(storage)
        first = first.replace(str(storage), shown)
        raise BadUsage(f"{shown}: cannot be used as a study's storage: {first}") from error
    if found != fingerprint:
        raise BadUsage(
            f"study {name} in {_masked(storage)}: searches something else (its recipe, ranges, "
            "data or epochs are not these); name another folder with -o, or another --study"
        )
    _free(study)
    return study


def _masked(storage: str | Path) -> str:
    """The storage as messages name it: without the password of a database."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in str(storage):
        return str(storage)
    try:
        url = make_url(str(storage))
    except ArgumentError:
        return "…://…"  # anything may stand in what is no URL
    secret = [key for key in url.query if "pass" in key.lower()]
    url = url.update_query_dict(dict.fromkeys(secret, "***"))
    return url.render_as_string(hide_password=True)


def _storage(storage: str | Path) -> Any:
    from optuna import storages
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages.journal import JournalFileBackend

    if "://" in str(storage):
        with warnings.catch_warnings():
            # The heartbeat is called experimental since Optuna 2.6.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return storages.RDBStorage(
                str(storage),
                heartbeat_interval=HEARTBEAT_SECONDS,
                heartbeat_stale_trial_callback=give_up,
            )
    path = Path(storage)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _mend(path)
        return storages.JournalStorage(JournalFileBackend(str(path)))
    except OSError as error:
        raise MachineFailed(f"{error.filename or path}: {error.strerror}") from error


def _mend(journal: Path) -> None:
    """Cut off the half line of a process that died while it wrote: no other could read on."""
    from optuna.storages.journal import JournalFileSymlinkLock

    if not journal.exists():
        return
    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    try:
        with journal.open("r+b") as stream:
            stream.truncate(stream.read().rfind(b"\n") + 1)
    finally:
        lock.release()


def _free(study: optuna.Study) -> None:
    """Give up the trials of processes that died on this machine, and have them tried again.

    One that was interrupted has ended already; where its process died before it could have the
    values tried again, this does.
    """
    every = study.get_trials(deepcopy=False)
    again = tried_again(every)
    for trial in every:
        if is_interrupted(trial) and trial.number not in again and _is_dead(trial):
            give_up(study, trial)


def is_interrupted(trial: FrozenTrial) -> bool:
    """Whether a trial runs, or ended without a result and without a reason of its own."""
    return trial.state.name in ("RUNNING", "FAIL") and REASON not in trial.user_attrs


def tried_again(trials: Iterable[FrozenTrial]) -> set[int]:
    """The numbers of those whose values wait to be tried again, or were."""
    return {trial.user_attrs["again"] for trial in trials if "again" in trial.user_attrs}


def give_up(study: optuna.Study, trial: FrozenTrial) -> None:
    """End a trial without a result; its values wait to be tried again, by whoever comes first."""
    from optuna.trial import TrialState

    if not trial.state.is_finished():
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, RuntimeError):
            return  # another process was faster, and has it tried again
    if values := trial.params or trial.system_attrs.get("fixed_params"):
        study.enqueue_trial(values, user_attrs={"again": trial.number})


def worker() -> str:
    """This process: its machine, its id and, where that is known, when it began."""
    machine = f"{socket.gethostname()} {_id(MACHINE_ID)} {_id(BOOT_ID)}"
    return f"{machine} {os.getpid()} {_began(os.getpid())}"


def _id(path: Path) -> str:
    """What the system calls this machine, or this run of it; "-" where it has no name for it."""
    try:
        return path.read_text(encoding="ascii").strip() or "-"
    except FileNotFoundError:
        return "-"


def _is_dead(trial: FrozenTrial) -> bool:
    named = trial.user_attrs.get(WORKER)
    if named is None:
        begun = trial.datetime_start
        return begun is not None and time.time() - begun.timestamp() > NAMELESS_SECONDS
    host, machine, boot, pid, began = named.split(" ")
    # Machines that were cloned have one name; two that have no id are told apart by their boots.
    if (host, machine) != (socket.gethostname(), _id(MACHINE_ID)):
        return False
    if boot != _id(BOOT_ID):
        return machine != "-"
    return began != _began(int(pid))


def _began(pid: int) -> str:
    """When that process began, in the system's own unit; "" where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = stat.rpartition(")")[2].split()
        # A zombie has ended, and nobody has asked how yet.
        return "" if state == "Z" else fields[18]
    except FileNotFoundError:
        pass
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"


def fingerprint(parts: Any) -> str:
    """SHA-256 (hex) of plain JSON parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
