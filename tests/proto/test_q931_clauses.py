"""Q.931 (05/1998) and EN 300 403-1 clause by clause; the language of the cases is q931_script.py's.

Every message of ours is read by tshark at the end.  Interoperability: test_q931_libpri.py and tests/live."""

import shutil

import pytest

from tests.proto import isdn
from tests.proto.q931_script import TO, play

U, N, BOTH = ("user",), ("network",), ("user", "network")
BUSY = ["! released cause=17 by=far", "= -", "< -"]

CASES = [
    # (clause, purpose, sides, state or None, steps)
    # 5.1 at the originating interface: we originate on the user side
    ("5.1.1/SETUP", "SETUP: number, Sending complete, an exclusive channel; state 1", U, None,
     ["? setup_request called=1234 timeslot=5", "< SETUP digits=1234 complete=1 ch=5 excl=1 flag=0 ref=1", "= 1", "< -"]),
    ("5.1.1/T303", "T303: SETUP once more", U, 1, ["+ T303", "< SETUP digits=1234", "= 1", "> CALL_PROCEEDING", "= 3"]),
    ("5.1.1/T303 twice", "T303 twice: RELEASE COMPLETE with cause 102, the call is over", U, 1,
     ["+ T303", "< SETUP", "+ T303", "< RELEASE_COMPLETE cause=102", "! released cause=18 by=failure", "= -"]),
    ("5.1.2/exclusive", "an exclusive channel that the network changes: cause 6", U, None,
     ["? setup_request called=1 timeslot=5", "< SETUP", "> CALL_PROCEEDING ch=6", "< DISCONNECT cause=6", "= 11"]),
    ("5.1.2/preferred", "a preferred channel may be changed", U, None,
     ["? setup_request called=1 timeslot=5 exclusive=0", "< SETUP ch=5 excl=0", "> CALL_PROCEEDING ch=6", "! proceeding_indication timeslot=6", "= 3"]),
    ("5.1.2/any", "any channel: the network names it", U, None,
     ["? setup_request called=1", "< SETUP ch=any", "> CALL_PROCEEDING ch=9", "! proceeding_indication timeslot=9"]),
    ("5.1.2/none", "any channel, and the network names none that is free", U, None,
     ["? setup_request called=1", "< SETUP", "> CALL_PROCEEDING ch=16", "< DISCONNECT cause=6"]),
    ("5.1.3/SETUP ACK", "SETUP ACKNOWLEDGE: digits follow, state 2, T304", U, 1,
     ["> SETUP_ACKNOWLEDGE ch=1", "! setup_ack_indication", "= 2", "? information_request digits=56", "< INFORMATION digits=56 complete=0", "+ T304", "< DISCONNECT cause=102"]),
    ("5.1.3/T304", "each INFORMATION starts T304 anew; the last may say Sending complete", U, 2,
     ["? information_request digits=7", "< INFORMATION digits=7", "? information_request digits=8 complete=1", "< INFORMATION digits=8 complete=1", "= 2"]),
    ("5.1.3/PROCEEDING", "CALL PROCEEDING ends overlap sending", U, 2, ["> CALL_PROCEEDING", "! proceeding_indication", "= 3", "+ T310"]),
    ("5.1.3/ALERTING", "ALERTING in overlap sending", U, 2, ["> ALERTING", "! alerting_indication", "= 4"]),
    ("5.1.3/CONNECT", "CONNECT in overlap sending", U, 2, ["> CONNECT", "< CONNECT_ACKNOWLEDGE", "! setup_confirm", "= 10"]),
    ("5.1.3/PROGRESS", "PROGRESS in overlap sending stops T304", U, 2, ["> PROGRESS progress=8", "! progress_indication inband=True", "= 2"]),
    ("5.1.4", "RELEASE COMPLETE refuses the call", U, 1, ["> RELEASE_COMPLETE cause=17", *BUSY]),
    ("5.1.5.1", "CALL PROCEEDING: state 3, T310 in the place of T303", U, 1, ["> CALL_PROCEEDING", "= 3", "+ T310", "< DISCONNECT cause=102", "= 11"]),
    ("5.1.5.1/in-band", "CALL PROCEEDING with in-band information: no T310", U, 1, ["> CALL_PROCEEDING progress=8", "! proceeding_indication inband=True", "= 3"]),
    ("5.1.6/T310", "PROGRESS stops T310", U, 3, ["> PROGRESS progress=1", "! progress_indication inband=True", "= 3", "> ALERTING", "= 4"]),
    ("5.1.7/1", "ALERTING as the first answer", U, 1, ["> ALERTING ch=1", "! alerting_indication", "= 4"]),
    ("5.1.7/3", "ALERTING after CALL PROCEEDING; T301", U, 3, ["> ALERTING", "= 4", "+ T301", "< DISCONNECT cause=19"]),
    ("5.1.8/1", "CONNECT as the first answer", U, 1, ["> CONNECT ch=1", "< CONNECT_ACKNOWLEDGE", "! setup_confirm timeslot=1", "= 10"]),
    ("5.1.8/3", "CONNECT after CALL PROCEEDING", U, 3, ["> CONNECT", "< CONNECT_ACKNOWLEDGE", "! setup_confirm", "= 10"]),
    ("5.1.8/4", "CONNECT after ALERTING", U, 4, ["> CONNECT", "< CONNECT_ACKNOWLEDGE", "! setup_confirm", "= 10", "! -"]),
    ("5.1.8/again", "CONNECT repeated: our CONNECT ACKNOWLEDGE was lost", U, 10, ["> CONNECT", "< CONNECT_ACKNOWLEDGE", "! -", "= 10"]),
    ("5.1.9", "the call is rejected with DISCONNECT", U, 3,
     ["> DISCONNECT cause=17", "! disconnect_indication cause=17 by=far", "= 12", "? release_request", "< RELEASE", "> RELEASE_COMPLETE", *BUSY]),
    # 5.1 seen from the network side: the far end originates
    ("5.1.1/N", "SETUP from the user", N, None, ["> SETUP ch=3 complete=1", "! setup_indication timeslot=3 called_digits=1234 called_complete=True", "= 1", "< -"]),
    ("5.1.2/N", "the first answer names the channel", N, None, ["> SETUP ch=3 complete=1", "? proceeding_request", "< CALL_PROCEEDING ch=3 excl=1 flag=1", "? alerting_request", "< ALERTING"]),
    ("5.1.2/N any", "any channel: the first free one", N, None, ["> SETUP ch=any complete=1", "? proceeding_request", "< CALL_PROCEEDING ch=1 excl=1"]),
    ("5.1.2/N busy", "an exclusive channel that is taken: cause 44", N, 10, [">hex 08020002 05 04039090a3 1803a98381 700281 31 a1", "< RELEASE_COMPLETE cause=44"]),
    ("5.1.2/N preferred", "a preferred channel that is taken: another one", N, 10,
     [">hex 08020002 05 04039090a3 1803a18381 700281 31 a1", "! setup_indication timeslot=2"]),
    ("5.1.3/N", "SETUP ACKNOWLEDGE, then digits one by one", N, None,
     ["> SETUP ch=1 digits=0", "! setup_indication called_complete=False", "? setup_ack_request inband=1", "< SETUP_ACKNOWLEDGE ch=1 progress=8", "= 2",
      "> INFORMATION digits=2", "! information_indication digits=2 complete=False", "> INFORMATION digits=1 complete=1", "! information_indication digits=1 complete=True"]),
    ("5.1.3/N T302", "T302: the layer above decides", N, 2, ["+ T302", "! digits_timeout", "? proceeding_request", "< CALL_PROCEEDING", "= 3"]),
    ("5.1.3/N T302 twice", "T302 twice: incomplete, cause 28", N, 2, ["+ T302", "+ T302", "< DISCONNECT cause=28", "= 12"]),
    ("5.1.3/N keypad", "digits as Keypad facility, # says complete", N, 2, [">hex 08020001 7b 2c 02 35 23", "! information_indication digits=5 complete=True"]),
    ("5.1.4/N", "a call that cannot be taken: RELEASE COMPLETE with the cause", N, 1, ["? release_request cause=1", "< RELEASE_COMPLETE cause=1", "! released cause=1 by=near", "= -"]),
    ("5.1.5/N", "CALL PROCEEDING: state 3", N, 1, ["? proceeding_request", "< CALL_PROCEEDING", "= 3"]),
    ("5.1.6/N", "PROGRESS with in-band information", N, 3, ["? progress_request inband=1", "< PROGRESS progress=8", "= 3"]),
    ("5.1.7/N", "ALERTING: state 4", N, 3, ["? alerting_request inband=1", "< ALERTING progress=8", "= 4"]),
    ("5.1.8/N", "CONNECT: state 10 at once", N, 4, ["? setup_response", "< CONNECT", "! setup_complete_indication", "= 10"]),
    ("5.1.8/N ack", "CONNECT ACKNOWLEDGE is optional", N, 10, ["> CONNECT_ACKNOWLEDGE", "! -", "< -", "= 10"]),
    # 5.2 at the destination interface: we originate on the network side
    ("5.2.1", "SETUP from the network; state 6", N, None, ["? setup_request called=1234 timeslot=5", "< SETUP ch=5 excl=1 digits=1234", "= 6"]),
    ("5.2.4/N", "SETUP ACKNOWLEDGE: overlap receiving by the user", N, 6,
     ["> SETUP_ACKNOWLEDGE ch=1", "! setup_ack_indication", "= 25", "? information_request digits=5", "< INFORMATION digits=5", "+ T304", "< DISCONNECT cause=28"]),
    ("5.2.5.1/N", "CALL PROCEEDING: state 9, T310 then cause 18", N, 6, ["> CALL_PROCEEDING ch=1", "= 9", "+ T310", "< DISCONNECT cause=18", "= 12"]),
    ("5.2.5.1/refused", "the user refuses", N, 6, ["> RELEASE_COMPLETE cause=17", *BUSY]),
    ("5.2.5.2/6", "ALERTING as the first answer", N, 6, ["> ALERTING ch=1", "! alerting_indication", "= 7"]),
    ("5.2.5.2/25", "ALERTING in overlap receiving", N, 25, ["> ALERTING", "! alerting_indication", "= 7"]),
    ("5.2.5.2/9", "ALERTING after CALL PROCEEDING", N, 9, ["> ALERTING", "! alerting_indication", "= 7"]),
    ("5.2.5.3/T303", "T303: SETUP once more, then the call is over", N, 6, ["+ T303", "< SETUP", "+ T303", "< RELEASE_COMPLETE cause=102", "! released cause=18 by=failure"]),
    ("5.2.5.4", "T301: no answer, cause 19", N, 7, ["+ T301", "< DISCONNECT cause=19", "= 12"]),
    ("5.2.6", "PROGRESS from the user", N, 9, ["> PROGRESS progress=2", "! progress_indication", "= 9"]),
    ("5.2.7/6", "CONNECT as the first answer", N, 6, ["> CONNECT ch=1", "< CONNECT_ACKNOWLEDGE", "! setup_confirm", "= 10"]),
    ("5.2.7/7", "CONNECT after ALERTING", N, 7, ["> CONNECT", "< CONNECT_ACKNOWLEDGE", "! setup_confirm", "= 10"]),
    # ... and the user side of it
    ("5.2.3.1/U", "SETUP from the network: state 6", U, None, ["> SETUP ch=3", "! setup_indication timeslot=3", "= 6", "< -"]),
    ("5.2.3.1/U missing", "a SETUP of the network must name a channel", U, None, ["> SETUP", "< RELEASE_COMPLETE cause=96 diag=18"]),
    ("5.2.4/U", "SETUP ACKNOWLEDGE by us, then digits; Sending complete stops T302", U, None,
     ["> SETUP ch=1 digits=02", "! setup_indication called_complete=False", "? setup_ack_request", "< SETUP_ACKNOWLEDGE ch=1", "= 25", "> INFORMATION digits=150 complete=1",
      "! information_indication digits=150 complete=True", "? proceeding_request", "< CALL_PROCEEDING", "= 9"]),
    ("5.2.4/U T302", "T302 twice: incomplete, cause 28", U, 25, ["+ T302", "! digits_timeout", "+ T302", "< DISCONNECT cause=28", "= 11"]),
    ("5.2.5.1/U", "CALL PROCEEDING: state 9, the first answer names the channel", U, 6, ["? proceeding_request", "< CALL_PROCEEDING ch=1", "= 9"]),
    ("5.2.5.1/U refuse", "RELEASE COMPLETE with the cause", U, 6, ["? release_request cause=21", "< RELEASE_COMPLETE cause=21", "! released cause=21 by=near", "= -"]),
    ("5.2.5.2/U", "ALERTING: state 7", U, 9, ["? alerting_request", "< ALERTING", "= 7"]),
    ("5.2.6/U", "PROGRESS of ours", U, 9, ["? progress_request inband=1", "< PROGRESS progress=8", "= 9"]),
    ("5.2.7/U", "CONNECT: state 8, T313", U, 7, ["? setup_response", "< CONNECT", "= 8", "> CONNECT_ACKNOWLEDGE", "! setup_complete_indication", "= 10"]),
    ("5.2.8/U", "T313: DISCONNECT with cause 102", U, 8, ["+ T313", "< DISCONNECT cause=102", "= 11"]),
    # 5.3 clearing
    ("5.3.2 a", "RELEASE COMPLETE in answer to SETUP", BOTH, None, ["? setup_request called=1 timeslot=1", "< SETUP", "> RELEASE_COMPLETE cause=1", "! released cause=1 by=far", "= -"]),
    ("5.3.2 c", "RELEASE COMPLETE before any other answer of ours", BOTH, None, ["> SETUP ch=1", "? release_request cause=17", "< RELEASE_COMPLETE cause=17", "= -"]),
    ("5.3.3/we", "the user clears: DISCONNECT, RELEASE, RELEASE COMPLETE", U, 10,
     ["? release_request cause=16", "< DISCONNECT cause=16", "= 11", "> RELEASE", "< RELEASE_COMPLETE", "! released cause=16 by=near", "= -"]),
    ("5.3.3/T305", "T305: RELEASE with the cause of the DISCONNECT", U, 11, ["+ T305", "< RELEASE cause=16", "= 19"]),
    ("5.3.3/T308", "T308: RELEASE once more, then the channel is a case for maintenance", U, 19,
     ["+ T308", "< RELEASE", "= 19", "+ T308", "! released maintenance=True", "= -"]),
    ("5.3.3/N", "the user clears, seen from the network", N, 10,
     ["> DISCONNECT cause=16", "! disconnect_indication cause=16", "= 11", "? release_request", "< RELEASE", "= 19", "> RELEASE_COMPLETE", "! released cause=16 by=far"]),
    ("5.3.4/N", "the network clears", N, 10, ["? release_request cause=31", "< DISCONNECT cause=31", "= 12", "> RELEASE", "< RELEASE_COMPLETE", "! released cause=31 by=near"]),
    ("5.3.4/N T305", "T305 on the network side", N, 12, ["+ T305", "< RELEASE cause=16", "= 19", "+ T308", "< RELEASE", "+ T308", "! released maintenance=True"]),
    ("5.3.4/U", "the network clears, seen from the user", U, 10,
     ["> DISCONNECT cause=31", "! disconnect_indication cause=31", "= 12", "? release_request", "< RELEASE", "> RELEASE_COMPLETE", "! released cause=31 by=far"]),
    ("5.3.4.1", "DISCONNECT with a tone: T306, then RELEASE", N, 10, ["? disconnect_request cause=17 inband=1", "< DISCONNECT cause=17 progress=8", "+ T306", "< RELEASE cause=17"]),
    ("5.3.4.1/U", "DISCONNECT with in-band information is told as such", U, 10, ["> DISCONNECT cause=17 progress=8", "! disconnect_indication inband=True", "= 12"]),
    ("5.3.5/DISCONNECT", "DISCONNECT meets DISCONNECT: RELEASE", BOTH, 10, ["? release_request cause=16", "< DISCONNECT", "> DISCONNECT cause=31", "< RELEASE", "= 19"]),
    ("5.3.5/RELEASE", "RELEASE meets RELEASE: the call is over, nothing more is sent", BOTH, 19, ["> RELEASE", "< -", "! released by=far", "= -"]),
    ("5.3.5/late", "DISCONNECT that comes after our RELEASE", BOTH, 19, ["> DISCONNECT cause=16", "< -", "= 19"]),
    ("5.3.5/RELEASE first", "RELEASE as the first clearing message", BOTH, 10, ["> RELEASE cause=41", "< RELEASE_COMPLETE cause=41", "! released cause=41 by=far", "= -"]),
    # 5.5 restart
    ("5.5.1/all", "RESTART of all channels ends their calls here at once; RESTART ACKNOWLEDGE confirms", BOTH, 10,
     ["? restart", "< RESTART ref=0 flag=0", "! released cause=41", "= -", ">hex 08028000 4e 790187", "! restart_confirm"]),
    ("5.5.1/one", "RESTART of one channel", BOTH, 10, ["? restart timeslot=1", "< RESTART ch=1", "! released", ">hex 08028000 4e 1803a98381 790180", "! restart_confirm"]),
    ("5.5.1/T316", "RESTART without an answer: once more, then told", BOTH, None, ["? restart timeslot=2", "< RESTART", "+ T316", "< RESTART", "+ T316", "! restart_failed"]),
    ("5.5.1/wrong", "RESTART ACKNOWLEDGE for another channel", BOTH, None, ["? restart timeslot=2", "< RESTART", ">hex 08028000 4e 1803a98383 790180", "! restart_failed"]),
    ("5.5.2/all", "RESTART from the far end ends all calls", BOTH, 10, [">hex 08020000 46 790187", "< RESTART_ACKNOWLEDGE flag=1", "! released cause=41 by=far", "! restart_indication", "= -"]),
    ("5.5.2/other", "RESTART of another channel leaves a call alone", BOTH, 10, [">hex 08020000 46 1803a98382 790180", "< RESTART_ACKNOWLEDGE ch=2", "! restart_indication", "= 10"]),
    ("5.5.2/idle", "RESTART of idle channels is acknowledged, as often as it comes", BOTH, None,
     [">hex 08020000 46 1803a98382 790180", "< RESTART_ACKNOWLEDGE", ">hex 08020000 46 1803a98382 790180", "< RESTART_ACKNOWLEDGE"]),
    # 5.7 collision, 5.8 errors
    ("5.7/U", "the network's call wins the channel of our SETUP", U, 1, [">hex 08020009 05 04039090a3 1803a98381 700281 31 a1", "! setup_indication timeslot=1"]),
    ("5.7/N", "the network's call keeps its channel: 44", N, 6, [">hex 08020009 05 04039090a3 1803a98381 700281 31 a1", "< RELEASE_COMPLETE cause=44", "= 6"]),
    ("5.8.1", "another protocol discriminator is ignored", BOTH, 10, [">hex 09020001 45 08028290", "< -", "! -", "= 10"]),
    ("5.8.2", "a message too short for its type is ignored", BOTH, 10, [">hex 08020001", "< -", ">hex 0802", "< -", "= 10"]),
    ("5.8.3.1/octets", "a call reference of more octets than fit is ignored", BOTH, 10, [">hex 08030000010045", "< -", "= 10"]),
    ("5.8.3.1/bits", "bits 5 to 8 of the length are not 0: ignored", BOTH, 10, [">hex 08120001 45 08028290", "< -", "= 10"]),
    ("5.8.3.2 a", "RELEASE for a call that is not there: RELEASE COMPLETE 81", BOTH, None, [">hex 08020033 4d 08028290", "< RELEASE_COMPLETE cause=81 ref=51 flag=1"]),
    ("5.8.3.2 a/other", "ALERTING for a call that is not there", BOTH, None, [">hex 08020033 01", "< RELEASE_COMPLETE cause=81"]),
    ("5.8.3.2 b", "RELEASE COMPLETE for a call that is not there: nothing", BOTH, None, [">hex 08020033 5a", "< -"]),
    ("5.8.3.2 d", "SETUP with the flag of our own calls: nothing", BOTH, None, [">hex 08028033 05 04039090a3", "< -", "! -"]),
    ("5.8.3.2 e", "SETUP for a call that is there: nothing", BOTH, None, ["> SETUP ch=1", "! setup_indication", "> SETUP ch=1", "< -", "! -"]),
    ("5.8.3.2 f", "the global call reference in a message that is none of RESTART's: STATUS 81", BOTH, None, [">hex 08020000 01", "< STATUS cause=81 state=0 ref=0"]),
    ("5.8.5.1", "elements out of order are read all the same", U, None, [">hex 08020001 05 700281 31 04039090a3 1803a98381 a1", "! setup_indication called_digits=1"]),
    ("5.8.5.2", "an element that comes twice: the first counts", U, None, [">hex 08020001 05 04039090a3 1803a98381 70028131 70028132 a1", "! setup_indication called_digits=1"]),
    ("5.8.6.1/SETUP", "SETUP without Bearer capability: RELEASE COMPLETE 96", BOTH, None, [">hex 08020001 05 1803a98381", "< RELEASE_COMPLETE cause=96 diag=04"]),
    ("5.8.6.1/DISCONNECT", "DISCONNECT without Cause: taken, RELEASE says 96", BOTH, 10, [">hex 0802FLAG 45", "< RELEASE cause=96 diag=08", "= 19"]),
    ("5.8.6.1/RELEASE", "RELEASE without Cause as the first: RELEASE COMPLETE 96", BOTH, 10, [">hex 0802FLAG 4d", "< RELEASE_COMPLETE cause=96 diag=08", "= -"]),
    ("5.8.6.1/STATUS", "STATUS without Call state: STATUS 96", BOTH, 10, [">hex 0802FLAG 7d 0802829e", "< STATUS cause=96 diag=14", "= 10"]),
    ("5.8.6.1/PROGRESS", "PROGRESS without Progress indicator: STATUS 96", BOTH, 10, [">hex 0802FLAG 03", "< STATUS cause=96 diag=1e", "= 10"]),
    ("5.8.6.2/SETUP", "SETUP with a bad Bearer capability: RELEASE COMPLETE 100", BOTH, None, [">hex 08020001 05 040190 1803a98381", "< RELEASE_COMPLETE cause=100 diag=04"]),
    ("5.8.6.2/DISCONNECT", "DISCONNECT with a bad Cause: RELEASE 100", BOTH, 10, [">hex 0802FLAG 45 080182", "< RELEASE cause=100 diag=08"]),
    ("5.8.7.1/comprehension", "an unknown element 0000 xxxx wants comprehension: STATUS 96", BOTH, 10, [">hex 0802FLAG 7b 030101", "< STATUS cause=96 diag=03", "= 10"]),
    ("5.8.7.1/other", "any other unknown element is passed over", BOTH, 10, [">hex 0802FLAG 6e 2701f1 5d0155", "! notify_indication", "< -", "= 10"]),
    ("5.8.7.2", "an optional element with bad contents is passed over", U, None, [">hex 08020001 05 04039090a3 1803a98381 6c00 70028131 a1", "! setup_indication called_digits=1"]),
    ("5.8.8/2", "the data link is reset in overlap: cleared with 41", U, 2, ["up", "< DISCONNECT cause=41"]),
    ("5.8.8/10", "the data link is reset in a call: asked, and it stays", BOTH, 10, ["up", "< STATUS_ENQUIRY", "> STATUS cause=30 state=10", "= 10", "< -"]),
    ("5.8.9/T309", "the data link fails in a call: T309, then cause 27", BOTH, 10, ["down", "= 10", "+ T309", "! link_state", "! released cause=27"]),
    ("5.8.9/back", "... and comes back: asked", BOTH, 10, ["down", "up", "< STATUS_ENQUIRY", "> STATUS cause=30 state=10", "= 10"]),
    ("5.8.9/lost", "... and the far end has no call any more: cleared here", BOTH, 10, ["down", "up", "< STATUS_ENQUIRY", "> STATUS cause=30 state=0", "= -"]),
    ("5.8.9/set-up", "the data link fails in a set-up: cleared at once, and said when it is back", BOTH, None,
     ["? setup_request called=1 timeslot=1", "< SETUP", "> CALL_PROCEEDING", "down", "= -", "up", "< RELEASE_COMPLETE cause=41 flag=0", "< -"]),
    ("5.8.10/T322", "STATUS ENQUIRY without an answer: three times, then 41", BOTH, 10,
     ["? status_enquiry", "< STATUS_ENQUIRY", "+ T322", "< STATUS_ENQUIRY", "+ T322", "< STATUS_ENQUIRY", "+ T322", "< DISCONNECT cause=41"]),
    ("5.8.10/one", "no second STATUS ENQUIRY while one is open", BOTH, 10, ["? status_enquiry", "< STATUS_ENQUIRY", "? status_enquiry", "< -"]),
    ("5.8.11/0", "STATUS with state 0: the call is cleared here", BOTH, 10, ["> STATUS cause=101 state=0", "! status_indication", "! released cause=41", "= -", "< -"]),
    ("5.8.11/19", "STATUS while we wait for RELEASE COMPLETE: nothing", BOTH, 19, ["> STATUS cause=101 state=10", "< -", "= 19"]),
    ("5.8.11/same", "STATUS with a state that fits: nothing", BOTH, 10, ["> STATUS cause=97 state=10", "< -", "= 10"]),
    ("5.8.11/odd", "STATUS with a state that does not fit: asked first; then cleared with 101", U, 10,
     ["> STATUS cause=101 state=2", "< STATUS_ENQUIRY", "> STATUS cause=30 state=2", "< DISCONNECT cause=101"]),
    ("5.8.11/clearing", "STATUS of a far end that clears: RELEASE", BOTH, 10, ["> STATUS cause=101 state=11", "! status_indication", "! disconnect_indication", "< RELEASE cause=101", "= 19"]),
    ("5.9", "NOTIFY both ways", BOTH, 10, ["> NOTIFY description=0", "! notify_indication description=0", "? notify_request description=2", "< NOTIFY", "= 10"]),
]
# 5.8.4 and 5.8.10 in each state: what does not belong there is answered with STATUS and changes nothing.
UNEXPECTED = {"user": {1: "CONNECT_ACKNOWLEDGE", 2: "SETUP_ACKNOWLEDGE", 3: "CALL_PROCEEDING", 4: "CALL_PROCEEDING", 6: "ALERTING", 25: "CONNECT", 9: "CALL_PROCEEDING",
                       7: "ALERTING", 8: "ALERTING", 10: "ALERTING", 11: "CONNECT", 12: "ALERTING", 19: "CONNECT"},
              "network": {1: "ALERTING", 2: "SETUP_ACKNOWLEDGE", 3: "CALL_PROCEEDING", 4: "ALERTING", 6: "CONNECT_ACKNOWLEDGE", 25: "SETUP_ACKNOWLEDGE", 9: "CALL_PROCEEDING",
                          7: "CALL_PROCEEDING", 10: "SETUP_ACKNOWLEDGE", 11: "CONNECT", 12: "ALERTING", 19: "ALERTING"}}
for _side, _states in sorted(UNEXPECTED.items()):
    for _state, _kind in sorted(_states.items()):
        _name = "%s%02d" % (_side[0].upper(), _state)
        CASES += [
            ("5.8.4/" + _name, "%s is unexpected in state %s: STATUS 101" % (_kind, _name), (_side,), _state,
             ["> " + _kind, "< STATUS cause=101 state=%d" % _state, "= %d" % _state]),
            ("5.8.4/%s unknown" % _name, "a message type that does not exist, in state %s: STATUS 97" % _name, (_side,), _state,
             [">hex 0802FLAG 42", "< STATUS cause=97 state=%d diag=42" % _state, "= %d" % _state]),
            ("5.8.10/" + _name, "STATUS ENQUIRY in state %s: STATUS 30" % _name, (_side,), _state,
             ["> STATUS_ENQUIRY", "< STATUS cause=30 state=%d" % _state, "= %d" % _state])]


def run(case):
    """All plays of a case: [Script]."""
    clause, _, sides, state, steps = case
    played = []
    for side in sides:
        # The flag of the far end in a call that we began is 1.
        ours = state is not None and TO[side, state][0].startswith("?")
        flagged = [step.replace("FLAG", "8001" if ours else "0001") for step in steps]
        played.append(play(side, flagged, state))
    return played


@pytest.mark.parametrize("case", [pytest.param(case, id=case[0], marks=pytest.mark.conformance("Q.931", case[0], case[1])) for case in CASES])
def test_clause(case):
    run(case)


def test_no_case_has_the_number_of_another():
    assert len({case[0] for case in CASES}) == len(CASES) >= 100


@pytest.mark.conformance("Q.931", "4", "every message of the cases is read by tshark without complaint")
def test_tshark_reads_every_message(tmp_path):
    """As they lie on a line: numbered I frames of both sides."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    frames, count = [], {True: 0, False: 0}
    for case in CASES:
        for script in run(case):
            down = script.side == "network"
            for octets in script.said:
                frames.append((len(frames), down, bytes([2 if down else 0, 1, count[down] % 128 << 1, 0]) + octets))
                count[down] += 1
    isdn.write_pcap(tmp_path / "q931.pcap", frames)
    rows = isdn.tshark(tmp_path / "q931.pcap")
    bad = [(frames[i][2].hex(), row) for i, row in enumerate(rows) if row[1]]
    assert len(rows) == len(frames) > 400 and not bad


@pytest.mark.conformance("Q.931", "EN 300 141", "HOLD and RETRIEVE of the far end: acknowledged, the channel named; twice, and not held, too")
@pytest.mark.parametrize("side", BOTH)
def test_hold_by_the_far_end(side):
    flagged = "8001" if TO[side, 10][0].startswith("?") else "0001"
    play(side, ["> HOLD", "! hold_indication", "< HOLD_ACKNOWLEDGE", "> HOLD", "! -", "< HOLD_ACKNOWLEDGE", "> RETRIEVE", "! retrieve_indication",
                "< RETRIEVE_ACKNOWLEDGE ch=1 excl=1", "> RETRIEVE", "< RETRIEVE_REJECT cause=69", "= 10"], 10, hold=True)
    play(side, ["> HOLD", "< HOLD_REJECT cause=69", "= 10"], 10)
    play(side, [">hex 0802%s 24" % flagged, "< HOLD_ACKNOWLEDGE", "> DISCONNECT cause=16", "? release_request", "< RELEASE"], 10, hold=True)


@pytest.mark.conformance("Q.931", "EN 300 196-1 7.1", "our HOLD: acknowledged, refused, no answer within T-HOLD; twice, and answers that nobody asked for")
@pytest.mark.parametrize("side", BOTH)
def test_our_hold(side):
    play(side, ["? hold_request", "< HOLD", "> HOLD_ACKNOWLEDGE", "! hold_confirm", "> HOLD_ACKNOWLEDGE", "! -", "= 10"], 10)
    play(side, ["? hold_request", "< HOLD", "> HOLD_REJECT cause=69", "! hold_failed", "? hold_request", "< HOLD", "= 10"], 10)
    play(side, ["? hold_request", "< HOLD", "+ THOLD", "! hold_failed", "> HOLD_ACKNOWLEDGE", "! -", "= 10"], 10)
    play(side, ["> HOLD_ACKNOWLEDGE", "! -", "> RETRIEVE_ACKNOWLEDGE ch=1", "! -", "> HOLD_REJECT cause=69", "! -", "> RETRIEVE_REJECT cause=69", "! -", "< -", "= 10"], 10)
    play(side, ["? hold_request", "< HOLD", "> HOLD_ACKNOWLEDGE", "! hold_confirm", "> DISCONNECT cause=16", "? release_request", "< RELEASE"], 10)


@pytest.mark.conformance("Q.931", "EN 300 196-1 7.2", "our RETRIEVE names the channel: acknowledged, refused, no answer within T-RETRIEVE; another channel clears with cause 6")
@pytest.mark.parametrize("side", BOTH)
def test_our_retrieve(side):
    held = ["? hold_request", "< HOLD", "> HOLD_ACKNOWLEDGE", "! hold_confirm", "? retrieve_request", "< RETRIEVE ch=1 excl=1"]
    play(side, [*held, "> RETRIEVE_ACKNOWLEDGE ch=1", "! retrieve_confirm", "? hold_request", "< HOLD", "= 10"], 10)
    play(side, [*held, "> RETRIEVE_REJECT cause=44", "! retrieve_failed", "? retrieve_request", "< RETRIEVE", "= 10"], 10)
    play(side, [*held, "+ TRETRIEVE", "! retrieve_failed", "? retrieve_request", "< RETRIEVE", "= 10"], 10)
    play(side, [*held, "> RETRIEVE_ACKNOWLEDGE ch=2", "< DISCONNECT cause=6"], 10)


@pytest.mark.conformance("Q.931", "EN 300 369-1 9.2", "explicit call transfer: invoke ectExecute without argument; result, error, reject and silence")
def test_explicit_call_transfer():
    asked = ["? ect_request", "< FACILITY"]
    made = play("user", [*asked, ">hex 08028001 62 1c 06 91a203020165", "! ect_confirm", "= 10"], 10)
    assert b"\x1c\x09\x91\xa1\x06\x02\x01\x65\x02\x01\x06" in made.said[-1]
    play("user", [*asked, ">hex 08028001 62 1c 09 91a306020165020103", "! ect_failed", "= 10"], 10)
    play("user", [*asked, "+ TECT", "! ect_failed", ">hex 08028001 62 1c 06 91a203020165", "! -", "= 10"], 10)
    play("user", [*asked, ">hex 08028001 45 08028290 1c06 91a203020165", "! ect_confirm", "! disconnect_indication cause=16", "= 12"], 10)
    play("user", ["? mcid_request", "< FACILITY", *asked, ">hex 08028001 62 1c 06 91a203020165", "! ect_confirm", ">hex 08028001 62 1c 06 91a203020101", "! mcid_confirm", "= 10"], 10)


@pytest.mark.conformance("Q.931", "EN 300 369-1/network", "a user who asks us to join his calls (ectExecute, explicitEctExecute, ectLinkIdRequest) gets the error notAvailable at once")
@pytest.mark.parametrize("operation", [6, 7, 10])
def test_a_transfer_that_we_do_not_make(operation):
    asked = ">hex 08020001 62 1c 09 91a1060201050201%02x" % operation
    made = play("network", [asked, "< FACILITY", "! -", "= 10"], 10)
    assert b"\x1c\x09\x91\xa3\x06\x02\x01\x05\x02\x01\x03" in made.said[-1]
    play("user", [">hex 08028001" + asked[13:], "< -", "! -", "= 10"], 10)


@pytest.mark.conformance("Q.931", "EN 300 130", "malicious call identification: the user asks, the network registers, refuses or is silent; the network side is asked")
def test_malicious_call_identification():
    asked = ["? mcid_request", "< FACILITY"]
    made = play("user", [*asked, ">hex 08028001 62 1c 06 91a203020101", "! mcid_confirm", "= 10"], 10)
    assert b"\x1c\x09\x91\xa1\x06\x02\x01\x01\x02\x01\x03" in made.said[-1]
    play("user", [*asked, ">hex 08028001 62 1c 09 91a306020101020103", "! mcid_failed", "= 10"], 10)
    play("user", [*asked, "+ TMCID", "! mcid_failed", ">hex 08028001 62 1c 06 91a203020101", "! -", "= 10"], 10)
    play("network", [">hex 08020001 62 1c 09 91a106020105020103", "< FACILITY", "! mcid_indication", "= 10"], 10)
    play("user", [">hex 08028001 62 1c 09 91a106020105020103", "< -", "! -", "= 10"], 10)


@pytest.mark.conformance("Q.931", "EN 300 196-1/end", "what the network was asked and did not answer has failed when the call ends, whoever ends it and how")
@pytest.mark.parametrize("ends", (["> DISCONNECT cause=16"], ["> RELEASE cause=16"], [">hex 08028001 5a"], ["? release_request cause=16"], ["> STATUS cause=30 state=0"]),
                         ids=("disconnect", "release", "release_complete", "ours", "status"))
def test_questions_fail_with_the_call(ends):
    held = ["? hold_request", "< HOLD", "> HOLD_ACKNOWLEDGE", "! hold_confirm"]
    for asked, failed in ((["? hold_request"], "hold_failed"), ([*held, "? retrieve_request"], "retrieve_failed"), (["? ect_request"], "ect_failed"), (["? mcid_request"], "mcid_failed")):
        made = play("user", [*asked, *ends], 10)
        told = [event["event"] for event in made.events]
        assert told.count(failed) == 1 and (told[-1] not in ("released", "disconnect_indication") or told.index(failed) < len(told) - 1), told


@pytest.mark.conformance("bad input", "FACILITY components", "mutations of valid input: no exception, alive afterwards, memory flat")
def test_mutated_facilities():
    """Components of FACILITY, mutated: no exception; what is read is in its ranges."""
    import os
    import random
    from firmware.proto.q931 import facility
    rng, valid = random.Random(300130), [facility.invoke(5, 3), facility.result(7), bytes.fromhex("91a306020101020103"), bytes.fromhex("91a1810902010502010330020500")]
    for _ in range(int(os.environ.get("STROWGER_MUTATIONS", "4000"))):
        octets = bytearray(rng.choice(valid))
        for _ in range(rng.choice((0, 1, 2, 5))):
            at = rng.randrange(len(octets)) if octets else 0
            if rng.random() < 0.6 and octets:
                octets[at] = rng.randrange(256)
            elif rng.random() < 0.5:
                del octets[at:at + rng.randrange(1, 4)]
            else:
                octets[at:at] = bytes([rng.randrange(256)])
        for component in facility.components(bytes(octets)):
            assert component[0] in ("invoke", "result", "error", "reject") and 0 <= component[1] < 65536
