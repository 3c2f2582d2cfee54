"""The Celery application that the real worker processes load; everything else is Celery's default."""

import os
import time

from celery import Celery
from kombu import Exchange, Queue

app = Celery("interop", broker=os.environ["INTEROP_URL"], backend=os.environ["CELERY_RESULTS"])
app.conf.update(
    task_default_queue=os.environ["CELERY_QUEUE"],
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=100,
    broker_transport_options={"confirm_publish": True},
    worker_prefetch_multiplier=2,
)


def offer_kinds(app, name):
    """Queues with priorities, and a quorum queue, whose countdowns wait in the broker."""
    app.conf.update(
        task_queues=[
            Queue(f"{name}.ranked", Exchange(f"{name}.ranked", "topic"), f"{name}.ranked", queue_arguments={"x-max-priority": 10}),
            Queue(f"{name}.quorum", Exchange(f"{name}.quorum", "topic"), f"{name}.quorum", queue_arguments={"x-queue-type": "quorum"}),
        ],
        task_default_queue=f"{name}.quorum", task_default_exchange=f"{name}.quorum", task_default_exchange_type="topic",
        task_default_routing_key=f"{name}.quorum", task_acks_late=True, worker_prefetch_multiplier=1,
    )


if os.environ.get("CELERY_KINDS"):
    offer_kinds(app, os.environ["CELERY_QUEUE"])


@app.task
def add(left, right):
    return left + right


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=5)
def flaky(self, failures):
    """Succeeds after so many retries."""
    if self.request.retries < failures:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(bind=True, acks_late=True)
def late(self, marks):
    """The first run says that it began, then hangs until it is killed."""
    with open(marks, "a", encoding="utf-8") as file:
        file.write("run\n")
    with open(marks, encoding="utf-8") as file:
        runs = len(file.readlines())
    if runs == 1:
        time.sleep(600)
    return runs, self.request.delivery_info["redelivered"]


@app.task
def wait_for(gate):
    """Keeps the worker busy until a file is there."""
    while not os.path.exists(gate):
        time.sleep(0.02)


@app.task
def note(marks, text):
    """Leaves a mark of when it ran."""
    with open(marks, "a", encoding="utf-8") as file:
        file.write(f"{text} {time.time()}\n")
