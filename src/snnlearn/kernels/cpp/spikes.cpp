// Products of spikes with matrices. Compiled once for each instruction set, as chain.cpp is.

#include "spikes.hpp"

#include "events.hpp"

namespace snnlearn {
namespace SNNLEARN_ISA {
namespace {

struct Work {
  const Spikes& spikes;
  const Sizes sizes;
  Events events;    // by unit or by step, in the same memory
  float* rows;      // [steps, width]
  float* zeros;     // [width]

  Work(const Spikes& spikes, Sizes sizes, char* memory) : spikes(spikes), sizes(sizes) {
    auto take = [&memory](long size) {
      char* taken = memory;
      memory += (4 * size + 63) / 64 * 64;
      return taken;
    };
    auto numbers = [&](long size) { return reinterpret_cast<uint32_t*>(take(size)); };
    const long steps = spikes.steps, inputs = spikes.inputs;
    events.of_unit = numbers(inputs + 1);
    events.order = numbers(inputs);
    events.of_step = numbers(steps + 1);
    events.step = events.unit = numbers(inputs * steps + kPad);
    zeros = reinterpret_cast<float*>(take(kBlock));
    rows = reinterpret_cast<float*>(take(steps * kBlock));
    for (int n = 0; n < kBlock; ++n) zeros[n] = 0;
  }

  long row(int t, int sample) const { return long(t) * spikes.samples + sample; }

  void by_step(int sample) {
    if (spikes.words) {
      list_by_step(events, spikes.words + long(sample) * spikes.inputs, spikes.samples * spikes.inputs, spikes.inputs,
                   spikes.steps);
      return;
    }
    uint32_t count = 0;
    for (int t = 0; t < spikes.steps; ++t) {
      const float* x = spikes.numbers + row(t, sample) * spikes.inputs;
      events.of_step[t] = count;
      for (int n = 0; n < spikes.inputs; ++n) {
        events.unit[count] = n;
        count += x[n] != 0;
      }
    }
    events.of_step[spikes.steps] = count;
  }

  void currents(int sample, const float* weight, float* out) {
    by_step(sample);
    for (int b = 0; b < sizes.blocks; ++b, weight += long(spikes.inputs) * sizes.width)
      for (int t = 0; t < spikes.steps; ++t) {
        const Events now{nullptr, nullptr, events.of_step + t, events.unit, nullptr, 0};
        float* at = out + (row(t, sample) * sizes.blocks + b) * sizes.width;
        SNNLEARN_BY_WIDTH(sizes.width, add_rows, at, now, 1, weight, zeros);
      }
  }

  void outer(int sample, const float* errors, float* sum) {
    list_by_unit(events, spikes.words + long(sample) * spikes.inputs, spikes.samples * spikes.inputs, spikes.inputs,
                 spikes.steps);
    for (int b = 0; b < sizes.blocks; ++b, sum += long(spikes.inputs) * sizes.width) {
      // Steps of a sample lie far apart, often at the same place of the cache: they are brought together first.
      for (int t = 0; t < spikes.steps; ++t) {
        const float* from = errors + (row(t, sample) * sizes.blocks + b) * sizes.width;
        for (int n = 0; n < sizes.width; ++n) rows[long(t) * sizes.width + n] = from[n];
      }
      SNNLEARN_BY_WIDTH(sizes.width, add_errors, sum, events, rows);
    }
  }
};

}  // namespace

extern const SpikeProducts spike_products;
const SpikeProducts spike_products = {
    [](const Spikes& spikes, Sizes sizes, const float* weight, float* out, int first, int last, char* scratch) {
      Work work(spikes, sizes, scratch);
      for (int sample = first; sample < last; ++sample) work.currents(sample, weight, out);
    },
    [](const Spikes& spikes, Sizes sizes, const float* errors, float* sum, int first, int last, char* scratch) {
      Work work(spikes, sizes, scratch);
      for (int sample = first; sample < last; ++sample) work.outer(sample, errors, sum);
    },
};

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
