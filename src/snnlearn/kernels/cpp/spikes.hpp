// Products of spikes with matrices, for learning rules that go through time step by step: currents, and what errors
// make of weights. Plain data only.
//
// Arrays over time are [steps, samples, ...], as a scan over time has them. Units come in `blocks` of equal `width`, a
// multiple of 16 and at most 64; a matrix is [blocks, inputs, width], so that a block of it stays in the cache.

#pragma once

#include <cstdint>

namespace snnlearn {

struct Spikes {
  int steps, samples, inputs;
  const uint32_t* words;  // [words, samples, inputs], or null
  const float* numbers;   // [steps, samples, inputs], if not packed, for currents: what is not 0 is a spike
};

struct Sizes {
  int blocks, width;
};

// Compiled for several instruction sets. Samples [first, last); scratch is memory of spike_scratch_bytes that nobody
// else uses meanwhile.
struct SpikeProducts {
  // out [steps, samples, blocks * width] = spikes weight
  void (*currents)(const Spikes&, Sizes, const float* weight, float* out, int first, int last, char* scratch);
  // sum [blocks, inputs, width] += spikesᵀ errors, for errors [steps, samples, blocks * width] and packed spikes
  void (*outer)(const Spikes&, Sizes, const float* errors, float* sum, int first, int last, char* scratch);
};

inline long spike_scratch_bytes(const Spikes& spikes) {
  const long steps = spikes.steps, inputs = spikes.inputs;
  const long lists = (2 * inputs + 1) + (steps + 1) + (inputs * steps + 16);
  return 4 * (lists + 64 + steps * 64) + 6 * 64;
}

}  // namespace snnlearn
