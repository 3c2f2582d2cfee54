"""Real Celery worker processes: results, chords, retries, acks_late under SIGKILL, remote control, priorities, delays, reconnection."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

folder = tempfile.TemporaryDirectory(prefix="interop-celery-")
os.environ["CELERY_QUEUE"] = f"interop.celery.{os.getpid()}"
os.environ["CELERY_RESULTS"] = f"file://{folder.name}/results"
Path(folder.name, "results").mkdir()

from suite import URL, attempt, expect, finish, restart_broker, wait_until  # noqa: E402
from celery import Celery, chain, chord, group  # noqa: E402
from celery_app import add, app, flaky, late, offer_kinds, total  # noqa: E402

RESULT_SECONDS = 30
QUEUE = os.environ["CELERY_QUEUE"]


def die_with_parent():
    """So that a suite that is cut off leaves no worker behind (Linux)."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Worker:
    """One `celery worker` with its children, in a process group of its own."""

    def __init__(self, name, at_once=2, **environment):
        self.name = f"{name}{os.getpid()}@localhost"
        self.log = Path(folder.name, f"{name}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", "-m", "celery", "-A", "celery_app", "worker", "-c", str(at_once), "-n", self.name, "-l", "INFO"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=die_with_parent, env=dict(os.environ, **environment),
            )

    def ready(self):
        def started():
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended: {self.log.read_text()[-3000:]}")
            return " ready." in self.log.read_text(errors="replace")

        wait_until(started, f"worker {self.name}", 60)
        return self

    def end(self, how=signal.SIGKILL):
        try:
            os.killpg(self.process.pid, how)
        except ProcessLookupError:
            pass
        self.process.wait(30)


def result():
    expect(add.delay(2, 3).get(timeout=RESULT_SECONDS), 5)
    expect([r.get(timeout=RESULT_SECONDS) for r in [add.delay(n, n) for n in range(50)]], [2 * n for n in range(50)])


def chords():
    expect(chord((add.s(n, n) for n in range(10)), total.s())().get(timeout=RESULT_SECONDS), 90)
    expect(chain(add.s(1, 2), add.s(4))().get(timeout=RESULT_SECONDS), 7)
    expect(group(add.s(n, 1) for n in range(5))().get(timeout=RESULT_SECONDS), [1, 2, 3, 4, 5])


def retries():
    expect(flaky.delay(3).get(timeout=RESULT_SECONDS), 3)


def countdown():
    # More of them than the prefetch: the worker raises its basic.qos while it holds them.
    waiting = [add.apply_async((n, 0), countdown=1) for n in range(10)]
    expect([r.get(timeout=RESULT_SECONDS) for r in waiting], list(range(10)))


def remote_control(worker):
    def pong():
        return app.control.ping(destination=[worker.name], timeout=1.0)

    expect(wait_until(pong, "pong"), [{worker.name: {"ok": "pong"}}])
    queues = app.control.inspect([worker.name], timeout=2.0).active_queues()[worker.name]
    expect([queue["name"] for queue in queues], [QUEUE])


def rpc_results(queue):
    """Results over the broker itself, by a reply queue of the client's own."""
    client = Celery("interop", broker=URL, backend="rpc://")
    client.conf.task_default_queue = queue
    waiting = [client.send_task("celery_app.add", (n, n)) for n in range(20)]
    expect([r.get(timeout=RESULT_SECONDS) for r in waiting], [2 * n for n in range(20)])
    client.close()


def acks_late(worker):
    """The worker dies by SIGKILL in the middle of the task; another one gets it again, flagged."""
    marks = Path(folder.name, "marks")
    waiting = late.delay(str(marks))
    wait_until(lambda: marks.exists() and marks.read_text() == "run\n", "the first run")
    worker.end()
    successor = Worker("second").ready()
    try:
        expect(waiting.get(timeout=RESULT_SECONDS), [2, True], "runs, redelivered")
    except BaseException:
        successor.end()
        raise
    return successor


def kinds_client():
    """An application that knows the worker's queues of other kinds."""
    client = Celery("interop", broker=URL, backend=os.environ["CELERY_RESULTS"])
    client.conf.broker_transport_options = {"confirm_publish": True}
    offer_kinds(client, QUEUE)
    return client


def send_and_mark(client, marks, text, **options):
    return client.send_task("celery_app.note", (str(marks), text), **options)


def priorities():
    """While the only process is busy, the urgent overtake the others, which wait in the broker."""
    with kinds_client() as client:
        gate, marks = Path(folder.name, "gate"), Path(folder.name, "ranked")
        ranked = {"queue": f"{QUEUE}.ranked", "routing_key": f"{QUEUE}.ranked"}
        busy = client.send_task("celery_app.wait_for", (str(gate),), **ranked)

        def taken():
            return app.control.inspect([f"kinds{os.getpid()}@localhost"], timeout=1.0).active()

        wait_until(lambda: any(sum((taken() or {}).values(), [])), "the first task begun")
        # The worker has reserved one more at most; it is of the lowest rank.
        waiting = [send_and_mark(client, marks, f"{number}", priority=number, **ranked) for number in (0, 1, 9, 5, 9, 3)]
        gate.touch()
        busy.get(timeout=RESULT_SECONDS)
        for one in waiting:
            one.get(timeout=RESULT_SECONDS)
        order = [line.split()[0] for line in marks.read_text().splitlines()]
        order.remove("0")
        expect(order, ["9", "9", "5", "3", "1"])


def quorum_countdown():
    """On a quorum queue Celery lets the broker wait: by a chain of queues whose lifetimes are powers of two."""
    with kinds_client() as client:
        marks = Path(folder.name, "delayed")
        began = time.time()
        waiting = [send_and_mark(client, marks, f"{delay}", countdown=delay) for delay in (3, 1, 0)]
        for one in waiting:
            one.get(timeout=RESULT_SECONDS)
        ran = [line.split() for line in marks.read_text().splitlines()]
        expect([text for text, _ in ran], ["0", "1", "3"])
        for text, at in ran:
            late = float(at) - began - int(text)
            # The chain counts in whole seconds.
            if not -0.01 < late < 3:
                raise AssertionError(f"countdown {text} ran {late} s after its time")
        with client.connection_for_read() as connection:
            expect(connection.default_channel.queue_declare("celery_delayed_0", passive=True).message_count, 0)


def forget_kinds():
    """Takes Celery's chain of delays away again."""
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        for level in range(28):
            channel.queue_delete(f"celery_delayed_{level}")
            channel.exchange_delete(f"celery_delayed_{level}")
        channel.exchange_delete("celery_delayed_delivery")
        for kind in ("ranked", "quorum"):
            channel.queue_delete(f"{QUEUE}.{kind}")
            channel.exchange_delete(f"{QUEUE}.{kind}")


def reconnection():
    """A worker outlives a broker that is killed and comes back; what was published is not lost."""
    restart_broker()
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=50, interval_start=0.1, interval_step=0.1)
    expect(add.apply_async((20, 22), retry=True).get(timeout=60), 42)


def main():
    workers = []
    try:
        # All start at once; the second one returns results by rpc, the third serves queues of other kinds.
        workers.append(Worker("first"))
        workers.append(Worker("rpc", CELERY_QUEUE=QUEUE + ".rpc", CELERY_RESULTS="rpc://"))
        workers.append(Worker("kinds", 1, CELERY_KINDS="yes"))
        attempt("workers-start", lambda: [worker.ready() for worker in workers])
        attempt("result", result)
        attempt("chords", chords)
        attempt("retries", retries)
        attempt("countdown", countdown)
        attempt("remote-control", remote_control, workers[0])
        attempt("rpc-results", rpc_results, QUEUE + ".rpc")
        attempt("priorities", priorities)
        attempt("quorum-countdown", quorum_countdown)
        attempt("acks-late", lambda: workers.append(acks_late(workers[0])))
        attempt("reconnection", reconnection)
        attempt("warm-shutdown", lambda: workers[-1].end(signal.SIGTERM))
    finally:
        for worker in workers:
            worker.end()
            print(worker.log.read_text(errors="replace")[-3000:])
        with app.connection_for_write() as connection:
            for queue in (QUEUE, QUEUE + ".rpc"):
                connection.default_channel.queue_delete(queue)
        forget_kinds()
        folder.cleanup()
    finish()


if __name__ == "__main__":
    main()
