// Command interop runs amqp091-go through declarations, confirms, deliveries, settlement,
// transactions, tables, refusals and a killed broker.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

type got struct {
	body        string
	redelivered bool
}

func connected(name string, run func(*amqp.Connection)) {
	attempt(name, func() {
		connection := must(amqp.Dial(url))
		defer connection.Close()
		run(connection)
	})
}

// publish sends to the default exchange and waits for the confirm.
func publish(channel *amqp.Channel, exchange, key string, message amqp.Publishing) {
	confirm := must(channel.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, false, false, message))
	limit, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if !must(confirm.WaitContext(limit)) {
		fail("nacked")
	}
}

func confirming(connection *amqp.Connection) *amqp.Channel {
	channel := must(connection.Channel())
	check(channel.Confirm(false))
	return channel
}

func filled(connection *amqp.Connection, count int) (*amqp.Channel, string) {
	channel, queue := confirming(connection), unique("q")
	check(declare(channel, queue))
	for number := 1; number <= count; number++ {
		publish(channel, "", queue, amqp.Publishing{Body: []byte(strconv.Itoa(number))})
	}
	return channel, queue
}

func drain(channel *amqp.Channel, queue string) []got {
	var all []got
	for {
		message, found, err := channel.Get(queue, true)
		check(err)
		if !found {
			return all
		}
		all = append(all, got{string(message.Body), message.Redelivered})
	}
}

func ready(channel *amqp.Channel, queue string) int {
	return must(channel.QueueDeclarePassive(queue, false, false, false, false, nil)).Messages
}

func remove(channel *amqp.Channel, queue string) {
	must(channel.QueueDelete(queue, false, false, false))
}

func declarations(connection *amqp.Connection) {
	channel := must(connection.Channel())
	for _, kind := range []string{"direct", "fanout", "topic", "headers"} {
		for _, durable := range []bool{true, false} {
			name := unique("x")
			for range 2 {
				check(channel.ExchangeDeclare(name, kind, durable, false, false, false, nil))
			}
			check(channel.ExchangeDeclarePassive(name, kind, durable, false, false, false, nil))
			check(channel.ExchangeDelete(name, true, false))
		}
	}
	for _, durable := range []bool{true, false} {
		queue := must(channel.QueueDeclare(unique("q"), durable, false, false, false, nil))
		must(channel.QueueDeclare(queue.Name, durable, false, false, false, nil))
		remove(channel, queue.Name)
	}
	expect("server-made name", own(channel)[:8], "amq.gen-")
	temporary := must(channel.QueueDeclare(unique("q"), false, true, false, false, nil)).Name
	must(channel.Consume(temporary, "tag", false, false, false, false, nil))
	check(channel.Cancel("tag", false))
	waitUntil("the auto-delete queue gone", func() bool {
		probe := must(connection.Channel())
		_, err := probe.QueueDeclarePassive(temporary, false, true, false, false, nil)
		probe.Close()
		return err != nil
	})
}

func routing(connection *amqp.Connection) {
	channel := confirming(connection)
	queue := own(channel)
	reach := func(exchange, key string, headers amqp.Table) int {
		publish(channel, exchange, key, amqp.Publishing{Headers: headers})
		return must(channel.QueuePurge(queue, false))
	}
	topic, fanout, headers := unique("x"), unique("x"), unique("x")
	check(channel.ExchangeDeclare(topic, "topic", false, false, false, false, nil))
	check(channel.ExchangeDeclare(fanout, "fanout", false, false, false, false, nil))
	check(channel.ExchangeDeclare(headers, "headers", false, false, false, false, nil))
	check(channel.QueueBind(queue, "*.b.#", topic, false, nil))
	for key, copies := range map[string]int{"a.b": 1, "a.b.c.d": 1, "b": 0, "a.c": 0} {
		expect("*.b.# and "+key, reach(topic, key, nil), copies)
	}
	check(channel.QueueUnbind(queue, "*.b.#", topic, nil))
	check(channel.QueueBind(queue, "", fanout, false, nil))
	check(channel.ExchangeBind(fanout, "#", topic, false, nil))
	expect("exchange to exchange", reach(topic, "any", nil), 1)
	check(channel.ExchangeUnbind(fanout, "#", topic, false, nil))
	expect("unbound", reach(topic, "any", nil), 0)
	check(channel.QueueBind(queue, "", headers, false, amqp.Table{"x-match": "any", "a": int32(1), "b": "two"}))
	expect("any header", reach(headers, "", amqp.Table{"b": "two"}), 1)
	expect("no header", reach(headers, "", amqp.Table{"b": "other"}), 0)
	for _, exchange := range []string{topic, fanout, headers} {
		check(channel.ExchangeDelete(exchange, false, false))
	}
}

func confirmsInFlight(connection *amqp.Connection) {
	const count = 5000
	channel := confirming(connection)
	queue := must(channel.QueueDeclare(unique("q"), true, false, false, false, nil)).Name
	confirms := make([]*amqp.DeferredConfirmation, count)
	for number := range confirms {
		confirms[number] = must(channel.PublishWithDeferredConfirmWithContext(context.Background(), "", queue, false, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(number))}))
	}
	limit, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for number, confirm := range confirms {
		expect("confirm "+strconv.Itoa(number), must(confirm.WaitContext(limit)), true)
	}
	expect("in the queue", must(channel.QueueDelete(queue, false, false, false)), count)
}

func mandatoryReturn(connection *amqp.Connection) {
	channel := confirming(connection)
	// Unbuffered: the library hands over the return before it can read the ack behind it.
	returns, confirms := channel.NotifyReturn(make(chan amqp.Return)), channel.NotifyPublish(make(chan amqp.Confirmation, 1))
	go func() {
		_ = channel.PublishWithContext(context.Background(), "", unique("nowhere"), true, false,
			amqp.Publishing{MessageId: "7", Body: []byte("back")})
	}()
	select {
	case returned := <-returns:
		expect("return", []any{int(returned.ReplyCode), returned.ReplyText, returned.MessageId, string(returned.Body)},
			[]any{312, "NO_ROUTE", "7", "back"})
	case <-confirms:
		fail("the ack came before the return")
	case <-time.After(deadline):
		fail("no return")
	}
	expect("ack", receive("ack", confirms).Ack, true)
}

func prefetch(connection *amqp.Connection) {
	watcher, queue := filled(connection, 20)
	channel := must(connection.Channel())
	check(channel.Qos(5, 0, false))
	deliveries := must(channel.Consume(queue, "", false, false, false, false, nil))
	var last amqp.Delivery
	for number := 1; number <= 5; number++ {
		last = receive("delivery", deliveries)
		expect("order", string(last.Body), strconv.Itoa(number))
	}
	expect("left behind", ready(watcher, queue), 15)
	check(last.Ack(true))
	for range 5 {
		last = receive("delivery", deliveries)
	}
	expect("left behind", ready(watcher, queue), 10)
	select {
	case <-deliveries:
		fail("more than the prefetch")
	default:
	}
	check(channel.Close())
	waitUntil("all back", func() bool { return ready(watcher, queue) == 15 })
	expect("place", drain(watcher, queue)[:2], []got{{"6", true}, {"7", true}})
	remove(watcher, queue)
}

func requeue(connection *amqp.Connection) {
	channel, queue := filled(connection, 4)
	var held []amqp.Delivery
	for range 3 {
		message, _, err := channel.Get(queue, false)
		check(err)
		held = append(held, message)
	}
	check(held[1].Reject(true))
	again, _, err := channel.Get(queue, false)
	check(err)
	expect("again", got{string(again.Body), again.Redelivered}, got{"2", true})
	check(again.Nack(false, true))
	check(held[0].Nack(false, true))
	check(held[2].Reject(false))
	expect("places", drain(channel, queue), []got{{"1", true}, {"2", true}, {"4", false}})
	publish(channel, "", queue, amqp.Publishing{Body: []byte("5")})
	_, _, err = channel.Get(queue, false)
	check(err)
	check(channel.Recover(true))
	expect("recovered", drain(channel, queue), []got{{"5", true}})
	remove(channel, queue)
}

func transactions(connection *amqp.Connection) {
	watcher, queue := filled(connection, 1)
	channel := must(connection.Channel())
	check(channel.Tx())
	send := func(body string) {
		check(channel.PublishWithContext(context.Background(), "", queue, false, false, amqp.Publishing{Body: []byte(body)}))
	}
	send("2")
	message, _, err := channel.Get(queue, false)
	check(err)
	check(message.Ack(false))
	check(channel.TxRollback())
	expect("rolled back", ready(watcher, queue), 0)
	send("3")
	check(message.Ack(false))
	expect("before the commit", ready(watcher, queue), 0)
	check(channel.TxCommit())
	check(channel.Close())
	expect("committed", drain(watcher, queue), []got{{"3", false}})
	remove(watcher, queue)
}

func headerTable(connection *amqp.Connection) {
	channel, queue := filled(connection, 0)
	table := amqp.Table{
		"text": "täxt", "true": true, "false": false, "byte": int8(-5), "octet": byte(200), "short": int16(-300), "int": int32(-70000),
		"long": int64(-1 << 40), "float": float32(1.5), "double": 2.25, "decimal": amqp.Decimal{Scale: 2, Value: 125},
		"time": time.Unix(1700000000, 0), "none": nil, "bytes": []byte{0, 255},
		"table": amqp.Table{"in": amqp.Table{"deep": int32(1)}}, "array": []any{int32(1), "a", true, nil, amqp.Table{"k": "v"}},
	}
	sent := amqp.Publishing{
		Headers: table, ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: 2, Priority: 7, CorrelationId: "c",
		ReplyTo: "r", Expiration: "60000", MessageId: "m", Timestamp: time.Unix(1700000000, 0), Type: "t", UserId: "guest", AppId: "a",
	}
	publish(channel, "", queue, sent)
	back, _, err := channel.Get(queue, true)
	check(err)
	for key, value := range table {
		expect(key, back.Headers[key], value)
	}
	expect("headers", len(back.Headers), len(table))
	expect("properties", amqp.Publishing{
		Headers: table, ContentType: back.ContentType, ContentEncoding: back.ContentEncoding, DeliveryMode: back.DeliveryMode,
		Priority: back.Priority, CorrelationId: back.CorrelationId, ReplyTo: back.ReplyTo, Expiration: back.Expiration,
		MessageId: back.MessageId, Timestamp: back.Timestamp, Type: back.Type, UserId: back.UserId, AppId: back.AppId,
	}, sent)
	remove(channel, queue)
}

func bodies(connection *amqp.Connection) {
	channel, queue := filled(connection, 0)
	large := bytes.Repeat([]byte("0123456789abcdef!"), 8<<20/17+1)
	for _, body := range [][]byte{large, {}, []byte("after")} {
		publish(channel, "", queue, amqp.Publishing{Body: body})
	}
	for _, body := range [][]byte{large, {}, []byte("after")} {
		message, _, err := channel.Get(queue, true)
		check(err)
		expect(fmt.Sprintf("%d bytes", len(body)), bytes.Equal(message.Body, body), true)
	}
	remove(channel, queue)
}

func cancelNotify(connection *amqp.Connection) {
	watcher, queue := filled(connection, 0)
	channel := must(connection.Channel())
	cancelled := channel.NotifyCancel(make(chan string, 1))
	deliveries := must(channel.Consume(queue, "the tag", false, false, false, false, nil))
	remove(watcher, queue)
	expect("cancelled", receive("basic.cancel", cancelled), "the tag")
	if _, open := <-deliveries; open {
		fail("the deliveries go on")
	}
	check(channel.Qos(1, 0, false))
}

func channelErrorSurvived(connection *amqp.Connection) {
	steady, queue := filled(connection, 5)
	for range 3 {
		channel := must(connection.Channel())
		if _, err := channel.QueueDeclarePassive(unique("missing"), false, false, false, false, nil); err == nil {
			fail("no error")
		}
	}
	message, _, err := steady.Get(queue, false)
	check(err)
	expect("purged", must(steady.QueuePurge(queue, false)), 4)
	check(message.Nack(false, true))
	expect("deleted", must(steady.QueueDelete(queue, true, false, false)), 1)
	expect("deleted again", must(steady.QueueDelete(queue, false, false, false)), 0)
}

func heartbeat() {
	connection := must(amqp.DialConfig(url, amqp.Config{Heartbeat: time.Second}))
	defer connection.Close()
	select {
	case err := <-connection.NotifyClose(make(chan *amqp.Error, 1)):
		fail("lost: %v", err)
	case <-time.After(3 * time.Second):
	}
	own(must(connection.Channel()))
}

// manyChannels opens as many channels as the broker allows and uses each.
func manyChannels(connection *amqp.Connection) {
	var used atomic.Int32
	queue := own(must(connection.Channel()))
	for range 200 {
		ready(must(connection.Channel()), queue)
		used.Add(1)
	}
	expect("channels", used.Load(), int32(200))
}

func restart() {
	before := must(amqp.Dial(url))
	defer before.Close()
	channel := confirming(before)
	queue := must(channel.QueueDeclare(unique("q"), true, false, false, false, nil)).Name
	for number := range 200 {
		publish(channel, "", queue, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(number))})
	}
	lost := before.NotifyClose(make(chan *amqp.Error, 1))
	restartBroker()
	receive("the loss of the connection", lost)
	after := must(amqp.Dial(url))
	defer after.Close()
	fresh := must(after.Channel())
	all := drain(fresh, queue)
	expect("messages", len(all), 200)
	for number, message := range all {
		expect("order", message.body, strconv.Itoa(number))
	}
	remove(fresh, queue)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "stomp" {
		stompSuite()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "mqtt" {
		mqttSuite()
		return
	}
	misuses()
	connected("declarations", declarations)
	connected("routing", routing)
	connected("confirms-in-flight", confirmsInFlight)
	connected("mandatory-return", mandatoryReturn)
	connected("prefetch", prefetch)
	connected("requeue", requeue)
	connected("tx", transactions)
	connected("header-table", headerTable)
	connected("bodies", bodies)
	connected("cancel-notify", cancelNotify)
	connected("channel-error-survived", channelErrorSurvived)
	features()
	connected("many-channels", manyChannels)
	attempt("heartbeat", heartbeat)
	attempt("restart", restart)
	finish()
}
