"""A person at the pages: Debian's Chromium, driven by chromedriver."""

import contextlib
import os
import pathlib

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from hil import scratch
from hil.rig import die_with_us

CHROMIUM, DRIVER = str(pathlib.Path(__file__).with_name("chromium.sh")), "/usr/bin/chromedriver"
# The browser must ask nobody but the box.
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
            "--window-size=1400,1000", "--lang=en")


class Person:
    """One signed-in browser window.  switches: more of Chromium's."""

    def __init__(self, url, switches=()):
        self.url = url
        self._profile = scratch.folder("chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for switch in (*SWITCHES, *switches, f"--user-data-dir={self._profile.name}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=DRIVER, popen_kw={"preexec_fn": die_with_us},
                                         env={**os.environ, "PULSE_RUNTIME_PATH": self._profile.name})     # else it leaves a folder of its own
        self.driver = webdriver.Chrome(options=options, service=service)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(Exception):
            self.driver.quit()
        self._profile.cleanup()

    def sign_in(self, user, password):
        self.driver.get(self.url + "/login")
        name = self.driver.find_element(By.NAME, "user")
        name.clear()
        name.send_keys(user)
        self.driver.find_element(By.NAME, "password").send_keys(password)
        self.driver.find_element(By.CSS_SELECTOR, "main form button").click()
        self.see("#agents, input[name=new]", 10)

    def see(self, selector, timeout_s=10):
        """Wait until the selector shows; returns the element.  Raises TimeoutError."""
        try:
            return WebDriverWait(self.driver, timeout_s, 0.1, [StaleElementReferenceException]).until(      # a page that renews itself
                lambda d: next((e for e in d.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), False))
        except Exception as error:
            raise TimeoutError(f"The page {self.driver.current_url} did not show {selector} within {timeout_s} s.") from error

    def text(self, selector, timeout_s=10):
        self.see(selector, timeout_s)
        return self.driver.execute_script("return document.querySelector(arguments[0]).textContent", selector)

    def play_audio(self, selector="audio", seconds=1.0, timeout_s=10):
        """Play an audio element; returns its length in seconds once `seconds` of it were heard."""
        self.driver.set_script_timeout(timeout_s)
        answer = self.driver.execute_async_script("""
            const audio = document.querySelector(arguments[0]), wanted = arguments[1], done = arguments[2];
            audio.onerror = () => done("the browser cannot play it: " + (audio.error && audio.error.message));
            audio.ontimeupdate = () => { if (audio.currentTime >= wanted) { audio.pause(); done(audio.duration); } };
            audio.play().catch((error) => done(String(error)));
        """, selector, seconds)
        if not isinstance(answer, (int, float)):
            raise RuntimeError(f"The recording did not play in the browser: {answer}")
        return float(answer)

    def picture(self, path):
        """A screenshot."""
        self.driver.save_screenshot(str(path))

    def complaints(self):
        """What the browser's console holds at level SEVERE (a script error, a refused resource)."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
