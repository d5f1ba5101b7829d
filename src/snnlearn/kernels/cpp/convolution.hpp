// What the kernels of convolutions work on: layers of images, a batch of samples, and who runs the work. Plain data only.
//
// Images are [height, width, channels], the channels of every layer padded as units are; a matrix of kernels is
// [kernel_height, kernel_width, channels, units]. A dense layer is a convolution whose kernel is as large as its input.

#pragma once

#include "chain.hpp"

namespace snnlearn {

struct Convolution {
  Layer neuron;                   // the units' equation; the rest of it is not used
  int source;                     // the layer whose spikes arrive; -1 for the input
  bool joins;                     // has no neurons: its currents are added to those of the next layer
  int channels, height, width;    // of what arrives
  int window;                     // of the means that are taken of it first; 1 for none
  int kernel_height, kernel_width, stride, padding;
  int units, out_height, out_width;  // of what it gives; units are padded
  bool keeps_currents;            // or else they are computed again
  bool same_constants;            // of all units
  int states;                     // bit k: row k of the state is one that the neurons have
  const float* constants;         // [kConstants, row()], or [out_height, kConstants, row()]
  const float* bias;              // [units]
  Blocked weight;                 // [kernel_height * kernel_width * channels, units]
  Blocked back;                   // [kernel_height * kernel_width * units, padded channels], both sides reversed

  int pooled_height() const { return height / window; }
  int pooled_width() const { return width / window; }
  int row() const { return out_width * units; }
  long size() const { return static_cast<long>(out_height) * row(); }
  int num_states() const { return __builtin_popcount(states); }
};

struct Images {
  int num_layers, num_steps, batch;
  const Convolution* layers;
  const float* inputs;  // [batch, steps, height, width, channels]
};

// What a layer starts from and leaves, sample by sample.
struct ImageTrace {
  const float* before;  // [batch, num_states, size]
  float* after;         // [batch, num_states, size]
  uint32_t* spikes;     // [batch, words, size], of a spiking layer
  float* membrane;      // [batch, steps, size], of any other
  float* currents;      // [batch, out_height, steps, row], if it keeps them
};

// Errors that come from outside, and the gradients.
struct ImageGradient {
  const float* output;  // [batch, steps, size], or null where the output has no error
  const float* after;   // [batch, num_states, size], or null
  float* before;        // [batch, num_states, size]
  Blocked weight;       // as Convolution's
  float* bias;          // [units]
};

// The same code, compiled for several instruction sets. Scratch is memory of scratch_bytes that nobody else uses
// meanwhile; `input` is where the gradient by the inputs goes, or null.
struct ImageKernels {
  void (*forward)(const Images&, const ImageTrace*, int first, int last, char* scratch);
  void (*backward)(const Images&, const ImageTrace*, const ImageGradient*, float* input, int first, int last,
                   char* scratch);
  long (*scratch_bytes)(const Images&);
};

}  // namespace snnlearn
