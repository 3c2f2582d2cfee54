"""pika against the table of refusals: bad arguments and properties get RabbitMQ's codes and texts."""

import pika

from pika_kit import connect, needs_type, refusal
from suite import REFUSALS, marked, unique


def declare(channel, name, durable=False, exclusive=False, auto_delete=False, arguments=None):
    channel.queue_declare(name, durable=durable, exclusive=exclusive, auto_delete=auto_delete, arguments=arguments)


def queue(channel, name, what):
    declare(channel, name, **what)


def again(channel, name, what):
    for one in what:
        declare(channel, name, **one)


def exchange(channel, name, what):
    channel.exchange_declare(name, what["type"], arguments=what.get("arguments"))


def bind(channel, name, what):
    exchange(channel, name, what["exchange"])
    own = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(own, name, what["key"], what["arguments"])


def publish(channel, name, what):
    declare(channel, name, exclusive=True)
    channel.basic_publish("", name, b"m", pika.BasicProperties(**what))


def consume(channel, name, what):
    declare(channel, name, **what["queue"])
    if "prefetch" in what:
        channel.basic_qos(prefetch_count=what["prefetch"])
    if "global_prefetch" in what:
        channel.basic_qos(prefetch_count=what["global_prefetch"], global_qos=True)
    channel.basic_consume(
        name, lambda *_: None, auto_ack=what.get("no_ack", False), exclusive=what.get("exclusive", False),
        arguments=what["arguments"])


def get(channel, name, what):
    declare(channel, name, **what)
    channel.basic_get(name)


def purge(channel, name, what):
    declare(channel, name, **what)
    channel.queue_purge(name)


VERBS = {verb.__name__: verb for verb in (queue, again, exchange, bind, publish, consume, get, purge)}


def refused(case):
    """The broker's answer must be in the table."""
    verb, what, answers = REFUSALS[case]
    name = unique("r")
    with connect() as connection:
        kind = what if verb == "exchange" else what.get("exchange") if verb == "bind" else None
        if kind and kind["type"].startswith("x-"):
            needs_type(connection, kind["type"], kind.get("arguments"))
        try:
            said = refusal(lambda channel: VERBS[verb](channel, name, what))
        finally:
            cleaner = connection.channel()
            cleaner.queue_delete(name)
            cleaner.exchange_delete(name)
    wanted = [(code, text.replace("{name}", name)) for code, text in answers]
    if not any(said[0] == code and (said[1] == text or text[-1] == "*" and said[1].startswith(text[:-1])) for code, text in wanted):
        raise AssertionError(f"got {said}, wanted {' or '.join(map(str, wanted))}")


for _case in REFUSALS:
    marked(f"refused-{_case}", lambda case=_case: refused(case))
