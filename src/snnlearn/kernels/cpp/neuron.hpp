// One step of a row of neurons, forward, forward again for the pseudo-derivatives, and backward.

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

  Vec constant(Constant which, int n) const { return load(constants + long(which) * stride + n); }
  Vec get(State which, int n) const { return load(state + long(which) * stride + n); }
  void set(State which, int n, Vec x) const { store(state + long(which) * stride + n, x); }
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

SNNLEARN_INLINE Vec reset(const Units& units, int n, Mask spikes, Vec v) {
  return spikes ? units.constant(reset_keep, n) * v + units.constant(reset_add, n) : v;
}

// Decay and input; v before the spike, and before a reset by this step's spikes.
SNNLEARN_INLINE Vec integrate(const Units& units, int n, Vec current) {
  const Vec i = units.constant(current_decay, n) * units.get(kCurrent, n) + units.constant(current_gain, n) * current;
  const Vec leak = units.constant(v_leak, n);
  units.set(kCurrent, n, i);
  return leak + units.constant(decay, n) * (units.get(kMembrane, n) - leak) + units.constant(gain, n) * i;
}

SNNLEARN_INLINE void finish(const Units& units, int n, Vec v, Mask spikes) {
  const Vec z = spikes ? all(1) : Vec{};
  units.set(kMembrane, n, v);
  units.set(kSpikes, n, z);
  units.set(kAdaptation, n,
            units.constant(adapt_decay, n) * units.get(kAdaptation, n) + units.constant(adapt_gain, n) * z);
}

SNNLEARN_INLINE Vec threshold(const Units& units, int n) {
  return units.constant(v_th, n) + units.constant(beta, n) * units.get(kAdaptation, n);
}

SNNLEARN_INLINE void set_bit(uint32_t* words, int bit, Mask where) {
  store(words, load(words) | (where & static_cast<int32_t>(1u << bit)));
}

// A step; spikes go into bit `bit` of words [width], and where the pseudo-derivative is not zero into that of `active`,
// if that is wanted.
static void step(const Layer& layer, const Units& units, const float* current, uint32_t* words, uint32_t* active,
                 int bit) {
  for (int n = 0; n < units.width; n += kLanes) {
    Vec v = integrate(units, n, load(current + n));
    if (!layer.spiking) {
      units.set(kMembrane, n, v);
      continue;
    }
    if (layer.late_reset) v = reset(units, n, units.get(kSpikes, n) > 0, v);
    const Vec v_th = threshold(units, n);
    const Mask spikes = v > v_th;
    set_bit(words + n, bit, spikes);
    if (active) set_bit(active + n, bit, pseudo_derivative(layer, v - v_th) != 0);
    finish(units, n, layer.late_reset ? v : reset(units, n, spikes, v), spikes);
  }
}

// The step again, with spikes that are known: the pseudo-derivatives in place of the currents, in which units they are
// not zero, and by how much a reset by one spike more would have moved the membrane.
static void step_again(const Layer& layer, const Units& units, float* current, const uint32_t* words, int bit,
                       uint32_t* active, float* jump) {
  for (int n = 0; n < units.width; n += kLanes) {
    Vec v = integrate(units, n, load(current + n));
    if (jump) store(jump + n, units.constant(reset_keep, n) * v + units.constant(reset_add, n) - v);
    if (layer.late_reset) v = reset(units, n, units.get(kSpikes, n) > 0, v);
    const Mask spikes = bit_of(words + n, bit);
    const Vec derivative = pseudo_derivative(layer, v - threshold(units, n));
    store(current + n, derivative);
    set_bit(active + n, bit, derivative != 0);
    finish(units, n, layer.late_reset ? v : reset(units, n, spikes, v), spikes);
  }
}

// The step backward. The units' state holds the gradient by the state after the step and is left with that by the state
// before; error [width] comes as the gradient by the output and is left as that by the current. Pseudo-derivatives are
// numbers or, if these are null, the bits `now` of `active`. `spikes` are the words that hold, in bit `bit`, the spikes
// that reset in this step; null where none do.
static void step_back(const Layer& layer, const Units& units, float* error, const float* derivative,
                      const uint32_t* active, int now, const uint32_t* spikes, int bit, const float* jump) {
  auto slope = [&](int n) {
    return derivative ? load(derivative + n) : bit_of(active + n, now) ? all(layer.height) : Vec{};
  };
  for (int n = 0; n < units.width; n += kLanes) {
    Vec by_v = units.get(kMembrane, n), by_spikes = load(error + n) + units.get(kSpikes, n), by_earlier_spikes = {};
    const Vec by_a = units.get(kAdaptation, n);
    by_spikes += units.constant(adapt_gain, n) * by_a;
    const Vec keep = spikes ? (bit_of(spikes + n, bit) ? units.constant(reset_keep, n) : all(1)) : all(1);
    if (jump && !layer.late_reset) by_spikes += by_v * load(jump + n);
    const Vec by_threshold = layer.spiking ? by_spikes * slope(n) : by_spikes;
    if (layer.late_reset) {
      by_v += by_threshold;
      if (jump) by_earlier_spikes = by_v * load(jump + n);
      by_v *= keep;
    } else {
      by_v = by_v * keep + by_threshold;
    }
    const Vec by_i = units.get(kCurrent, n) + units.constant(gain, n) * by_v;
    store(error + n, units.constant(current_gain, n) * by_i);
    units.set(kCurrent, n, units.constant(current_decay, n) * by_i);
    units.set(kMembrane, n, units.constant(decay, n) * by_v);
    units.set(kAdaptation, n, units.constant(adapt_decay, n) * by_a - units.constant(beta, n) * by_threshold);
    units.set(kSpikes, n, by_earlier_spikes);
  }
}

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
