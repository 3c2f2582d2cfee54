"""Runs the examples of README.md as a reader would: each code fence right after a `<!-- run:NAME -->` line.

The one change: URL or port of the example become those of the broker under test. An example
holds when it ends by itself with exit code 0 and has printed something.
"""

import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
AMQP, MQTT = os.environ["INTEROP_URL"], os.environ["INTEROP_MQTT"]
PORT = str(urllib.parse.urlsplit(MQTT).port or 1883)
NEEDED = ("pika", "amqplib", "paho", "mqttjs", "mosquitto")
SECONDS_MAX = 30
FENCE = re.compile(r"^<!-- run:(?P<name>\S+) -->\n+```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def run(folder, name, language, code):
    """None, or why the example does not hold."""
    changed = re.sub(r"amqp://[^'\"`\s)]+", lambda _: AMQP, code)
    changed = re.sub(r"mqtt://[^'\"`\s)]+", lambda _: MQTT, changed)
    changed = re.sub(r"\b1883\b", PORT, changed)
    if changed == code:
        return "names no place of the broker"
    if language == "python":
        command, file = [sys.executable, "-B"], folder / f"example_{name}.py"
    elif language in ("js", "javascript"):
        command, file = ["node"], folder / f"example_{name}.mjs"
    elif language == "sh":
        command, file = ["sh", "-e"], folder / f"example_{name}.sh"
    else:
        return f"no way to run {language}"
    file.write_text(changed)
    try:
        done = subprocess.run(
            [*command, str(file)], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"does not end within {SECONDS_MAX} s"
    if done.returncode:
        print(done.stderr)
        return f"exit code {done.returncode}"
    return None if done.stdout.strip() else "prints nothing"


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not README.exists():
        for name in NEEDED:
            print(f"skip {name}: no README.md")
        print(f"done {len(NEEDED)}")
        return
    found = {one["name"]: (one["language"], one["code"]) for one in FENCE.finditer(README.read_text())}
    for name in sorted({*NEEDED, *found}):
        why = run(folder, name, *found[name]) if name in found else f"no <!-- run:{name} --> before a code fence"
        print(f"FAIL {name}: {why}" if why else f"ok {name}", flush=True)
    print(f"done {len({*NEEDED, *found})}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
