"""What the Python suites share: running cases, unique names, the tables, the restart hook.

Prints one line per case as interop/run expects it; knows no client library.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor

# A broker may speak one of them only.
URL = os.environ.get("INTEROP_URL")
MQTT = os.environ.get("INTEROP_MQTT")
RESTART = os.environ.get("INTEROP_RESTART")
DEADLINE_SECONDS = 20

_cases = []
_reported = 0
_printing = threading.Lock()


class Skip(Exception):
    """The case cannot run here."""


def case(function=None, *, alone=False):
    """Marks a case; its name is the function's with dashes. One that kills the broker runs alone."""

    def mark(function):
        _cases.append((function.__name__.rstrip("_").replace("_", "-"), function, alone))
        return function

    return mark(function) if function else mark


def report(name, trouble=None):
    """Prints the verdict of one case."""
    global _reported
    with _printing:
        _reported += 1
        if trouble is None:
            print(f"ok {name}", flush=True)
        elif isinstance(trouble, Skip):
            print(f"skip {name}: {trouble}", flush=True)
        else:
            text = " ".join(str(trouble).split()) or type(trouble).__name__
            print(f"FAIL {name}: {type(trouble).__name__}: {text}", flush=True)
            traceback.print_exception(trouble, file=sys.stdout)


def attempt(name, function, *args):
    """Runs one case."""
    try:
        function(*args)
    except Exception as trouble:  # noqa: BLE001 a case may fail in any way
        report(name, trouble)
    else:
        report(name)


def marked(name, function):
    """Adds a case whose name is made up."""
    _cases.append((name, function, False))


def run_all(at_once=1):
    """Runs every marked case in its order, that many at once, and then those that must be alone."""
    with ThreadPoolExecutor(at_once) as pool:
        for name, function, alone in _cases:
            if not alone:
                pool.submit(attempt, name, function)
    for name, function, alone in _cases:
        if alone:
            attempt(name, function)
    finish()


def finish():
    """The last line: how many cases there were."""
    print(f"done {_reported}", flush=True)


def unique(kind="q"):
    """A name that no other case uses."""
    return f"interop.{kind}.{uuid.uuid4().hex[:10]}"


def expect(actual, wanted, what=""):
    """Equality, with both sides in the message."""
    if actual != wanted:
        raise AssertionError(f"{what}: got {actual!r}, wanted {wanted!r}")


def wait_until(ready, what, seconds=DEADLINE_SECONDS):
    """Polls until ready() is true; what it returned is the result."""
    deadline = time.monotonic() + seconds
    while True:
        result = ready()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def restart_broker():
    """SIGKILL and start again, or Skip when there is no hook."""
    if not RESTART:
        raise Skip("no INTEROP_RESTART")
    subprocess.run([RESTART], check=True, timeout=120, stdout=subprocess.DEVNULL)


def _read_table():
    table = {}
    with open(os.environ["INTEROP_MISUSE"], encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("#") or not line.strip():
                continue
            name, code, text = line.rstrip("\n").split("\t")
            table.setdefault(name, []).append((int(code), text))
    return table


MISUSE = _read_table()


def _read_refusals():
    table = {}
    with open(os.environ["INTEROP_REFUSALS"], encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("#") or not line.strip():
                continue
            name, verb, what, code, text = line.rstrip("\n").split("\t")
            table.setdefault(name, (verb, json.loads(what), []))[2].append((int(code), text))
    return table


REFUSALS = _read_refusals()


def check_misuse(case_name, name, code, text):
    """Holds what the broker said against the table."""
    wanted = [(c, t.replace("{name}", name)) for c, t in MISUSE[case_name]]
    # Some clients hand the code over inside the text.
    text = re.sub(r"^\d{3}[ ,:]+", "", text)
    if (code, text) not in wanted:
        raise AssertionError(f"got {code} {text!r}, wanted {' or '.join(f'{c} {t!r}' for c, t in wanted)}")
