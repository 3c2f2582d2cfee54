package interop;

import static interop.Suite.attempt;
import static interop.Suite.expect;
import static interop.Suite.restartBroker;
import static interop.Suite.take;
import static interop.Suite.unique;
import static interop.Suite.waitUntil;

import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallback;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.MqttException;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/** Eclipse Paho for Java, 3.1, 3.1.1 and 5: QoS, order, retained messages, wills, sessions, a killed broker. */
public final class PahoMain {
    private static final URI PLACE = URI.create(System.getenv("INTEROP_MQTT"));
    private static final String SERVER = "tcp://" + PLACE.getHost() + ":" + PLACE.getPort();
    private static final String[] LOGIN = PLACE.getUserInfo().split(":");

    private PahoMain() {}

    record Got(String topic, String body, int qos, boolean retained) {}

    interface Change<T> {
        void apply(T options);
    }

    /** A client of 3.1 or 3.1.1. */
    static final class Old implements AutoCloseable {
        final BlockingQueue<Got> messages = new LinkedBlockingQueue<>();
        final MqttClient client;
        final boolean present;

        Old(String name, boolean clean, Change<MqttConnectOptions> change) throws Exception {
            client = new MqttClient(SERVER, name, new MemoryPersistence());
            client.setTimeToWait(20_000);
            client.setCallback(new MqttCallback() {
                @Override public void connectionLost(Throwable cause) {}

                @Override public void messageArrived(String topic, MqttMessage message) {
                    messages.add(new Got(topic, new String(message.getPayload()), message.getQos(), message.isRetained()));
                }

                @Override public void deliveryComplete(IMqttDeliveryToken token) {}
            });
            MqttConnectOptions options = new MqttConnectOptions();
            options.setUserName(LOGIN[0]);
            options.setPassword(LOGIN[1].toCharArray());
            options.setCleanSession(clean);
            options.setMaxInflight(1000);
            options.setMqttVersion(MqttConnectOptions.MQTT_VERSION_3_1_1);
            change.apply(options);
            present = client.connectWithResult(options).getSessionPresent();
        }

        Old() throws Exception {
            this(unique("c"), true, options -> {});
        }

        void publish(String topic, int qos, boolean retained, String body) throws MqttException {
            client.publish(topic, body.getBytes(), qos, retained);
        }

        List<String> bodies(int count) throws InterruptedException {
            List<String> got = new ArrayList<>();
            while (got.size() < count) {
                got.add(take("a message", messages).body());
            }
            return got;
        }

        void quiet() throws InterruptedException {
            expect("nothing more", messages.poll(400, TimeUnit.MILLISECONDS), null);
        }

        @Override public void close() throws MqttException {
            if (client.isConnected()) {
                client.disconnect();
            }
            client.close();
        }
    }

    static List<String> numbers(int count) {
        return IntStream.range(0, count).mapToObj(Integer::toString).toList();
    }

    static void qos(int version) throws Exception {
        try (Old client = new Old(unique("c").substring(8), true, options -> options.setMqttVersion(version))) {
            for (int wanted = 0; wanted < 3; wanted++) {
                String place = unique("t");
                client.client.subscribe(place, wanted);
                for (int qos = 0; qos < 3; qos++) {
                    client.publish(place, qos, false, "m");
                    expect(qos + " for " + wanted, take("a message", client.messages).qos(), Math.min(qos, wanted));
                }
            }
            client.quiet();
        }
    }

    static void order() throws Exception {
        try (Old source = new Old(); Old sink = new Old()) {
            for (int qos = 0; qos < 3; qos++) {
                String place = unique("t");
                sink.client.subscribe(place, qos);
                for (String number : numbers(300)) {
                    source.publish(place, qos, false, number);
                }
                expect("order", sink.bodies(300), numbers(300));
                sink.quiet();
            }
        }
    }

    static void retainedAndWill() throws Exception {
        String place = unique("t");
        try (Old watching = new Old()) {
            watching.client.subscribe(place, 1);
            Old lost = new Old(unique("c"), true, options -> options.setWill(place, "lost".getBytes(), 1, true));
            lost.client.disconnectForcibly(0, 100, false);
            lost.client.close(true);
            expect("live", take("the will", watching.messages), new Got(place, "lost", 1, false));
            try (Old late = new Old()) {
                late.client.subscribe(place, 1);
                expect("retained", take("what is retained", late.messages), new Got(place, "lost", 1, true));
                late.publish(place, 1, true, "");
            }
        }
    }

    static void session() throws Exception {
        String name = unique("c");
        String place = unique("t");
        try (Old first = new Old(name, false, options -> {})) {
            expect("present", first.present, false);
            first.client.subscribe(place + "/+", 2);
        }
        try (Old source = new Old()) {
            for (String number : numbers(50)) {
                source.publish(place + "/a", 2, false, number);
            }
        }
        try (Old again = new Old(name, false, options -> {})) {
            expect("present", again.present, true);
            expect("messages", again.bodies(50), numbers(50));
            again.quiet();
        }
        new Old(name, true, options -> {}).close();
    }

    static void wrongPassword() throws Exception {
        try {
            new Old(unique("c"), true, options -> options.setPassword("wrong".toCharArray())).close();
            throw new AssertionError("let in");
        } catch (MqttException refused) {
            int code = refused.getReasonCode();
            expect("code " + code, code == 4 || code == 5, true);
        }
    }

    static void restart() throws Exception {
        String name = unique("c");
        String place = unique("t");
        try (Old client = new Old(name, false, options -> {
            options.setAutomaticReconnect(true);
            options.setMaxReconnectDelay(500);
        })) {
            client.client.subscribe(place, 2);
            for (String number : numbers(20)) {
                client.publish(place, 2, false, number);
            }
            restartBroker();
            waitUntil("connected again", client.client::isConnected);
            client.publish(place, 2, false, "20");
            expect("each once", client.bodies(21), numbers(21));
            client.quiet();
        }
        new Old(name, true, options -> {}).close();
    }

    public static void main(String[] arguments) {
        attempt("qos-3.1", () -> qos(MqttConnectOptions.MQTT_VERSION_3_1));
        attempt("qos-3.1.1", () -> qos(MqttConnectOptions.MQTT_VERSION_3_1_1));
        attempt("order", PahoMain::order);
        attempt("retained-and-will", PahoMain::retainedAndWill);
        attempt("session", PahoMain::session);
        attempt("wrong-password", PahoMain::wrongPassword);
        PahoFive.run(SERVER, LOGIN);
        attempt("restart", PahoMain::restart);
        Suite.finish();
    }
}
