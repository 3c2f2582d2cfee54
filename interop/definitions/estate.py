"""A broker as somebody has built it by hand over the years: all that definitions can say, with odd names."""

import json

import pika

ODD = "od d/näme%2f.*#"

# name, hashing, password (None: has none), tags, limits, permissions by virtual host
USERS = [
    ("admin", "sha256", "adm1n pässword", ["administrator"], None, {"/": (".*", ".*", ".*"), "shop": (".*", ".*", ".*")}),
    ("monitor", "sha512", "look, don't touch", ["monitoring", "custom tag"], None, {"/": ("", "", ".*")}),
    ("veteran", "md5", "since 2011", [], None, {"/": ("^veteran\\..*", "^(veteran|amq\\.topic)$", ".*")}),
    ("certificate", "sha256", None, [], None, {"shop": ("^$", "^x-.*", "^$")}),
    ("limited", "sha256", "l", [], {"max-connections": 3, "max-channels": 20}, {ODD: (".*", ".*", ".*")}),
    ("nowhere", "sha256", "n", ["policymaker"], None, {}),
]

LIMITED_VHOST_CONNECTIONS = 1000

POLICIES = [
    # vhost, name, pattern, apply-to, priority, definition
    ("/", "ha-all", r"^ha\.", "all", 0, {"ha-mode": "all", "ha-sync-mode": "automatic", "ha-promote-on-shutdown": "always"}),
    ("/", "ha-two", r"^ha2\.", "queues", 1, {"ha-mode": "exactly", "ha-params": 2, "ha-sync-batch-size": 50}),
    ("/", "ha-named", r"^ha3\.", "queues", 1, {"ha-mode": "nodes", "ha-params": ["rabbit@a", "rabbit@b"]}),
    ("/", "not-ours", r"^(?!amq\.).*", "queues", -5, {"queue-mode": "lazy", "queue-version": 2}),
    ("shop", "dlx", r"^orders", "queues", 7, {"dead-letter-exchange": "dead", "dead-letter-routing-key": "late", "message-ttl": 86400000, "max-length": 100000, "overflow": "reject-publish-dlx"}),
    ("shop", "alternate", r"^in$", "exchanges", 0, {"alternate-exchange": "unrouted"}),
    ("shop", "streams", r"^log\.", "queues", 3, {"max-age": "7D", "stream-max-segment-size-bytes": 1000000, "max-length-bytes": 10000000}),
    ("shop", "quorum", r"^q-", "queues", 2, {"delivery-limit": 5, "dead-letter-strategy": "at-least-once", "overflow": "reject-publish", "max-in-memory-length": 10, "max-in-memory-bytes": 1000, "queue-leader-locator": "balanced"}),
    (ODD, "expiry " + ODD, "", "all", 0, {"expires": 100000000, "max-length-bytes": 5000000}),
]

OPERATOR_POLICIES = [
    ("shop", "cap", ".*", "queues", 9, {"max-length": 50000, "message-ttl": 604800000}),
    ("shop", "cap-bytes", "^never$", "queues", 1, {"max-length-bytes": 1, "expires": 5000000, "delivery-limit": 3}),
]

PARAMETERS = [
    ("shop", "federation-upstream", "other", {"uri": "amqp://localhost:1", "expires": 3600000, "ack-mode": "on-confirm"}),
]

# vhost, name, type, durable, auto_delete, internal, arguments
EXCHANGES = [
    ("/", "veteran.direct", "direct", True, False, False, {}),
    ("/", "veteran.headers", "headers", True, False, False, {}),
    ("/", "passing", "fanout", False, True, False, {}),
    ("shop", "in", "topic", True, False, False, {}),
    ("shop", "dead", "fanout", True, False, False, {}),
    ("shop", "unrouted", "fanout", True, False, False, {}),
    ("shop", "spread", "x-consistent-hash", True, False, False, {"hash-header": "customer"}),
    ("shop", "dice", "x-random", True, False, False, {}),
    ("shop", "shards", "x-modulus-hash", True, False, False, {}),
    ("shop", "recent", "x-recent-history", True, False, False, {"x-recent-history-length": 7}),
    ("shop", "with-alternate", "direct", True, False, False, {"alternate-exchange": "unrouted", "x-note": "kept"}),
    (ODD, ODD, "topic", True, True, False, {}),
]

# vhost, name, durable, auto_delete, arguments
QUEUES = [
    ("/", "plain", True, False, {}),
    ("/", "fleeting", False, False, {}),
    ("/", "passing", True, True, {}),
    ("/", "ha.mirrored", True, False, {}),
    ("shop", "orders", True, False, {"x-max-length": 200000, "x-message-ttl": 3600000}),
    ("shop", "all-of-it", True, False, {
        "x-max-length": 10, "x-max-length-bytes": 100000, "x-overflow": "drop-head", "x-expires": 1800000,
        "x-message-ttl": 60000, "x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "k",
        "x-max-priority": 10, "x-single-active-consumer": True, "x-queue-type": "classic", "x-queue-mode": "lazy",
        "x-queue-version": 2, "x-queue-master-locator": "min-masters",
    }),
    ("shop", "unknown", True, False, {}),
    ("shop", "q-work", True, False, {"x-queue-type": "quorum", "x-delivery-limit": 4, "x-quorum-initial-group-size": 3, "x-max-in-memory-length": 5}),
    ("shop", "log.events", True, False, {"x-queue-type": "stream", "x-max-age": "30D", "x-stream-max-segment-size-bytes": 2000000, "x-max-length-bytes": 20000000, "x-initial-cluster-size": 1}),
    (ODD, ODD, True, False, {}),
    (ODD, "", True, False, {}),
]

# vhost, source, destination, kind, key, arguments
BINDINGS = [
    ("/", "amq.topic", "plain", "queue", "a.*.#", {}),
    ("/", "amq.topic", "plain", "queue", "", {}),
    ("/", "veteran.headers", "plain", "queue", "", {"x-match": "any", "format": "pdf", "size": 3, "urgent": True, "weight": 5000000000}),
    ("/", "veteran.headers", "plain", "queue", "", {"x-match": "all", "type": "report"}),
    ("/", "veteran.direct", "amq.fanout", "exchange", "loud", {}),
    ("/", "passing", "fleeting", "queue", "", {}),
    ("shop", "in", "orders", "queue", "order.#", {"note": ["a", 1, {"deep": [True, "é"]}]}),
    ("shop", "dead", "all-of-it", "queue", "", {}),
    ("shop", "unrouted", "unknown", "queue", "", {}),
    ("shop", "spread", "orders", "queue", "10", {}),
    ("shop", "spread", "unknown", "queue", "20", {}),
    ("shop", "recent", "q-work", "queue", "", {}),
    ("shop", "in", "log.events", "queue", "#", {}),
    (ODD, ODD, ODD, "queue", ODD + "ключ", {}),
]


def build(rabbit):
    """Builds all of it in a fresh RabbitMQ."""
    ctl = rabbit.ctl
    ctl("enable_feature_flag", "all")
    ctl("add_vhost", "shop", "--description", "The shop, since 2019", "--tags", "production,eu", "--default-queue-type", "classic")
    ctl("add_vhost", ODD)
    for name, hashing, password, tags, limits, permissions in USERS:
        ctl("eval", f"application:set_env(rabbit, password_hashing_module, rabbit_password_hashing_{hashing}).")
        ctl("add_user", "--", name, password or "gone")
        if password is None:
            ctl("clear_password", name)
        ctl("set_user_tags", name, *tags)
        if limits:
            ctl("set_user_limits", name, json.dumps(limits))
        for vhost, (configure, write, read) in permissions.items():
            ctl("set_permissions", "-p", vhost, name, configure, write, read)
    ctl("eval", "application:set_env(rabbit, password_hashing_module, rabbit_password_hashing_sha256).")
    for vhost in ("shop", ODD):
        ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
    ctl("set_topic_permissions", "veteran", "amq.topic", "^{username}\\.", ".*")
    ctl("set_topic_permissions", "-p", "shop", "admin", "in", "^order\\.", "^order\\.(eu|us)")
    ctl("set_vhost_limits", "-p", "shop", json.dumps({"max-connections": LIMITED_VHOST_CONNECTIONS, "max-queues": 500}))
    ctl("set_vhost_limits", "-p", ODD, json.dumps({"max-queues": -1}))
    for vhost, name, pattern, apply_to, priority, definition in POLICIES:
        ctl("set_policy", "-p", vhost, "--priority", str(priority), "--apply-to", apply_to, name, pattern, json.dumps(definition))
    for vhost, name, pattern, apply_to, priority, definition in OPERATOR_POLICIES:
        ctl("set_operator_policy", "-p", vhost, "--priority", str(priority), "--apply-to", apply_to, name, pattern, json.dumps(definition))
    for vhost, component, name, value in PARAMETERS:
        ctl("set_parameter", "-p", vhost, component, name, json.dumps(value))
    ctl("set_global_parameter", "mqtt_default_vhosts", json.dumps({"O=client,CN=guest": "/"}))
    ctl("set_cluster_name", "the old one")
    for vhost in ("/", "shop", ODD):
        declare(rabbit.port, vhost)


def declare(port, vhost):
    """Declares what belongs in one virtual host, as an application does."""
    login = pika.PlainCredentials("guest", "guest")
    peer = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, vhost, login))
    channel = peer.channel()
    for where, name, kind, durable, auto_delete, internal, arguments in EXCHANGES:
        if where == vhost:
            channel.exchange_declare(name, kind, durable=durable, auto_delete=auto_delete, internal=internal, arguments=arguments)
    for where, name, durable, auto_delete, arguments in QUEUES:
        if where == vhost:
            channel.queue_declare(name, durable=durable, auto_delete=auto_delete, arguments=arguments)
    for where, source, destination, kind, key, arguments in BINDINGS:
        if where != vhost:
            continue
        if kind == "queue":
            channel.queue_bind(destination, source, key, arguments)
        else:
            channel.exchange_bind(destination, source, key, arguments)
    peer.close()
