package interop;

import static interop.Suite.attempt;
import static interop.Suite.expect;
import static interop.Suite.take;
import static interop.Suite.unique;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.eclipse.paho.mqttv5.client.IMqttToken;
import org.eclipse.paho.mqttv5.client.MqttCallback;
import org.eclipse.paho.mqttv5.client.MqttClient;
import org.eclipse.paho.mqttv5.client.MqttConnectionOptions;
import org.eclipse.paho.mqttv5.client.MqttDisconnectResponse;
import org.eclipse.paho.mqttv5.client.persist.MemoryPersistence;
import org.eclipse.paho.mqttv5.common.MqttException;
import org.eclipse.paho.mqttv5.common.MqttMessage;
import org.eclipse.paho.mqttv5.common.MqttSubscription;
import org.eclipse.paho.mqttv5.common.packet.MqttProperties;
import org.eclipse.paho.mqttv5.common.packet.UserProperty;

/** Eclipse Paho for Java, version 5: properties, options, sessions. */
final class PahoFive {
    private static String server;
    private static String[] login;

    private PahoFive() {}

    static final class Client implements AutoCloseable {
        final BlockingQueue<MqttMessage> messages = new LinkedBlockingQueue<>();
        final BlockingQueue<Integer> ended = new LinkedBlockingQueue<>();
        final MqttClient client;
        final boolean present;

        Client(String name, boolean clean, long expiry) throws MqttException {
            client = new MqttClient(server, name, new MemoryPersistence());
            client.setTimeToWait(20_000);
            client.setCallback(new MqttCallback() {
                @Override public void disconnected(MqttDisconnectResponse response) {
                    ended.add(response.getReturnCode());
                }

                @Override public void mqttErrorOccurred(MqttException exception) {}

                @Override public void messageArrived(String topic, MqttMessage message) {
                    messages.add(message);
                }

                @Override public void deliveryComplete(IMqttToken token) {}

                @Override public void connectComplete(boolean reconnect, String uri) {}

                @Override public void authPacketArrived(int code, MqttProperties properties) {}
            });
            MqttConnectionOptions options = new MqttConnectionOptions();
            options.setUserName(login[0]);
            options.setPassword(login[1].getBytes());
            options.setCleanStart(clean);
            options.setSessionExpiryInterval(expiry);
            present = client.connectWithResult(options).getSessionPresent();
        }

        Client() throws MqttException {
            this(unique("c"), true, 0);
        }

        void subscribe(MqttSubscription subscription) throws MqttException {
            client.subscribe(new MqttSubscription[] {subscription});
        }

        void publish(String topic, int qos, String body, MqttProperties properties) throws MqttException {
            MqttMessage message = new MqttMessage(body.getBytes(), qos, false, properties);
            client.publish(topic, message);
        }

        @Override public void close() throws MqttException {
            if (client.isConnected()) {
                client.disconnect();
            }
            client.close();
        }
    }

    static void properties() throws Exception {
        String place = unique("t");
        try (Client client = new Client()) {
            client.subscribe(new MqttSubscription(place, 2));
            MqttProperties sent = new MqttProperties();
            sent.setContentType("text/x");
            sent.setResponseTopic("to/me");
            sent.setCorrelationData(new byte[] {0, -1});
            sent.setPayloadFormat(true);
            sent.setMessageExpiryInterval(60L);
            sent.setUserProperties(List.of(new UserProperty("b", "2"), new UserProperty("a", "1"), new UserProperty("b", "3")));
            client.publish(place, 2, "m", sent);
            MqttProperties got = take("the message", client.messages).getProperties();
            expect("texts", List.of(got.getContentType(), got.getResponseTopic()), List.of("text/x", "to/me"));
            expect("correlation", got.getCorrelationData(), new byte[] {0, -1});
            expect("format", got.getPayloadFormat(), true);
            expect("expiry", got.getMessageExpiryInterval() == 59 || got.getMessageExpiryInterval() == 60, true);
            expect("user", got.getUserProperties().stream().map(one -> one.getKey() + one.getValue()).toList(),
                List.of("b2", "a1", "b3"));
        }
    }

    static void noLocal() throws Exception {
        String place = unique("t");
        try (Client client = new Client(); Client other = new Client()) {
            MqttSubscription subscription = new MqttSubscription(place, 1);
            subscription.setNoLocal(true);
            client.subscribe(subscription);
            client.publish(place, 1, "mine", null);
            other.publish(place, 1, "theirs", null);
            expect("body", new String(take("a message", client.messages).getPayload()), "theirs");
            expect("nothing more", client.messages.poll(400, TimeUnit.MILLISECONDS), null);
        }
    }

    static void session() throws Exception {
        String name = unique("c");
        String place = unique("t");
        try (Client first = new Client(name, false, 300)) {
            first.subscribe(new MqttSubscription(place, 2));
        }
        try (Client source = new Client()) {
            for (int number = 0; number < 20; number++) {
                source.publish(place, 2, "" + number, null);
            }
        }
        try (Client again = new Client(name, false, 0)) {
            expect("present", again.present, true);
            for (int number = 0; number < 20; number++) {
                expect("body", new String(take("a message", again.messages).getPayload()), "" + number);
            }
        }
        try (Client last = new Client(name, false, 0)) {
            expect("present", last.present, false);
        }
    }

    static void takeover() throws Exception {
        String name = unique("c");
        try (Client first = new Client(name, true, 0); Client second = new Client(name, true, 0)) {
            expect("code", take("the end", first.ended), 0x8E);
        }
    }

    static void run(String where, String[] as) {
        server = where;
        login = as;
        attempt("properties-5", PahoFive::properties);
        attempt("no-local-5", PahoFive::noLocal);
        attempt("session-5", PahoFive::session);
        attempt("takeover-5", PahoFive::takeover);
    }
}
