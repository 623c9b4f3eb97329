"""The part of the local API that says who may sign in; what they may is the configuration's (roles.py).

    GET  /v1/users                       {"users": [{name, must_change}]}
    PUT  /v1/users/{name}/password       {"password"}: the user signs in with it once and chooses another
    POST /v1/users/{name}/remove         not the last administrator; who is signed in is so no more

The file is users.json, which the web process reads anew when it has changed."""

import asyncio
import pathlib
import re

from firmware import first_boot
from firmware.control import roles
from firmware.control.commands import Problem, not_found

NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class UsersAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._house = api.house
        self._folder = pathlib.Path(api.house.data_dir)
        self._one = asyncio.Lock()

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("users",), self.users), ("PUT", ("users", None, "password"), self.password), ("POST", ("users", None, "remove"), self.remove)]

    async def users(self, query, body):
        return {"users": await asyncio.to_thread(first_boot.names, self._folder)}

    async def password(self, name, query, body):
        password = body.get("password")
        if not NAME.fullmatch(name):
            raise Problem(422, "bad name", "Use letters, digits, dot, dash and underline, at most 32.")
        if not isinstance(password, str) or not first_boot.SHORTEST <= len(password) <= 200:
            raise Problem(422, "bad password", "Give the password as a text of %d to 200 characters." % first_boot.SHORTEST)
        async with self._one:
            await self._disk(first_boot.set_password, self._folder, name, password)
        return {"ok": True}

    async def remove(self, name, query, body):
        who = roles.WHO.get()
        if who is not None and who.name == name:
            raise Problem(409, "not possible now", "You would lock yourself out; another administrator can remove you.")
        config = self._house.config.running()
        async with self._one:
            if not await self._disk(first_boot.remove, self._folder, name, lambda one: roles.person(config, one).role == "admin"):
                raise not_found("user", name[:32])
        return {"ok": True}

    @staticmethod
    async def _disk(function, *arguments):
        try:
            return await asyncio.to_thread(function, *arguments)
        except OSError as error:
            raise Problem(503, "the disk refuses", "users.json cannot be written (%s); nothing was changed." % error) from error
