"""Synthetic answers for answering-machine detection, the same at each run: espeak-ng voices, room noise, A-law.

Nothing here was recorded from calls: rates measured on it say how the algorithm does
on clean synthetic speech, not what a campaign will see.
  persons   a short greeting after 0.2 to 1 s, then silence (noise) while they wait
  machines  a greeting of two or three sentences, then a beep in nine of ten
"""

import io
import subprocess
import wave

import numpy as np

from tests.dsp.conftest import at_8_khz

PERSONS = {"en": ("Hello?", "Hello, John speaking.", "Yes?", "Good morning.", "Yes, who is there?", "Smith."),
           "cmn": ("喂？", "喂，你好。", "你好，哪位？", "谁呀？", "喂喂？"),
           "de": ("Hallo?", "Müller.", "Ja bitte?"), "fr": ("Allô?", "Oui bonjour?"), "es": ("¿Diga?", "¿Sí, quién es?")}
MACHINES = {"en": ("Hello, you have reached the Smith family. We cannot come to the phone right now. Please leave a message after the tone.",
                   "The number you have dialled is not available at present. Please try again later, or leave a message.",
                   "Hi, this is Peter. I am out for the moment. Leave your name and number and I will call you back."),
            "cmn": ("您好，您拨打的用户暂时无法接听，请在听到提示音后留言。", "你好，我现在不在家，请留下您的姓名和电话号码，我会尽快给您回电话。"),
            "de": ("Guten Tag, Sie sind verbunden mit der Mailbox von Hans Müller. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",),
            "fr": ("Bonjour, vous êtes bien chez Pierre. Je ne suis pas disponible. Laissez-moi un message après le bip sonore.",),
            "es": ("Hola, en este momento no puedo atender su llamada. Por favor deje su mensaje después de la señal.",)}
BEEPS_HZ = (440, 850, 1000, 1400, 2000)


def say(text, voice, speed, pitch):
    """Speech at 8 kHz, -20 dBm0 while it sounds."""
    made = subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text], check=True, capture_output=True, timeout=60).stdout
    with wave.open(io.BytesIO(made)) as file:
        x = at_8_khz(np.frombuffer(file.readframes(2**28), "<i2"), file.getframerate()).astype(float)
    loud = np.flatnonzero(np.abs(x) > 0.02 * np.abs(x).max())
    x = x[loud[0]:loud[-1]]
    return x * 1614 / np.sqrt((x**2)[np.abs(x) > 0.05 * np.abs(x).max()].mean())


def calls(variants=2, seed=1):
    """[(True for a machine, int16 samples, (beep begin sample, Hz) or None)]."""
    rng, made = np.random.default_rng(seed), []
    for is_machine, texts in ((False, PERSONS), (True, MACHINES)):
        for voice, sentences in texts.items():
            for text in sentences:
                for _ in range(variants if not is_machine else 2 * variants):
                    x = say(text, voice, int(rng.integers(130, 200)), int(rng.integers(20, 80)))
                    parts, beep = [np.zeros(int(rng.uniform(0.2, 1) * 8000)), x], None
                    if is_machine and rng.random() < 0.9:
                        parts.append(np.zeros(int(rng.uniform(0.3, 1.2) * 8000)))
                        beep = (sum(map(len, parts)), int(rng.choice(BEEPS_HZ)))
                        parts.append(4000 * np.sin(2 * np.pi * beep[1] / 8000 * np.arange(int(rng.uniform(0.25, 0.8) * 8000))))
                    parts.append(np.zeros(32000))
                    x = np.concatenate(parts)
                    x = x + rng.normal(size=len(x)) * 10 ** (rng.uniform(-65, -45) / 20) * 16140
                    made.append((is_machine, np.clip(np.rint(x), -32768, 32767).astype(np.int16), beep))
    return made
