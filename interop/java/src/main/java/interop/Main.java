package interop;

import static interop.Misuse.factory;
import static interop.Suite.attempt;
import static interop.Suite.expect;
import static interop.Suite.restartBroker;
import static interop.Suite.take;
import static interop.Suite.unique;
import static interop.Suite.waitUntil;

import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.ShutdownSignalException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.IntStream;

/** The Java client: declarations, confirms, deliveries, settlement, transactions, tables, refusals, recovery. */
public final class Main {
    private Main() {}

    interface Connected {
        void run(Connection connection) throws Exception;
    }

    static void connected(String name, Connected body) {
        attempt(name, () -> {
            try (Connection connection = factory().newConnection()) {
                body.run(connection);
            }
        });
    }

    static byte[] bytes(Object body) {
        return body.toString().getBytes();
    }

    static Channel confirming(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        channel.confirmSelect();
        return channel;
    }

    static String filled(Channel confirming, int count) throws Exception {
        String queue = unique("q");
        confirming.queueDeclare(queue, false, false, false, null);
        for (int number = 1; number <= count; number++) {
            confirming.basicPublish("", queue, null, bytes(number));
        }
        confirming.waitForConfirmsOrDie(20_000);
        return queue;
    }

    static List<String> drain(Channel channel, String queue) throws Exception {
        List<String> got = new ArrayList<>();
        GetResponse message;
        while ((message = channel.basicGet(queue, true)) != null) {
            got.add(new String(message.getBody()) + (message.getEnvelope().isRedeliver() ? "*" : ""));
        }
        return got;
    }

    static int ready(Channel channel, String queue) throws Exception {
        return channel.queueDeclarePassive(queue).getMessageCount();
    }

    static BlockingQueue<Delivery> consume(Channel channel, String queue) throws Exception {
        BlockingQueue<Delivery> got = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, false, (tag, delivery) -> got.add(delivery), tag -> {});
        return got;
    }

    static void connect(Connection connection) {
        Map<String, Object> properties = connection.getServerProperties();
        Map<?, ?> capabilities = (Map<?, ?>) properties.get("capabilities");
        for (String name : List.of("publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                "consumer_cancel_notify", "connection.blocked", "consumer_priorities",
                "authentication_failure_close", "per_consumer_qos", "direct_reply_to")) {
            expect(name, capabilities.get(name), true);
        }
        expect("product", properties.get("product") instanceof LongString, true);
        expect("channel_max", connection.getChannelMax(), 2047);
        expect("frame_max", connection.getFrameMax(), 131072);
    }

    static void declarations(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        for (String type : List.of("direct", "fanout", "topic", "headers")) {
            for (boolean durable : new boolean[] {true, false}) {
                String name = unique("x");
                channel.exchangeDeclare(name, type, durable);
                channel.exchangeDeclare(name, type, durable);
                channel.exchangeDeclarePassive(name);
                channel.exchangeDelete(name, true);
            }
        }
        expect("server-made name", channel.queueDeclare().getQueue().startsWith("amq.gen-"), true);
        String temporary = channel.queueDeclare(unique("q"), false, false, true, null).getQueue();
        String tag = channel.basicConsume(temporary, false, (t, d) -> {}, t -> {});
        expect("consumers", channel.queueDeclarePassive(temporary).getConsumerCount(), 1);
        channel.basicCancel(tag);
        waitUntil("the auto-delete queue gone", () -> {
            try {
                connection.createChannel().queueDeclarePassive(temporary);
                return false;
            } catch (java.io.IOException gone) {
                return Misuse.said(gone).code() == 404;
            }
        });
        channel.queueDeclareNoWait(temporary, false, true, false, null);
        channel.queueBindNoWait(temporary, "amq.fanout", "", null);
        expect("purged", channel.queuePurge(temporary).getMessageCount(), 0);
    }

    static void routing(Connection connection) throws Exception {
        Channel channel = confirming(connection);
        String queue = channel.queueDeclare().getQueue();
        String topic = unique("x");
        String fanout = unique("x");
        String headers = unique("x");
        channel.exchangeDeclare(topic, "topic");
        channel.exchangeDeclare(fanout, "fanout");
        channel.exchangeDeclare(headers, "headers");
        channel.queueBind(queue, topic, "a.#.z");
        expect("a.z", reach(channel, queue, topic, "a.z", null), 1);
        expect("a.b.z", reach(channel, queue, topic, "a.b.z", null), 1);
        expect("a.b", reach(channel, queue, topic, "a.b", null), 0);
        channel.queueUnbind(queue, topic, "a.#.z");
        channel.queueBind(queue, fanout, "");
        channel.exchangeBind(fanout, topic, "#");
        expect("exchange to exchange", reach(channel, queue, topic, "any", null), 1);
        channel.exchangeUnbind(fanout, topic, "#");
        expect("unbound", reach(channel, queue, topic, "any", null), 0);
        channel.queueBind(queue, headers, "", Map.of("x-match", "all", "a", 1, "b", "two"));
        expect("all headers", reach(channel, queue, headers, "", Map.of("a", 1, "b", "two", "c", 3)), 1);
        expect("one header", reach(channel, queue, headers, "", Map.of("a", 1)), 0);
        for (String exchange : List.of(topic, fanout, headers)) {
            channel.exchangeDelete(exchange);
        }
    }

    static int reach(Channel channel, String queue, String exchange, String key, Map<String, Object> headers)
            throws Exception {
        channel.basicPublish(exchange, key, new BasicProperties.Builder().headers(headers).build(), bytes("m"));
        channel.waitForConfirmsOrDie(20_000);
        return channel.queuePurge(queue).getMessageCount();
    }

    static void confirmsInFlight(Connection connection) throws Exception {
        int count = 5000;
        Channel channel = confirming(connection);
        String queue = channel.queueDeclare(unique("q"), true, false, false, null).getQueue();
        List<Long> nacks = new ArrayList<>();
        channel.addConfirmListener((tag, multiple) -> {}, (tag, multiple) -> nacks.add(tag));
        for (int number = 0; number < count; number++) {
            channel.basicPublish("", queue, MessageProperties.MINIMAL_PERSISTENT_BASIC, bytes(number));
        }
        expect("all confirmed", channel.waitForConfirms(20_000), true);
        expect("nacked", nacks, List.of());
        expect("in the queue", channel.queueDelete(queue).getMessageCount(), count);
    }

    static void mandatoryReturn(Connection connection) throws Exception {
        Channel channel = confirming(connection);
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        channel.addReturnListener(returned -> events.add(
            returned.getReplyCode() + " " + returned.getReplyText() + " " + new String(returned.getBody())
                + " " + returned.getProperties().getMessageId()));
        channel.addConfirmListener((tag, multiple) -> events.add("ack " + tag), (tag, multiple) -> events.add("nack"));
        BasicProperties properties = new BasicProperties.Builder().messageId("7").build();
        channel.basicPublish("", unique("nowhere"), true, properties, bytes("back"));
        expect("first", take("return", events), "312 NO_ROUTE back 7");
        expect("then", take("ack", events), "ack 1");
    }

    static void prefetch(Connection connection) throws Exception {
        Channel watcher = confirming(connection);
        String queue = filled(watcher, 20);
        Channel channel = connection.createChannel();
        channel.basicQos(5);
        BlockingQueue<Delivery> got = consume(channel, queue);
        long last = 0;
        for (int number = 1; number <= 5; number++) {
            Delivery delivery = take("delivery", got);
            expect("order", new String(delivery.getBody()), String.valueOf(number));
            last = delivery.getEnvelope().getDeliveryTag();
        }
        expect("left behind", ready(watcher, queue), 15);
        expect("more than the prefetch", got.size(), 0);
        channel.basicAck(last, true);
        for (int number = 6; number <= 10; number++) {
            take("delivery", got);
        }
        expect("left behind", ready(watcher, queue), 10);
        channel.close();
        waitUntil("all back", () -> ready(watcher, queue) == 15);
        expect("places", drain(watcher, queue).subList(0, 6), List.of("6*", "7*", "8*", "9*", "10*", "11"));
        watcher.queueDelete(queue);
    }

    static void requeue(Connection connection) throws Exception {
        Channel channel = confirming(connection);
        String queue = filled(channel, 4);
        long first = channel.basicGet(queue, false).getEnvelope().getDeliveryTag();
        long second = channel.basicGet(queue, false).getEnvelope().getDeliveryTag();
        long third = channel.basicGet(queue, false).getEnvelope().getDeliveryTag();
        channel.basicReject(second, true);
        GetResponse again = channel.basicGet(queue, false);
        expect("again", new String(again.getBody()) + again.getEnvelope().isRedeliver() + again.getMessageCount(), "2true1");
        channel.basicNack(again.getEnvelope().getDeliveryTag(), false, true);
        channel.basicNack(first, false, true);
        channel.basicReject(third, false);
        expect("places", drain(channel, queue), List.of("1*", "2*", "4"));
        channel.basicPublish("", queue, null, bytes("5"));
        channel.waitForConfirmsOrDie(20_000);
        channel.basicGet(queue, false);
        channel.basicRecover(true);
        expect("recovered", drain(channel, queue), List.of("5*"));
        channel.queueDelete(queue);
    }

    static void transactions(Connection connection) throws Exception {
        Channel watcher = confirming(connection);
        String queue = filled(watcher, 1);
        Channel channel = connection.createChannel();
        channel.txSelect();
        channel.basicPublish("", queue, null, bytes("2"));
        long tag = channel.basicGet(queue, false).getEnvelope().getDeliveryTag();
        channel.basicAck(tag, false);
        channel.txRollback();
        expect("rolled back", ready(watcher, queue), 0);
        for (int number = 3; number < 103; number++) {
            channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, bytes(number));
        }
        channel.basicAck(tag, false);
        expect("before the commit", ready(watcher, queue), 0);
        channel.txCommit();
        channel.close();
        expect("committed", drain(watcher, queue), IntStream.range(3, 103).mapToObj(String::valueOf).toList());
        watcher.queueDelete(queue);
    }

    static void headerTable(Connection connection) throws Exception {
        Map<String, Object> table = new HashMap<>();
        table.put("true", true);
        table.put("byte", (byte) -5);
        table.put("short", (short) -300);
        table.put("int", -70000);
        table.put("long", -(1L << 40));
        table.put("float", 1.5f);
        table.put("double", 2.25);
        table.put("decimal", new BigDecimal("1.25"));
        table.put("time", new Date(1_700_000_000_000L));
        table.put("none", null);
        table.put("table", Map.of("in", Map.of("deep", 1)));
        table.put("array", Arrays.asList(1, true, null, Map.of("k", 2)));
        Map<String, Object> sent = new HashMap<>(table);
        sent.put("text", "täxt");
        sent.put("bytes", new byte[] {0, -1});
        Channel channel = confirming(connection);
        String queue = filled(channel, 0);
        BasicProperties properties = new BasicProperties("text/plain", "utf-8", sent, 2, 7, "c", "r", "60000", "m",
            new Date(1_700_000_000_000L), "t", "guest", "a", "cluster");
        channel.basicPublish("", queue, properties, bytes("m"));
        channel.waitForConfirmsOrDie(20_000);
        BasicProperties back = channel.basicGet(queue, true).getProps();
        expect("text", back.getHeaders().remove("text").toString(), "täxt");
        expect("bytes", (byte[]) back.getHeaders().remove("bytes"), new byte[] {0, -1});
        expect("table", back.getHeaders(), table);
        expect("properties", back.builder().headers(null).build().toString(),
            properties.builder().headers(null).build().toString());
        channel.queueDelete(queue);
    }

    static void bodies(Connection connection) throws Exception {
        byte[] large = new byte[8 << 20];
        for (int at = 0; at < large.length; at++) {
            large[at] = (byte) (at % 251);
        }
        Channel channel = confirming(connection);
        String queue = filled(channel, 0);
        List<byte[]> bodies = List.of(large, new byte[0], bytes("after"));
        for (byte[] body : bodies) {
            channel.basicPublish("", queue, null, body);
        }
        channel.waitForConfirmsOrDie(20_000);
        for (byte[] body : bodies) {
            expect(body.length + " bytes", Arrays.equals(channel.basicGet(queue, true).getBody(), body), true);
        }
        channel.queueDelete(queue);
    }

    static void cancelNotify(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = channel.queueDeclare(unique("q"), false, false, false, null).getQueue();
        BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();
        String tag = channel.basicConsume(queue, false, (t, d) -> {}, cancelled::add);
        connection.createChannel().queueDelete(queue);
        expect("cancelled", take("basic.cancel", cancelled), tag);
        channel.basicQos(1);
    }

    static void channelErrorSurvived(Connection connection) throws Exception {
        Channel steady = confirming(connection);
        String queue = filled(steady, 5);
        for (int round = 0; round < 3; round++) {
            Channel channel = connection.createChannel(7);
            try {
                channel.queueDeclarePassive(unique("missing"));
                throw new AssertionError("no error");
            } catch (java.io.IOException closed) {
                expect("code", Misuse.said(closed).code(), 404);
            }
        }
        long held = steady.basicGet(queue, false).getEnvelope().getDeliveryTag();
        expect("purged", steady.queuePurge(queue).getMessageCount(), 4);
        steady.basicNack(held, false, true);
        expect("deleted", steady.queueDelete(queue, true, false).getMessageCount(), 1);
        expect("deleted again", steady.queueDelete(queue).getMessageCount(), 0);
    }

    static void heartbeat() throws Exception {
        ConnectionFactory factory = factory();
        factory.setRequestedHeartbeat(1);
        try (Connection connection = factory.newConnection()) {
            expect("negotiated", connection.getHeartbeat(), 1);
            BlockingQueue<ShutdownSignalException> lost = new LinkedBlockingQueue<>();
            connection.addShutdownListener(lost::add);
            expect("lost", lost.poll(3, java.util.concurrent.TimeUnit.SECONDS), null);
            connection.createChannel().queueDeclare();
        }
    }

    static void frameMax() throws Exception {
        ConnectionFactory factory = factory();
        factory.setRequestedFrameMax(4096);
        try (Connection connection = factory.newConnection()) {
            bodies(connection);
        }
    }

    /** The client's own recovery brings back connection, topology and consumer. */
    static void restart() throws Exception {
        ConnectionFactory factory = factory();
        factory.setAutomaticRecoveryEnabled(true);
        factory.setNetworkRecoveryInterval(200);
        try (Connection connection = factory.newConnection()) {
            Channel channel = confirming(connection);
            String queue = channel.queueDeclare(unique("q"), true, false, false, null).getQueue();
            for (int number = 0; number < 200; number++) {
                channel.basicPublish("", queue, MessageProperties.MINIMAL_PERSISTENT_BASIC, bytes(number));
            }
            channel.waitForConfirmsOrDie(20_000);
            Channel consuming = connection.createChannel();
            consuming.basicQos(10);
            BlockingQueue<Delivery> got = consume(consuming, queue);
            take("a delivery before the restart", got);
            restartBroker();
            java.util.Set<Integer> seen = new java.util.TreeSet<>();
            while (seen.size() < 200) {
                Delivery delivery = take("delivery " + seen.size(), got);
                seen.add(Integer.parseInt(new String(delivery.getBody())));
                try {
                    consuming.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
                } catch (AlreadyClosedException lost) {
                    // Delivered before the kill: it comes again once the client has recovered.
                    waitUntil("the recovery", connection::isOpen);
                }
            }
            connection.createChannel().queueDelete(queue);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Misuse.run();
        connected("connect", Main::connect);
        connected("declarations", Main::declarations);
        connected("routing", Main::routing);
        connected("confirms-in-flight", Main::confirmsInFlight);
        connected("mandatory-return", Main::mandatoryReturn);
        connected("prefetch", Main::prefetch);
        connected("requeue", Main::requeue);
        connected("tx", Main::transactions);
        connected("header-table", Main::headerTable);
        connected("bodies", Main::bodies);
        connected("cancel-notify", Main::cancelNotify);
        connected("channel-error-survived", Main::channelErrorSurvived);
        Features.run();
        attempt("heartbeat", Main::heartbeat);
        attempt("frame-max-4096", Main::frameMax);
        attempt("restart", Main::restart);
        Suite.finish();
    }
}
