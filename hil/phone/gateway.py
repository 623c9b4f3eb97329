"""An analog gateway: one user agent with an account for each of its telephone sockets, as desk adapters and 24-socket shelves register.

    with AnalogGateway([("1003", "secret"), ("1004", "other")], registrar_port, play_file=...) as gateway:
        gateway.dial("1003", "913912345678")        # the telephone in that socket goes off hook
        gateway.key("5")                            # of the call that is up: an event of RFC 4733

All sockets share one address and one port; G.711 only.  It is baresip; events and recordings: phone.py."""

import time

from hil.phone.phone import Phone


class AnalogGateway(Phone):
    """sockets: [(user, password)]; further options as of Phone."""

    def __init__(self, sockets, registrar_port, **options):
        self.sockets = list(sockets)
        super().__init__(*self.sockets[0], registrar_port, **options)

    def _users(self):
        return self.sockets

    def start(self, timeout_s=10.0):
        """Returns once each socket is registered."""
        super().start(timeout_s)
        deadline = time.monotonic() + timeout_s
        while self.command("reginfo").count("OK") < len(self.sockets):
            if time.monotonic() > deadline:
                words = self.command("reginfo")
                self.stop()
                raise TimeoutError(f"The gateway has not registered each of its {len(self.sockets)} sockets: {words}")
            time.sleep(0.05)
        return self

    def dial(self, socket, number):
        """The telephone in a socket calls."""
        self.command("uafind", f"sip:{socket}@{self.registrar}")
        return super().dial(number)

    def key(self, digit):
        """A key of the telephone whose call is the current one."""
        return self.command("sndcode", digit)
