// Sums over spikes: currents, by adding the weights of those that spiked; weight gradients, by adding the errors of
// the steps in which an input spiked. What did not spike costs nothing.

#pragma once

#include "chain.hpp"
#include "vector.hpp"

namespace snnlearn {
namespace SNNLEARN_ISA {

SNNLEARN_INLINE int width_at(int unit, int units) { return units - unit < kBlock ? units - unit : kBlock; }

// A block of a matrix, from unit `unit` on.
SNNLEARN_INLINE float* block(const Blocked& matrix, int unit) { return matrix.data + long(unit) * matrix.rows; }

// Calls f<vectors of the block's width>().
#define SNNLEARN_BY_WIDTH(width, f, ...)                        \
  switch ((width) / kPad) {                                     \
    case 1: f<1 * kPad / kLanes>(__VA_ARGS__); break;           \
    case 2: f<2 * kPad / kLanes>(__VA_ARGS__); break;           \
    case 3: f<3 * kPad / kLanes>(__VA_ARGS__); break;           \
    default: f<4 * kPad / kLanes>(__VA_ARGS__);                 \
  }

// The units that spike in each step: those of step t are unit[start[t]] to unit[start[t + 1] - 1], in order.
struct Events {
  uint32_t* start;  // [steps + 2]
  uint32_t* unit;   // [spikes]
};

static void by_step(const Events& events, const uint32_t* words, int stride, int units, int steps) {
  const int num_words = words_of(steps);
  uint32_t* next = events.start + 1;  // after counting, where the next spike of a step goes
  for (int t = 0; t < steps + 2; ++t) events.start[t] = 0;
  for (int w = 0; w < num_words; ++w)
    for (int n = 0; n < units; ++n)
      for (uint32_t word = words[long(w) * stride + n]; word; word &= word - 1)
        ++next[32 * w + __builtin_ctz(word) + 1];
  for (int t = 0; t < steps; ++t) next[t + 1] += next[t];
  for (int w = 0; w < num_words; ++w)
    for (int n = 0; n < units; ++n)
      for (uint32_t word = words[long(w) * stride + n]; word; word &= word - 1)
        events.unit[next[32 * w + __builtin_ctz(word)]++] = n;
}

// out[t] = start + sum of the weight rows of the units that spike in step t; start is the bias, or out itself.
template <int kVectors>
static void add_rows(float* out, const Events& events, int steps, const float* weight, const float* bias) {
  constexpr int kWidth = kVectors * kLanes;
  for (int t = 0; t < steps; ++t, out += kWidth) {
    Vec sums[kVectors];
    for (int k = 0; k < kVectors; ++k) sums[k] = load((bias ? bias : out) + k * kLanes);
    for (uint32_t e = events.start[t]; e < events.start[t + 1]; ++e) {
      const float* row = weight + long(events.unit[e]) * kWidth;
      for (int k = 0; k < kVectors; ++k) sums[k] += load(row + k * kLanes);
    }
    for (int k = 0; k < kVectors; ++k) store(out + k * kLanes, sums[k]);
  }
}

// gradient[n] += sum of the errors [steps, width] of the steps in which unit n spikes.
template <int kVectors>
static void add_errors(float* gradient, const uint32_t* words, int stride, int units, int steps, const float* error) {
  constexpr int kWidth = kVectors * kLanes;
  for (int n = 0; n < units; ++n, gradient += kWidth) {
    Vec sums[kVectors] = {};
    bool any = false;
    for (int first = 0; first < steps; first += 32) {
      uint32_t word = words[long(first / 32) * stride + n];
      if (steps - first < 32) word &= (1u << (steps - first)) - 1;
      for (any |= word != 0; word; word &= word - 1) {
        const float* row = error + long(first + __builtin_ctz(word)) * kWidth;
        for (int k = 0; k < kVectors; ++k) sums[k] += load(row + k * kLanes);
      }
    }
    if (any)
      for (int k = 0; k < kVectors; ++k) store(gradient + k * kLanes, load(gradient + k * kLanes) + sums[k]);
  }
}

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
