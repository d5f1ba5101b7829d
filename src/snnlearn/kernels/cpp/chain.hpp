// What the kernels work on: a chain of layers, a batch of samples, and who runs the work. Plain data only.
//
// Spikes are packed over time: step t is bit t % 32 of word t / 32, words are [words, units]. Units come in blocks of
// 64, so that the weights of a block stay in the second-level cache; see Blocked.

#pragma once

#include <cstdint>

namespace snnlearn {

constexpr int kBlock = 64;  // units of a block
constexpr int kPad = 16;    // units are padded to a multiple of this

inline int padded(int units) { return (units + kPad - 1) / kPad * kPad; }
inline int words_of(int steps) { return (steps + 31) / 32; }

// The constants of a neuron, one row of units each. With them, one equation covers LI, LIF, CubaLIF and ALIF:
//   i <- current_decay i + current_gain input
//   v <- v_leak + decay (v - v_leak) + gain i
//   spike where v > v_th + beta a; there v <- reset_keep v + reset_add, in this step or after the next update
//   a <- adapt_decay a + adapt_gain spike
enum Constant {
  current_decay, current_gain, decay, gain, v_leak, v_th, reset_keep, reset_add, beta, adapt_decay, adapt_gain,
  kConstants
};

// The rows of a state.
enum State { kCurrent, kMembrane, kAdaptation, kSpikes, kStates };

enum class Surrogate : int64_t { kFastSigmoid, kAtan, kTriangle, kBoxcar, kStraightThrough };

// A matrix [rows, units] as blocks of 64 units, each [rows, width]; only the last block may be narrower.
struct Blocked {
  float* data;
  int rows;
};

struct Layer {
  int inputs, units;
  int frames;  // of currents that each sample has of its own, each for steps / frames steps; 0 with a bias for all
  bool spiking, recurrent;
  bool late_reset;     // the reset acts in the next step
  bool reset_flows;    // a gradient passes through the spikes that reset
  Surrogate surrogate;
  float height, slope;    // of the surrogate; the slope is 1 / width where there is one
  const float* constants;  // [kConstants, padded units]
  const float* bias;       // [padded units], or the currents, [batch, frames, units]
  Blocked weight;          // [inputs, units], as all that follow with padded rows
  Blocked loop;            // [units, units], from the unit that spikes
  Blocked weight_back;     // [units, inputs]
  Blocked loop_back;       // [units, units], from the unit that feels the error
};

// Whether a bit says all of a pseudo-derivative. It is kept, so that membranes need not be computed again.
inline bool keeps_active(const Layer& layer) {
  return layer.spiking && layer.surrogate == Surrogate::kBoxcar && !layer.reset_flows;
}

// Words of a unit that are kept: of its spikes, and behind them of where its pseudo-derivative is not zero.
inline int words_kept(const Layer& layer, int steps) { return words_of(steps) * (keeps_active(layer) ? 2 : 1); }

struct Chain {
  int num_layers, num_steps, batch;
  const Layer* layers;
  const uint32_t* inputs;    // [batch, words, inputs]
  bool step_by_step = false;  // a step's sums are added in one order, whatever the other steps of the call are
};

// What a layer starts from and leaves, sample by sample.
struct Trace {
  const float* before;  // [batch, kStates, units]
  float* after;         // [batch, kStates, units]
  uint32_t* spikes;     // [batch, words kept, padded units], of a spiking layer
  float* membrane;      // [batch, steps, units], of any other
  float* record;        // [steps, batch, 1 + rows, padded units], or null: each step's current, and the state before it
  uint32_t rows;        // which rows of the state: bit k is row k
};

// Errors that come from outside, and the gradients.
struct Gradient {
  const float* output;  // [batch, steps, units], or null where the output has no error
  const float* after;   // [batch, kStates, units], or null
  float* before;        // [batch, kStates, units]
  Blocked weight;       // [inputs, units]
  Blocked loop;         // [units, units]
  float* bias;          // [padded units], or by the currents, [batch, frames, units]
};

// The same code, compiled for several instruction sets. Samples [first, last) of the batch; scratch is memory of
// scratch_bytes(chain) that nobody else uses meanwhile.
struct Kernels {
  void (*forward)(const Chain&, const Trace*, int first, int last, char* scratch);
  void (*backward)(const Chain&, const Trace*, const Gradient*, int first, int last, char* scratch);
};

constexpr int kTogether = 8;  // samples that share a pass over the weights, at most

int together(const Chain& chain);
long scratch_bytes(const Chain& chain);

}  // namespace snnlearn
