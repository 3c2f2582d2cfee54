package main

// amqp091-go against the table of misuse: exact codes and texts, as its *amqp.Error carries them.

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The ways take a channel, its connection and an unused name.
var ways = map[string]func(*amqp.Channel, *amqp.Connection, string) error{
	"passive-queue": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		_, err := c.QueueDeclarePassive(name, false, false, false, false, nil)
		return err
	},
	"passive-exchange": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return c.ExchangeDeclarePassive(name, "direct", false, false, false, false, nil)
	},
	"consume-missing": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		_, err := c.Consume(name, "", false, false, false, false, nil)
		return err
	},
	"get-missing": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		_, _, err := c.Get(name, false)
		return err
	},
	"purge-missing": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		_, err := c.QueuePurge(name, false)
		return err
	},
	"bind-missing-queue": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return c.QueueBind(name, "k", "amq.direct", false, nil)
	},
	"bind-missing-exchange": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return c.QueueBind(own(c), "k", name, false, nil)
	},
	"exchange-bind-missing": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return c.ExchangeBind("amq.direct", "k", name, false, nil)
	},
	"publish-missing": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(c.PublishWithContext(context.Background(), name, "k", false, false, amqp.Publishing{Body: []byte("m")}))
		return c.Qos(0, 0, false)
	},
	"no-last-queue": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		_, err := c.QueuePurge("", false)
		return err
	},
	"reserved-queue": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return declare(c, name)
	},
	"reserved-exchange": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return c.ExchangeDeclare(name, "direct", false, false, false, false, nil)
	},
	"delete-reserved": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return c.ExchangeDelete(name, false, false)
	},
	"bind-default": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		return c.QueueBind(own(c), "k", "", false, nil)
	},
	"publish-internal": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(c.ExchangeDeclare(name, "direct", false, false, true, false, nil))
		check(c.PublishWithContext(context.Background(), name, "k", false, false, amqp.Publishing{Body: []byte("m")}))
		return c.Qos(0, 0, false)
	},
	"exclusive-consumer": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(declare(c, name))
		must(c.Consume(name, "", false, true, false, false, nil))
		_, err := c.Consume(name, "", false, false, false, false, nil)
		return err
	},
	"exclusive-queue": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		other := must(amqp.Dial(url))
		defer other.Close()
		must(must(other.Channel()).QueueDeclare(name, false, false, true, false, nil))
		_, _, err := c.Get(name, false)
		return err
	},
	"inequivalent-exclusive": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(declare(c, name))
		_, err := c.QueueDeclare(name, false, false, true, false, nil)
		return err
	},
	"inequivalent-durable": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(declare(c, name))
		_, err := c.QueueDeclare(name, true, false, false, false, nil)
		return err
	},
	"inequivalent-type": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(c.ExchangeDeclare(name, "direct", false, false, false, false, nil))
		return c.ExchangeDeclare(name, "fanout", false, false, false, false, nil)
	},
	"queue-in-use": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(declare(c, name))
		must(c.Consume(name, "", false, false, false, false, nil))
		_, err := c.QueueDelete(name, true, false, false)
		return err
	},
	"exchange-in-use": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(c.ExchangeDeclare(name, "direct", false, false, false, false, nil))
		check(c.QueueBind(own(c), "k", name, false, nil))
		return c.ExchangeDelete(name, true, false)
	},
	"unknown-tag": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		check(c.Ack(99, false))
		return c.Qos(0, 0, false)
	},
	"commit-without-select": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		return c.TxCommit()
	},
	"tx-on-confirm": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		check(c.Confirm(false))
		return c.Tx()
	},
	"confirm-on-tx": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		check(c.Tx())
		return c.Confirm(false)
	},
	"unknown-type": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		return c.ExchangeDeclare(name, name, false, false, false, false, nil)
	},
	"tag-reuse": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(declare(c, name))
		must(c.Consume(name, name, false, false, false, false, nil))
		_, err := c.Consume(name, name, false, false, false, false, nil)
		return err
	},
	"prefetch-size": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		return c.Qos(0, 10, false)
	},
	"immediate": func(c *amqp.Channel, _ *amqp.Connection, name string) error {
		check(c.PublishWithContext(context.Background(), "", name, false, true, amqp.Publishing{Body: []byte("m")}))
		return c.Qos(0, 0, false)
	},
	"recover-false": func(c *amqp.Channel, _ *amqp.Connection, _ string) error {
		return c.Recover(false)
	},
}

func own(c *amqp.Channel) string {
	return must(c.QueueDeclare("", false, false, true, false, nil)).Name
}

func declare(c *amqp.Channel, name string) error {
	_, err := c.QueueDeclare(name, false, false, false, false, nil)
	return err
}

func misuses() {
	table := misuseTable()
	for _, kind := range slices.Sorted(maps.Keys(ways)) {
		provoke, wanted := ways[kind], table[kind]
		attempt("misuse-"+kind, func() {
			name := unique("m")
			switch kind {
			case "delete-reserved":
				name = "amq.direct"
			case "reserved-queue", "reserved-exchange":
				name = "amq." + name
			}
			connection := must(amqp.Dial(url))
			defer connection.Close()
			channel := must(connection.Channel())
			closed := make(chan *amqp.Error, 2)
			channel.NotifyClose(closed)
			err := provoke(channel, connection, name)
			var said *amqp.Error
			if !errors.As(err, &said) || said.Code == amqp.ErrClosed.Code && !said.Server {
				// A call that lost its channel says only that; the reason comes by the notification.
				said = receive("the reason", closed)
			}
			checkMisuse(wanted, name, answer{said.Code, said.Reason})
			clean(name)
		})
	}
	attempt("login", func() {
		_, err := amqp.Dial(strings.Replace(url, "guest:guest", "guest:wrong", 1))
		if !errors.Is(err, amqp.ErrCredentials) && (err == nil || !strings.Contains(err.Error(), "403")) {
			fail("wrong password: %v", err)
		}
		_, err = amqp.Dial(url + "nosuchvhost")
		if !errors.Is(err, amqp.ErrVhost) && (err == nil || !strings.Contains(err.Error(), "530")) {
			fail("missing vhost: %v", err)
		}
	})
}

func clean(name string) {
	if strings.HasPrefix(name, "amq.") {
		return
	}
	connection := must(amqp.Dial(url))
	defer connection.Close()
	channel := must(connection.Channel())
	must(channel.QueueDelete(name, false, false, false))
	check(channel.ExchangeDelete(name, false, false))
}
