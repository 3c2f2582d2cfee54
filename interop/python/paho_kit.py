"""paho-mqtt as the suites use it: every version by the same few verbs, what comes kept in queues."""

import queue
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from suite import DEADLINE_SECONDS, MQTT, marked, unique

V31, V311, V5 = mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5
PLACE = urllib.parse.urlsplit(MQTT)
# Nothing more is to come: how long that is looked for.
QUIET_SECONDS = 0.4


def topic(*levels):
    """A topic that no other case uses."""
    return "/".join([unique("t"), *levels])


def plain_topic(*levels):
    """The same without dots, which would come back from AMQP as levels."""
    return topic(*levels).replace(".", "-")


def properties(kind, **values):
    """Properties of a packet, by paho's names."""
    made = Properties(kind)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def publishing(**values):
    return properties(PacketTypes.PUBLISH, **values)


class Client:
    """A connected client."""

    def __init__(self, version=V5, name=None, *, clean=True, expiry=None, will=None, keepalive=60, user=PLACE.username,
                 password=PLACE.password, manual=False, connect=True, **wishes):
        self.version, self.name, self.clean, self.keepalive = version, unique("c") if name is None else name, clean, keepalive
        kind = {} if version == V5 else {"clean_session": clean}
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, self.name, protocol=version, manual_ack=manual, **kind)
        self.paho.username_pw_set(user, password)
        self.paho.max_queued_messages_set(0)
        self.paho.max_inflight_messages_set(20)
        if will:
            self.paho.will_set(**will)
        if expiry is not None:
            wishes["SessionExpiryInterval"] = expiry
        self.wishes = properties(PacketTypes.CONNECT, **wishes) if version == V5 else None
        self.messages, self.connected, self.ended = queue.Queue(), queue.Queue(), queue.Queue()
        self.granted, self.unsubscribed, self.acked = queue.Queue(), queue.Queue(), queue.Queue()
        self.paho.on_message = lambda client, userdata, message: self.messages.put(message)
        self.paho.on_connect = lambda client, userdata, flags, code, props: self.connected.put((flags, code, props))
        self.paho.on_disconnect = lambda client, userdata, flags, code, props: self.ended.put((flags, code, props))
        self.paho.on_subscribe = lambda client, userdata, mid, codes, props: self.granted.put([c.value for c in codes])
        self.paho.on_unsubscribe = lambda client, userdata, mid, codes, props: self.unsubscribed.put([c.value for c in codes])
        self.paho.on_publish = lambda client, userdata, mid, code, props: self.acked.put((mid, code.value))
        self.present = self.given = None
        if connect:
            self.connect()

    def connect(self):
        """Connects, and must be let in."""
        flags, code, self.given = self.try_connect()
        if code.is_failure:
            self.paho.loop_stop()
            raise AssertionError(f"not let in: {code}")
        self.present = flags.session_present
        return self

    def try_connect(self):
        """Connects once; what the broker says to it."""
        extra = {"clean_start": self.clean, "properties": self.wishes} if self.version == V5 else {}
        self.paho.connect(PLACE.hostname, PLACE.port or 1883, self.keepalive, **extra)
        self.paho.loop_start()
        return self.connected.get(timeout=DEADLINE_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.paho.disconnect()
        self.paho.loop_stop()

    def vanish(self):
        """Goes without a word."""
        self.paho.loop_stop()
        self.paho.socket().close()

    def subscribe(self, filter, qos=0, **options):
        """Subscribes and returns the code that is granted."""
        if options and self.version == V5:
            number = options.pop("label", None)
            extra = {"properties": properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=number)} if number else {}
            self.paho.subscribe(filter, options=SubscribeOptions(qos=qos, **options), **extra)
        else:
            self.paho.subscribe(filter, qos)
        return self.granted.get(timeout=DEADLINE_SECONDS)[0]

    def unsubscribe(self, filter):
        self.paho.unsubscribe(filter)
        return self.unsubscribed.get(timeout=DEADLINE_SECONDS)

    def publish(self, topic, payload=b"", qos=0, retain=False, properties=None):
        """Publishes and waits until that is done; the reason code."""
        info = self.paho.publish(topic, payload, qos, retain, properties)
        while True:
            mid, code = self.acked.get(timeout=DEADLINE_SECONDS)
            if mid == info.mid:
                return code

    def next(self):
        return self.messages.get(timeout=DEADLINE_SECONDS)

    def bodies(self, count):
        """That many payloads, as text."""
        return [self.next().payload.decode() for _ in range(count)]

    def quiet(self, what="nothing more"):
        """Nothing comes."""
        try:
            message = self.messages.get(timeout=QUIET_SECONDS)
        except queue.Empty:
            return
        raise AssertionError(f"{what}: {message.topic} {message.payload[:50]!r} came")

    def end(self):
        """How the broker ended it."""
        return self.ended.get(timeout=DEADLINE_SECONDS)


def each_version(function):
    """A case for 3.1.1 and one for 5."""
    name = function.__name__.replace("_", "-")
    marked(f"{name}-3.1.1", lambda: function(V311))
    marked(f"{name}-5", lambda: function(V5))
    return function


def lasting(version, name, **more):
    """A client whose session stays."""
    if version == V5:
        return Client(V5, name, clean=False, expiry=more.pop("expiry", 300), **more)
    return Client(version, name, clean=False, **more)


def forget(version, name):
    """Ends a session that stayed."""
    Client(version, name).__exit__()
