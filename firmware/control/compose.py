"""What the control process is made of: the core, and the adapters of a house in the order of their turns."""

import logging
import os

from boardconfig.r2_variants import load_r2
from boardconfig.schema import load_board
from firmware import sip_web, sockets
from firmware.call.trunk_group import bearers
from firmware.chassis.all_lines import AllLines
from firmware.chassis.bearers import Bearers
from firmware.chassis.craft_line import BoxActions, CraftLine
from firmware.chassis.framers import Framers
from firmware.chassis.keeper import Keeper
from firmware.chassis.test_calls import TestCalls
from firmware.chassis.turn_up import TurnUp
from firmware.config import sip as sip_settings
from firmware.control.cti import CTILink
from firmware.control.desk import Desk
from firmware.control.house import inherited_or_own
from firmware.control.switchboard import Switchboard
from firmware.control.watch import Watch
from firmware.control.zone import offset_of
from firmware.errors import ConfigError, LocalError
from firmware.links.cas import CASLinks
from firmware.links.lookups import Lookups
from firmware.links.ivr_services import IVRServices
from firmware.links.provisioning import Provisioning
from firmware.links.sip_legs import SIPLegs
from firmware.links.siprec import Siprec
from firmware.links.span import SpanLinks
from firmware.links.ss7 import SS7Points
from firmware.proto.sip import causes


log = logging.getLogger(__name__)

BOARD_FILE = "boardconfig.json"        # below the data folder: the site's description of the board

def make_core(config, ids):
    """The switchboard, with the site's zone for what belongs to a day."""
    return Switchboard(config, ids, offset_of(config["site"]["timezone"]))


def sip_listeners(config):
    """({transport: listening socket} of SIP over connections, a sentence for each that is left out, because it cannot be opened)."""
    found, faults = {}, [f"SIP goes on without TCP: {error}" for error in sip_settings.clashes(config)]
    for transport, port in sip_settings.stream_ports(config).items():
        name = sip_settings.STREAMS[transport]
        try:
            found[transport] = sockets.inherited(name) or sockets.open_listener(name, "tcp", config["sip"]["address"], port)
        except LocalError as error:
            faults.append(f"SIP goes on without {transport}: {error}")
    for fault in faults:
        log.error("%s", fault)
    return found, faults


def described_board(data_dir):
    """(the board's description, None or what is wrong with the site's own: then it is the one that came with the firmware)."""
    try:
        return load_board(path=os.path.join(data_dir, BOARD_FILE)), None
    except ConfigError as error:
        log.error("%s; the description that came with the firmware is used", error)
        return load_board(), "The description of the board is not used: %s" % error


def make_adapters(house):
    """[adapter] for House; opens the sockets that the supervisor has not handed on."""
    config = house.config.running()
    sip = inherited_or_own("sip-udp", "udp", config["sip"]["address"], config["sip"]["port"])
    streams, faults = sip_listeners(config)
    house.faults.extend(faults)
    streams["web"] = sip_web.listen(house.run_dir)
    cti = inherited_or_own("cti-tcp", "tcp", config["cti"]["address"], config["cti"]["port"])
    board, fault = described_board(house.data_dir)
    trunks, keeper = [SpanLinks(house), SS7Points(house), CASLinks(house, load_r2)], Keeper(house, board)
    trunks[0].report_alarm, trunks[1].report_alarm = keeper.channels, keeper.signalling
    keeper.data_links = trunks[0].data_links
    keeper.linksets(trunks[1].linkset_sources(), house.turns.clock.now_ms())

    def alarms(span, alarms, now_ms):
        for adapter in trunks:
            adapter.alarms(span, alarms, now_ms)
    carried = Bearers(house, board.get("bearers", []), alarms, keeper.bearers, fault)
    framers = Framers(house, alarms, watch=keeper.framers, elsewhere=lambda: carried.wanted)
    lines, test_calls = AllLines(framers, carried), TestCalls(house, causes.meaning)
    turn_up = TurnUp(house, lines, keeper, trunks[0], bearers, test_calls)
    keeper.tested, keeper.asked = turn_up.tested, turn_up.asked
    return [*trunks, SIPLegs(house, sip, streams), Provisioning(house), carried, framers, lines, keeper, test_calls,
            turn_up, CraftLine(house, BoxActions(keeper, house.data_dir)), IVRServices(house), Desk(house), Watch(house), CTILink(house, cti), Lookups(house),
            Siprec(house)]
