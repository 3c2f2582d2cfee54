package interop;

import static interop.Main.bytes;
import static interop.Main.confirming;
import static interop.Main.connected;
import static interop.Suite.expect;
import static interop.Suite.take;
import static interop.Suite.unique;
import static interop.Suite.waitUntil;

import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConsumerShutdownSignalCallback;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.MessageProperties;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.springframework.amqp.AmqpRejectAndDontRequeueException;
import org.springframework.amqp.ImmediateRequeueAmqpException;
import org.springframework.amqp.core.Message;
import org.springframework.amqp.core.MessageListener;
import org.springframework.amqp.rabbit.connection.CachingConnectionFactory;
import org.springframework.amqp.rabbit.core.RabbitTemplate;
import org.springframework.amqp.rabbit.listener.ConditionalRejectingErrorHandler;
import org.springframework.amqp.rabbit.listener.DirectMessageListenerContainer;

/** What queues and exchanges do by arguments, as the Java client and Spring AMQP see it. */
final class Features {
    private Features() {}

    static void run() {
        connected("consumer-timeout-cancels-and-no-more", Features::consumerTimeout);
        connected("delivery-count-and-limit", Features::deliveryLimit);
        connected("stream-from-its-beginning", Features::stream);
        connected("spring-retries-by-dead-letters", Features::springRetries);
        connected("spring-parks-what-it-cannot-do", Features::springDelivery);
        connected("spring-delays-messages", Features::springDelays);
    }

    static boolean isRabbit(Connection connection) {
        return connection.getServerProperties().get("platform").toString().startsWith("Erlang");
    }

    static String own(Channel channel, Map<String, Object> arguments) throws Exception {
        return own(channel, unique("q"), arguments);
    }

    static String own(Channel channel, String name, Map<String, Object> arguments) throws Exception {
        return channel.queueDeclare(name, false, true, false, arguments).getQueue();
    }

    static void send(Channel channel, String queue, BasicProperties properties, Object body) throws Exception {
        channel.basicPublish("", queue, properties, bytes(body));
        channel.waitForConfirmsOrDie(20_000);
    }

    /** The consumer's handleCancel is called; nothing is shut down. */
    static void consumerTimeout(Connection connection) throws Exception {
        if (isRabbit(connection)) {
            throw new Suite.Skip("a consumer timeout that leaves the channel alone: no RabbitMQ does it");
        }
        Channel channel = confirming(connection);
        String queue = own(channel, Map.of("x-consumer-timeout", 200));
        BlockingQueue<Delivery> held = new LinkedBlockingQueue<>();
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        ConsumerShutdownSignalCallback shutDown = (tag, signal) -> events.add("shut down");
        channel.basicConsume(queue, false, "slow", (tag, delivery) -> held.add(delivery), events::add, shutDown);
        send(channel, queue, null, "m");
        take("the message", held);
        expect("told", take("the cancellation", events), "slow");
        waitUntil("the message back", () -> Main.ready(channel, queue) == 1);
        expect("again", Main.drain(channel, queue), List.of("m*"));
        expect("events", events.size(), 0);
    }

    static void deliveryLimit(Connection connection) throws Exception {
        Channel channel = confirming(connection);
        String grave = own(channel, null);
        String queue = unique("q");
        channel.queueDeclare(queue, true, false, false, Map.of(
            "x-queue-type", "quorum", "x-delivery-limit", 1,
            "x-dead-letter-exchange", "", "x-dead-letter-routing-key", grave));
        BlockingQueue<Delivery> letters = Main.consume(channel, grave);
        BlockingQueue<Delivery> deliveries = Main.consume(channel, queue);
        send(channel, queue, MessageProperties.MINIMAL_PERSISTENT_BASIC, "m");
        Delivery first = take("the first", deliveries);
        channel.basicNack(first.getEnvelope().getDeliveryTag(), false, true);
        Delivery second = take("the second", deliveries);
        expect("count", second.getProperties().getHeaders().get("x-delivery-count"), 1L);
        channel.basicNack(second.getEnvelope().getDeliveryTag(), false, true);
        List<?> deaths = (List<?>) take("the letter", letters).getProperties().getHeaders().get("x-death");
        Map<?, ?> death = (Map<?, ?>) deaths.get(0);
        expect("count of deaths", death.get("count"), 1L);
        expect("reason", death.get("reason").toString(), "delivery_limit");
        channel.queueDelete(queue);
    }

    static void stream(Connection connection) throws Exception {
        Channel channel = confirming(connection);
        String queue = unique("stream");
        channel.queueDeclare(queue, true, false, false, Map.of("x-queue-type", "stream", "x-max-age", "1D"));
        for (int number = 0; number < 20; number++) {
            send(channel, queue, null, number);
        }
        for (long from : new long[] {0, 5}) {
            Channel reading = connection.createChannel();
            reading.basicQos(100);
            BlockingQueue<Delivery> got = new LinkedBlockingQueue<>();
            Object offset = from == 0 ? "first" : from;
            reading.basicConsume(queue, false, Map.of("x-stream-offset", offset), (tag, delivery) -> got.add(delivery), tag -> {});
            for (long number = from; number < 20; number++) {
                Delivery delivery = take("a delivery", got);
                expect("body", new String(delivery.getBody()), String.valueOf(number));
                expect("offset", delivery.getProperties().getHeaders().get("x-stream-offset"), number);
                reading.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
            }
            reading.close();
        }
        channel.queueDelete(queue);
    }

    /** A container that listens as Spring's defaults have it, but that what fails is rejected, not requeued. */
    static DirectMessageListenerContainer listen(CachingConnectionFactory factory, String queue, MessageListener listener) {
        DirectMessageListenerContainer container = new DirectMessageListenerContainer(factory);
        container.setQueueNames(queue);
        container.setDefaultRequeueRejected(false);
        container.setErrorHandler(new ConditionalRejectingErrorHandler(trouble -> false));
        container.setMessageListener(listener);
        container.setShutdownTimeout(500);
        container.start();
        return container;
    }

    static CachingConnectionFactory spring() throws Exception {
        return new CachingConnectionFactory(Misuse.factory());
    }

    /** The pattern of Spring's documentation: a queue to wait in, and x-death counts the attempts. */
    static void springRetries(Connection connection) throws Exception {
        Channel channel = confirming(connection);
        String work = unique("work");
        String wait = unique("wait");
        Map<String, Object> toWait = Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", wait);
        Map<String, Object> toWork = Map.of(
            "x-dead-letter-exchange", "", "x-dead-letter-routing-key", work, "x-message-ttl", 40);
        channel.queueDeclare(work, true, false, false, toWait);
        channel.queueDeclare(wait, true, false, false, toWork);
        BlockingQueue<Message> done = new LinkedBlockingQueue<>();
        List<Long> counts = new ArrayList<>();
        CachingConnectionFactory factory = spring();
        DirectMessageListenerContainer container = listen(factory, work, message -> {
            List<Map<String, ?>> deaths = message.getMessageProperties().getXDeathHeader();
            Long count = deaths == null ? null : (Long) deaths.stream()
                .filter(death -> work.equals(death.get("queue")) && "rejected".equals(death.get("reason")))
                .findFirst().orElseThrow().get("count");
            counts.add(count);
            if (count == null || count < 3) {
                throw new AmqpRejectAndDontRequeueException("not yet");
            }
            done.add(message);
        });
        try {
            new RabbitTemplate(factory).convertAndSend(work, "job");
            expect("body", new String(take("done", done).getBody()), "job");
            expect("counts", counts, Arrays.asList(null, 1L, 2L, 3L));
        } finally {
            container.stop();
            factory.destroy();
            channel.queueDelete(work);
            channel.queueDelete(wait);
        }
    }

    /** After its attempts the application puts a message aside, with what it has been told of it. */
    static void springDelivery(Connection connection) throws Exception {
        Channel channel = confirming(connection);
        String parked = own(channel, null);
        String work = unique("work");
        channel.queueDeclare(work, true, false, false, Map.of(
            "x-queue-type", "quorum", "x-delivery-limit", 3,
            "x-dead-letter-exchange", "", "x-dead-letter-routing-key", parked));
        BlockingQueue<Delivery> letters = Main.consume(channel, parked);
        List<Object> counts = new ArrayList<>();
        CachingConnectionFactory factory = spring();
        DirectMessageListenerContainer container = listen(factory, work, message -> {
            counts.add(message.getMessageProperties().getHeaders().get("x-delivery-count"));
            throw new ImmediateRequeueAmqpException("again");
        });
        try {
            RabbitTemplate template = new RabbitTemplate(factory);
            template.convertAndSend(work, "job", message -> {
                message.getMessageProperties().setHeader("mine", 1);
                return message;
            });
            Delivery letter = take("the letter", letters);
            expect("header", letter.getProperties().getHeaders().get("mine"), 1);
            expect("reason", letter.getProperties().getHeaders().get("x-first-death-reason").toString(), "delivery_limit");
            expect("counts", counts, Arrays.asList(null, 1L, 2L, 3L));
        } finally {
            container.stop();
            factory.destroy();
            channel.queueDelete(work);
        }
    }

    static void springDelays(Connection connection) throws Exception {
        String exchange = unique("x");
        Map<String, Object> arguments = Map.of("x-delayed-type", "direct");
        Channel channel = confirming(connection);
        try {
            channel.exchangeDeclare(exchange, "x-delayed-message", true, false, arguments);
        } catch (java.io.IOException refused) {
            if (isRabbit(connection) && Misuse.said(refused).text().contains("unknown exchange type")) {
                throw new Suite.Skip("x-delayed-message: its plugin is not enabled");
            }
            throw refused;
        }
        String queue = own(channel, null);
        channel.queueBind(queue, exchange, "k");
        CachingConnectionFactory factory = spring();
        try {
            RabbitTemplate template = new RabbitTemplate(factory);
            long began = System.nanoTime();
            template.convertAndSend(exchange, "k", "late", message -> {
                message.getMessageProperties().setDelay(200);
                return message;
            });
            template.convertAndSend(exchange, "k", "now");
            BlockingQueue<Delivery> deliveries = Main.consume(channel, queue);
            expect("first", new String(take("the first", deliveries).getBody()), "now");
            expect("second", new String(take("the second", deliveries).getBody()), "late");
            expect("in time", System.nanoTime() - began >= 195_000_000L, true);
        } finally {
            factory.destroy();
            channel.exchangeDelete(exchange);
        }
    }
}
