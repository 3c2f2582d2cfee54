package main

// MQTT by the two Paho clients: paho.mqtt.golang for 3.1.1, paho.golang for 5.

import (
	"bytes"
	"context"
	"fmt"
	"net"
	neturl "net/url"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	three "github.com/eclipse/paho.mqtt.golang"
)

const quiet = 400 * time.Millisecond

var mqttURL = os.Getenv("INTEROP_MQTT")

func mqttPlace() (string, string, string) {
	place := must(neturl.Parse(mqttURL))
	password, _ := place.User.Password()
	return place.Host, place.User.Username(), password
}

func nothing[T any](what string, from <-chan T) {
	select {
	case value := <-from:
		fail("%s: %v came", what, value)
	case <-time.After(quiet):
	}
}

// ---- 3.1.1 ----------------------------------------------------------------

type old struct {
	three.Client
	messages chan three.Message
	present  bool
}

func done(what string, token three.Token) {
	if !token.WaitTimeout(deadline) {
		fail("%s: not within %v", what, deadline)
	}
	check(token.Error())
}

func oldClient(name string, clean bool, change func(*three.ClientOptions)) *old {
	host, user, password := mqttPlace()
	client := &old{messages: make(chan three.Message, 10_000)}
	options := three.NewClientOptions().AddBroker("tcp://" + host).SetUsername(user).SetPassword(password).
		SetClientID(name).SetCleanSession(clean).SetProtocolVersion(4).SetAutoReconnect(false).SetOrderMatters(true).
		SetDefaultPublishHandler(func(_ three.Client, message three.Message) { client.messages <- message })
	if change != nil {
		change(options)
	}
	client.Client = three.NewClient(options)
	token := client.Connect()
	done("CONNACK", token)
	client.present = token.(*three.ConnectToken).SessionPresent()
	return client
}

func (client *old) subscribe(filter string, qos byte) {
	done("SUBACK", client.Subscribe(filter, qos, nil))
}

func (client *old) publish(topic string, qos byte, retain bool, body string) {
	done("published", client.Publish(topic, qos, retain, body))
}

func (client *old) leave() { client.Disconnect(50) }

func (client *old) bodies(count int) []string {
	var got []string
	for range count {
		got = append(got, string(receive("a message", client.messages).Payload()))
	}
	return got
}

func numbers(count int) []string {
	all := make([]string, count)
	for number := range all {
		all[number] = strconv.Itoa(number)
	}
	return all
}

func oldQos() {
	client := oldClient(unique("c"), true, nil)
	defer client.leave()
	for wanted := range byte(3) {
		place := unique("t")
		client.subscribe(place, wanted)
		for qos := range byte(3) {
			client.publish(place, qos, false, "m")
			expect("qos", receive("a message", client.messages).Qos(), min(qos, wanted))
		}
		client.Unsubscribe(place).Wait()
	}
	nothing("more", client.messages)
}

func oldOrder() {
	source, sink := oldClient(unique("c"), true, nil), oldClient(unique("c"), true, nil)
	defer source.leave()
	defer sink.leave()
	for qos := range byte(3) {
		place := unique("t")
		sink.subscribe(place, qos)
		for first := 0; first < 1000; first += 50 {
			var tokens []three.Token
			for number := first; number < first+50; number++ {
				tokens = append(tokens, source.Publish(place, qos, false, strconv.Itoa(number)))
			}
			for _, token := range tokens {
				done("published", token)
			}
		}
		expect("order", sink.bodies(1000), numbers(1000))
		nothing("each once", sink.messages)
	}
}

func oldRetainedAndWill() {
	place := unique("t")
	watching := oldClient(unique("c"), true, nil)
	defer watching.leave()
	watching.subscribe(place, 1)
	var socket net.Conn
	oldClient(unique("c"), true, func(options *three.ClientOptions) {
		options.SetWill(place, "lost", 1, true)
		options.SetCustomOpenConnectionFn(func(at *neturl.URL, _ three.ClientOptions) (net.Conn, error) {
			opened, err := net.Dial("tcp", at.Host)
			socket = opened
			return opened, err
		})
	})
	socket.Close()
	expect("live", receive("the will", watching.messages).Retained(), false)
	late := oldClient(unique("c"), true, nil)
	defer late.leave()
	late.subscribe(place, 1)
	expect("retained", receive("what was retained", late.messages).Retained(), true)
	late.publish(place, 1, true, "")
}

func oldSession() {
	name, place := unique("c"), unique("t")
	first := oldClient(name, false, nil)
	first.subscribe(place+"/#", 2)
	first.leave()
	source := oldClient(unique("c"), true, nil)
	defer source.leave()
	for _, number := range numbers(50) {
		source.publish(place+"/a", 2, false, number)
	}
	again := oldClient(name, false, nil)
	expect("present", again.present, true)
	expect("messages", again.bodies(50), numbers(50))
	nothing("each once", again.messages)
	again.leave()
	oldClient(name, true, nil).leave()
}

func oldRestart() {
	name, place := unique("c"), unique("t")
	client := oldClient(name, false, func(options *three.ClientOptions) {
		options.SetAutoReconnect(true).SetMaxReconnectInterval(200 * time.Millisecond)
	})
	client.subscribe(place, 2)
	for _, number := range numbers(20) {
		client.publish(place, 2, false, number)
	}
	restartBroker()
	waitUntil("connected again", client.IsConnectionOpen)
	client.publish(place, 2, false, "20")
	expect("each once", client.bodies(21), numbers(21))
	nothing("each once", client.messages)
	client.leave()
	oldClient(name, true, nil).leave()
}

// ---- 5 --------------------------------------------------------------------

type five struct {
	*paho.Client
	messages chan *paho.Publish
	ended    chan *paho.Disconnect
	connack  *paho.Connack
	socket   net.Conn
}

func within() context.Context {
	limit, cancel := context.WithTimeout(context.Background(), deadline)
	time.AfterFunc(deadline, cancel)
	return limit
}

func fiveClient(name string, clean bool, change func(*paho.Connect)) *five {
	host, user, password := mqttPlace()
	client := &five{messages: make(chan *paho.Publish, 10_000), ended: make(chan *paho.Disconnect, 1)}
	client.socket = must(net.Dial("tcp", host))
	client.Client = paho.NewClient(paho.ClientConfig{
		Conn:               client.socket,
		OnServerDisconnect: func(told *paho.Disconnect) { client.ended <- told },
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(got paho.PublishReceived) (bool, error) { client.messages <- got.Packet; return true, nil },
		},
	})
	connect := &paho.Connect{
		ClientID: name, KeepAlive: 30, CleanStart: clean, UsernameFlag: true, Username: user, PasswordFlag: true, Password: []byte(password),
	}
	if change != nil {
		change(connect)
	}
	client.connack = must(client.Connect(within(), connect))
	return client
}

func staying(seconds uint32) func(*paho.Connect) {
	return func(connect *paho.Connect) {
		connect.Properties = &paho.ConnectProperties{SessionExpiryInterval: &seconds}
	}
}

func (client *five) subscribe(options ...paho.SubscribeOptions) []byte {
	return must(client.Subscribe(within(), &paho.Subscribe{Subscriptions: options})).Reasons
}

func (client *five) publish(message paho.Publish) byte {
	said := must(client.Publish(within(), &message))
	if said == nil {
		return 0
	}
	return said.ReasonCode
}

func (client *five) leave() { _ = client.Disconnect(&paho.Disconnect{}) }

func (client *five) bodies(count int) []string {
	var got []string
	for range count {
		got = append(got, string(receive("a message", client.messages).Payload))
	}
	return got
}

func fiveQos() {
	client := fiveClient(unique("c"), true, nil)
	defer client.leave()
	for wanted := range byte(3) {
		place := unique("t")
		expect("granted", client.subscribe(paho.SubscribeOptions{Topic: place, QoS: wanted}), []byte{wanted})
		for qos := range byte(3) {
			client.publish(paho.Publish{Topic: place, QoS: qos, Payload: []byte("m")})
			expect("qos", receive("a message", client.messages).QoS, min(qos, wanted))
		}
	}
	expect("nobody", client.publish(paho.Publish{Topic: unique("t"), QoS: 1}), byte(0x10))
}

func fiveProperties() {
	client := fiveClient(unique("c"), true, nil)
	defer client.leave()
	place, form, seconds := unique("t"), byte(1), uint32(60)
	client.subscribe(paho.SubscribeOptions{Topic: place, QoS: 2})
	var user paho.UserProperties
	user.Add("b", "2").Add("a", "1").Add("b", "3")
	body := bytes.Repeat([]byte("täxt"), 1000)
	client.publish(paho.Publish{Topic: place, QoS: 2, Payload: body, Properties: &paho.PublishProperties{
		ContentType: "text/x", ResponseTopic: "to/me", CorrelationData: []byte{0, 1}, PayloadFormat: &form, MessageExpiry: &seconds, User: user,
	}})
	got := receive("the message", client.messages)
	expect("body", got.Payload, body)
	expect("properties", []any{got.Properties.ContentType, got.Properties.ResponseTopic, got.Properties.CorrelationData, *got.Properties.PayloadFormat},
		[]any{"text/x", "to/me", []byte{0, 1}, byte(1)})
	expect("user properties", got.Properties.User, user)
	if left := *got.Properties.MessageExpiry; left != 59 && left != 60 {
		fail("%d s are left", left)
	}
}

func fiveOptions() {
	client := fiveClient(unique("c"), true, nil)
	defer client.leave()
	place := unique("t")
	client.publish(paho.Publish{Topic: place, QoS: 1, Retain: true, Payload: []byte("kept")})
	client.subscribe(paho.SubscribeOptions{Topic: place, QoS: 1, RetainHandling: 2, NoLocal: true, RetainAsPublished: true})
	nothing("not what is retained", client.messages)
	client.publish(paho.Publish{Topic: place, QoS: 1, Payload: []byte("own")})
	nothing("not its own", client.messages)
	other := fiveClient(unique("c"), true, nil)
	defer other.leave()
	other.publish(paho.Publish{Topic: place, QoS: 1, Retain: true})
	expect("as published", receive("the other's", client.messages).Retain, true)
}

func fiveShared() {
	place, group := unique("t"), unique("g")
	source, one, two := fiveClient(unique("c"), true, nil), fiveClient(unique("c"), true, nil), fiveClient(unique("c"), true, nil)
	for _, client := range []*five{source, one, two} {
		defer client.leave()
	}
	for _, member := range []*five{one, two} {
		member.subscribe(paho.SubscribeOptions{Topic: "$share/" + group + "/" + place + "/#", QoS: 1})
	}
	for _, number := range numbers(100) {
		source.publish(paho.Publish{Topic: place + "/a", QoS: 1, Payload: []byte(number)})
	}
	waitUntil("all are there", func() bool { return len(one.messages)+len(two.messages) == 100 })
	shares := [][]string{one.bodies(len(one.messages)), two.bodies(len(two.messages))}
	if len(shares[0]) < 10 || len(shares[1]) < 10 {
		fail("%d and %d", len(shares[0]), len(shares[1]))
	}
	all := append(shares[0], shares[1]...)
	sort.Slice(all, func(a, b int) bool { return must(strconv.Atoi(all[a])) < must(strconv.Atoi(all[b])) })
	expect("each once", all, numbers(100))
}

func fiveSession() {
	name, place := unique("c"), unique("t")
	first := fiveClient(name, false, staying(300))
	expect("present", first.connack.SessionPresent, false)
	first.subscribe(paho.SubscribeOptions{Topic: place, QoS: 2})
	first.socket.Close()
	source := fiveClient(unique("c"), true, nil)
	defer source.leave()
	for _, number := range numbers(50) {
		source.publish(paho.Publish{Topic: place, QoS: 2, Payload: []byte(number)})
	}
	again := fiveClient(name, false, staying(0))
	expect("present", again.connack.SessionPresent, true)
	expect("messages", again.bodies(50), numbers(50))
	again.leave()
	last := fiveClient(name, false, nil)
	expect("present", last.connack.SessionPresent, false)
	last.leave()
}

func fiveTakeover() {
	name := unique("c")
	first := fiveClient(name, true, nil)
	defer fiveClient(name, true, nil).leave()
	expect("said", receive("the end", first.ended).ReasonCode, byte(0x8E))
}

// fiveRestart lets autopaho, which applications use, get over a killed broker.
func fiveRestart() {
	host, user, password := mqttPlace()
	place, messages := unique("t"), make(chan string, 1000)
	limit, cancel := context.WithCancel(context.Background())
	defer cancel()
	manager := must(autopaho.NewConnection(limit, autopaho.ClientConfig{
		ServerUrls:      []*neturl.URL{must(neturl.Parse("mqtt://" + host))},
		ConnectUsername: user, ConnectPassword: []byte(password), KeepAlive: 30, SessionExpiryInterval: 300,
		ReconnectBackoff: func(int) time.Duration { return 100 * time.Millisecond },
		ClientConfig: paho.ClientConfig{
			ClientID: unique("c"),
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){
				func(got paho.PublishReceived) (bool, error) { messages <- string(got.Packet.Payload); return true, nil },
			},
		},
	}))
	check(manager.AwaitConnection(within()))
	must(manager.Subscribe(within(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: place, QoS: 2}}}))
	send := func(body string) {
		must(manager.Publish(within(), &paho.Publish{Topic: place, QoS: 2, Payload: []byte(body)}))
	}
	for _, number := range numbers(20) {
		send(number)
	}
	restartBroker()
	waitUntil("connected again", func() bool {
		_, err := manager.Publish(within(), &paho.Publish{Topic: place, QoS: 2, Payload: []byte("20")})
		return err == nil
	})
	seen := map[string]int{}
	for range 21 {
		seen[receive("a message", messages)]++
	}
	for _, number := range numbers(21) {
		expect(fmt.Sprintf("%s, once", number), seen[number], 1)
	}
}

func mqttSuite() {
	attempt("qos-3.1.1", oldQos)
	attempt("order-3.1.1", oldOrder)
	attempt("retained-will-3.1.1", oldRetainedAndWill)
	attempt("session-3.1.1", oldSession)
	attempt("qos-5", fiveQos)
	attempt("properties", fiveProperties)
	attempt("options-of-a-subscription", fiveOptions)
	attempt("shared-subscription", fiveShared)
	attempt("session-5", fiveSession)
	attempt("takeover", fiveTakeover)
	attempt("restart-3.1.1", oldRestart)
	attempt("restart-5", fiveRestart)
	finish()
}
