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

// Lists those of the numbers 0 to size - 1 whose count is not 0, equal counts together, and returns how many: where work
// on each is a loop of so many turns, the processor foresees its end.
template <class Number, class Count>
SNNLEARN_INLINE int in_order_of(Count count, int size, Number* order) {
  constexpr int kMost = 63;  // among longer loops one end that comes unforeseen is no matter
  int place[kMost + 2] = {};
  auto at = [&](int n) { return count(n) < kMost ? count(n) : kMost; };
  for (int n = 0; n < size; ++n) ++place[at(n) + 1];
  place[1] = 0;
  for (int c = 1; c <= kMost; ++c) place[c + 1] += place[c];
  for (int n = 0; n < size; ++n)
    if (at(n)) order[place[at(n)]++] = n;
  return place[kMost];
}

// The spikes of a sample, in order, listed by unit or by step: those of unit n are in steps step[of_unit[n]] to
// step[of_unit[n + 1] - 1], those of step t are of units unit[of_step[t]] to unit[of_step[t + 1] - 1].
struct Events {
  uint32_t* of_unit;  // [units + 1]
  uint32_t* step;     // [spikes + kLanes]
  uint32_t* of_step;  // [steps + 1]
  uint32_t* unit;     // [spikes + kLanes]
  uint32_t* order;    // [units]: those that spike, in order of how often
  int num_active;     // how many these are
};

static void list_by_unit(Events& events, const uint32_t* words, int stride, int units, int steps) {
  uint32_t* out = events.step;
  for (int n = 0; n < units; ++n) {
    events.of_unit[n] = out - events.step;
    for (int first = 0; first < steps; first += 32) {
      uint32_t word = words[long(first / 32) * stride + n];
      if (steps - first < 32) word &= (1u << (steps - first)) - 1;
      out = put_places<32>(out, word, first);
    }
  }
  events.of_unit[units] = out - events.step;
  const uint32_t* first = events.of_unit;
  events.num_active = in_order_of([first](int n) { return int(first[n + 1] - first[n]); }, units, events.order);
}

// Returns how many there are.
static uint32_t list_by_step(const Events& events, const uint32_t* words, int stride, int units, int steps) {
  uint32_t* out = events.unit;
  for (int t = 0; t < steps; ++t) {
    const uint32_t* row = words + long(t / 32) * stride;
    events.of_step[t] = out - events.unit;
    int n = 0;
    for (; n + kLanes <= units; n += kLanes) out = put_places<kLanes>(out, bits_at(row + n, t % 32), n);
    for (; n < units; ++n) {
      *out = n;
      out += row[n] >> t % 32 & 1;
    }
  }
  events.of_step[steps] = out - events.unit;
  return events.of_step[steps];
}

// Lists one step as if it were the first; units are padded.
SNNLEARN_INLINE void list_step(const Events& events, const uint32_t* words, int units, int t) {
  const uint32_t* row = words + long(t / 32) * units;
  uint32_t* out = events.unit;
  for (int n = 0; n < units; n += kLanes) out = put_places<kLanes>(out, bits_at(row + n, t % 32), n);
  events.of_step[0] = 0;
  events.of_step[1] = out - events.unit;
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
    const uint32_t* unit = events.unit + events.of_step[t];
    for (const uint32_t* end = events.unit + events.of_step[t + 1]; unit < end; ++unit) {
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
static void add_errors(float* gradient, const Events& events, const float* error) {
  constexpr int kWidth = kVectors * kLanes;
  for (int place = 0; place < events.num_active; ++place) {
    const uint32_t n = events.order[place], *step = events.step + events.of_unit[n];
    float* out = gradient + long(n) * kWidth;
    Vec sums[kVectors];
    for (int k = 0; k < kVectors; ++k) sums[k] = load(out + k * kLanes);
    for (const uint32_t* end = events.step + events.of_unit[n + 1]; step < end; ++step) {
      const float* row = error + long(*step) * kWidth;
      for (int k = 0; k < kVectors; ++k) sums[k] += load(row + k * kLanes);
    }
    for (int k = 0; k < kVectors; ++k) store(out + k * kLanes, sums[k]);
  }
}

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
