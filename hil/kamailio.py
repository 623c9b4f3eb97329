"""A carrier's edge: Debian's Kamailio as registrar and proxy, a process of its own.

    with Carrier(folder, user="acc", password="pw", gateway=("127.0.0.2", 30500)) as carrier:
        carrier.port        # SIP at carrier.address, UDP and TCP

Whoever registers as `user` gets the calls that come from the gateway; the number that was called stands in To,
the Request-URI is what was registered.  Calls of others go, behind a challenge (407), to the gateway.  It
records its route, so that everything in a dialog goes through it.  Digests by algorithm "MD5" or "SHA-256" (RFC 8760).  With flows=True it keeps several flows of one
instance (RFC 5626) and sends a call over the next where one fails.  With service_route=True it names its port `home` to who registers (Service-Route, RFC
3608) and refuses calls that do not come by that route (403).  Realm: "carrier".  Its log (carrier.log()) tells the headers of RFC 7315, identity and diversion of each call that it sends on.

    with Edge(folder, registrar=("127.0.0.1", 15060)) as edge:      # an edge proxy of RFC 5626 before our registrar
        edge.port

Telephones reach it over TCP or UDP; it adds a Path with a flow token (its modules path and outbound), passes requests on to the registrar,
and sends what comes back down the flow of the token: 430 where that flow is gone.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from hil.ports import free_port
from hil.rig import die_with_us

CONFIG = """\
#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=1
socket_workers=1
auto_aliases=no
listen=udp:{address}:{port}
listen=tcp:{address}:{port}
{home_listens}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "xlog.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", {expires})
modparam("tm", "fr_inv_timer", 30000)
modparam("rr", "enable_full_lr", 1)
modparam("auth", "algorithm", "{algorithm}")
{flow_parameters}
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here"); exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("carrier", "{password}", "0")) {{ www_challenge("carrier", "1"); exit; }}
        if ($au != "{user}") {{ sl_send_reply("403", "Forbidden"); exit; }}
        {route_told}
        save("location"); exit;
    }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    record_route();
    if ($si == "{gateway_host}" && $sp == {gateway_port}) {{
        $ru = "sip:{user}@carrier";
        if (!lookup("location")) {{ sl_send_reply("480", "Not registered"); exit; }}
        {next_flow}
        if ($rU == $null) $ru = "sip:" + $tU + "@" + $rd + ":" + $rp;      # registered for all its numbers: RFC 6140 5.3
        t_relay(); exit;
    }}
    {route_wanted}
    if (!pv_proxy_authenticate("carrier", "{password}", "0")) {{ proxy_challenge("carrier", "1"); exit; }}
    consume_credentials();
    xlog("L_ERR", "INVITE of $tU: P-Charging-Vector: $hdr(P-Charging-Vector) P-Access-Network-Info: $hdr(P-Access-Network-Info) P-Asserted-Identity: $hdr(P-Asserted-Identity) Privacy: $hdr(Privacy) Diversion: $hdr(Diversion) History-Info: $hdrc(History-Info)\\n");
    $rd = "{gateway_host}"; $rp = "{gateway_port}";
    t_relay();
}}
{flow_failed}
"""

# RFC 5626 6, 7: one flow of an instance is tried, the next where it fails.
FLOWS = {"flow_parameters": """\
modparam("registrar", "use_path", 1)
modparam("registrar", "outbound_mode", 1)
modparam("tm", "contacts_avp", "tm_contacts")
modparam("tm", "contact_flows_avp", "tm_contact_flows")
modparam("tm", "fr_timer", 1500)""",
         "next_flow": """t_load_contacts();
        if (!t_next_contacts()) { sl_send_reply("480", "Not registered"); exit; }
        t_on_branch_failure("flow");""",
         "flow_failed": """event_route[tm:branch-failure:flow] {
    if (t_check_status("408|430|5..")) { if (t_next_contact_flow()) t_relay(); }
}"""}
NO_FLOWS = dict.fromkeys(FLOWS, "")

# RFC 3608: the route that calls of who registered take, to a port of its own.
SERVICE_ROUTE = {"home_listens": "listen=udp:{address}:{home}",
                 "route_told": 'append_to_reply("Service-Route: <sip:{address}:{home};lr;orig>\\r\\n");',
                 "route_wanted": """if ($hdr(Route) != "<sip:{address}:{home};lr;orig>") {{ sl_send_reply("403", "Service-Route Wanted"); exit; }}
    xlog("L_ERR", "Route of $tU: $hdr(Route)\\n");
    loose_route();"""}

EDGE = """\
#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=1
socket_workers=1
auto_aliases=no
tcp_connection_lifetime=3605
listen=udp:{address}:{port}
listen=tcp:{address}:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "stun.so"
loadmodule "outbound.so"
loadmodule "path.so"
modparam("outbound", "force_outbound_flag", 1)
modparam("outbound", "flow_token_secret", "{key}")
modparam("path", "use_received", 0)
modparam("tm", "fr_inv_timer", 30000)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && uri == myself && $si == "{address}" && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if ($si == "{registrar_host}" && $sp == {registrar_port}) {{
        if (!loose_route()) {{ sl_send_reply("430", "Flow Failed"); exit; }}
        if (is_method("INVITE|SUBSCRIBE") && !has_totag()) {{ record_route(); xlog("L_ERR", "$rm of $tU\\n"); }}
        set_forward_no_connect();
        if (!t_relay()) sl_send_reply("430", "Flow Failed");
        exit;
    }}
    if (is_method("REGISTER")) {{
        setflag(1);
        if (!add_path()) {{ sl_reply_error(); exit; }}
    }} else if (has_totag()) {{
        loose_route();
        t_relay();
        exit;
    }} else if (!is_method("ACK")) {{
        record_route();
        xlog("L_ERR", "$rm of $tU\\n");
    }}
    $du = "sip:{registrar_host}:{registrar_port}";
    t_relay();
}}
"""


class Carrier:
    """See the top.  Raises RuntimeError with Kamailio's last words."""

    config, asked = CONFIG, "x@"

    def __init__(self, folder, user, password, gateway, address="127.0.0.2", expires_s=600, flows=False, algorithm="MD5", service_route=False):
        self.folder, self.address = pathlib.Path(folder), address
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.fields = {"user": user, "password": password, "gateway_host": gateway[0], "gateway_port": gateway[1], "expires": expires_s,
                       "algorithm": algorithm, **(FLOWS if flows else NO_FLOWS)}
        self.port = self.home = None
        self.service_route = service_route

    @staticmethod
    def is_there():
        """Whether Kamailio is installed."""
        return bool(shutil.which("kamailio") or os.path.exists("/usr/sbin/kamailio"))

    def start(self, port=None):
        """port: to come back at the same place."""
        self.port = port or free_port(address=self.address)
        if self.service_route:
            self.home = self.home or free_port(address=self.address)
        route = {name: text.format(address=self.address, home=self.home) if self.service_route else "" for name, text in SERVICE_ROUTE.items()}
        (self.folder / "kamailio.cfg").write_text(self.config.format(address=self.address, port=self.port, **route, **self.fields))
        with open(self.folder / "kamailio.log", "ab") as log:
            self.process = subprocess.Popen(
                [shutil.which("kamailio") or "/usr/sbin/kamailio", "-f", str(self.folder / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4",
                 "-Y", str(self.folder), "-w", str(self.folder)],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us, start_new_session=True)
        deadline = time.monotonic() + 10
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.bind((self.address, 0))
        probe.settimeout(0.1)
        ask = ("OPTIONS sip:%s%s:%d SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bKup\r\nMax-Forwards: 9\r\nFrom: <sip:up@x>;tag=1\r\n"
               "To: <sip:x@x>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
               % (self.asked, self.address, self.port, self.address, probe.getsockname()[1])).encode()
        while True:
            try:
                probe.sendto(ask, (self.address, self.port))
                probe.recv(4096)
                probe.close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    probe.close()
                    words = (self.folder / "kamailio.log").read_text(errors="replace")[-800:]
                    self.stop()
                    raise RuntimeError(f"Kamailio did not come up: {words}") from None

    def log(self):
        """What it has said so far."""
        return (self.folder / "kamailio.log").read_text(errors="replace")

    def stop(self, number=signal.SIGTERM):
        """End it and its children."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None

    __enter__ = start

    def __exit__(self, *_):
        self.stop()


class Edge(Carrier):
    """An edge proxy: see the top.  registrar: (host, port) of the switch; number: apart from other edges' tokens."""

    config, asked = EDGE, ""

    def __init__(self, folder, registrar, address="127.0.0.1", number=1):
        super().__init__(folder, "", "", registrar, address)
        self.fields = {"registrar_host": registrar[0], "registrar_port": registrar[1], "key": "edge-key-%011d" % number}

    def forget(self):
        """Die with all children, without a word: who starts it again at the same port finds it without its flows."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
