"""What the web process says when it cannot start is in control's health."""

import asyncio


def test_health_says_why_there_are_no_pages(site):
    async def scenario():
        house, _, _ = site.house()
        await house.start()
        path = house.run_dir / "web.fault"
        path.write_bytes(b"users.json is damaged (\xff); restore it from a backup.")
        assert house.health()["faults"] == ["there are no web pages: users.json is damaged (\ufffd); restore it from a backup"]
        assert house.state()["system"]["ok"] is False
        path.unlink()
        assert house.health()["ok"]
        await house.stop()
    asyncio.run(scenario())
