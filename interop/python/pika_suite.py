"""pika: every kind of declaration, delivery and refusal of AMQP 0-9-1."""

import pika_delivery  # noqa: F401 its import registers its cases
import pika_misuse
import pika_reply  # noqa: F401
import pika_topology  # noqa: F401
from suite import attempt, run_all

if __name__ == "__main__":
    pika_misuse.run(attempt)
    run_all()
