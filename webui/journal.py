"""REST of what is kept: what was set aside."""


def add(app, relay):
    """Add the routes.  relay: that of webui.pages."""

    @app.get("/api/v1/set_aside")
    def set_aside():
        return relay("GET", "/v1/set_aside")

    @app.post("/api/v1/set_aside/clear")
    def clear():
        return relay("POST", "/v1/set_aside/clear", {})
