package interop;

import static interop.Suite.unique;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The Java client against the table of misuse: exact codes and texts, as its shutdown signals carry them. */
final class Misuse {
    private static final byte[] BODY = {'m'};
    private static final Map<String, Way> WAYS = new TreeMap<>();

    interface Way {
        void go(Channel channel, String name) throws Exception;
    }

    private Misuse() {}

    static {
        WAYS.put("passive-queue", (c, n) -> c.queueDeclarePassive(n));
        WAYS.put("passive-exchange", (c, n) -> c.exchangeDeclarePassive(n));
        WAYS.put("consume-missing", (c, n) -> c.basicConsume(n, new DefaultConsumer(c)));
        WAYS.put("get-missing", (c, n) -> c.basicGet(n, true));
        WAYS.put("purge-missing", (c, n) -> c.queuePurge(n));
        WAYS.put("bind-missing-queue", (c, n) -> c.queueBind(n, "amq.direct", "k"));
        WAYS.put("bind-missing-exchange", (c, n) -> c.queueBind(own(c), n, "k"));
        WAYS.put("exchange-bind-missing", (c, n) -> c.exchangeBind("amq.direct", n, "k"));
        WAYS.put("publish-missing", (c, n) -> {
            c.basicPublish(n, "k", null, BODY);
            c.basicQos(0);
        });
        WAYS.put("no-last-queue", (c, n) -> c.queuePurge(""));
        WAYS.put("reserved-queue", (c, n) -> c.queueDeclare(n, false, false, false, null));
        WAYS.put("reserved-exchange", (c, n) -> c.exchangeDeclare(n, "direct"));
        WAYS.put("delete-reserved", (c, n) -> c.exchangeDelete(n));
        WAYS.put("bind-default", (c, n) -> c.queueBind(own(c), "", "k"));
        WAYS.put("publish-internal", (c, n) -> {
            c.exchangeDeclare(n, "direct", false, false, true, null);
            c.basicPublish(n, "k", null, BODY);
            c.basicQos(0);
        });
        WAYS.put("exclusive-consumer", (c, n) -> {
            c.queueDeclare(n, false, false, false, null);
            c.basicConsume(n, false, "", false, true, null, new DefaultConsumer(c));
            c.basicConsume(n, new DefaultConsumer(c));
        });
        WAYS.put("exclusive-queue", (c, n) -> {
            try (Connection other = factory().newConnection()) {
                other.createChannel().queueDeclare(n, false, true, false, null);
                c.basicGet(n, true);
            }
        });
        WAYS.put("inequivalent-exclusive", (c, n) -> twice(c, n, false, true, false));
        WAYS.put("inequivalent-durable", (c, n) -> twice(c, n, true, false, false));
        WAYS.put("inequivalent-auto-delete", (c, n) -> twice(c, n, false, false, true));
        WAYS.put("inequivalent-type", (c, n) -> {
            c.exchangeDeclare(n, "direct");
            c.exchangeDeclare(n, "fanout");
        });
        WAYS.put("inequivalent-exchange-durable", (c, n) -> {
            c.exchangeDeclare(n, "direct", false);
            c.exchangeDeclare(n, "direct", true);
        });
        WAYS.put("inequivalent-internal", (c, n) -> {
            c.exchangeDeclare(n, "direct");
            c.exchangeDeclare(n, "direct", false, false, true, null);
        });
        WAYS.put("queue-in-use", (c, n) -> {
            c.queueDeclare(n, false, false, false, null);
            c.basicConsume(n, new DefaultConsumer(c));
            c.queueDelete(n, true, false);
        });
        WAYS.put("queue-not-empty", (c, n) -> {
            c.confirmSelect();
            c.queueDeclare(n, false, false, false, null);
            c.basicPublish("", n, null, BODY);
            c.waitForConfirmsOrDie();
            c.queueDelete(n, false, true);
        });
        WAYS.put("exchange-in-use", (c, n) -> {
            c.exchangeDeclare(n, "direct");
            c.queueBind(own(c), n, "k");
            c.exchangeDelete(n, true);
        });
        WAYS.put("unknown-tag", (c, n) -> {
            c.basicAck(99, false);
            c.basicQos(0);
        });
        WAYS.put("ack-twice", (c, n) -> {
            c.queueDeclare(n, false, false, false, null);
            c.basicPublish("", n, null, BODY);
            long[] tag = {0};
            Suite.waitUntil("the message", () -> {
                var got = c.basicGet(n, false);
                tag[0] = got == null ? 0 : got.getEnvelope().getDeliveryTag();
                return got != null;
            });
            c.basicAck(tag[0], false);
            c.basicAck(tag[0], false);
            c.basicQos(0);
        });
        WAYS.put("commit-without-select", (c, n) -> c.txCommit());
        WAYS.put("tx-on-confirm", (c, n) -> {
            c.confirmSelect();
            c.txSelect();
        });
        WAYS.put("confirm-on-tx", (c, n) -> {
            c.txSelect();
            c.confirmSelect();
        });
        WAYS.put("unknown-type", (c, n) -> c.exchangeDeclare(n, n));
        WAYS.put("tag-reuse", (c, n) -> {
            c.queueDeclare(n, false, false, false, null);
            c.basicConsume(n, false, n, new DefaultConsumer(c));
            c.basicConsume(n, false, n, new DefaultConsumer(c));
        });
        WAYS.put("prefetch-size", (c, n) -> c.basicQos(10, 0, false));
        WAYS.put("immediate", (c, n) -> {
            c.basicPublish("", n, false, true, null, BODY);
            c.basicQos(0);
        });
        WAYS.put("recover-false", (c, n) -> c.basicRecover(false));
        WAYS.put("second-open", (c, n) -> c.rpc(new AMQP.Channel.Open.Builder().build()));
        WAYS.put("vhost-missing", (c, n) -> {
            ConnectionFactory elsewhere = factory();
            elsewhere.setVirtualHost(n);
            elsewhere.newConnection().close();
        });
        WAYS.put("bad-password", (c, n) -> {
            ConnectionFactory stranger = factory();
            stranger.setPassword(n);
            stranger.newConnection().close();
        });
    }

    static ConnectionFactory factory() throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(Suite.URL);
        factory.setAutomaticRecoveryEnabled(false);
        // The path of "amqp://host:port/" is an empty vhost in the letter of the URI.
        factory.setVirtualHost("/");
        return factory;
    }

    private static String own(Channel channel) throws Exception {
        return channel.queueDeclare().getQueue();
    }

    private static void twice(Channel channel, String name, boolean durable, boolean exclusive, boolean autoDelete)
            throws Exception {
        channel.queueDeclare(name, false, false, false, null);
        channel.queueDeclare(name, durable, exclusive, autoDelete, null);
    }

    static void run() throws Exception {
        Map<String, List<Suite.Answer>> table = Suite.misuseTable();
        WAYS.forEach((kind, way) -> Suite.attempt("misuse-" + kind, () -> provoke(kind, way, table.get(kind))));
    }

    private static void provoke(String kind, Way way, List<Suite.Answer> wanted) throws Exception {
        String name = switch (kind) {
            case "delete-reserved" -> "amq.direct";
            case "reserved-queue", "reserved-exchange" -> "amq." + unique("m");
            default -> unique("m");
        };
        Connection connection = factory().newConnection();
        try {
            way.go(connection.createChannel(), name);
            throw new AssertionError("the broker did not mind");
        } catch (AuthenticationFailureException refused) {
            Suite.checkMisuse(wanted, name, new Suite.Answer(403, refused.getMessage()));
        } catch (Exception closed) {
            Suite.checkMisuse(wanted, name, said(closed));
        } finally {
            connection.abort();
        }
        try (Connection cleaning = factory().newConnection()) {
            Channel cleaner = cleaning.createChannel();
            if (!name.startsWith("amq.")) {
                cleaner.queueDelete(name);
                cleaner.exchangeDelete(name);
            }
        }
    }

    /** The broker's words, out of whatever wraps them. */
    static Suite.Answer said(Throwable trouble) throws Exception {
        for (Throwable cause = trouble; cause != null; cause = cause.getCause()) {
            if (cause instanceof ShutdownSignalException signal) {
                Object reason = signal.getReason();
                if (reason instanceof AMQP.Channel.Close close) {
                    return new Suite.Answer(close.getReplyCode(), close.getReplyText());
                }
                if (reason instanceof AMQP.Connection.Close close) {
                    return new Suite.Answer(close.getReplyCode(), close.getReplyText());
                }
            }
        }
        if (trouble instanceof AlreadyClosedException) {
            throw new AssertionError("closed without a reason", trouble);
        }
        throw new AssertionError("not the broker's words: " + trouble, trouble);
    }
}
