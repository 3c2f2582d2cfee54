"""What the suites of asyncio's MQTT clients share."""

import asyncio
import urllib.parse

from suite import DEADLINE_SECONDS, MQTT, report

PLACE = urllib.parse.urlsplit(MQTT)
QUIET_SECONDS = 0.4


async def soon(what):
    """Waits, but not for ever."""
    return await asyncio.wait_for(what, DEADLINE_SECONDS)


class Cases(list):
    """Marks cases; they run one after the other."""

    def __call__(self, function):
        self.append(function)
        return function

    async def run_all(self):
        for function in self:
            name = function.__name__.replace("_", "-")
            try:
                await asyncio.wait_for(function(), 60)
            except Exception as trouble:  # noqa: BLE001 a case may fail in any way
                report(name, trouble)
            else:
                report(name)


each = Cases()
