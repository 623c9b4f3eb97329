"""The shell of the craft port: what a person at the box may do with a cable and no network.

It starts no other program and knows no path: every verb is in VERBS, every argument is checked.  Status may be read
by whoever has the cable.  What changes the box (rescue address, password) asks for **physical proof**: the button on
the front is to be pressed within PROOF_S after the shell asks for it, so a terminal server that was left connected is
not enough, and every such act is told to the alarm list and the log.

    shell = Shell(actions)          actions: what the shell may do, see Actions
    shell.take(line, now_ms)        -> text to print
    shell.button(now_ms)            the button was pressed
    shell.deadline_ms(), shell.expire(now_ms) -> text to print

Pure: time is passed in."""

import ipaddress

from firmware.errors import StrowgerError

PROOF_S = 20             # invented: long enough to reach around the rack
RESCUE_MINUTES = 30      # how long a rescue address stays; invented
PROMPT = "strowger> "


class Actions:
    """What the shell may do; each may raise StrowgerError."""

    def wait_for_button(self, wanted):
        """Look at the button on the front, or no more.  Returns how often it was pressed so far."""
        return 0

    def status(self):
        """Lines of text."""
        return []

    def alarms(self):
        """Lines of text."""
        return []

    def addresses(self):
        """Lines of text."""
        return []

    def rescue(self, address, minutes):
        """Add an address ("192.0.2.1/24") to the management port for some minutes.  Nothing of the configuration changes."""
        raise StrowgerError("this box has no management port to put an address on")

    def reset_password(self):
        """Make a password of the first user that is good for one log-in.  Returns it."""
        raise StrowgerError("this box keeps no passwords")

    def restart(self):
        """Restart the box in good order."""
        raise StrowgerError("this box cannot be restarted from here")


class Shell:
    """One person at the craft port."""

    def __init__(self, actions):
        self._actions = actions
        self._waiting = None             # (what is asked, function, until_ms)
        self._verbs = {
            "status": (self._status, "what the box does now"),
            "alarms": (self._alarms, "what is wrong"),
            "addresses": (self._addresses, "network addresses"),
            "rescue": (self._rescue, "rescue ADDRESS/BITS: a second address for %d minutes (button)" % RESCUE_MINUTES),
            "password": (self._password, "a new password for one log-in (button)"),
            "restart": (self._restart, "restart the box; calls are lost (button)"),
            "help": (self._help, "this list")}

    def greet(self):
        """First words."""
        return "\nStrowger craft port. 'help' lists what can be done here.\n" + PROMPT

    def take(self, line, now_ms):
        """One line that a person ended.  Returns the text to print."""
        words = line.split()
        if self._waiting is not None:
            what = self._waiting[0]
            self._waiting = None
            if not words or words[0] == "\x03":
                return "%s: given up.\n%s" % (what, PROMPT)
        if not words or words[0] == "\x03":
            return PROMPT
        verb, arguments = words[0].lower(), words[1:]
        if verb not in self._verbs:
            return "There is no '%s' here; 'help' lists what there is.\n%s" % (verb, PROMPT)
        try:
            text = self._verbs[verb][0](arguments, now_ms)
        except StrowgerError as error:
            text = "Not done: %s.\n" % error
        return text if self._waiting else text + PROMPT

    def button(self, now_ms):
        """The button on the front was pressed.  Returns the text to print, or ""."""
        if self._waiting is None or now_ms > self._waiting[2]:
            return self.expire(now_ms)
        _, function, _ = self._waiting
        self._waiting = None
        try:
            return function() + PROMPT
        except StrowgerError as error:
            return "Not done: %s.\n%s" % (error, PROMPT)

    def deadline_ms(self):
        """When expire() is wanted, or None."""
        return self._waiting[2] if self._waiting else None

    def expire(self, now_ms):
        """The button was not pressed in time."""
        if self._waiting is None or now_ms < self._waiting[2]:
            return ""
        what = self._waiting[0]
        self._waiting = None
        return "%s: the button was not pressed within %d s; nothing is done.\n%s" % (what, PROOF_S, PROMPT)

    # -- verbs --

    def _prove(self, what, function, now_ms):
        self._waiting = (what, function, now_ms + PROOF_S * 1000)
        return "%s. Press the button on the front within %d s to do it; Enter gives it up.\n" % (what, PROOF_S)

    def _status(self, arguments, now_ms):
        return "".join(line + "\n" for line in self._actions.status())

    def _alarms(self, arguments, now_ms):
        return "".join(line + "\n" for line in self._actions.alarms() or ["No alarms."])

    def _addresses(self, arguments, now_ms):
        return "".join(line + "\n" for line in self._actions.addresses())

    def _rescue(self, arguments, now_ms):
        try:
            interface = ipaddress.ip_interface(arguments[0]) if len(arguments) == 1 and "/" in arguments[0] else None
        except ValueError:
            interface = None
        if interface is None or interface.ip.is_multicast or interface.ip.is_unspecified or interface.ip.is_loopback \
                or interface.network.prefixlen > interface.max_prefixlen - 1:
            return "Give the address with its bits: rescue 192.0.2.1/24\n"

        def act():
            self._actions.rescue(str(interface), RESCUE_MINUTES)
            return "The management port answers at %s too, for %d minutes.\n" % (interface.ip, RESCUE_MINUTES)
        return self._prove("Rescue address %s" % interface, act, now_ms)

    def _password(self, arguments, now_ms):
        def act():
            return "Password for one log-in: %s\nIt is to be changed at the log-in.\n" % self._actions.reset_password()
        return self._prove("A new password", act, now_ms)

    def _restart(self, arguments, now_ms):
        def act():
            self._actions.restart()
            return "The box restarts.\n"
        return self._prove("Restart: every call is lost", act, now_ms)

    def _help(self, arguments, now_ms):
        return "".join("%-10s %s\n" % (name, text) for name, (_, text) in self._verbs.items())
