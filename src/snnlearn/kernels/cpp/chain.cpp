// A chain of layers over time, forward and backward, for some samples of a batch. Compiled once for each instruction
// set, which SNNLEARN_ISA names; nothing here may be shared with the others, not even a template of the standard library.

#include "events.hpp"
#include "neuron.hpp"
#include "products.hpp"

namespace snnlearn {
namespace SNNLEARN_ISA {
namespace {

// The memory of one worker, for as many samples as share a pass over the weights.
struct Scratch {
  int steps, units, inputs;  // the most of any layer
  Events events[kTogether];  // of the layer's input
  Events own[kTogether];     // of the layer itself
  float* sequences[4][kTogether];  // [steps, units] each
  uint32_t* active[kTogether];     // [words, units]: where the pseudo-derivative is not zero
  uint32_t* reset_before;          // [units]: the spikes before the first step
  float* state[kTogether];         // [kStates, units]
  float* numbers;                  // [steps, inputs]: spikes as 0 and 1, where they are many
  long apart;                      // floats from one sample's memory to the next one's

  Scratch(const Chain& chain, char* memory) : steps(chain.num_steps), units(0), inputs(0) {
    for (int l = 0; l < chain.num_layers; ++l) {
      const Layer& layer = chain.layers[l];
      if (padded(layer.units) > units) units = padded(layer.units);
      if (layer.inputs > inputs) inputs = layer.inputs;
    }
    const long length = long(steps) * units;
    auto take = [&memory](long bytes) {
      char* taken = memory;
      memory += (bytes + 63) / 64 * 64;
      return taken;
    };
    auto events_of = [&](long size) {
      auto numbers = [&](long count) { return reinterpret_cast<uint32_t*>(take(4 * count)); };
      // The lists are as long as if all units spiked in all steps; what is never written to is never in memory.
      return Events{numbers(size + 1),  numbers(size * steps + kPad), numbers(steps + 1l), numbers(size * steps + kPad),
                    numbers(size), 0};
    };
    reset_before = reinterpret_cast<uint32_t*>(take(4l * units));
    numbers = reinterpret_cast<float*>(take(4l * steps * inputs));
    const char* first = memory;
    for (int s = 0; s < together(chain); ++s) {
      events[s] = events_of(inputs);
      own[s] = events_of(units);
      for (auto& sequence : sequences) sequence[s] = reinterpret_cast<float*>(take(4l * length));
      active[s] = reinterpret_cast<uint32_t*>(take(4l * words_of(steps) * units));
      state[s] = reinterpret_cast<float*>(take(4l * kStates * units));
      if (s == 0) apart = (memory - first) / 4;
    }
  }
};

void fill(float* out, long size) {
  for (long n = 0; n < size; ++n) out[n] = 0;
}

void fill(uint32_t* out, long size) {
  for (long n = 0; n < size; ++n) out[n] = 0;
}

// Rows [rows, units] into rows of another length; the rest is 0. Null is 0 everywhere.
void copy_rows(float* out, long out_stride, const float* in, long in_stride, int rows, int units) {
  if (!in) return fill(out, out_stride * rows);
  for (int r = 0; r < rows; ++r, out += out_stride, in += in_stride) {
    for (int n = 0; n < units; ++n) out[n] = in[n];
    for (int n = units; n < out_stride; ++n) out[n] = 0;
  }
}

// What a layer gets from the layer before it: packed spikes of a sample.
struct Input {
  const uint32_t* words;
  int stride;    // units of a word's row
  bool is_many;  // so that their currents are had faster by a dense product than from spike to spike
};

struct Pass {
  const Chain& chain;
  const Trace* traces;
  Scratch scratch;
  const int steps, words;
  Input inputs[kTogether];

  Pass(const Chain& chain, const Trace* traces, char* memory)
      : chain(chain), traces(traces), scratch(chain, memory), steps(chain.num_steps), words(words_of(steps)) {}

  uint32_t* spikes(int l, int sample) const {
    const Layer& layer = chain.layers[l];
    return traces[l].spikes + long(sample) * words_kept(layer, steps) * padded(layer.units);
  }

  // Where the pseudo-derivative is not zero, if that is kept.
  uint32_t* kept_active(int l, int sample) const {
    return spikes(l, sample) + long(words) * padded(chain.layers[l].units);
  }

  Words words_at(int l, int unit, uint32_t* words) const {
    return {words ? words + unit : nullptr, padded(chain.layers[l].units)};
  }

  // The spikes that a layer receives.
  Input input(int l, int sample) const {
    const int size = chain.layers[l].inputs;
    return l ? Input{spikes(l - 1, sample), padded(size), false}
             : Input{chain.inputs + long(sample) * words * size, size, false};
  }

  const float* before(int l, int sample) const {
    return traces[l].before + long(sample) * kStates * chain.layers[l].units;
  }

  Units units(const Layer& layer, int s, int unit, int width) const {
    return {layer.constants + unit, scratch.state[s] + unit, padded(layer.units), width};
  }

  // For currents: which units spike in each step.
  void listen(int l, int first, int count) {
    const int size = chain.layers[l].inputs;
    for (int s = 0; s < count; ++s) {
      inputs[s] = input(l, first + s);
      const uint32_t number = list_by_step(scratch.events[s], inputs[s].words, inputs[s].stride, size, steps);
      inputs[s].is_many = !chain.step_by_step && number > kMany * steps * size;
    }
  }
  static constexpr float kMany = 0.5f;  // measured by benchmarks/density.py

  void start(int l, int first, int count) {
    const int size = chain.layers[l].units;
    for (int s = 0; s < count; ++s)
      copy_rows(scratch.state[s], padded(size), before(l, first + s), size, kStates, size);
  }

  // The currents of a block of units, [steps, width]: of the layer's input, and its bias or what stands in its place.
  void currents(const Layer& layer, int sample, int s, int unit, int width, float* out) {
    const float *weight = block(layer.weight, unit), *bias = layer.frames ? nullptr : layer.bias + unit;
    if (!bias) frames(layer, sample, unit, width, out);
    if (!inputs[s].is_many) {
      if (bias || layer.inputs) SNNLEARN_BY_WIDTH(width, add_rows, out, scratch.events[s], steps, weight, bias);
      return;
    }
    for (int t = 0; bias && t < steps; ++t)
      for (int n = 0; n < width; ++n) out[long(t) * width + n] = bias[n];
    by_rows(scratch.numbers, inputs[s].words, inputs[s].stride, layer.inputs, steps);
    add_product(out, width, scratch.numbers, layer.inputs, steps, layer.inputs, weight, width);
  }

  // A sample's own currents of a block of units, each frame in all of its steps, [steps, width].
  void frames(const Layer& layer, int sample, int unit, int width, float* out) {
    const int hold = steps / layer.frames, real = width_at(unit, layer.units);
    const float* in = layer.bias + long(sample) * layer.frames * layer.units + unit;
    for (int f = 0; f < layer.frames; ++f, in += layer.units)
      for (int k = 0; k < hold; ++k, out += width) copy_rows(out, width, in, layer.units, 1, real);
  }

  // current [width] += what units that were active before the first step send through the loop
  void loop_from_start(const Layer& layer, const float* z, int unit, int width, float* current) {
    for (int n = 0; n < layer.units; ++n)
      if (z[n] != 0)
        for (int k = 0; k < width; ++k) current[k] += z[n] * block(layer.loop, unit)[long(n) * width + k];
  }
};

struct Forward : Pass {
  using Pass::Pass;

  void run(int first, int count) {
    for (int l = 0; l < chain.num_layers; ++l) {
      const Layer& layer = chain.layers[l];
      listen(l, first, count);
      start(l, first, count);
      if (layer.spiking)
        for (int s = 0; s < count; ++s)
          fill(spikes(l, first + s), long(words_kept(layer, steps)) * padded(layer.units));
      for (int unit = 0; unit < padded(layer.units); unit += kBlock) {
        const int width = width_at(unit, padded(layer.units));
        for (int s = 0; s < count; ++s) {
          float* current = layer.recurrent ? block({scratch.sequences[0][s], steps}, unit) : scratch.sequences[0][0];
          currents(layer, first + s, s, unit, width, current);
          if (!layer.recurrent) advance(l, first + s, s, unit, width, 0, steps, current);
        }
      }
      if (layer.recurrent)
        for (int s = 0; s < count; ++s) run_loop(l, first + s, s);
      for (int s = 0; s < count; ++s) {
        float* after = traces[l].after + long(first + s) * kStates * layer.units;
        copy_rows(after, layer.units, scratch.state[s], padded(layer.units), kStates, layer.units);
      }
    }
  }

  // Steps [begin, end) of a block of units, whose currents are [end - begin, width].
  void advance(int l, int sample, int s, int unit, int width, int begin, int end, float* current) {
    const Layer& layer = chain.layers[l];
    if (layer.spiking) {
      SNNLEARN_ISA::advance(layer, units(layer, s, unit, width), current, begin, end,
                            words_at(l, unit, spikes(l, sample)),
                            words_at(l, unit, keeps_active(layer) ? kept_active(l, sample) : nullptr),
                            record(l, sample, unit));
    } else {
      integrate(units(layer, s, unit, width), current, end - begin, record(l, sample, unit));
      float* out = traces[l].membrane + (long(sample) * steps + begin) * layer.units + unit;
      for (int t = begin; t < end; ++t, out += layer.units, current += width)
        for (int n = 0; n < width && unit + n < layer.units; ++n) out[n] = current[n];
    }
  }

  Record record(int l, int sample, int unit) const {
    const Trace& trace = traces[l];
    const int stride = padded(chain.layers[l].units);
    const long size = (1l + __builtin_popcount(trace.rows)) * stride;
    return {trace.record ? trace.record + sample * size + unit : nullptr, chain.batch * size, stride, trace.rows};
  }

  // Step by step, since a layer's spikes are its own input one step later.
  void run_loop(int l, int sample, int s) {
    const Layer& layer = chain.layers[l];
    const int size = padded(layer.units);
    const Events& last = scratch.own[s];  // those of the last step, as if it were the first
    for (int t = 0; t < steps; ++t) {
      if (t) list_step(last, spikes(l, sample), size, t - 1);
      for (int unit = 0; unit < size; unit += kBlock) {
        const int width = width_at(unit, size);
        float* current = block({scratch.sequences[0][s], steps}, unit) + long(t) * width;
        if (t) {
          SNNLEARN_BY_WIDTH(width, add_rows, current, last, 1, block(layer.loop, unit), nullptr);
        } else {
          loop_from_start(layer, before(l, sample) + long(kSpikes) * layer.units, unit, width, current);
        }
      }
      for (int unit = 0; unit < size; unit += kBlock) {
        const int width = width_at(unit, size);
        advance(l, sample, s, unit, width, t, t + 1, block({scratch.sequences[0][s], steps}, unit) + long(t) * width);
      }
    }
  }
};

struct Backward : Pass {
  const Gradient* gradients;
  uint32_t* active[kTogether];  // of the layer, [words, units]
  bool has_gradients = false;   // or else the first samples' are written over what is there

  Backward(const Chain& chain, const Trace* traces, const Gradient* gradients, char* memory)
      : Pass(chain, traces, memory), gradients(gradients) {}

  // The buffers of a sample that change their roles from layer to layer.
  float* errors(int l, int s) { return scratch.sequences[l % 2][s]; }
  float* derivatives(int s) { return scratch.sequences[2][s]; }
  float* jumps(const Layer& layer, int s) { return layer.reset_flows ? scratch.sequences[3][s] : nullptr; }

  void run(int first, int count) {
    for (int l = chain.num_layers - 1; l >= 0; --l) {
      const Layer& layer = chain.layers[l];
      const int size = padded(layer.units);
      find_active(l, first, count);
      receive_errors(l, first, count);
      start_back(l, first, count);
      if (layer.recurrent)
        run_loop_back(l, first, count);
      else
        run_back(l, first, count);
      learn(l, first, count);
      for (int s = 0; s < count; ++s) {
        float* out = gradients[l].before + long(first + s) * kStates * layer.units;
        copy_rows(out, layer.units, scratch.state[s], size, kStates, layer.units);
      }
    }
    has_gradients = true;
  }

  void find_active(int l, int first, int count) {
    const Layer& layer = chain.layers[l];
    for (int s = 0; s < count; ++s) active[s] = keeps_active(layer) ? kept_active(l, first + s) : scratch.active[s];
    if (layer.spiking && !keeps_active(layer)) run_again(l, first, count);
  }

  // The membranes are not stored but computed again, from the spikes, which are.
  void run_again(int l, int first, int count) {
    const Layer& layer = chain.layers[l];
    const int size = padded(layer.units);
    listen(l, first, count);
    start(l, first, count);
    for (int s = 0; s < count; ++s) {
      fill(scratch.active[s], long(words) * size);
      if (layer.recurrent) list_by_step(scratch.own[s], spikes(l, first + s), size, layer.units, steps - 1);
    }
    for (int unit = 0; unit < size; unit += kBlock) {
      const int width = width_at(unit, size);
      for (int s = 0; s < count; ++s) {
        float* at = block({derivatives(s), steps}, unit);
        float* jump = jumps(layer, s) ? block({jumps(layer, s), steps}, unit) : nullptr;
        currents(layer, first + s, s, unit, width, at);
        if (layer.recurrent) {
          loop_from_start(layer, before(l, first + s) + long(kSpikes) * layer.units, unit, width, at);
          SNNLEARN_BY_WIDTH(width, add_rows, at + width, scratch.own[s], steps - 1, block(layer.loop, unit), nullptr);
        }
        advance_again(layer, units(layer, s, unit, width), at, steps, words_at(l, unit, spikes(l, first + s)),
                      words_at(l, unit, scratch.active[s]), jump);
      }
    }
  }

  // The gradient by the layer's output: from outside, and from the layer above.
  void receive_errors(int l, int first, int count) {
    const Layer& layer = chain.layers[l];
    const int size = padded(layer.units);
    const float* outside = gradients[l].output;
    for (int s = 0; s < count; ++s)
      for (int unit = 0; unit < size; unit += kBlock) {
        const int width = width_at(unit, size), real = width_at(unit, layer.units);
        copy_rows(block({errors(l, s), steps}, unit), width,
                  outside ? outside + long(first + s) * steps * layer.units + unit : nullptr, layer.units, steps, real);
      }
    if (l == chain.num_layers - 1) return;
    const Layer& above = chain.layers[l + 1];
    const int above_size = padded(above.units);
    bool sparse[kTogether];
    for (int s = 0; s < count; ++s) {
      sparse[s] = is_sparse(layer, s, above.units);
      if (!sparse[s])
        errors_below({errors(l, s), steps}, size, {errors(l + 1, s), steps}, above.units, above.weight_back);
    }
    for (int unit = 0; unit < above_size;) {
      const bool many = unit + kHeldBlocks * kBlock <= above_size;
      const int width = many ? kBlock : width_at(unit, above_size);
      for (int below = 0; below < size; below += kBlock)
        for (int s = 0; s < count; ++s) {
          if (!sparse[s]) continue;
          const Blocked out{errors(l, s), steps}, from{errors(l + 1, s), steps};
          if (many)
            errors_below_where<kHeldBlocks, kBlock / kLanes>(active[s], out, below, size, from, unit,
                                                             above.weight);
          else
            SNNLEARN_BY_WIDTH(width, errors_of_block, active[s], out, below, size, from, unit, above.weight);
        }
      unit += many ? kHeldBlocks * kBlock : width;
    }
  }

  // Whether it pays to compute errors, from `above` units, only where the pseudo-derivative is not zero.
  bool is_sparse(const Layer& layer, int s, int above) const {
    if (layer.surrogate != Surrogate::kTriangle && layer.surrogate != Surrogate::kBoxcar) return false;
    const long length = long(words) * padded(layer.units);
    long number = 0;
    for (long n = 0; n < length; ++n) number += __builtin_popcount(active[s][n]);
    return number * (above + kFew) < long(steps) * padded(layer.units) * kSparse * above;
  }
  static constexpr float kSparse = 0.4f, kFew = 60;

  void start_back(int l, int first, int count) {
    const int size = chain.layers[l].units;
    for (int s = 0; s < count; ++s) {
      const float* after = gradients[l].after;
      copy_rows(scratch.state[s], padded(size), after ? after + long(first + s) * kStates * size : nullptr, size,
                kStates, size);
    }
  }

  // Steps [begin, end) of a block of units.
  void retreat(int l, int sample, int s, int unit, int begin, int end) {
    const Layer& layer = chain.layers[l];
    const int width = width_at(unit, padded(layer.units));
    const long row = long(begin) * width;
    auto rows = [&](float* sequence) { return block({sequence, steps}, unit) + row; };
    SNNLEARN_ISA::retreat(layer, units(layer, s, unit, width), rows(errors(l, s)), begin, end,
                          layer.spiking && !keeps_active(layer) ? rows(derivatives(s)) : nullptr,
                          words_at(l, unit, active[s]), words_at(l, unit, layer.spiking ? spikes(l, sample) : nullptr),
                          scratch.reset_before + unit, layer.reset_flows ? rows(jumps(layer, s)) : nullptr);
  }

  void find_first_resets(int l, int sample) {
    const Layer& layer = chain.layers[l];
    fill(scratch.reset_before, padded(layer.units));
    const float* z = before(l, sample) + long(kSpikes) * layer.units;
    for (int n = 0; n < layer.units; ++n) scratch.reset_before[n] = z[n] > 0;
  }

  void run_back(int l, int first, int count) {
    const int size = padded(chain.layers[l].units);
    for (int s = 0; s < count; ++s) {
      if (chain.layers[l].late_reset) find_first_resets(l, first + s);
      for (int unit = 0; unit < size; unit += kBlock) retreat(l, first + s, s, unit, 0, steps);
    }
  }

  // Step by step for all samples, so that they share what is read of the loop's weights.
  void run_loop_back(int l, int first, int count) {
    const Layer& layer = chain.layers[l];
    const int size = padded(layer.units);
    bool sparse = true;
    for (int s = 0; s < count; ++s) sparse = sparse && is_sparse(layer, s, layer.units);
    for (int t = steps - 1; t >= 0; --t) {
      for (int s = 0; s < count; ++s) {
        if (t == 0 && layer.late_reset) find_first_resets(l, first + s);
        for (int unit = 0; unit < size; unit += kBlock) retreat(l, first + s, s, unit, t, t + 1);
      }
      if (sparse && t)
        for (int s = 0; s < count; ++s) loop_back_where(layer, l, s, t);
      else
        loop_back(layer, l, count, t);
    }
  }

  // The gradient by the last step's spikes, through the loop.
  void loop_back(const Layer& layer, int l, int count, int t) {
    const int size = padded(layer.units);
    for (int to = 0; to < size; to += kBlock)
      for (int from = 0; from < size; from += kBlock) {
        const int width = width_at(to, size), inner = width_at(from, size);
        const long at = long(from) * steps + long(t) * inner;
        add_product(scratch.state[0] + long(kSpikes) * size + to, scratch.apart, errors(l, 0) + at, scratch.apart, count,
                    inner, block(layer.loop_back, to) + long(from) * width, width);
      }
  }

  void loop_back_where(const Layer& layer, int l, int s, int t) {
    const int size = padded(layer.units);
    const Blocked from{errors(l, s), steps};
    const uint32_t* then = active[s] + long((t - 1) / 32) * size;
    float* out = scratch.state[s] + long(kSpikes) * size;
    int rows[4], count = 0;
    auto add = [&] {
      for (int k = count; k < 4; ++k) rows[k] = rows[0];
      const Quad found = dots(from, t, layer.loop, rows, size);
      for (int k = 0; k < count; ++k) out[rows[k]] += found[k];
      count = 0;
    };
    for (int n = 0; n < layer.units; ++n) {
      if (!(then[n] >> ((t - 1) % 32) & 1)) continue;
      rows[count++] = n;
      if (count == 4) add();
    }
    if (count) add();
  }

  // The gradient by a sample's own currents [frames, units]: the sum of the errors of each frame's steps.
  void by_frame(const Layer& layer, float* out, const float* error, int unit, int width) {
    const int hold = steps / layer.frames, real = width_at(unit, layer.units);
    for (int f = 0; f < layer.frames; ++f, out += layer.units, error += long(hold) * width) {
      float sum[kBlock] = {};
      SNNLEARN_BY_WIDTH(width, add_all_errors, sum, hold, error);
      copy_rows(out, real, sum, width, 1, real);
    }
  }

  // The gradients of weights and biases.
  void learn(int l, int first, int count) {
    const Layer& layer = chain.layers[l];
    const Gradient& gradient = gradients[l];
    const int size = padded(layer.units);
    for (int s = 0; s < count; ++s) {
      const Input from = input(l, first + s);
      list_by_unit(scratch.events[s], from.words, from.stride, layer.inputs, steps);
      if (layer.recurrent) list_by_unit(scratch.own[s], spikes(l, first + s), size, layer.units, steps - 1);
    }
    for (int unit = 0; unit < size; unit += kBlock) {
      const int width = width_at(unit, size);
      if (!has_gradients) {  // here and not all at once, so that the block is still in the cache
        fill(block(gradient.weight, unit), long(gradient.weight.rows) * width);
        if (!layer.frames) fill(gradient.bias + unit, width);
        if (layer.recurrent) fill(block(gradient.loop, unit), long(gradient.loop.rows) * width);
      }
      for (int s = 0; s < count; ++s) {
        const float* error = block({errors(l, s), steps}, unit);
        float* weight = block(gradient.weight, unit);
        SNNLEARN_BY_WIDTH(width, add_errors, weight, scratch.events[s], error);
        if (layer.frames)
          by_frame(layer, gradient.bias + long(first + s) * layer.frames * layer.units + unit, error, unit, width);
        else
          SNNLEARN_BY_WIDTH(width, add_all_errors, gradient.bias + unit, steps, error);
        if (!layer.recurrent) continue;
        float* loop = block(gradient.loop, unit);
        SNNLEARN_BY_WIDTH(width, add_errors, loop, scratch.own[s], error + width);
        const float* z = before(l, first + s) + long(kSpikes) * layer.units;
        for (int m = 0; m < layer.units; ++m)
          if (z[m] != 0)
            for (int n = 0; n < width; ++n) loop[long(m) * width + n] += z[m] * error[n];
      }
    }
  }
};

template <class Direction>
void run(Direction direction, int first, int last) {
  const int most = together(direction.chain);
  do {  // also for no samples, whose gradients are 0
    direction.run(first, last - first < most ? last - first : most);
    first += most;
  } while (first < last);
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {
    [](const Chain& chain, const Trace* traces, int first, int last, char* scratch) {
      run(Forward(chain, traces, scratch), first, last);
    },
    [](const Chain& chain, const Trace* traces, const Gradient* gradients, int first, int last, char* scratch) {
      run(Backward(chain, traces, gradients, scratch), first, last);
    },
};

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
