"""How each language's suites are installed and started; knows no broker.

A language is a function that installs what is missing and returns its suites.
Everything it makes lies where git ignores it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"


class Suite(NamedTuple):
    """A program that runs cases, and what it speaks."""

    name: str
    command: list
    folder: Path
    speaks: tuple = ("amqp",)


MQTT = ("mqtt",)
STOMP = ("stomp",)
BOTH = ("amqp", "mqtt")


def _quietly(command, cwd, **extra):
    """Runs a step; its output is shown only when it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **extra,
    )
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, command[0])


def _once(name, inputs, make):
    """Calls make() unless it has been done for exactly these input files."""
    digest = hashlib.sha256(b"".join(Path(path).read_bytes() for path in inputs)).hexdigest()
    stamp = CACHE / f"{name}.stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return
    CACHE.mkdir(exist_ok=True)
    make()
    stamp.write_text(digest)


def _venv():
    """The interpreter of a virtual environment with the pinned packages."""
    folder = CACHE / "venv"
    python = folder / "bin" / "python"
    pins = HERE / "python" / "requirements.txt"

    def make():
        shutil.rmtree(folder, ignore_errors=True)
        _quietly([sys.executable, "-m", "venv", folder], HERE)
        _quietly([python, "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r", pins], HERE)

    _once("python", [pins], make)
    return str(python)


def python():
    interpreter = _venv()
    folder = HERE / "python"
    return [
        Suite(f"python/{name}", [interpreter, "-B", f"{module}.py"], folder, speaks)
        for name, module, speaks in (
            ("pika", "pika_suite", ("amqp",)),
            ("pika-features", "pika_features", ("amqp",)),
            ("aio-pika", "aio_pika_suite", ("amqp",)),
            ("kombu", "kombu_suite", ("amqp",)),
            ("celery", "celery_suite", ("amqp",)),
            ("paho", "paho_suite", MQTT),
            ("gmqtt", "gmqtt_suite", MQTT),
            ("aiomqtt", "aiomqtt_suite", MQTT),
            ("reasons", "mqtt_reasons", MQTT),
            ("crossing", "crossing_suite", BOTH),
            ("stomp", "stomp_suite", STOMP),
        )
    ]


def node():
    folder = HERE / "node"
    lock = folder / "package-lock.json"
    if not (folder / "node_modules").is_dir():
        (CACHE / "node.stamp").unlink(missing_ok=True)
    _once("node", [lock], lambda: _quietly(["npm", "ci", "--no-fund", "--no-audit"], folder))
    return [
        Suite("node", ["node", "main.js"], folder),
        Suite("node/features", ["node", "features.js"], folder),
        Suite("node/mqtt", ["node", "mqtt.js"], folder, MQTT),
        Suite("node/stomp", ["node", "stomp.js"], folder, STOMP),
    ]


def go():
    folder = HERE / "go"
    program = CACHE / "interop-go"
    CACHE.mkdir(exist_ok=True)
    _quietly(["go", "build", "-buildvcs=false", "-o", program, "."], folder)
    return [
        Suite("go", [str(program)], folder),
        Suite("go/mqtt", [str(program), "mqtt"], folder, MQTT),
        Suite("go/stomp", [str(program), "stomp"], folder, STOMP),
    ]


def java():
    folder = HERE / "java"
    if not (folder / "target" / "lib").is_dir():
        (CACHE / "java.stamp").unlink(missing_ok=True)
    inputs = [folder / "pom.xml", *sorted((folder / "src").rglob("*.java"))]
    _once("java", inputs, lambda: _quietly(["mvn", "-q", "-B", "clean", "compile"], folder))
    run = ["java", "-XX:+UseSerialGC", "-cp", "target/classes:target/lib/*"]
    return [
        Suite("java", [*run, "interop.Main"], folder),
        Suite("java/paho", [*run, "interop.PahoMain"], folder, MQTT),
        Suite("java/hivemq", [*run, "interop.HivemqMain"], folder, MQTT),
    ]


def cargo_executable(folder, name, *arguments):
    """Builds, and finds the executable wherever cargo's target directory is."""
    built = subprocess.run(
        ["cargo", "build", "--message-format=json-render-diagnostics", *arguments],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )
    if built.returncode:
        raise subprocess.CalledProcessError(built.returncode, "cargo build")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return message["executable"]
    raise OSError(f"cargo built no executable named {name}")


def rust():
    folder = HERE / "rust"
    program = cargo_executable(folder, "lockgate-interop", "--quiet", "--locked")
    return [Suite("rust", [program], folder), Suite("rust/rumqttc", [program, "mqtt"], folder, MQTT)]


def _packages(needed):
    """Installs Debian packages unless their programs are there: {program: package}."""
    missing = [package for program, package in needed.items() if not shutil.which(program)]
    if missing:
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        _quietly([*root, "apt-get", "update", "-qq"], HERE, env=quiet)
        _quietly([*root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], HERE, env=quiet)


def c():
    _packages({"amqp-publish": "amqp-tools", "mosquitto_pub": "mosquitto-clients"})
    return [Suite("c", ["./suite.sh"], HERE / "c"), Suite("c/mosquitto", ["./mqtt.sh"], HERE / "c", MQTT)]


def browser():
    """Pages in a real browser, and the same libraries in Node, over WebSocket."""
    folder = HERE / "browser"
    if not (folder / "node_modules").is_dir():
        (CACHE / "browser.stamp").unlink(missing_ok=True)
    _once("browser", [folder / "package-lock.json"], lambda: _quietly(["npm", "ci", "--no-fund", "--no-audit"], folder))
    # As it is called where Debian has it in a package of its own, and where it has not.
    names = ("chromium-headless-shell", "chromium")
    if not any(map(shutil.which, names)):
        _packages({names[0]: names[0]})
    chromium = next(filter(None, map(shutil.which, names)))
    return [
        Suite("browser/node", ["node", "node.js"], folder, ("ws",)),
        Suite("browser", ["node", "main.js", _venv(), chromium], folder, ("amqp", "ws")),
    ]


def perl():
    if subprocess.run(["perl", "-MNet::Stomp", "-e", "1"], capture_output=True).returncode:
        _packages({"Net::Stomp": "libnet-stomp-perl"})
    return [Suite("perl", ["perl", "suite.pl"], HERE / "perl", STOMP)]


def ruby():
    if not shutil.which("ruby") or subprocess.run(["ruby", "-rstomp", "-e", "1"], capture_output=True).returncode:
        _packages({"the stomp gem": "ruby-stomp"})
    return [Suite("ruby", ["ruby", "suite.rb"], HERE / "ruby", STOMP)]


def nodered():
    interpreter = _venv()
    folder = HERE / "nodered"
    if not (folder / "node_modules").is_dir():
        (CACHE / "nodered.stamp").unlink(missing_ok=True)
    _once("nodered", [folder / "package-lock.json"], lambda: _quietly(["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit"], folder))
    return [Suite("nodered", [interpreter, "-B", "suite.py"], folder, BOTH)]


def definitions():
    folder = HERE / "definitions"
    sys.path.insert(0, str(folder))
    import rabbit  # noqa: PLC0415 only here is a RabbitMQ needed

    rabbit.install()
    return [Suite("definitions", [_venv(), "-B", "suite.py"], folder)]


def readme():
    interpreter = _venv()
    node()
    c()
    # Where a module next to the extracted example looks for its packages.
    link = CACHE / "node_modules"
    if not link.is_symlink():
        link.symlink_to(HERE / "node" / "node_modules")
    return [Suite("readme", [interpreter, "-B", "suite.py", str(CACHE / "readme")], HERE / "readme", BOTH)]


ALL = {
    "python": python,
    "node": node,
    "java": java,
    "go": go,
    "rust": rust,
    "c": c,
    "perl": perl,
    "ruby": ruby,
    "browser": browser,
    "nodered": nodered,
    "definitions": definitions,
    "readme": readme,
}
