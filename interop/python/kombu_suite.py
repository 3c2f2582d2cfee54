"""kombu over py-amqp: what Celery and its relatives ask of a broker, and py-amqp's own view of errors."""

import socket

import amqp
from kombu import Connection, Consumer, Exchange, Producer, Queue, eventloop
from kombu.pools import producers

from suite import URL, case, check_misuse, expect, restart_broker, run_all, unique, wait_until


def connect(**options):
    return Connection(URL, **options)


def drain_until(connection, done, what):
    """Handles events until done()."""

    def step():
        try:
            connection.drain_events(timeout=0.1)
        except socket.timeout:
            pass
        return done()

    wait_until(step, what)


@case
def connect_():
    with connect() as connection:
        connection.ensure_connection(max_retries=1)
        properties = connection.connection.server_properties
        expect(properties["capabilities"]["consumer_cancel_notify"], True)
        expect(properties["capabilities"]["connection.blocked"], True)


@case
def publish_and_consume():
    exchange = Exchange(unique("x"), "topic", durable=True)
    queue = Queue(unique(), exchange, routing_key="a.#")
    got = []
    with connect(transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        queue(channel).declare()
        producer = Producer(channel, exchange)
        for number in range(20):
            producer.publish({"n": number}, routing_key="a.b", serializer="json", compression="zlib" if number % 2 else None)
        with Consumer(channel, [queue], callbacks=[lambda body, message: (got.append(body["n"]), message.ack())], prefetch_count=3):
            drain_until(connection, lambda: len(got) == 20, "twenty messages")
        expect(got, list(range(20)))
        queue(channel).delete()
        exchange(channel).delete()


@case
def requeue_and_reject():
    with connect(transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        queue = Queue(unique(), durable=False)(channel)
        queue.declare()
        producer = Producer(channel)
        for body in ("1", "2"):
            producer.publish(body, routing_key=queue.name)
        first = queue.get()
        first.requeue()
        again = queue.get()
        expect((again.body, again.delivery_info["redelivered"]), ("1", True))
        again.reject()
        expect(queue.get(no_ack=True).body, "2")
        expect(queue.get(), None)
        queue.delete()


@case
def arguments_that_kombu_sends():
    """Expiry, as Celery's control, event and result queues declare them."""
    with connect(transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        for options in (
            {"expires": 10.0, "message_ttl": 300.0, "auto_delete": True, "durable": False},
            {"message_ttl": 5.0, "expires": 60.0, "exclusive": False, "auto_delete": True, "durable": False},
            {"expires": 86400.0, "auto_delete": True, "durable": False},
        ):
            queue = Queue(unique(), **options)(channel)
            queue.declare()
            queue.declare()
            Producer(channel).publish("m", routing_key=queue.name)
            expect(queue.get(no_ack=True).body, "m", str(options))
            queue.delete()


@case
def pools_and_heartbeat():
    with connect(heartbeat=1) as connection:
        queue = Queue(unique(), durable=False, auto_delete=False)
        queue(connection.default_channel).declare()
        beats = []

        def alive():
            connection.heartbeat_check()
            try:
                connection.drain_events(timeout=0.25)
            except socket.timeout:
                pass
            beats.append(1)
            return len(beats) > 12

        wait_until(alive, "three quiet seconds")
        with producers[connection].acquire(block=True) as producer:
            producer.publish("m", routing_key=queue.name)
        expect(wait_until(lambda: queue(connection.default_channel).get(no_ack=True), "the message").body, "m")
        queue(connection.default_channel).delete()


@case
def py_amqp_returns_and_confirms():
    with amqp_connection() as connection:
        channel = connection.channel()
        returned, acked = [], []
        channel.events["basic_return"].add(lambda error, *_: returned.append((error.reply_code, error.reply_text)))
        channel.confirm_select()
        channel.events["basic_ack"].add(lambda tag, multiple: acked.append((tag, list(returned))))
        channel.basic_publish(amqp.Message("back"), "", unique("nowhere"), mandatory=True)
        wait_until(lambda: (connection.drain_events(timeout=5), acked)[1], "the ack")
        expect(acked, [(1, [(312, "NO_ROUTE")])], "the return comes before the ack")


@case
def py_amqp_tx():
    with amqp_connection() as connection:
        channel, watcher = connection.channel(), connection.channel()
        queue = unique()
        channel.queue_declare(queue, auto_delete=False)
        channel.tx_select()
        channel.basic_publish(amqp.Message("1"), "", queue)
        expect(watcher.queue_declare(queue, passive=True).message_count, 0)
        channel.tx_commit()
        expect(watcher.queue_declare(queue, passive=True).message_count, 1)
        channel.basic_publish(amqp.Message("2"), "", queue)
        channel.tx_rollback()
        expect(watcher.queue_purge(queue), 1)
        watcher.queue_delete(queue)


@case
def py_amqp_errors():
    """py-amqp's exceptions carry code and text as the broker said them."""
    for name, provoke in (
        ("passive-queue", lambda channel, name: channel.queue_declare(name, passive=True)),
        ("publish-missing", lambda channel, name: (channel.basic_publish(amqp.Message("m"), name, "k"), channel.basic_qos(0, 1, False))),
        ("reserved-exchange", lambda channel, name: channel.exchange_declare(name, "direct")),
        ("unknown-tag", lambda channel, name: (channel.basic_ack(99), channel.basic_qos(0, 1, False))),
        ("prefetch-size", lambda channel, name: channel.basic_qos(10, 0, False)),
        ("unknown-type", lambda channel, name: channel.exchange_declare(name, name)),
        ("commit-without-select", lambda channel, name: channel.tx_commit()),
    ):
        chosen = unique("m") if name != "reserved-exchange" else "amq." + unique("m")
        with amqp_connection() as connection:
            try:
                provoke(connection.channel(), chosen)
            except amqp.AMQPError as error:
                check_misuse(name, chosen, error.reply_code, error.reply_text)
            else:
                raise AssertionError(f"{name}: the broker did not mind")


def amqp_connection():
    info = connect().info()
    return amqp.Connection(
        f"{info['hostname']}:{info['port']}", userid=info["userid"], password=info["password"], virtual_host=info["virtual_host"])


@case
def restart():
    """A kombu consumer resumes on a new connection after the broker was killed."""
    exchange = Exchange(unique("x"), "direct", durable=True)
    queue = Queue(unique(), exchange, routing_key="k", durable=True)
    got = []
    with connect(transport_options={"confirm_publish": True}) as connection:
        bound = queue(connection.channel())
        bound.declare()
        producer = Producer(connection.channel(), exchange)
        for number in range(50):
            producer.publish(number, routing_key="k", delivery_mode=2)
        restart_broker()
    with connect() as connection:
        connection.ensure_connection(max_retries=20, interval_start=0.2, interval_step=0.2)
        with Consumer(connection.channel(), [queue], callbacks=[lambda body, message: (got.append(body), message.ack())]):
            for _ in eventloop(connection, timeout=10):
                if len(set(got)) == 50:
                    break
        expect(sorted(set(got)), list(range(50)))
        queue(connection.channel()).delete()


if __name__ == "__main__":
    run_all()
