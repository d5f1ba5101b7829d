// Neurons over time, forward, forward again for the pseudo-derivatives, and backward.

#pragma once

#include "chain.hpp"
#include "vector.hpp"

namespace snnlearn {
namespace SNNLEARN_ISA {

// A slice of `width` units of a layer: its constants and its state, rows of `stride`.
struct Units {
  const float* constants;
  float* state;
  int stride, width;
};

// Packed spikes: a row of words for each 32 steps.
struct Words {
  uint32_t* data;
  int stride;

  SNNLEARN_INLINE Mask get(int t, int n) const { return bit_of(data + long(t / 32) * stride + n, t % 32); }
  SNNLEARN_INLINE void set(int t, int n, Mask where) const {
    uint32_t* words = data + long(t / 32) * stride + n;
    store(words, load(words) | (where & static_cast<int32_t>(1u << t % 32)));
  }
};

SNNLEARN_INLINE Vec pseudo_derivative(const Layer& layer, Vec x) {
  const Vec s = abs(x) * layer.slope;
  switch (layer.surrogate) {
    case Surrogate::kFastSigmoid: return layer.height / ((1 + s) * (1 + s));
    case Surrogate::kAtan: return layer.height / (1 + s * s);
    case Surrogate::kTriangle: return s < 1 ? layer.height * (1 - s) : Vec{};
    case Surrogate::kBoxcar: return s <= 1 ? all(layer.height) : Vec{};
    default: return all(layer.height);
  }
}

// A vector of units, from unit n of a slice on: their constants, and their state as it is now.
struct Neurons {
  Vec constant[kConstants], state[kStates];

  SNNLEARN_INLINE void enter(const Units& units, int n) {
    for (int k = 0; k < kConstants; ++k) constant[k] = load(units.constants + long(k) * units.stride + n);
    for (int k = 0; k < kStates; ++k) state[k] = load(units.state + long(k) * units.stride + n);
  }
  SNNLEARN_INLINE void leave(const Units& units, int n) const {
    for (int k = 0; k < kStates; ++k) store(units.state + long(k) * units.stride + n, state[k]);
  }

  // Decay and input; v before the spike, and before a reset by this step's spikes.
  SNNLEARN_INLINE Vec integrate(Vec current) {
    state[kCurrent] = constant[current_decay] * state[kCurrent] + constant[current_gain] * current;
    return constant[v_leak] + constant[decay] * (state[kMembrane] - constant[v_leak]) +
           constant[gain] * state[kCurrent];
  }
  SNNLEARN_INLINE Vec threshold() const { return constant[v_th] + constant[beta] * state[kAdaptation]; }
  SNNLEARN_INLINE Vec reset(Mask spikes, Vec v) const {
    return spikes ? constant[reset_keep] * v + constant[reset_add] : v;
  }
  SNNLEARN_INLINE Vec reset_by_last(const Layer& layer, Vec v) const {
    return layer.late_reset ? reset(state[kSpikes] > 0, v) : v;
  }
  SNNLEARN_INLINE void finish(const Layer& layer, Vec v, Mask spikes) {
    const Vec z = spikes ? all(1) : Vec{};
    state[kMembrane] = layer.late_reset ? v : reset(spikes, v);
    state[kSpikes] = z;
    state[kAdaptation] = constant[adapt_decay] * state[kAdaptation] + constant[adapt_gain] * z;
  }
};

// Where the current of a slice of units in each step goes, and the rows of the state before it whose bits are set.
struct Record {
  float* data = nullptr;  // of step 0
  long apart = 0;         // floats from one step's to the next one's
  int stride = 0;         // floats from one row to the next
  uint32_t rows = 0;

  SNNLEARN_INLINE void put(int t, int n, Vec current, const Vec (&state)[kStates]) const {
    if (!data) return;
    float* at = data + t * apart + n;
    store(at, current);
    for (int k = 0; k < kStates; ++k)
      if (rows >> k & 1) store(at += stride, state[k]);
  }
};

// Calls body(neurons, n, k) for every vector of units and k from 0 to count - 1. Two vectors go through time together:
// the next step of one waits for its last, and meanwhile the processor has the other's to do.
template <class Body>
SNNLEARN_INLINE void through_time(const Units& units, int count, Body body) {
  int n = 0;
  for (; n + 2 * kLanes <= units.width; n += 2 * kLanes) {
    Neurons some, others;
    some.enter(units, n);
    others.enter(units, n + kLanes);
    for (int k = 0; k < count; ++k) {
      body(some, n, k);
      body(others, n + kLanes, k);
    }
    some.leave(units, n);
    others.leave(units, n + kLanes);
  }
  for (; n < units.width; n += kLanes) {
    Neurons some;
    some.enter(units, n);
    for (int k = 0; k < count; ++k) body(some, n, k);
    some.leave(units, n);
  }
}

// Neurons that do not spike: their membranes in place of the currents [steps, width].
static void integrate(const Units& units, float* current, int steps, const Record& record = {}) {
  through_time(units, steps, [&](Neurons& neurons, int n, int t) __attribute__((always_inline)) {
    float* at = current + long(t) * units.width + n;
    record.put(t, n, load(at), neurons.state);
    neurons.state[kMembrane] = neurons.integrate(load(at));
    store(at, neurons.state[kMembrane]);
  });
}

// Steps [first, last), whose currents are [last - first, width]. Bits are set in `spikes`, and, if that is wanted, in
// `active` where the pseudo-derivative is not zero.
static void advance(const Layer& layer, const Units& units, const float* current, int first, int last, Words spikes,
                    Words active, const Record& record = {}) {
  through_time(units, last - first, [&](Neurons& neurons, int n, int k) __attribute__((always_inline)) {
    const Vec input = load(current + long(k) * units.width + n);
    record.put(first + k, n, input, neurons.state);
    const Vec v = neurons.reset_by_last(layer, neurons.integrate(input));
    const Vec v_th = neurons.threshold();
    const Mask fire = v > v_th;
    spikes.set(first + k, n, fire);
    if (active.data) active.set(first + k, n, pseudo_derivative(layer, v - v_th) != 0);
    neurons.finish(layer, v, fire);
  });
}

// All steps again, with spikes that are known: the pseudo-derivatives in place of the currents, in which steps they are
// not zero, and by how much a reset by one spike more would have moved the membrane.
static void advance_again(const Layer& layer, const Units& units, float* current, int steps, Words spikes, Words active,
                          float* jump) {
  through_time(units, steps, [&](Neurons& neurons, int n, int t) __attribute__((always_inline)) {
    const long at = long(t) * units.width + n;
    const Vec before_reset = neurons.integrate(load(current + at));
    if (jump) store(jump + at, neurons.constant[reset_keep] * before_reset + neurons.constant[reset_add] - before_reset);
    const Vec v = neurons.reset_by_last(layer, before_reset);
    const Vec derivative = pseudo_derivative(layer, v - neurons.threshold());
    store(current + at, derivative);
    active.set(t, n, derivative != 0);
    neurons.finish(layer, v, spikes.get(t, n));
  });
}

// Steps [first, last) backward. The units' state holds the gradient by the state after them and is left with that by the
// state before; errors [last - first, width] come as the gradient by the output and are left as that by the current.
// Pseudo-derivatives are numbers or, if these are null, the bits of `active`. Spikes reset in their own step or, late,
// in the next; `before` holds, in bit 0, those before step 0.
static void retreat(const Layer& layer, const Units& units, float* errors, int first, int last, const float* derivative,
                    Words active, Words spikes, const uint32_t* before, const float* jump) {
  through_time(units, last - first, [&](Neurons& by, int n, int k) __attribute__((always_inline)) {
    const int t = last - 1 - k, spiked = layer.late_reset ? t - 1 : t;
    const long at = long(t - first) * units.width + n;
    Vec by_v = by.state[kMembrane], by_spikes = load(errors + at) + by.state[kSpikes], by_earlier_spikes = {};
    const Vec by_a = by.state[kAdaptation];
    by_spikes += by.constant[adapt_gain] * by_a;
    Vec keep = all(1);
    if (layer.spiking) {
      const Mask resets = spiked < 0 ? bit_of(before + n, 0) : spikes.get(spiked, n);
      keep = resets ? by.constant[reset_keep] : keep;
    }
    if (jump && !layer.late_reset) by_spikes += by_v * load(jump + at);
    Vec by_threshold = by_spikes;
    if (derivative) {
      by_threshold *= load(derivative + at);
    } else if (layer.spiking) {
      by_threshold = active.get(t, n) ? layer.height * by_spikes : Vec{};
    }
    if (layer.late_reset) {
      by_v += by_threshold;
      if (jump) by_earlier_spikes = by_v * load(jump + at);
      by_v *= keep;
    } else {
      by_v = by_v * keep + by_threshold;
    }
    const Vec by_i = by.state[kCurrent] + by.constant[gain] * by_v;
    store(errors + at, by.constant[current_gain] * by_i);
    by.state[kCurrent] = by.constant[current_decay] * by_i;
    by.state[kMembrane] = by.constant[decay] * by_v;
    by.state[kAdaptation] = by.constant[adapt_decay] * by_a - by.constant[beta] * by_threshold;
    by.state[kSpikes] = by_earlier_spikes;
  });
}

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
