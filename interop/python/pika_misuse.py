"""pika against the table of misuse: exact codes and texts, by channel or by connection.

Works below pika's own checks where those would refuse to send what a careless client sends.
"""

import pika
from pika import spec
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from suite import MISUSE, URL, check_misuse, unique

_ways = {}


def way(function):
    """A way to misuse: takes (connection, channel, name), may return the name in the text."""
    _ways[function.__name__.replace("_", "-")] = function
    return function


def settled(channel):
    """Waits for what the broker thinks of all that was sent before."""
    channel.basic_qos(prefetch_count=0)


def raw(channel, method, wanted=None):
    """Sends a method as it is."""
    channel._impl._send_method(method)
    channel.connection.process_data_events(3)


@way
def passive_queue(_, channel, name):
    channel.queue_declare(name, passive=True)


@way
def passive_exchange(_, channel, name):
    channel.exchange_declare(name, passive=True)


@way
def consume_missing(_, channel, name):
    channel.basic_consume(name, lambda *_: None)


@way
def get_missing(_, channel, name):
    channel.basic_get(name)


@way
def purge_missing(_, channel, name):
    channel.queue_purge(name)


@way
def bind_missing_queue(_, channel, name):
    channel.queue_bind(name, "amq.direct", "k")


@way
def bind_missing_exchange(_, channel, name):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, name, "k")


@way
def exchange_bind_missing(_, channel, name):
    channel.exchange_bind("amq.direct", name, "k")


@way
def publish_missing(_, channel, name):
    channel.basic_publish(name, "k", b"m")
    settled(channel)


@way
def no_last_queue(_, channel, name):
    channel.queue_purge("")


@way
def reserved_queue(_, channel, name):
    channel.queue_declare(f"amq.{name}")
    return f"amq.{name}"


@way
def reserved_exchange(_, channel, name):
    channel.exchange_declare(f"amq.{name}")


@way
def delete_reserved(_, channel, name):
    channel.exchange_delete("amq.direct")


@way
def bind_default(_, channel, name):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "", "k")


@way
def publish_internal(_, channel, name):
    channel.exchange_declare(name, internal=True)
    channel.basic_publish(name, "k", b"m")
    settled(channel)


@way
def exclusive_consumer(connection, channel, name):
    channel.queue_declare(name)
    channel.basic_consume(name, lambda *_: None, exclusive=True)
    connection.channel().basic_consume(name, lambda *_: None)


@way
def exclusive_queue(connection, channel, name):
    with pika.BlockingConnection(pika.URLParameters(URL)) as other:
        other.channel().queue_declare(name, exclusive=True)
        channel.basic_get(name)


@way
def inequivalent_exclusive(_, channel, name):
    channel.queue_declare(name)
    channel.queue_declare(name, exclusive=True)


@way
def inequivalent_durable(_, channel, name):
    channel.queue_declare(name)
    channel.queue_declare(name, durable=True)


@way
def inequivalent_auto_delete(_, channel, name):
    channel.queue_declare(name)
    channel.queue_declare(name, auto_delete=True)


@way
def inequivalent_type(_, channel, name):
    channel.exchange_declare(name, "direct")
    channel.exchange_declare(name, "fanout")


@way
def inequivalent_exchange_durable(_, channel, name):
    channel.exchange_declare(name, "direct")
    channel.exchange_declare(name, "direct", durable=True)


@way
def inequivalent_internal(_, channel, name):
    channel.exchange_declare(name, "direct")
    channel.exchange_declare(name, "direct", internal=True)


@way
def queue_in_use(_, channel, name):
    channel.queue_declare(name)
    channel.basic_consume(name, lambda *_: None)
    channel.queue_delete(name, if_unused=True)


@way
def queue_not_empty(_, channel, name):
    channel.confirm_delivery()
    channel.queue_declare(name)
    channel.basic_publish("", name, b"m")
    channel.queue_delete(name, if_empty=True)


@way
def exchange_in_use(_, channel, name):
    channel.exchange_declare(name)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, name, "k")
    channel.exchange_delete(name, if_unused=True)


@way
def unknown_tag(_, channel, name):
    channel.basic_ack(99)
    settled(channel)


@way
def ack_twice(_, channel, name):
    channel.confirm_delivery()
    channel.queue_declare(name)
    channel.basic_publish("", name, b"m")
    tag = channel.basic_get(name)[0].delivery_tag
    channel.basic_ack(tag)
    channel.basic_ack(tag)
    settled(channel)


@way
def commit_without_select(_, channel, name):
    channel.tx_commit()


@way
def tx_on_confirm(_, channel, name):
    channel.confirm_delivery()
    channel.tx_select()


@way
def confirm_on_tx(_, channel, name):
    channel.tx_select()
    channel.confirm_delivery()


@way
def unknown_type(_, channel, name):
    channel.exchange_declare(name, name)


@way
def tag_reuse(_, channel, name):
    channel.queue_declare(name)
    channel.basic_consume(name, lambda *_: None, consumer_tag=name)
    raw(channel, spec.Basic.Consume(queue=name, consumer_tag=name))


@way
def vhost_missing(_, channel, name):
    parameters = pika.URLParameters(URL)
    parameters.virtual_host = name
    pika.BlockingConnection(parameters)


@way
def bad_password(_, channel, name):
    parameters = pika.URLParameters(URL)
    parameters.credentials = pika.PlainCredentials("guest", name)
    pika.BlockingConnection(parameters)


@way
def prefetch_size(_, channel, name):
    channel.basic_qos(prefetch_size=10)


@way
def immediate(_, channel, name):
    channel._impl._send_method(spec.Basic.Publish(routing_key=name, immediate=True), (pika.BasicProperties(), b"m"))
    settled(channel)


@way
def recover_false(_, channel, name):
    channel.basic_recover(requeue=False)


@way
def second_open(_, channel, name):
    raw(channel, spec.Channel.Open())


@way
def not_open(_, channel, name):
    channel.connection._impl._send_method(77, spec.Basic.Qos())
    channel.connection.process_data_events(3)


def provoke(misuse):
    """The broker's answer must be the one in the table."""
    name = unique("m")
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    named = {"delete-reserved": "amq.direct", "reserved-exchange": f"amq.{name}", "reserved-queue": f"amq.{name}"}
    try:
        _ways[misuse](connection, channel, name)
    except ChannelClosedByBroker as closed:
        check_misuse(misuse, named.get(misuse, name), closed.reply_code, closed.reply_text)
        cleaner = connection.channel()
        cleaner.queue_delete(name)
        cleaner.exchange_delete(name)
        connection.close()
        return
    except ConnectionClosedByBroker as closed:
        check_misuse(misuse, named.get(misuse, name), closed.reply_code, closed.reply_text)
        _clean(name)
        return
    except (ProbableAuthenticationError, ProbableAccessDeniedError) as refused:
        code, _, text = str(refused).partition("(")[2].partition(") ")
        check_misuse(misuse, name, int(code), text.strip("'\")"))
        connection.close()
        return
    finally:
        if connection.is_open:
            connection.close()
    raise AssertionError("the broker did not mind")


def _clean(name):
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        connection.channel().queue_delete(name)
        connection.channel().exchange_delete(name)


def run(attempt):
    """One case for each line of the table, so that none can be forgotten."""
    for misuse in MISUSE:
        attempt(f"misuse-{misuse}", provoke, misuse)
