"""A pika worker: whatever is asked of it, by AMQP or MQTT, it says back in capitals.

It hears the routing key `browser.ask.#` of amq.topic (MQTT's browser/ask/...) and answers
at `reply_to`, or at `browser.answer.<the rest of the key>` where that is missing.
"""

import sys

import pika


def main(url):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.topic", "browser.ask.#")

    def work(_, method, properties, body):
        exchange, key = "amq.topic", method.routing_key.replace("browser.ask", "browser.answer", 1)
        if properties.reply_to:
            exchange, key = "", properties.reply_to
        answer = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish(exchange, key, body.upper(), answer)
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, work)
    print("ready", flush=True)
    channel.start_consuming()


main(sys.argv[1])
