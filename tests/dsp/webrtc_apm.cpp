// Debian's webrtc-audio-processing 0.3 behind C functions, for dsp/bench_enhance.py, which compiles it to build/.
#include <string.h>
#include <webrtc/modules/audio_processing/include/audio_processing.h>
#include <webrtc/modules/interface/module_common_types.h>

using namespace webrtc;

extern "C" void *apm_new(int noise, int level, int voice)
{
    // The experimental AGC is on by default and runs a pitch detector in digital mode, too: 500 ns a sample, a fake ratio.
    Config config;
    config.Set<ExperimentalAgc>(new ExperimentalAgc(false));
    AudioProcessing *apm = AudioProcessing::Create(config);
    apm->Initialize(8000, 8000, 8000, AudioProcessing::kMono, AudioProcessing::kMono, AudioProcessing::kMono);
    if (noise) {
        apm->noise_suppression()->set_level(NoiseSuppression::kHigh);
        apm->noise_suppression()->Enable(true);
    }
    if (level) {
        apm->gain_control()->set_mode(GainControl::kAdaptiveDigital);
        apm->gain_control()->Enable(true);
    }
    if (voice)
        apm->voice_detection()->Enable(true);
    return apm;
}

extern "C" int apm_run(void *state, short *x, int n)
{
    AudioProcessing *apm = static_cast<AudioProcessing *>(state);
    AudioFrame frame;
    frame.sample_rate_hz_ = 8000;
    frame.samples_per_channel_ = 80;
    frame.num_channels_ = 1;
    int failed = 0;
    for (int at = 0; at + 80 <= n; at += 80) {
        memcpy(frame.data_, x + at, 160);
        failed |= apm->ProcessStream(&frame);
        memcpy(x + at, frame.data_, 160);
    }
    return failed;
}
