"""pika: what queues and exchanges do for those who ask by arguments; many cases at once."""

import pika_attempts  # noqa: F401 its import registers its cases
import pika_bounds  # noqa: F401
import pika_dead  # noqa: F401
import pika_exchanges  # noqa: F401
import pika_groups  # noqa: F401
import pika_order  # noqa: F401
import pika_refusals  # noqa: F401
import pika_stream  # noqa: F401
import pika_time  # noqa: F401
from suite import run_all

if __name__ == "__main__":
    run_all(at_once=8)
