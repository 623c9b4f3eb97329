"""Voicemail: mailboxes in which callers leave messages, and which their owners hear by telephone.

Who comes: callers of a number, of a queue (its rules: closed, full, the wait, ...), of a flow's node, of a line or agent that
does not answer (the mailbox's `lines`, where it takes their calls).

    leave     greeting and tone -> recording -> # or the end of the call: kept, from min_s on; * begins anew
              * during the greeting: the owner, who is asked for the code
    listen    code -> new messages first, oldest first, then those heard.  1 again, 2 next, 3 delete, 4 the one before,
              9 record the greeting, # end

A message is a recording of the caller's side in a file of its own below voicemail/; what is told of it (who, when, heard or
not) is the journal's.  Lamps follow by the action line.messages (RFC 3842), mail by control/mailer.py, which deletes the
files of deleted messages as well.  Digits of codes are kept out of state, journal and log.  A kill -9 in the middle of a
message loses nothing of it: media records on.
"""

from firmware.call import call as calls
from firmware.control.core_base import NORMAL, SWITCH
from firmware.control.core_ending import clear, close, result_of, stop_recording

# Defaults of a mailbox; the schema gives them too.
DEFAULTS = {"greeting": "voicemail_greeting", "pin": "", "lines": [], "takes_calls": True, "max_s": 180, "min_s": 2, "most": 100, "keep_days": 30,
            "email": [], "attach": True}
TONE = {"tone": "ringback", "duration_ms": 300}     # the record tone: the beginning of a ringing tone, which every country has
KEYS_MS = 10000         # for a key after a message, and of a code; invented
TRIES = 3               # codes, and menus without a key
WRONG_MOST, GUESSED_MS = 10, 900_000     # wrong codes of all callers in a row, after which nobody from outside is asked for so long; invented
RECORD, GREETING, PIN, PLAY, MENU, OWN = "record", "greeting", "pin", "play", "menu", "own_greeting"


def setting(core, mailbox, name):
    """A setting of a mailbox."""
    value = (core.mailbox_rows.get(mailbox) or {}).get(name)
    return DEFAULTS[name] if value is None else value


def of_line(core, line):
    """The mailbox that takes what a line does not answer, or None."""
    for name in core.mailbox_rows:
        if line is not None and line in setting(core, name, "lines") and setting(core, name, "takes_calls"):
            return name
    return None


def own(core, line):
    """The mailbox whose lamp a line has, or None."""
    for name in core.mailbox_rows:
        if line is not None and line in setting(core, name, "lines"):
            return name
    return None


def messages(core, mailbox):
    """Its messages: new ones first, then by age."""
    rows = [row for row in core.state.messages.values() if row["mailbox"] == mailbox and row["state"] in ("new", "read")]
    return sorted(rows, key=lambda row: (row["state"] != "new", row["left_ms"], row["id"]))


def counts(core, mailbox):
    """(new, read)."""
    new = old = 0
    for row in core.state.messages.values():
        if row["mailbox"] == mailbox:
            new += row["state"] == "new"
            old += row["state"] == "read"
    return new, old


def show(core, mailbox):
    """Have the lamps follow."""
    new, old = counts(core, mailbox)
    for line in setting(core, mailbox, "lines"):
        core.act("line.messages", line=line, new=new, old=old)


def show_all(core):
    """After a restart or a new configuration."""
    for name in core.mailbox_rows:
        show(core, name)


# Leaving a message.

def enter(core, call, mailbox):
    """An answered caller may leave a message."""
    if mailbox not in core.mailbox_rows or len(messages(core, mailbox)) >= setting(core, mailbox, "most"):
        close(core, call, NORMAL, _said(call, "voicemail_full", "goodbye"), result_of(call, SWITCH), "mailbox %s takes no messages" % mailbox)
        return
    core.emit("mailbox.entered", call=call.id, leg=call.caller_leg, mailbox=mailbox, mode="leave")
    _greet(core, call)


def _greet(core, call):
    mailbox = call.mailbox["name"]
    _move(core, call, GREETING)
    own_path = core.state.greetings.get(mailbox)
    items = [{"message": own_path}] if own_path else _said(call, setting(core, mailbox, "greeting"))
    core.play(call, "mailbox", items + [TONE])


def _said(call, *prompts):
    items = []
    for language in call.spoken():
        for prompt in prompts:
            items.append({"prompt": prompt, "language": language})
    return items


def _move(core, call, step, deadline_ms=None, **more):
    core.emit("mailbox.moved", call=call.id, step=step, deadline_ms=deadline_ms, **more)


def _record(core, call, step, limit_s):
    mailbox = call.mailbox["name"]
    recording = core.ids.next("r")
    if step == RECORD:
        message = core.ids.next("m")
        path = "voicemail/%s/%s.wav" % (mailbox, message)
        core.emit("message.begun", call=call.id, leg=call.caller_leg, message=message, mailbox=mailbox, recording=recording, path=path,
                  caller=call.caller if call.caller_presentation == "allowed" else "", called=call.called)
    else:
        path = "voicemail/%s/greeting-%s.wav" % (mailbox, recording)
    _move(core, call, step, core.now_ms + limit_s * 1000, recording=recording, path=path)
    core.emit("recording.started", call=call.id, agent=None, recording=recording, path=path, left=call.caller_leg, right=call.caller_leg)
    core.act("media.record", recording=recording, path=path, left=call.caller_leg, right=call.caller_leg, call=call.id)


def _stop(core, call):
    recording = call.mailbox.get("recording")
    if recording in core.state.recordings and core.state.recordings[recording]["state"] == "open":
        stop_recording(core, recording)


def recording_closed(core, recording, duration_ms):
    """A recording is over: if it was a message, that is left, or too short.  duration_ms: None where nobody knows."""
    rows = [row for row in core.state.messages.values() if row["recording"] == recording and row["state"] == "recording"]
    for row in rows:
        if row["dropped"] or duration_ms is not None and duration_ms < setting(core, row["mailbox"], "min_s") * 1000:
            delete(core, row, "begun anew" if row["dropped"] else "short", "caller")
            continue
        keep_days = setting(core, row["mailbox"], "keep_days")
        core.emit("message.left", call=row["call"], message=row["id"], mailbox=row["mailbox"], duration_ms=duration_ms,
                  mail=bool(setting(core, row["mailbox"], "email")), delete_at_ms=core.now_ms + keep_days * 86400000 if keep_days else None)
        show(core, row["mailbox"])


def delete(core, row, reason, by):
    """A message is gone; its file follows after the commit."""
    core.emit("message.deleted", call=row["call"], message=row["id"], mailbox=row["mailbox"], recording=row["recording"], path=row["path"],
              reason=reason, by=by)
    show(core, row["mailbox"])


# Listening.

def listen(core, call, mailbox):
    """An answered caller wants to hear a mailbox: first the code."""
    core.emit("mailbox.entered", call=call.id, leg=call.caller_leg, mailbox=mailbox, mode="listen")
    if setting(core, mailbox, "pin"):
        _ask(core, call, 0)
    else:
        _list(core, call, 0, True)


def _ask(core, call, tries):
    core.secrets[call.id] = ""
    _move(core, call, PIN, core.now_ms + KEYS_MS, tries=tries)
    core.play(call, "mailbox", _said(call, "enter_code"))


def _list(core, call, index, first=False):
    """Play the message at a place of the list."""
    mailbox = call.mailbox["name"]
    known = messages(core, mailbox) if first else [core.state.messages[name] for name in call.mailbox["list"] if name in core.state.messages]
    new = len([row for row in known if row["state"] == "new"])
    items = []
    language = call.spoken()[0]
    if first:
        items = [{"prompt": "voicemail_you_have", "language": language}, {"number": new, "language": language},
                 {"prompt": "voicemail_new_messages", "language": language}]
    if not 0 <= index < len(known):
        index = max(0, min(index, len(known)))
        items.append({"prompt": "voicemail_no_more", "language": language})
    else:
        items += [{"prompt": "voicemail_message", "language": language}, {"number": index + 1, "language": language},
                  {"message": known[index]["path"]}]
    _move(core, call, PLAY, None, index=index, list=[row["id"] for row in known], tries=0)
    core.play(call, "mailbox", items)


def _heard(core, call):
    """The present message counts as heard."""
    box = call.mailbox
    row = core.state.messages.get(box["list"][box["index"]]) if box.get("list") and box["index"] < len(box["list"]) else None
    if row is not None and row["state"] == "new":
        core.emit("message.state", call=call.id, message=row["id"], mailbox=row["mailbox"], state="read", by="telephone")
        show(core, row["mailbox"])
    return row


def digit(core, call, key):
    """A key in a mailbox.  Whether it meant something."""
    step = call.mailbox["step"]
    if step == GREETING and key == "*" and call.mailbox["mode"] == "leave" and setting(core, call.mailbox["name"], "pin") \
            and not _is_guessed(core, call.mailbox["name"]):
        core.emit("mailbox.entered", call=call.id, leg=call.caller_leg, mailbox=call.mailbox["name"], mode="listen")
        _ask(core, call, 0)
    elif step == RECORD and key == "#":
        _finish(core, call)
    elif step == RECORD and key == "*":
        core.emit("message.dropped", call=call.id, mailbox=call.mailbox["name"], recording=call.mailbox["recording"])
        _stop(core, call)
        _greet(core, call)
    elif step == OWN and key == "#":
        _own_done(core, call)
    elif step == PIN:
        return _pin(core, call, key)
    elif step in (PLAY, MENU):
        return _menu(core, call, key)
    else:
        return False
    return True


def _is_guessed(core, mailbox):
    """Whether so many wrong codes were given lately that nobody from outside is asked for one."""
    count, last_ms = core.state.wrong_codes.get(mailbox) or (0, 0)
    return count >= WRONG_MOST and core.now_ms < last_ms + GUESSED_MS


def _pin(core, call, key):
    core.silence(call)
    pin = setting(core, call.mailbox["name"], "pin")
    if key != "#":
        core.secrets[call.id] = core.secrets.get(call.id, "") + key
    given = core.secrets.get(call.id, "")
    if key != "#" and len(given) < len(pin):
        return True
    core.secrets.pop(call.id, None)
    if given == pin:
        if call.mailbox["name"] in core.state.wrong_codes:
            core.emit("mailbox.code", call=call.id, mailbox=call.mailbox["name"], right=True)
        _list(core, call, 0, True)
        return True
    core.emit("mailbox.code", call=call.id, mailbox=call.mailbox["name"], right=False)
    if call.mailbox["tries"] + 1 < TRIES:
        _ask(core, call, call.mailbox["tries"] + 1)
    else:
        _goodbye(core, call, "the code was wrong %d times" % TRIES)
    return True


def _menu(core, call, key):
    index = call.mailbox["index"]
    if key == "1":
        _list(core, call, index)
    elif key == "2":
        _heard(core, call)
        _list(core, call, index + 1)
    elif key == "3":
        row = _heard(core, call)
        if row is not None:
            delete(core, row, "by the owner", "telephone")
        _list(core, call, index)
    elif key == "4":
        _list(core, call, max(0, index - 1))
    elif key == "9":
        _move(core, call, OWN)
        core.play(call, "mailbox", _said(call, "voicemail_record_greeting") + [TONE])
    elif key == "#":
        _goodbye(core, call, None)
    else:
        return False
    return True


def _goodbye(core, call, why):
    core.secrets.pop(call.id, None)
    close(core, call, NORMAL, _said(call, "goodbye"), "self_service", why)


def _finish(core, call):
    """The message is spoken."""
    _stop(core, call)
    close(core, call, NORMAL, _said(call, "voicemail_saved", "goodbye"), result_of(call, SWITCH), None)


def _own_done(core, call):
    """The owner's greeting is spoken; hung up before, or ended before the tone, the old one stays."""
    if call.mailbox["own_path"] is not None:
        core.emit("mailbox.greeting", call=call.id, mailbox=call.mailbox["name"], path=call.mailbox["own_path"])
        _stop(core, call)
    _list(core, call, call.mailbox["index"])


def signal_ended(core, call):
    """What was played is over."""
    step = call.mailbox["step"]
    if step == GREETING:
        _record(core, call, RECORD, setting(core, call.mailbox["name"], "max_s"))
    elif step == OWN and call.mailbox.get("own_path") is None:
        _record(core, call, OWN, 60)
    elif step == PLAY:
        _heard(core, call)
        _move(core, call, MENU, core.now_ms + KEYS_MS)
        core.play(call, "mailbox", _said(call, "voicemail_menu")[:1])


def timeout(core, call):
    """The longest message is recorded, or no key came."""
    if call.state != calls.MAILBOX:
        return False
    step = call.mailbox["step"]
    if step == RECORD:
        _finish(core, call)
    elif step == OWN:
        _own_done(core, call)
    elif step == PIN or call.mailbox["tries"] + 1 >= TRIES:
        _goodbye(core, call, "no key was pressed")
    else:
        _move(core, call, MENU, core.now_ms + KEYS_MS, tries=call.mailbox["tries"] + 1)
        core.play(call, "mailbox", _said(call, "voicemail_menu")[:1])
    return True


def resume(core, call, recordings):
    """After a restart, where nothing plays that should.  recordings: ids that media has."""
    if call.mailbox["step"] in (RECORD, OWN) and call.mailbox.get("recording"):
        if call.mailbox["recording"] not in recordings:
            clear(core, call, 41, SWITCH, result_of(call, SWITCH), "media has lost the message")
    elif call.signal is not None:
        core.play(call, call.signal["purpose"], call.signal["items"], call.signal["repeat"])
    elif call.mailbox["step"] == GREETING:
        signal_ended(core, call)


# What people and the mail do.

def expired(core, name):
    """A message has been kept as long as the mailbox says."""
    row = core.state.messages.get(name)
    if row is not None:
        delete(core, row, "retention", "switch")


def set_state(core, event):
    """event: message state("new"|"read") by?"""
    row = core.state.messages.get(event["message"])
    if row is None or row["state"] == "recording" or event["state"] not in ("new", "read"):
        return core.refuse("there is no message %s that is whole" % event["message"])
    if row["state"] != event["state"]:
        core.emit("message.state", call=row["call"], message=row["id"], mailbox=row["mailbox"], state=event["state"], by=event.get("by") or "api")
        show(core, row["mailbox"])
    return True


def remove(core, event):
    """event: message by?"""
    row = core.state.messages.get(event["message"])
    if row is None or row["state"] == "recording":
        return core.refuse("there is no message %s that is whole" % event["message"])
    delete(core, row, "by a person", event.get("by") or "api")
    return True


def mailed(core, event):
    """The mail server has taken a message, or not.  event: message ok error again_ms(None: given up) to(recipients who have it now)"""
    row = core.state.messages.get(event["message"])
    if row is None or not row["mail"]:
        return False
    more = {"to": list(event["to"])} if event.get("to") else {}
    core.emit("message.mailed", call=row["call"], message=row["id"], mailbox=row["mailbox"], ok=bool(event["ok"]), error=event.get("error"),
              again_ms=event.get("again_ms"), **more)
    return True


def snapshot(core):
    """[{mailbox label new read lines}] in the configuration's order."""
    found = []
    for name in core.mailbox_rows:
        new, old = counts(core, name)
        found.append({"mailbox": name, "label": core.mailbox_rows[name].get("label") or name, "new": new, "read": old,
                      "lines": list(setting(core, name, "lines")), "greeting": core.state.greetings.get(name)})
    return found


def told(core, mailbox):
    """Its messages for the API: [{message caller called call left_ms duration_ms state mail(None|"wanted"|"sent"|"failed")}]."""
    return [{"message": row["id"], "caller": row["caller"], "called": row["called"], "call": row["call"], "left_ms": row["left_ms"],
             "duration_ms": row["duration_ms"], "state": row["state"], "mail": row["mailed"]} for row in messages(core, mailbox)]
