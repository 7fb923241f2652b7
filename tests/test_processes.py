"""Jobs in processes of their own: deaths, hangs and errors cost one job and no other."""

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from facespot.errors import LostProcessError, NoFaceError
from facespot.processes import origin, pool_width, run_jobs, usable_cores


def work(job, headway):
    """What the tests' processes do: job is (deed, argument)."""
    deed, argument = job
    if deed == "fail":
        raise NoFaceError(argument)
    if deed == "fault":
        return 1 // argument
    if deed == "locked":
        raise Unrepeatable("one", "two")
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "kill once" and not Path(argument).exists():
        Path(argument).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "hang":
        time.sleep(600)
    if deed == "slow":
        for done in range(8):
            headway(done, 8)
            time.sleep(0.3)
    if deed == "connection":
        return sqlite3.connect(":memory:")
    return os.getpid(), argument


class Unrepeatable(Exception):
    """Cannot be made again from its arguments, as some of C libraries."""

    def __init__(self, one, two):
        super().__init__(one)


def run(*jobs, width=2, **options):
    return {finished.number: finished for finished in run_jobs(work, jobs, width, **options)}


def test_every_job_ends_once_and_processes_are_used_again():
    found = run(*[("tell", i) for i in range(6)])
    assert sorted(found) == list(range(6))
    assert [found[i].value[1] for i in range(6)] == list(range(6))
    assert len({f.value[0] for f in found.values()} - {os.getpid()}) <= 2


def test_a_death_costs_its_own_job_alone(tmp_path):
    found = run(("tell", 0), ("kill", None), ("tell", 2), ("kill once", str(tmp_path / "once")), ("tell", 4))
    assert isinstance(found[1].error, LostProcessError)
    assert "died twice" in str(found[1].error)
    assert "SIGKILL" in str(found[1].error)
    assert [found[i].value[1] for i in (0, 2, 4)] == [0, 2, 4]
    assert found[3].value[1] == str(tmp_path / "once")


def test_a_hang_is_ended_and_slow_work_is_not():
    start = time.monotonic()
    heard = []
    found = run(("hang", None), ("slow", 1), patience_s=1.5 + start_up(), headway=lambda *told: heard.append(told))
    assert "no headway" in str(found[0].error)
    assert found[1].value[1] == 1
    assert time.monotonic() - start < 300
    assert {(0, 0, None), (1, 0, None)} <= set(heard)
    assert (1, 7, 8) in heard


def start_up():
    """Seconds that a process takes to begin on this machine just now, twice over."""
    start = time.monotonic()
    run(("tell", 0), width=1)
    return 2 * (time.monotonic() - start)


def test_errors_come_back_as_they_are_and_tell_where_they_arose():
    found = run(("fail", "who?"), ("fault", 0), ("locked", None), ("connection", None), width=1)
    assert isinstance(found[0].error, NoFaceError)
    assert str(found[0].error) == "who?"
    assert isinstance(found[1].error, ZeroDivisionError)
    assert origin(found[1].error).startswith("test_processes.py:")
    for number in (2, 3):
        assert "cannot leave its process" in str(found[number].error)


def test_breaking_off_leaves_no_process():
    jobs = run_jobs(work, [("tell", 0), ("hang", None), ("hang", None)], 2)
    process = next(jobs).value[0]
    jobs.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_never_more_processes_than_cores_or_jobs():
    assert pool_width(None, 10**6) == pool_width(10**6, 10**6) == usable_cores()
    assert pool_width(10**6, 1) == pool_width(1, 10) == 1
    assert pool_width(None, 0) == 1
