"""Moving house: what a RabbitMQ built by hand exports, Lockgate takes in, serves by, and gives out again so that
RabbitMQ takes it back. Prints one line per case as interop/run expects it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pika

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import estate  # noqa: E402
from rabbit import Rabbit, free_port  # noqa: E402

LOCKGATE = os.environ.get("INTEROP_BINARY")
LISTS = [
    "users", "vhosts", "permissions", "topic_permissions", "parameters",
    "global_parameters", "policies", "queues", "exchanges", "bindings",
]
_cases = []


def case(function):
    _cases.append(function)
    return function


def expect(holds, why):
    if not holds:
        raise AssertionError(why)


def plain(value):
    """Where RabbitMQ writes one thing in two ways, one of them."""
    if isinstance(value, list):
        if value and all(isinstance(v, list) and len(v) == 2 and isinstance(v[0], str) for v in value):
            return {k: plain(v) for k, v in value}
        return [plain(v) for v in value]
    if isinstance(value, dict):
        all_of_it = {k: plain(v) for k, v in value.items()}
        for name in ("tags", "limits"):
            if name in all_of_it and all_of_it[name] in ("", {}, []):
                all_of_it[name] = []
        return all_of_it
    return value


def objects(definitions, name):
    return {json.dumps(plain(v), sort_keys=True, ensure_ascii=False) for v in definitions[name]}


def differences(ours, theirs):
    """What is in one and not in the other, of what RabbitMQ would take in again."""
    found = []
    for name in LISTS:
        there, here = ({o for o in objects(side, name) if "amq.gen-" not in o} for side in (theirs, ours))
        found += [f"only theirs, {name}: {o}" for o in sorted(there - here)]
        found += [f"only ours, {name}: {o}" for o in sorted(here - there)]
    return found


class Lockgate:
    """A broker on a data directory of its own."""

    def __init__(self, folder):
        self.data, self.port = Path(folder, "data"), free_port()
        self.start()

    def start(self):
        out = Path(self.data.parent, "out")
        self.child = subprocess.Popen(
            [LOCKGATE, "serve", "--data-dir", str(self.data), "--listen", f"amqp=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=open(out, "wb"), stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while b"\nready" not in out.read_bytes():
            expect(self.child.poll() is None and time.monotonic() < deadline, "lockgate does not start")
            time.sleep(0.02)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def definitions(self, *words, feed=None):
        done = subprocess.run(
            [LOCKGATE, "definitions", *words, "--data-dir", str(self.data)], input=feed,
            stdin=None if feed is not None else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        expect(done.returncode == 0, f"definitions {' '.join(words)}: {done.stdout}")
        return done.stdout


def connect(port, user, password, vhost):
    parameters = pika.ConnectionParameters("127.0.0.1", port, vhost, pika.PlainCredentials(user, password))
    return pika.BlockingConnection(parameters)


def refused(port, user, password, vhost):
    try:
        connect(port, user, password, vhost).close()
    except pika.exceptions.AMQPError as why:
        return f"{type(why).__name__} {why}"
    raise AssertionError(f"{user} came into {vhost}")


@case
def what_rabbitmq_exports_comes_out_again(rabbit, ours):
    estate.build(rabbit)
    text = rabbit.export()
    said = ours.definitions("import", "-", feed=text)
    expect("bad:" not in said, said)
    left = differences(json.loads(ours.definitions("export")), json.loads(text))
    expect(not left, "; ".join(left))


@case
def it_is_there_after_kill_9(rabbit, ours):
    before = json.loads(ours.definitions("export"))
    ours.kill()
    ours.start()
    after = json.loads(ours.definitions("export"))
    for name in LISTS:
        lasting = [o for o in before[name] if o.get("durable", True)]
        if name != "bindings":
            expect(objects(after, name) == objects({name: lasting}, name), f"{name} differ")


@case
def users_come_in_with_their_old_passwords(rabbit, ours):
    for name, _, password, _, _, permissions in estate.USERS:
        for vhost in permissions:
            if password is None:
                refused(ours.port, name, "gone", vhost)
            else:
                connect(ours.port, name, password, vhost).close()
                refused(ours.port, name, password + "!", vhost)


@case
def who_has_no_rights_is_refused_in_rabbitmqs_words(rabbit, ours):
    for user, password, vhost in (("nowhere", "n", "/"), ("veteran", "since 2011", "shop")):
        theirs, here = refused(rabbit.port, user, password, vhost), refused(ours.port, user, password, vhost)
        expect(theirs == here, f"{theirs} / {here}")


@case
def applications_redeclare_what_they_have(rabbit, ours):
    for vhost in ("/", "shop", estate.ODD):
        estate.declare(ours.port, vhost)


@case
def limits_are_held_in_rabbitmqs_words(rabbit, ours):
    told = []
    for port in (rabbit.port, ours.port):
        peers = [connect(port, "limited", "l", estate.ODD) for _ in range(3)]
        told.append(refused(port, "limited", "l", estate.ODD))
        for peer in peers:
            peer.close()
        peer = connect(port, "limited", "l", estate.ODD)
        try:
            for _ in range(21):
                peer.channel()
        except pika.exceptions.AMQPError as why:
            told[-1] += f" {why}"
    expect(told[0] == told[1] and "maximum allowed user limit of (20)" in told[0], " / ".join(told))


@case
def policies_do_the_same(rabbit, ours):
    """What only a policy asks for: a full queue's new messages die, and where their letters go."""
    told = []
    for port in (rabbit.port, ours.port):
        peer = connect(port, "admin", "adm1n pässword", "shop")
        channel = peer.channel()
        channel.queue_bind("unknown", "dead", "")
        channel.queue_declare("orders-rush", durable=True, arguments={"x-max-length": 1})
        channel.confirm_delivery()
        for n in range(3):
            try:
                channel.basic_publish("", "orders-rush", b"%d" % n, pika.BasicProperties(delivery_mode=2))
            except pika.exceptions.NackError:
                pass
        deadline, got = time.monotonic() + 10, []
        while len(got) < 2 and time.monotonic() < deadline:
            method, properties, body = channel.basic_get("unknown", auto_ack=True)
            if method is not None:
                death = (properties.headers or {}).get("x-death", [{}])[0]
                got.append((method.routing_key, body, death.get("queue"), death.get("reason")))
        told.append(sorted(got))
        channel.queue_delete("orders-rush")
        channel.queue_unbind("unknown", "dead", "")
        peer.close()
    expect(told[0] == told[1] and len(told[0]) == 2, f"{told[0]} / {told[1]}")


@case
def rabbitmq_takes_it_back(rabbit, ours):
    """Into a fresh RabbitMQ, whose export then says what ours did, but for keys that only we keep."""
    told = {"users": [{"name": "told", "password": "t", "tags": ""}]}
    ours.definitions("import", "-", feed=json.dumps(told))
    text = ours.definitions("export")
    mine = json.loads(text)
    kept = [user.pop("scram_sha_256") for user in mine["users"] if "scram_sha_256" in user]
    expect(len(kept) == 1, f"keys of {len(kept)} users")
    back = Rabbit()
    try:
        path = back.folder / "ours.json"
        path.write_text(text)
        back.ctl("enable_feature_flag", "all")
        back.ctl("import_definitions", str(path))
        left = differences(mine, json.loads(back.export()))
        expect(not left, "; ".join(left))
        said = back.ctl("authenticate_user", "told", "t")
        expect("Success" in said, said)
    finally:
        back.stop()


def main():
    import traceback

    with tempfile.TemporaryDirectory(prefix="interop-definitions-") as folder:
        rabbit, ours = None, None
        try:
            rabbit, ours = Rabbit(), Lockgate(folder)
            for function in _cases:
                name = function.__name__.replace("_", "-")
                try:
                    function(rabbit, ours)
                    print(f"ok {name}", flush=True)
                except Exception as trouble:  # noqa: BLE001 a case may fail in any way
                    text = " ".join(str(trouble).split())
                    print(f"FAIL {name}: {type(trouble).__name__}: {text}", flush=True)
                    traceback.print_exception(trouble, file=sys.stdout)
            print(f"done {len(_cases)}", flush=True)
        finally:
            if rabbit:
                rabbit.stop()
            if ours:
                ours.kill()


if __name__ == "__main__":
    if not LOCKGATE:
        names = [function.__name__.replace("_", "-") for function in _cases]
        for name in names:
            print(f"skip {name}: the broker under test is not ours to start")
        print(f"done {len(names)}")
        sys.exit(0)
    main()
