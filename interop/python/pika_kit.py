"""What the pika cases share: connections, filled queues, inboxes, refusals, what a peer has not got."""

import collections
import contextlib
import socket

import pika
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker, ConnectionClosedByBroker

from suite import Skip, URL, expect, restart_broker, unique, wait_until

# Above every version of RabbitMQ.
ANY = "999.0"
PERSISTENT = pika.BasicProperties(delivery_mode=2)

Letter = collections.namedtuple("Letter", "method properties body")


def connect(**changes):
    parameters = pika.URLParameters(URL)
    for key, value in changes.items():
        setattr(parameters, key, value)
    return pika.BlockingConnection(parameters)


def confirming(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    return channel


def fill(channel, count, queue=None, properties=None):
    """A queue with bodies 1..count; the channel must confirm."""
    queue = queue or unique()
    channel.queue_declare(queue)
    for number in range(1, count + 1):
        channel.basic_publish("", queue, str(number).encode(), properties)
    return queue


def own(channel, arguments=None, name=None):
    """A queue with these arguments that goes with its connection."""
    name = name or unique()
    channel.queue_declare(name, exclusive=True, arguments=arguments)
    return name


@contextlib.contextmanager
def kept(connection, arguments=None, name=None):
    """A durable queue with these arguments, deleted at the end."""
    name = name or unique()
    connection.channel().queue_declare(name, durable=True, arguments=arguments)
    try:
        yield name
    finally:
        with connect() as cleaner:
            cleaner.channel().queue_delete(name)


@contextlib.contextmanager
def exchange(connection, kind, arguments=None, **options):
    """An exchange of that type, deleted at the end."""
    name = unique("x")
    connection.channel().exchange_declare(name, kind, arguments=arguments, **options)
    try:
        yield name
    finally:
        with connect() as cleaner:
            cleaner.channel().exchange_delete(name)


def send(channel, queue, *bodies, exchange="", **properties):
    """Publishes texts; returns when the broker has them if the channel confirms."""
    for body in bodies:
        channel.basic_publish(exchange, queue, body.encode(), pika.BasicProperties(**properties))


def ready(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def drain(channel, queue):
    """Everything ready, as [(body, redelivered)]."""
    got = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return got
        got.append((body.decode(), method.redelivered))


def bodies(channel, queue):
    """The bodies of everything ready."""
    return [body for body, _ in drain(channel, queue)]


class Inbox:
    """A consumer on a channel of its own that keeps what comes, until it is asked to settle it."""

    def __init__(self, connection, queue, auto_ack=True, prefetch=0, **options):
        self.connection = connection
        self.queue = queue
        self.got = []
        self.cancelled = False
        self.channel = connection.channel()
        if prefetch:
            self.channel.basic_qos(prefetch_count=prefetch)
        self.channel.add_on_cancel_callback(lambda _: setattr(self, "cancelled", True))
        self.tag = self.channel.basic_consume(queue, self._take, auto_ack=auto_ack, **options)

    def _take(self, _, method, properties, body):
        self.got.append(Letter(method, properties, body))

    def wait(self, count):
        """The letters, once there are that many."""
        self.until(lambda: len(self.got) >= count, f"{count} deliveries")
        expect(len(self.got), count, "deliveries")
        return self.got

    def until(self, done, what):
        """Lets events come until done()."""
        wait_until(lambda: (self.connection.process_data_events(0.02), done())[1], what)

    def texts(self, count):
        """The bodies, once there are that many."""
        return [letter.body.decode() for letter in self.wait(count)]

    def ack(self, letter):
        self.channel.basic_ack(letter.method.delivery_tag)

    def requeue(self, letter):
        self.channel.basic_nack(letter.method.delivery_tag, requeue=True)

    def discard(self, letter):
        self.channel.basic_nack(letter.method.delivery_tag, requeue=False)

    def leave(self):
        """Cancels; what is unsettled stays with the channel."""
        self.channel.basic_cancel(self.tag)


def drop(connection):
    """Ends a connection as a killed client does: the socket goes without a word."""
    connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)


def restarted(connection):
    """Kills the broker and starts it again; that connection is then gone."""
    try:
        restart_broker()
    finally:
        if connection.is_open:
            with contextlib.suppress(AMQPConnectionError):
                connection.close()


def refusal(action):
    """What a fresh channel, or its connection, is closed with by action(channel): code and text."""
    connection = connect()
    try:
        channel = connection.channel()
        action(channel)
        channel.basic_qos(prefetch_count=0)
    except (ChannelClosedByBroker, ConnectionClosedByBroker) as closed:
        return closed.reply_code, closed.reply_text
    finally:
        if connection.is_open:
            connection.close()
    raise AssertionError("the broker did not mind")


def older_than(connection, version):
    """Whether the peer is a RabbitMQ before that version; a case must not ask more of it than it had."""
    properties = connection._impl.server_properties
    if not properties["platform"].startswith("Erlang"):
        return False
    mine = [int(part) for part in properties["version"].split(".")[:2]]
    return mine < [int(part) for part in version.split(".")]


def needs(connection, version, what):
    """Skips a case at a RabbitMQ before that version, which would ignore or refuse what is asked."""
    if older_than(connection, version):
        raise Skip(f"{what}: not in RabbitMQ before {version}")


def beyond_rabbitmq(connection, what):
    """Skips a case at any RabbitMQ: no version of it does this."""
    if older_than(connection, ANY):
        raise Skip(f"{what}: no RabbitMQ does it")


def needs_type(connection, kind, arguments=None):
    """Skips a case at a RabbitMQ without the plugin for this type of exchange."""
    if not older_than(connection, ANY):
        return
    code, text = 0, ""
    name = unique("x")
    try:
        code, text = refusal(lambda channel: channel.exchange_declare(name, kind, auto_delete=True, arguments=arguments))
    except AssertionError:
        connection.channel().exchange_delete(name)
    if text.endswith(f"unknown exchange type '{kind}'"):
        raise Skip(f"{kind}: its plugin is not enabled")


def gone(connection, queue):
    """Waits until the queue is no more."""

    def missing():
        channel = connection.channel()
        try:
            channel.queue_declare(queue, passive=True)
        except ChannelClosedByBroker as closed:
            return closed.reply_code == 404
        channel.close()
        return False

    wait_until(missing, f"{queue} gone")
