package main

// go-stomp, in all three versions of STOMP.

import (
	"bytes"
	"fmt"
	neturl "net/url"
	"os"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3"
	"github.com/go-stomp/stomp/v3/frame"
)

func stompDial(options ...func(*stomp.Conn) error) *stomp.Conn {
	login := []func(*stomp.Conn) error{
		stomp.ConnOpt.Login("guest", "guest"), stomp.ConnOpt.Host("/"), stomp.ConnOpt.RcvReceiptTimeout(deadline),
	}
	return must(stomp.Dial("tcp", stompPlace(), append(login, options...)...))
}

// stompPlace is where INTEROP_STOMP says.
func stompPlace() string { return must(neturl.Parse(os.Getenv("INTEROP_STOMP"))).Host }

func stompQueue() string { return "/queue/" + unique("stomp") }

func stompSend(conn *stomp.Conn, to, body string, options ...func(*frame.Frame) error) {
	check(conn.Send(to, "text/plain", []byte(body), append(options, stomp.SendOpt.Receipt)...))
}

func stompBody(what string, sub *stomp.Subscription) string {
	message := receive(what, sub.C)
	check(message.Err)
	return string(message.Body)
}

func stompVersions() {
	for _, version := range []stomp.Version{stomp.V10, stomp.V11, stomp.V12} {
		conn := stompDial(stomp.ConnOpt.AcceptVersion(version))
		expect("version", conn.Version(), version)
		name := stompQueue()
		sub := must(conn.Subscribe(name, stomp.AckAuto))
		stompSend(conn, name, "hello")
		expect("body", stompBody("hello", sub), "hello")
		check(sub.Unsubscribe())
		check(conn.Disconnect())
	}
}

func stompOctets() {
	conn := stompDial()
	name := stompQueue()
	sub := must(conn.Subscribe(name, stomp.AckAuto))
	body := bytes.Repeat([]byte{0, 1, 2, '\n', 255}, 20_000)
	check(conn.Send(name, "application/octet-stream", body, stomp.SendOpt.Receipt,
		stomp.SendOpt.Header("odd", "a:b\\c\nd")))
	got := receive("message", sub.C)
	expect("body", bytes.Equal(got.Body, body), true)
	expect("header", got.Header.Get("odd"), "a:b\\c\nd")
	check(conn.Disconnect())
}

func stompAcks() {
	conn := stompDial()
	name := stompQueue()
	sub := must(conn.Subscribe(name, stomp.AckClientIndividual, stomp.SubscribeOpt.Header("prefetch-count", "10")))
	for _, body := range []string{"1", "2", "3"} {
		stompSend(conn, name, body)
	}
	one, two, three := receive("1", sub.C), receive("2", sub.C), receive("3", sub.C)
	check(conn.Ack(one))
	check(conn.Nack(two))
	again := receive("what came back", sub.C)
	expect("body", string(again.Body), "2")
	expect("redelivered", again.Header.Get("redelivered"), "true")
	check(conn.Ack(again))
	check(conn.Ack(three))
	check(conn.Disconnect())
	conn = stompDial()
	rest := must(conn.Subscribe(name, stomp.AckAuto))
	stompSend(conn, name, "last")
	expect("what is left", stompBody("last", rest), "last")
	check(conn.Disconnect())
}

func stompTransactions() {
	conn := stompDial()
	name := stompQueue()
	sub := must(conn.Subscribe(name, stomp.AckAuto))
	dropped := conn.Begin()
	check(dropped.Send(name, "text/plain", []byte("no")))
	check(dropped.Abort())
	kept := conn.Begin()
	for _, body := range []string{"one", "two"} {
		check(kept.Send(name, "text/plain", []byte(body)))
	}
	check(kept.Commit())
	expect("first", stompBody("one", sub), "one")
	expect("second", stompBody("two", sub), "two")
	check(conn.Disconnect())
}

func stompBeats() {
	conn := stompDial(stomp.ConnOpt.HeartBeat(time.Second, time.Second))
	name := stompQueue()
	sub := must(conn.Subscribe(name, stomp.AckAuto))
	time.Sleep(4 * time.Second)
	stompSend(conn, name, "still here")
	expect("body", stompBody("still here", sub), "still here")
	check(conn.Disconnect())
}

func stompRefusals() {
	_, err := stomp.Dial("tcp", stompPlace(), stomp.ConnOpt.Login("guest", "wrong"), stomp.ConnOpt.Host("/"))
	if err == nil || !strings.Contains(fmt.Sprint(err), "Bad CONNECT") {
		fail("a wrong password: %v", err)
	}
	_, err = stomp.Dial("tcp", stompPlace(), stomp.ConnOpt.Login("guest", "guest"), stomp.ConnOpt.Host("none"))
	if err == nil || !strings.Contains(fmt.Sprint(err), "Bad CONNECT") {
		fail("a virtual host that is not: %v", err)
	}
}

func stompSuite() {
	attempt("sent-and-heard-in-every-version", stompVersions)
	attempt("any-octets-and-escapes", stompOctets)
	attempt("acks-and-nacks", stompAcks)
	attempt("transactions", stompTransactions)
	attempt("heart-beats", stompBeats)
	attempt("refusals", stompRefusals)
	finish()
}
