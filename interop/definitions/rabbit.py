"""A RabbitMQ of our own from Debian's package: on loopback, in a temporary folder, under a node name that is nobody else's."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

BIN = Path("/usr/lib/rabbitmq/bin")
START_SECONDS_MAX = 90
PLUGINS = [
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_sharding",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_federation",
    "rabbitmq_shovel",
]


def install():
    """Installs the package if it is missing, without starting its own server."""
    if (BIN / "rabbitmq-server").exists():
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", RUNLEVEL="1")
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "rabbitmq-server"]):
        subprocess.run([*root, "apt-get", *words], check=True, env=env, stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Rabbit:
    """A running server; end it with `stop`."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="interop-rabbit-"))
        self.port, dist = free_port(), free_port()
        self.node = f"interop-{uuid.uuid4().hex[:8]}@localhost"
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        (self.folder / "enabled_plugins").write_text(f"[{','.join(PLUGINS)}].\n")
        self.env = dict(
            os.environ,
            HOME=str(self.folder),
            LC_ALL="C.UTF-8",
            RABBITMQ_NODENAME=self.node,
            RABBITMQ_DIST_PORT=str(dist),
            RABBITMQ_CONFIG_FILE=str(self.folder / "rabbitmq.conf"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.folder / "enabled_plugins"),
            RABBITMQ_MNESIA_BASE=str(self.folder / "mnesia"),
            RABBITMQ_LOG_BASE=str(self.folder / "log"),
            RABBITMQ_SCHEMA_DIR=str(self.folder / "schema"),
            RABBITMQ_GENERATED_CONFIG_DIR=str(self.folder / "config"),
            RABBITMQ_PID_FILE=str(self.folder / "pid"),
            ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
        )
        self.child = subprocess.Popen(
            [str(BIN / "rabbitmq-server")], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
            stdout=open(self.folder / "out", "wb"), stderr=subprocess.STDOUT, start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.answers():
            if self.child.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "out").read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"RabbitMQ did not start: {said}")
            time.sleep(0.1)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as peer:
                peer.settimeout(2)
                peer.sendall(b"AMQP\0\0\x09\x01")
                return bool(peer.recv(1))
        except OSError:
            return False

    def ctl(self, *words, feed=None):
        """Runs rabbitmqctl and returns what it printed."""
        done = subprocess.run(
            [str(BIN / "rabbitmqctl"), "-n", self.node, "-q", *words], env=self.env, input=feed,
            stdin=None if feed is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(words)}: {done.stdout}")
        return done.stdout

    def export(self):
        """All definitions, as text."""
        path = self.folder / f"export-{uuid.uuid4().hex}.json"
        self.ctl("export_definitions", str(path))
        return path.read_text()

    def stop(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
