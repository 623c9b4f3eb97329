"""An agent who works with a browser only: the page /phone in Chromium, a WAV file as the microphone.

    with BrowserPhone(url, "1001", "secret", said="said.wav") as phone:
        phone.wait_state("ready"); phone.click("answer"); phone.wait_state("talking")
        phone.level_db(1000, 1500)          # what the far end says, by the page's own analyser

States are those of webui/static/phone.js: off, connecting, refused, ready, away, ringing, calling, talking, held.  The far
end's sound is measured in the page, on the track that the loudspeaker gets, by a WebAudio analyser (of the browser, not ours).
"""

import time

from hil.browser import Person

MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--use-file-for-fake-audio-capture={}")
ANALYSE = """
    const done = arguments[arguments.length - 1], window_s = arguments[0];
    const session = window.phone.session;
    if (!session || !session.connection) { done(null); return; }
    const track = session.connection.getReceivers().map((r) => r.track).find((t) => t && t.kind === "audio");
    if (!track) { done(null); return; }
    const context = new AudioContext(), analyser = context.createAnalyser();
    analyser.fftSize = 8192; analyser.smoothingTimeConstant = 0;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    context.resume();
    const best = new Float32Array(analyser.frequencyBinCount).fill(-200), now = new Float32Array(analyser.frequencyBinCount);
    const began = performance.now();
    const look = setInterval(() => {
      analyser.getFloatFrequencyData(now);
      for (let i = 0; i < now.length; i++) if (now[i] > best[i]) best[i] = now[i];
      if (performance.now() - began > window_s * 1000) {
        clearInterval(look);
        done({rate: context.sampleRate, bins: Array.from(best.slice(0, 800))});
        context.close();
      }
    }, 50);
"""
STATS = """
    const done = arguments[arguments.length - 1], session = window.phone.session;
    if (!session || !session.connection) { done(null); return; }
    session.connection.getStats().then((report) => { const out = []; report.forEach((row) => out.push(row)); done(JSON.parse(JSON.stringify(out))); });
"""


class BrowserPhone:
    """line, password: of the house.  said: path of a WAV file that is the microphone, played over and over."""

    def __init__(self, url, line, password, said):
        self.line, self.password = line, password
        self.person = Person(url, [switch.format(said) for switch in MICROPHONE])
        self.driver = self.person.driver
        self.driver.set_script_timeout(60)

    def __enter__(self):
        try:
            return self.log_in()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.person.close()

    def log_in(self):
        self.driver.get(self.person.url + "/phone")
        self.person.see("#log-in button", 30)
        for name, text in (("line", self.line), ("password", self.password)):
            self.driver.find_element("css selector", f"#log-in input[name={name}]").send_keys(text)
        self.driver.find_element("css selector", "#log-in button").click()
        return self

    @property
    def state(self):
        return self.driver.execute_script("return document.getElementById('phone').dataset.state")

    def wait_state(self, *wanted, timeout_s=30):
        """Wait for one of the states; returns it.  Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        while True:
            state = self.state
            if state in wanted:
                return state
            if time.monotonic() > end:
                raise TimeoutError(f"The browser phone is {state!r}, not {' or '.join(wanted)}; its page says "
                                   f"{self.person.text('#status', 2)!r}; the console: {self.person.complaints()}")
            time.sleep(0.05)

    def click(self, name):
        """One of the page's buttons by its id."""
        self.driver.execute_script("document.getElementById(arguments[0]).click()", name)

    def dial(self, number):
        self.driver.execute_script("const form = document.getElementById('dial'); form.elements.number.value = arguments[0]; "
                                   "form.requestSubmit()", number)

    def key(self, digit):
        self.driver.execute_script("document.querySelector(`#keys button[value='${arguments[0]}']`).click()", digit)

    def info_key(self, digit):
        """A key press as INFO (RFC 6086), which the page itself does not use."""
        self.driver.execute_script("window.phone.session.sendDTMF(arguments[0], {transportType: 'INFO'})", digit)

    def spectrum(self, seconds=0.6):
        """(frequency of a bin in Hz, [dB of each bin, the highest within that time]) of what comes; None without a call."""
        found = self.driver.execute_async_script(ANALYSE, seconds)
        return None if found is None else (found["rate"] / 8192, found["bins"])

    def tone_db(self, hz, seconds=0.6):
        """(dB of a tone, dB of the loudest bin farther than 60 Hz from it)."""
        found = self.spectrum(seconds)
        if found is None:
            return -200.0, -200.0
        step, bins = found
        at = round(hz / step)
        near = max(bins[max(0, at - 2):at + 3])
        rest = max((value for place, value in enumerate(bins) if abs(place * step - hz) > 60 and place * step > 60), default=-200.0)
        return near, rest

    def stats(self):
        """RTCPeerConnection.getStats() as a list."""
        return self.driver.execute_async_script(STATS) or []
