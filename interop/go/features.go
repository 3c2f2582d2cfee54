package main

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// with declares a queue with these arguments that goes with its connection.
func with(channel *amqp.Channel, arguments amqp.Table) string {
	return must(channel.QueueDeclare(unique("q"), false, false, true, false, arguments)).Name
}

// kept declares a durable queue with these arguments; what it returns deletes it.
func kept(connection *amqp.Connection, arguments amqp.Table) (string, func()) {
	channel := must(connection.Channel())
	queue := must(channel.QueueDeclare(unique("q"), true, false, false, false, arguments)).Name
	return queue, func() { remove(channel, queue) }
}

func consume(channel *amqp.Channel, queue string, arguments amqp.Table) <-chan amqp.Delivery {
	return must(channel.Consume(queue, "", false, false, false, false, arguments))
}

func isRabbit(connection *amqp.Connection) bool {
	return strings.HasPrefix(connection.Properties["platform"].(string), "Erlang")
}

// letters rejects, expires and drops, and reads what the dead letters say.
func letters(connection *amqp.Connection) {
	channel := confirming(connection)
	grave := with(channel, nil)
	queue := with(channel, amqp.Table{
		"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave,
		amqp.QueueMaxLenArg: 1, amqp.QueueMessageTTLArg: 300,
	})
	told := consume(channel, grave, nil)
	death := func() amqp.Table {
		letter := receive("a letter", told)
		check(letter.Ack(false))
		entry := letter.Headers["x-death"].([]any)[0].(amqp.Table)
		if _, ok := entry["time"].(time.Time); !ok {
			fail("time is %#v", entry["time"])
		}
		delete(entry, "time")
		return entry
	}
	expected := func(reason string) amqp.Table {
		return amqp.Table{"count": int64(1), "reason": reason, "queue": queue, "exchange": "", "routing-keys": []any{queue}}
	}
	for _, body := range []string{"dropped", "rejected"} {
		publish(channel, "", queue, amqp.Publishing{Body: []byte(body)})
	}
	expect("dropped", death(), expected("maxlen"))
	message, _, err := channel.Get(queue, false)
	check(err)
	check(message.Reject(false))
	expect("rejected", death(), expected("rejected"))
	publish(channel, "", queue, amqp.Publishing{Body: []byte("expired")})
	expect("expired", death(), expected("expired"))
}

func priorities(connection *amqp.Connection) {
	channel := confirming(connection)
	queue := with(channel, amqp.Table{"x-max-priority": 5})
	for _, priority := range []uint8{1, 5, 0, 3, 9} {
		publish(channel, "", queue, amqp.Publishing{Body: []byte{'0' + priority}, Priority: priority})
	}
	var order strings.Builder
	for _, one := range drain(channel, queue) {
		order.WriteString(one.body)
	}
	expect("order", order.String(), "59310")
}

func rejectPublish(connection *amqp.Connection) {
	channel := confirming(connection)
	queue := with(channel, amqp.Table{amqp.QueueMaxLenArg: 1, amqp.QueueOverflowArg: amqp.QueueOverflowRejectPublish})
	for number, taken := range []bool{true, false} {
		confirm := must(channel.PublishWithDeferredConfirmWithContext(
			context.Background(), "", queue, false, false, amqp.Publishing{Body: []byte(strconv.Itoa(number))}))
		expect("taken", confirm.Wait(), taken)
	}
}

// singleActive kills the connection of the active consumer; the next one goes on with what it held.
func singleActive(connection *amqp.Connection) {
	channel := confirming(connection)
	queue, gone := kept(connection, amqp.Table{amqp.SingleActiveConsumerArg: true, amqp.QueueTypeArg: amqp.QueueTypeQuorum})
	defer gone()
	var socket net.Conn
	active := must(amqp.DialConfig(url, amqp.Config{Dial: func(network, address string) (net.Conn, error) {
		var err error
		socket, err = net.Dial(network, address)
		return socket, err
	}}))
	first := consume(must(active.Channel()), queue, nil)
	second := consume(must(connection.Channel()), queue, nil)
	for _, body := range []string{"1", "2"} {
		publish(channel, "", queue, amqp.Publishing{Body: []byte(body), DeliveryMode: amqp.Persistent})
	}
	for range 2 {
		receive("a delivery to the active one", first)
	}
	check(socket.Close())
	for _, body := range []string{"1", "2"} {
		delivery := receive("a delivery to the next one", second)
		expect("taken over", got{string(delivery.Body), delivery.Redelivered}, got{body, true})
		expect("count", delivery.Headers["x-delivery-count"], int64(1))
		check(delivery.Ack(false))
	}
}

// consumerTimeout is told by NotifyCancel; the channel lives on.
func consumerTimeout(connection *amqp.Connection) {
	if isRabbit(connection) {
		skip("a consumer timeout that leaves the channel alone: no RabbitMQ does it")
	}
	channel := confirming(connection)
	queue := with(channel, amqp.Table{amqp.ConsumerTimeoutArg: 200})
	slow := must(connection.Channel())
	cancelled := slow.NotifyCancel(make(chan string, 1))
	deliveries := must(slow.Consume(queue, "slow", false, false, false, false, nil))
	publish(channel, "", queue, amqp.Publishing{Body: []byte("m")})
	receive("the message", deliveries)
	expect("cancelled", receive("basic.cancel", cancelled), "slow")
	waitUntil("the message back", func() bool { return ready(slow, queue) == 1 })
	expect("again", drain(slow, queue), []got{{"m", true}})
}

func stream(connection *amqp.Connection) {
	channel := confirming(connection)
	queue, gone := kept(connection, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeStream, amqp.StreamMaxAgeArg: "1D"})
	defer gone()
	for number := range 20 {
		publish(channel, "", queue, amqp.Publishing{Body: []byte(strconv.Itoa(number))})
	}
	for _, from := range []any{"first", int64(7)} {
		reader := must(connection.Channel())
		check(reader.Qos(100, 0, false))
		deliveries := consume(reader, queue, amqp.Table{"x-stream-offset": from})
		first, _ := from.(int64)
		for number := first; number < 20; number++ {
			delivery := receive("a delivery", deliveries)
			expect("body", string(delivery.Body), strconv.FormatInt(number, 10))
			expect("offset", delivery.Headers["x-stream-offset"], number)
			check(delivery.Ack(false))
		}
		check(reader.Close())
	}
}

func features() {
	connected("dead-letters-of-each-reason", letters)
	connected("highest-priority-first", priorities)
	connected("reject-publish-tells-the-publisher", rejectPublish)
	connected("single-active-consumer-of-a-quorum-queue-hands-over-when-it-dies", singleActive)
	connected("consumer-timeout-cancels-and-no-more", consumerTimeout)
	connected("stream-from-its-beginning", stream)
}
