"""pika: how often something is tried: x-delivery-limit, x-delivery-count, delayed retries, consumer timeouts."""

from pika_kit import confirming, connect, own, ready, send
from suite import case, expect, wait_until


def count(letter):
    """x-delivery-count, or nothing."""
    return (letter.properties.headers or {}).get("x-delivery-count")


@case
def no_limit_no_end():
    """A classic queue gives out the same message again and again, and says nothing of how often."""
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel)
        send(channel, queue, "m")
        for _ in range(30):
            method, properties, _ = channel.basic_get(queue)
            expect("x-delivery-count" in (properties.headers or {}), False)
            channel.basic_nack(method.delivery_tag, requeue=True)
        wait_until(lambda: ready(channel, queue) == 1, "back")
