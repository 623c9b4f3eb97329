"""What users ask of the switchboard: the table of commands, with what each must carry.

Events (dict with "kind"; a command that is refused changes nothing, and Switchboard.refusal says why)
  agent.status           agent status reason? by?("agent"|"supervisor") locked?(by a supervisor: the agent may not change it)
  command.log_in         agent line status? pin? by?      sits down at a line
  command.assign         agent queues([{queue level? weight?}]; None: the configured ones) by?
  command.wrap_up        agent end?(true: over now, else longer)
  command.announcement   name on by?                     switches an announcement on or off
  command.callback       queue number agent? at_ms? note?  Switchboard.answer: {"callback"}
  command.callback_cancel    callback by?
  command.campaign_load  campaign queue mode rows([[number, note]]) by?;  command.campaign campaign action("start"|"pause"|"stop"|"remove") by?
  command.fax            document number station? header? at_ms? by? note?      a document to a number; Switchboard.answer: {"fax"}
  command.fax_cancel     fax by?
  command.listen         call leg? modem? progress? answer? caller_id? r1?      what is listened for on a leg
  command.enhance        call leg? echo? long_tail? noise? level? vad?          what works on a leg's sound
  command.send           call leg? tone|dtmf|r1|caller_id duration_ms?          played to a leg
  command.stream         call action("start"|"stop") leg? service? both? stream?      a leg's audio to a speech service; answer: {"stream"}
  command.message_state  message state("new"|"read") by?
  command.message_delete message by?
  command.test_call      span number                     a call of the box itself over one span; Switchboard.answer: {"call"}
  command.hangup         call
  command.hold           call by?                         by: agent, line or leg that acts, where the call has two of ours
  command.retrieve       call by?                         a consultation ends too
  command.consult        call to target by? join?         to "agent"|"line"|"queue"|"number"
  command.conference     call by?                         the consulted party joins
  command.change_over    call by?                         to the caller while the consulted party waits, and back
  command.transfer       call to? target? by?             to "flow" too; without: to the consulted party
  command.park           call place? by?                  Switchboard.answer: {"place"}
  command.unpark         call|place, agent|line
  command.pick_up        call|target, agent|line          target: the agent or line where it rings
  command.record         call action("start"|"stop"|"pause"|"resume") format? channels? text? by?    answer: {"recording"} of start
  command.play           call leg? prompt|number|digits|music|tone language? repeat? start_ms? resume? volume_db? speed? by?    answer: {"start_ms"}
  command.player         call leg? pause? seek_ms? volume_db? speed? stop? by?
  command.party          call leg mute? gain_db? by?           one party of a conference
  command.room           call loudest? tones? by?              how many are heard at once, 0: all; tones when somebody comes or goes
  command.monitor        call mode("listen"|"whisper"|"barge"|"take_over"|"end") agent|line by?
  command.dispose        call code agent? queue? key? by?      what a call was about
  command.kept           record data                            something for the journal: core_kept.RECORDED
  command.erase          forms by? reason? later? erasure?       a person's data are to be erased: core_kept.py
  command.desk           record data call? agent? queue?       something for the journal: core_desk.RECORDED
  command.broadcast      text agents? teams? queues? by? urgent? expires_s?     a message to agents; Switchboard.answer: {"broadcast", "agents"}
  command.broadcast_seen     broadcast agent;  command.broadcast_withdraw broadcast by?
  command.threshold_ack  threshold by? note?             somebody cares about an alarm
  command.network        call verb leg? by?                    the network of the trunk holds, retrieves or transfers (hold|retrieve|transfer)
  command.malicious      call leg? by?                         the network shall register the caller (MCID)
  command.ivr            call operation                  a program on the CTI link that has the call: ivr/program.py
  leg.transfer           leg called | leg other           a telephone's REFER: to a number; to the party of its second call
"""

from firmware.control import core_agents, core_announcements, core_callbacks, core_calls, core_campaigns, core_desk, core_faxes, core_floor, core_ivr, core_kept, core_listening, core_mailboxes, core_monitor, core_operations, core_outside, core_recordings, core_streams, core_test_calls
from firmware.control import core_broadcasts, core_warnings
from firmware.control.core_base import NORMAL, SWITCH
from firmware.control.core_ending import clear, result_of


def hangup(core, event):
    """Release a call."""
    call = core.state.calls.get(event["call"])
    if call is None or call.state == "clearing":
        return core.refuse("there is no open call %s" % event["call"])
    clear(core, call, NORMAL, SWITCH, result_of(call, SWITCH), "asked for through the API")
    return True


# kind: (what must be there, function(core, event) -> whether it was carried out)
COMMANDS = {
    "agent.status": (("agent", "status"), core_agents.status),
    "command.assign": (("agent",), core_agents.assign),
    "command.log_in": (("agent", "line"), core_agents.log_in),
    "command.wrap_up": (("agent",), core_agents.wrap_up),
    "command.announcement": (("name", "on"), core_announcements.switch),
    "command.callback": (("queue", "number"), core_callbacks.command),
    "command.callback_cancel": (("callback",), core_callbacks.cancel),
    "command.campaign_load": (("campaign", "queue", "mode", "rows"), core_campaigns.load), "command.campaign": (("campaign", "action"), core_campaigns.move),
    "command.fax": (("document", "number"), core_faxes.command),
    "command.fax_cancel": (("fax",), core_faxes.cancel),
    "command.message_state": (("message", "state"), core_mailboxes.set_state),
    "command.message_delete": (("message",), core_mailboxes.remove),
    "command.hangup": (("call",), hangup),
    "command.test_call": (("span", "number"), core_test_calls.command),
    "command.listen": (("call",), core_listening.listen),
    "command.enhance": (("call",), core_listening.enhance),
    "command.play": (("call",), core_floor.play), "command.player": (("call",), core_floor.player),
    "command.party": (("call", "leg"), core_floor.party), "command.room": (("call",), core_floor.room),
    "command.send": (("call",), core_listening.send),
    "command.stream": (("call", "action"), core_streams.command),
    "command.hold": (("call",), core_operations.hold),
    "command.retrieve": (("call",), core_operations.retrieve),
    "command.consult": (("call", "to", "target"), core_operations.consult),
    "command.conference": (("call",), core_operations.conference), "command.change_over": (("call",), core_operations.change_over),
    "command.transfer": (("call",), core_operations.transfer),
    "command.park": (("call",), core_operations.park),
    "command.unpark": ((), core_operations.unpark),
    "command.pick_up": ((), core_operations.pick_up),
    "command.monitor": (("call", "mode"), core_monitor.monitor),
    "command.record": (("call", "action"), lambda core, event: core_recordings.command(core, event, core_calls.record)),
    "command.dispose": (("call", "code"), core_desk.dispose),
    "command.desk": (("record", "data"), core_desk.record),
    "command.broadcast": (("text",), core_broadcasts.command), "command.broadcast_seen": (("broadcast", "agent"), core_broadcasts.seen),
    "command.broadcast_withdraw": (("broadcast",), core_broadcasts.withdraw), "command.threshold_ack": (("threshold",), core_warnings.acknowledge),
    "command.kept": (("record", "data"), core_kept.record),
    "command.erase": (("forms",), core_kept.erase),
    "command.malicious": (("call",), core_outside.malicious),
    "command.network": (("call", "verb"), core_outside.network),
    "command.ivr": (("call", "operation"), core_ivr.operated),
    "leg.transfer": (("leg",), core_operations.refer),
}
