package interop;

import static interop.Suite.attempt;
import static interop.Suite.expect;
import static interop.Suite.restartBroker;
import static interop.Suite.unique;
import static interop.Suite.waitUntil;

import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttClientState;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt5.Mqtt5AsyncClient;
import com.hivemq.client.mqtt.mqtt5.Mqtt5BlockingClient;
import com.hivemq.client.mqtt.mqtt5.Mqtt5BlockingClient.Mqtt5Publishes;
import com.hivemq.client.mqtt.mqtt5.Mqtt5ClientBuilder;
import com.hivemq.client.mqtt.mqtt5.message.connect.Mqtt5Connect;
import com.hivemq.client.mqtt.mqtt5.message.connect.connack.Mqtt5ConnAck;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5Publish;
import com.hivemq.client.mqtt.mqtt5.message.subscribe.Mqtt5RetainHandling;
import com.hivemq.client.mqtt.mqtt5.message.subscribe.suback.Mqtt5SubAckReasonCode;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** The HiveMQ client, version 5: QoS, flow control, properties, options, sessions, a killed broker. */
public final class HivemqMain {
    private static final URI PLACE = URI.create(System.getenv("INTEROP_MQTT"));
    private static final String[] LOGIN = PLACE.getUserInfo().split(":");
    private static final long SECONDS_MAX = 20;

    private HivemqMain() {}

    static Mqtt5ClientBuilder builder(String name) {
        return MqttClient.builder().useMqttVersion5().identifier(name).serverHost(PLACE.getHost()).serverPort(PLACE.getPort())
            .simpleAuth().username(LOGIN[0]).password(LOGIN[1].getBytes()).applySimpleAuth();
    }

    /** A connected client; what comes is kept. */
    static final class Client implements AutoCloseable {
        final Mqtt5BlockingClient client;
        final Mqtt5Publishes messages;
        final Mqtt5ConnAck connack;

        Client(String name, Mqtt5Connect wish) {
            client = builder(name).buildBlocking();
            messages = client.publishes(MqttGlobalPublishFilter.ALL);
            connack = client.connect(wish);
        }

        Client() {
            this(unique("c"), Mqtt5Connect.builder().build());
        }

        Mqtt5SubAckReasonCode subscribe(String filter, MqttQos qos) {
            return client.subscribeWith().topicFilter(filter).qos(qos).send().getReasonCodes().get(0);
        }

        void publish(String topic, MqttQos qos, String body) {
            client.publishWith().topic(topic).qos(qos).payload(body.getBytes()).send();
        }

        Mqtt5Publish next() throws InterruptedException {
            return messages.receive(SECONDS_MAX, TimeUnit.SECONDS).orElseThrow(() -> new AssertionError("no message"));
        }

        List<String> bodies(int count) throws InterruptedException {
            List<String> got = new ArrayList<>();
            while (got.size() < count) {
                got.add(new String(next().getPayloadAsBytes()));
            }
            return got;
        }

        void quiet() throws InterruptedException {
            expect("nothing more", messages.receive(400, TimeUnit.MILLISECONDS).isPresent(), false);
        }

        @Override public void close() {
            messages.close();
            if (client.getState().isConnected()) {
                client.disconnect();
            }
        }
    }

    static List<String> numbers(int count) {
        return IntStream.range(0, count).mapToObj(Integer::toString).toList();
    }

    static void qos() throws Exception {
        try (Client client = new Client()) {
            for (MqttQos wanted : MqttQos.values()) {
                String place = unique("t");
                expect("granted", client.subscribe(place, wanted).getCode(), wanted.getCode());
                for (MqttQos qos : MqttQos.values()) {
                    client.publish(place, qos, "m");
                    expect("qos", client.next().getQos().getCode(), Math.min(qos.getCode(), wanted.getCode()));
                }
            }
            client.quiet();
        }
    }

    /** As many as the broker takes at once: the client keeps to Receive Maximum by itself. */
    static void flow() throws Exception {
        String place = unique("t");
        try (Client sink = new Client(unique("c"), Mqtt5Connect.builder().restrictions().receiveMaximum(7).applyRestrictions().build());
                Client source = new Client()) {
            sink.subscribe(place, MqttQos.EXACTLY_ONCE);
            Mqtt5AsyncClient async = source.client.toAsync();
            List<CompletableFuture<?>> all = new ArrayList<>();
            for (String number : numbers(2000)) {
                all.add(async.publishWith().topic(place).qos(MqttQos.EXACTLY_ONCE).payload(number.getBytes()).send());
            }
            expect("order", sink.bodies(2000), numbers(2000));
            CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).get(SECONDS_MAX, TimeUnit.SECONDS);
            sink.quiet();
        }
    }

    static void properties() throws Exception {
        String place = unique("t");
        try (Client client = new Client()) {
            client.subscribe(place, MqttQos.AT_LEAST_ONCE);
            client.client.publishWith().topic(place).qos(MqttQos.AT_LEAST_ONCE).payload("m".getBytes()).contentType("text/x")
                .responseTopic("to/me").correlationData(new byte[] {0, -1}).messageExpiryInterval(60)
                .userProperties().add("b", "2").add("a", "1").add("b", "3").applyUserProperties().send();
            Mqtt5Publish got = client.next();
            expect("texts", "" + got.getContentType().get() + got.getResponseTopic().get(), "text/xto/me");
            expect("correlation", got.getCorrelationData().get().remaining(), 2);
            expect("user", got.getUserProperties().asList().stream().map(one -> "" + one.getName() + one.getValue()).toList(),
                List.of("b2", "a1", "b3"));
        }
    }

    static void optionsOfASubscription() throws Exception {
        String place = unique("t");
        try (Client client = new Client(); Client other = new Client()) {
            client.client.publishWith().topic(place).qos(MqttQos.AT_LEAST_ONCE).retain(true).payload("kept".getBytes()).send();
            client.client.subscribeWith().topicFilter(place).qos(MqttQos.AT_LEAST_ONCE).noLocal(true).retainAsPublished(true)
                .retainHandling(Mqtt5RetainHandling.DO_NOT_SEND).send();
            client.publish(place, MqttQos.AT_LEAST_ONCE, "own");
            client.quiet();
            other.client.publishWith().topic(place).qos(MqttQos.AT_LEAST_ONCE).retain(true).send();
            expect("as published", client.next().isRetain(), true);
        }
    }

    static void session() throws Exception {
        String name = unique("c");
        String place = unique("t");
        Mqtt5Connect stay = Mqtt5Connect.builder().cleanStart(false).sessionExpiryInterval(300).build();
        try (Client first = new Client(name, stay)) {
            first.subscribe(place, MqttQos.EXACTLY_ONCE);
        }
        try (Client source = new Client()) {
            for (String number : numbers(30)) {
                source.publish(place, MqttQos.EXACTLY_ONCE, number);
            }
        }
        try (Client again = new Client(name, stay)) {
            expect("present", again.connack.isSessionPresent(), true);
            expect("messages", again.bodies(30), numbers(30));
            again.client.disconnectWith().sessionExpiryInterval(0).send();
        }
        try (Client last = new Client(name, stay)) {
            expect("present", last.connack.isSessionPresent(), false);
            last.client.disconnectWith().sessionExpiryInterval(0).send();
        }
    }

    static void assignedName() {
        try (Client client = new Client("", Mqtt5Connect.builder().build())) {
            expect("a name", client.connack.getAssignedClientIdentifier().isPresent(), true);
        }
    }

    static void restart() throws Exception {
        String place = unique("t");
        Mqtt5BlockingClient client = builder(unique("c")).automaticReconnect().initialDelay(100, TimeUnit.MILLISECONDS)
            .maxDelay(500, TimeUnit.MILLISECONDS).applyAutomaticReconnect().buildBlocking();
        try (Mqtt5Publishes messages = client.publishes(MqttGlobalPublishFilter.ALL)) {
            client.connectWith().cleanStart(false).sessionExpiryInterval(300).send();
            client.subscribeWith().topicFilter(place).qos(MqttQos.EXACTLY_ONCE).send();
            for (String number : numbers(20)) {
                client.publishWith().topic(place).qos(MqttQos.EXACTLY_ONCE).payload(number.getBytes()).send();
            }
            restartBroker();
            waitUntil("connected again", () -> client.getState() == MqttClientState.CONNECTED);
            client.publishWith().topic(place).qos(MqttQos.EXACTLY_ONCE).payload("20".getBytes()).send();
            List<String> got = new ArrayList<>();
            while (got.size() < 21) {
                got.add(new String(messages.receive(SECONDS_MAX, TimeUnit.SECONDS).orElseThrow().getPayloadAsBytes()));
            }
            expect("each once", got, numbers(21));
            client.disconnectWith().sessionExpiryInterval(0).send();
        }
    }

    public static void main(String[] arguments) {
        attempt("qos", HivemqMain::qos);
        attempt("flow", HivemqMain::flow);
        attempt("properties", HivemqMain::properties);
        attempt("options-of-a-subscription", HivemqMain::optionsOfASubscription);
        attempt("session", HivemqMain::session);
        attempt("assigned-name", HivemqMain::assignedName);
        attempt("restart", HivemqMain::restart);
        Suite.finish();
    }
}
