"""A softphone that is not baresip: Debian's linphonec, told what to do over its standard input, sound from and to files.

    phone = Linphone("1001", "secret", registrar_port, folder).start()     # answers by itself
    phone.say("soundcard use files")      # before a call; then, within one:
    phone.say("play said.wav"); phone.say("record heard.wav")
    phone.told()                          # its words; friends=["sip:1001@..."]: "Friend ... is Online"
    phone.say("call sip:1002@127.0.0.1:5060"); phone.say("terminate"); phone.stop()

Of calls it says nothing that a program could wait for: look at the switch.  Imports nothing of the product."""

import pathlib
import shutil
import subprocess

from hil.ports import TCP, UDP, free_block
from hil.rig import die_with_us

SETTINGS = """\
[sip]
use_ipv6=0
sip_port=%(sip)d
sip_tcp_port=-1
sip_tls_port=-1
guess_hostname=0
contact=sip:%(user)s@127.0.0.1
default_proxy=0
register_only_when_network_is_up=0
[rtp]
audio_rtp_port=%(rtp)d
[net]
firewall_policy=0
mtu=1300
[sound]
playback_dev_id=
echocancellation=0
[proxy_0]
reg_proxy=<sip:127.0.0.1:%(registrar)d;transport=udp>
reg_identity=sip:%(user)s@127.0.0.1
reg_expires=600
reg_sendregister=1
publish=0
[auth_info_0]
username=%(user)s
userid=%(user)s
passwd=%(password)s
realm=%(realm)s
"""
FRIEND = """\
[friend_%(number)d]
url=<%(address)s>
pol=accept
subscribe=1
"""


class Linphone:
    """See the top.  folder: new, for all that it writes."""

    def __init__(self, user, password, registrar_port, folder, realm="strowger", friends=()):
        self.folder = pathlib.Path(folder)
        self.fields = {"user": user, "password": password, "registrar": registrar_port, "realm": realm}
        self.friends = list(friends)            # whose presence it watches
        self.process = self.log = None

    @staticmethod
    def is_there():
        """Whether linphonec is installed."""
        return bool(shutil.which("linphonec"))

    def start(self):
        """It registers by itself."""
        (self.folder / ".local/share/linphone").mkdir(parents=True)
        base = free_block({UDP: (0, 2, 3), TCP: (0,)}, step=4)
        (self.folder / "linphonerc").write_text(SETTINGS % dict(self.fields, sip=base, rtp=base + 2) + "".join(
            FRIEND % {"number": number, "address": address} for number, address in enumerate(self.friends)))
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(["linphonec", "-c", str(self.folder / "linphonerc"), "-a"], stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT,
                                        cwd=self.folder, preexec_fn=die_with_us, env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin",
                                                                                      "XDG_CONFIG_HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)})
        return self

    def told(self):
        """What it has said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def say(self, words):
        """One of its commands."""
        self.process.stdin.write((words + "\n").encode())
        self.process.stdin.flush()

    def stop(self):
        """End it."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.say("quit")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
