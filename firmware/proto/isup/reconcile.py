"""A circuit's state here and there brought together after a circuit query: Q.764 (12/1999) 2.8.3.

    here        there       done
    busy        busy, other direction   call_confirmed
    busy        idle        the call is gone there: call_lost, and REL
    idle        busy        REL: the far end's call has nobody here
    busy        busy, same direction    REL: it cannot be one call
    transient   any         nothing: timers of both ends are at work
Blocking: what the far end says of its own side is true; what it says of ours is
put right by BLO or UBL.  Portable.
"""

from firmware.proto.isup import codes


def compare(here, there):
    """"same", "lost", "stray", "clash" or "wait" for two words of circuit_state_indicator."""
    if "transient" in (here, there):
        return "wait"
    if here == there:
        return "same" if here == "idle" else "clash"
    if here == "idle":
        return "stray"
    return "lost" if there == "idle" else "same"


class ReconcileProcedures:
    """Another part of node.ISUP."""

    def reconcile(self, circuit, state, now_ms):
        """Take what CQR says of one circuit."""
        if state["call"] == "unequipped":
            if circuit.state == codes.IDLE and not circuit.unequipped:
                circuit.unequipped_there()
            self.touch(circuit)
            return
        here = circuit.indicator()["call"]
        if circuit.local_hardware or circuit.remote_hardware or state["hardware"] != "none":
            here = "transient"          # 3.14: no call state is told then
        result = compare(here, state["call"])
        if result == "same" and here != "idle":
            if not circuit.confirmed:
                circuit.event("call_confirmed", {"call_state": circuit.state, "repaired": False})
        elif result in ("lost", "clash"):
            circuit.event("call_lost", {"cause": codes.TEMPORARY_FAILURE})
            circuit.state = circuit.begin_release(now_ms, codes.TEMPORARY_FAILURE)
        elif result == "stray":
            circuit.state = circuit.begin_release(now_ms, codes.TEMPORARY_FAILURE, "near")
        circuit.confirmed = True
        self._reconcile_blocking(circuit, state, now_ms)
        self.touch(circuit)

    def _reconcile_blocking(self, circuit, state, now_ms):
        if state["call"] == "transient":
            return
        there = state["maintenance"] in ("local", "both")
        if circuit.remote != there:
            circuit.set_remote(False, there, now_ms)
        ours = state["maintenance"] in ("remote", "both")
        if circuit.local == "blocked" and not ours:
            circuit.local = "unblocked"
            circuit.block(now_ms)
        elif circuit.local == "unblocked" and ours:
            circuit.local = "blocked"
            circuit.unblock(now_ms)
