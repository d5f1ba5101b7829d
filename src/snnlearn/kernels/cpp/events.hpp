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

// The units that spike in each step, in order: those of step t are unit[t * most] to unit[t * most + count[t] - 1].
struct Events {
  uint32_t* count;  // [steps]
  uint32_t* unit;   // [steps, most]
  int most;
};

static void by_step(const Events& events, const uint32_t* words, int stride, int units, int steps) {
  for (int t = 0; t < steps; ++t) events.count[t] = 0;
  for (int first = 0; first < steps; first += 32, words += stride) {
    uint32_t *count = events.count + first, *unit = events.unit + long(first) * events.most;
    for (int n = 0; n < units; ++n)
      for (uint32_t word = words[n]; word; word &= word - 1) {
        const int t = __builtin_ctz(word);
        unit[long(t) * events.most + count[t]++] = n;
      }
  }
}

// Spikes as numbers, [steps, units].
static void by_rows(float* out, const uint32_t* words, int stride, int units, int steps) {
  for (int t = 0; t < steps; ++t, out += units)
    for (int n = 0; n < units; ++n) out[n] = float(words[long(t / 32) * stride + n] >> t % 32 & 1);
}

// out[t] = start + sum of the weight rows of the units that spike in step t; start is the bias, or out itself.
template <int kVectors>
static void add_rows(float* out, const Events& events, int steps, const float* weight, const float* bias) {
  constexpr int kWidth = kVectors * kLanes;
  for (int t = 0; t < steps; ++t, out += kWidth) {
    Vec sums[kVectors];
    for (int k = 0; k < kVectors; ++k) sums[k] = load((bias ? bias : out) + k * kLanes);
    const uint32_t* unit = events.unit + long(t) * events.most;
    for (const uint32_t* end = unit + events.count[t]; unit < end; ++unit) {
      const float* row = weight + long(*unit) * kWidth;
      for (int k = 0; k < kVectors; ++k) sums[k] += load(row + k * kLanes);
    }
    for (int k = 0; k < kVectors; ++k) store(out + k * kLanes, sums[k]);
  }
}

// sum += the errors of all steps.
template <int kVectors>
static void add_all_errors(float* sum, int steps, const float* error) {
  Vec sums[kVectors];
  for (int k = 0; k < kVectors; ++k) sums[k] = load(sum + k * kLanes);
  for (int t = 0; t < steps; ++t, error += kVectors * kLanes)
    for (int k = 0; k < kVectors; ++k) sums[k] += load(error + k * kLanes);
  for (int k = 0; k < kVectors; ++k) store(sum + k * kLanes, sums[k]);
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
