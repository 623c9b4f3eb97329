"""REST of users: who may sign in, with which password; what they may do is the configuration's (control/roles.py)."""

import re

NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}\Z")


def add(app, web):
    """Add the routes."""
    users, sessions = web.users, web.sessions

    def must_be_admin():
        if web.relay("GET", "/v1/me")["role"] != "admin":
            raise web.problem(403, "not allowed", "Only an administrator sets passwords of users.")

    @app.get("/api/v1/users")
    def api_users():
        must_be_admin()
        return {"users": users.names()}

    @app.put("/api/v1/users/<name>/password")
    def api_user_password(name):
        """{"password"}: the user signs in with it once and chooses another."""
        must_be_admin()
        body = web.body('{"password": "..."}')
        if not NAME.match(name):
            raise web.problem(422, "bad name", "Use letters, digits, dot, dash and underline, at most 32.")
        password = body.get("password")
        why = users.give(name, password) if isinstance(password, str) and len(password) <= 200 else "Give the password as a text."
        if why:
            raise web.problem(422, "bad password", why)
        sessions.end_others(name, "")       # who is signed in with the old one signs in anew
        return {"ok": True}

    @app.delete("/api/v1/users/<name>")
    @app.post("/api/v1/users/<name>/remove")        # as all else is removed
    def api_user_remove(name):
        must_be_admin()
        if name == web.user:
            raise web.problem(409, "not possible now", "You would lock yourself out; another administrator can remove you.")
        if not users.remove(name, web.user):
            raise web.problem(404, "not found", f"There is no user {name[:32]}.")
        sessions.end_others(name, "")
        return {"ok": True}
