"""The part of the local API that takes prompts: sound files that flows, queues and mailboxes play by name.

    GET  /v1/prompts                              {"prompts": [{language, prompt, current, versions}], "box": {language: [names]}}
    PUT  /v1/prompts/{language}/{name}?file=F&by=B    the file's octets as body; any WAV that media reads, or .vox (by the name F)
                                                  -> {"version", "duration_ms", "form", "peak_db"}; what plays now plays on, then the new one is heard
    GET  /v1/prompts/{language}/{name}/audio?version=N     WAV
    POST /v1/prompts/{language}/{name}/rollback   {"version": N, or null: that of the box}
    POST /v1/prompts/{language}/{name}/remove     all versions; refused where the configuration names it and the box has none

language: zh_CN, en, ... or music.  A file is checked and converted by a process of its own before anything changes; a refusal names the
file and what is wrong with it."""

import asyncio
import json
import os
import pathlib
import sys
import tempfile

from firmware.control import feasible
from firmware.control.commands import Problem
from firmware.control.roles import by
from firmware.errors import LocalError

OCTETS_MOST = 32 << 20      # of one file: three minutes of what studios give, over an hour of A-law; ours
CONVERT_S = 120


class PromptsAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api, self._house = api, api.house
        self._one = asyncio.Lock()

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("prompts",), self.prompts), ("PUT", ("prompts", None, None), self.put), ("GET", ("prompts", None, None, "audio"), self.audio),
                ("POST", ("prompts", None, None, "rollback"), self.rollback), ("POST", ("prompts", None, None, "remove"), self.remove)]

    @property
    def _files(self):
        return self._house.prompt_files

    async def prompts(self, query, body):
        folder = self._house.media.prompts.folder

        def box():
            found = {entry.name: sorted(path.stem for path in entry.glob("*.wav")) for entry in sorted(pathlib.Path(folder).glob("*")) if entry.is_dir()}
            return {name: names for name, names in found.items() if names}
        return {"prompts": self._files.rows(), "box": await asyncio.to_thread(box)}

    async def put(self, language, name, query, body):
        octets = body.get("octets") if isinstance(body, dict) else None
        given = os.path.basename(query.get("file") or "%s.wav" % name)[:100]
        if not isinstance(octets, bytes) or not octets:
            raise Problem(422, "no file", "Send the octets of the sound file as the body.")
        key = self._key(language, name)
        async with self._one:
            try:
                version, path = await asyncio.to_thread(self._files.next_file, key)
                facts = await self._convert(octets, given, path)
                facts.update(at_ms=self._house.clock.now_ms(), by=by({"by": query.get("by")}), file=given)
                await asyncio.to_thread(self._files.put, key, version, facts)
            except OSError as error:
                raise Problem(503, "the disk refuses", "%s cannot be kept (%s); nothing was changed. Free space on the data disk." % (given, error)) from error
        return {"version": version, **facts}

    async def _convert(self, octets, given, path):
        """Check and convert; the file is at `path` then.  Raises Problem."""
        folder = os.path.dirname(path)
        descriptor, source = tempfile.mkstemp(suffix=".vox" if given.lower().endswith(".vox") else ".wav", prefix=".given-", dir=folder)
        try:
            with open(descriptor, "wb") as file:
                await asyncio.to_thread(file.write, octets)
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "firmware.media.prompt", source, path, stdout=asyncio.subprocess.PIPE,
                                                           stderr=asyncio.subprocess.PIPE)
            try:
                out, errors = await asyncio.wait_for(process.communicate(), CONVERT_S)
            except asyncio.TimeoutError:
                raise Problem(422, "no usable sound", "%s was not converted within %d s; nothing was changed." % (given, CONVERT_S)) from None
            finally:
                process._transport.close()
            if process.returncode:
                why = (errors.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1].replace(source, given)[:300]
                raise Problem(422, "no usable sound", "%s: %s. Nothing was changed." % (given, why.rstrip(".")))
            return json.loads(out)
        finally:
            os.unlink(source)

    def _key(self, language, name):
        try:
            return self._files.check(language, name)
        except LocalError as error:
            raise Problem(422, "bad name", str(error)[:1].upper() + str(error)[1:] + ".") from error

    async def audio(self, language, name, query, body):
        version = query.get("version")
        if version is not None and not (version.isascii() and version.isdigit() and len(version) < 9):
            raise Problem(400, "bad parameter", "version is a number.")
        try:
            return await asyncio.to_thread(pathlib.Path(self._files.file(self._key(language, name), version and int(version))).read_bytes)
        except LocalError as error:
            raise Problem(404, "not found", str(error)[:1].upper() + str(error)[1:] + ".") from error

    async def rollback(self, language, name, query, body):
        version = body.get("version")
        if "version" not in body or version is not None and (not isinstance(version, int) or isinstance(version, bool)):
            raise Problem(422, "incomplete", 'Send {"version": a number, or null: that of the box}.')
        key = self._key(language, name)
        async with self._one:
            if version is None:
                self._needed(language, name)
            await self._change(self._files.turn_back, key, version)
        return {"current": version}

    async def remove(self, language, name, query, body):
        key = self._key(language, name)
        async with self._one:
            self._needed(language, name)
            await self._change(self._files.remove, key)
        return {"ok": True}

    async def _change(self, function, *arguments):
        try:
            await asyncio.to_thread(function, *arguments)
        except OSError as error:
            raise Problem(503, "the disk refuses", "The index of prompts cannot be written (%s); nothing was changed." % error) from error

    def _needed(self, language, name):
        """Raise where the configuration names a prompt that would be nowhere."""
        item = {"music" if language == "music" else "prompt": name}
        where = feasible.named(self._house.config.running()).get(next(iter(item.items())))
        if where is not None and not self._house.media.prompts.has(item, without="%s/%s" % (language, name)):
            raise LocalError("%s names %s, and the box has no other; change that first" % (where, name))
