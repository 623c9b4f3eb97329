"""The part of the local API that takes documents, which fax nodes of flows send, and has them sent to numbers.

    GET  /v1/documents                {"documents": [{document, pages, octets, changed_ms}]}
    PUT  /v1/documents/{name}?by=B    the octets of a TIFF (1 bit), PBM or PDF as body -> {"document", "pages", "octets"}; what is being sent is sent to its end
    GET  /v1/documents/{name}/file    the TIFF
    POST /v1/documents/{name}/remove  {"by"?}
    GET  /v1/faxes                    {"faxes": [...]}: those that wait or are on their way, and the last ones that are over; shape: core_faxes.snapshot
    POST /v1/faxes                    {"document", "number", "station"?, "header"?, "at_ms"?, "note"?, "by"?} -> {"fax"}
    POST /v1/faxes/{id}/cancel        {"by"?}

A refusal names what is wrong with which page; nothing is half applied.  What of a document went where stands in the CDRs (fax)."""

import asyncio
import pathlib

from firmware.control import core_faxes
from firmware.control.commands import Problem, not_found
from firmware.control.operations import operate
from firmware.control.roles import by
from firmware.errors import LocalError


class DocumentsAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._house = api.house
        self._one = asyncio.Lock()

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("documents",), self.documents), ("PUT", ("documents", None), self.put), ("GET", ("documents", None, "file"), self.file),
                ("POST", ("documents", None, "remove"), self.remove),
                ("GET", ("faxes",), self.faxes), ("POST", ("faxes",), self.fax), ("POST", ("faxes", None, "cancel"), self.cancel)]

    async def documents(self, query, body):
        return {"documents": await asyncio.to_thread(self._house.documents.rows)}

    async def put(self, name, query, body):
        octets = body.get("octets") if isinstance(body, dict) else None
        if not isinstance(octets, bytes) or not octets:
            raise Problem(422, "no file", "Send the octets of the document as the body.")
        async with self._one:
            try:
                made = await asyncio.to_thread(self._house.documents.put, name, octets)
            except LocalError as error:
                raise Problem(422, "no usable document", "%s. Nothing was changed." % _sentence(error)) from error
            except OSError as error:
                raise Problem(503, "the disk refuses", "%s cannot be kept (%s); nothing was changed. Free space on the data disk." % (name[:64], error)) from error
        await self._record(name, "written", by({"by": query.get("by")}), made["pages"])
        return made

    async def file(self, name, query, body):
        try:
            return await asyncio.to_thread(lambda: pathlib.Path(self._house.documents.file(name)).read_bytes())
        except (LocalError, OSError) as error:
            raise Problem(404, "not found", _sentence(error) + ".") from error

    async def remove(self, name, query, body):
        async with self._one:
            try:
                await asyncio.to_thread(self._house.documents.remove, name)
            except LocalError as error:
                raise Problem(404, "not found", _sentence(error) + ".") from error
            except OSError as error:
                raise Problem(503, "the disk refuses", "%s cannot be removed (%s)." % (name[:64], error)) from error
        await self._record(name, "removed", by(body), None)
        return {"ok": True}

    async def faxes(self, query, body):
        return {"faxes": core_faxes.snapshot(self._house.switchboard.core)}

    async def fax(self, query, body):
        if isinstance(body.get("document"), str):
            await self._exists(body["document"])
        return {"ok": True, **await operate(self._house, "fax", _of(body))}

    async def _exists(self, name):
        try:
            await asyncio.to_thread(self._house.documents.file, name)
        except (LocalError, OSError) as error:
            raise Problem(404, "not found", _sentence(error) + ".") from error

    async def cancel(self, name, query, body):
        if name not in self._house.switchboard.core.state.faxes:
            raise not_found("fax", name[:32])
        return {"ok": True, **await operate(self._house, "fax_cancel", {**_of(body), "fax": name})}

    async def _record(self, name, change, who, pages):
        await self._house.command({"kind": "command.desk", "record": "desk.changed",
                                   "data": {"what": "document", "id": name, "change": change, "by": who, "count": pages}})


def _of(body):
    """What a request says, with who acts."""
    who = by(body)
    return {**body, "by": who} if who else body


def _sentence(error):
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".")
