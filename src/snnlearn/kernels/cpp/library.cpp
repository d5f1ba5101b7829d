// What XLA calls: unpacks the arguments, lays out the weights, and shares the batch among the threads.

#include <cstring>
#include <functional>
#include <mutex>
#include <vector>

#include "chain.hpp"
#include "parallel.hpp"

namespace snnlearn {

#define SNNLEARN_DECLARE(isa) \
  namespace isa {             \
  extern const Kernels kernels; \
  }
SNNLEARN_DECLARE(baseline)
#ifdef SNNLEARN_X86_LEVELS
SNNLEARN_DECLARE(avx2)
SNNLEARN_DECLARE(avx512)
#endif

const Kernels& kernels() {
#ifdef SNNLEARN_X86_LEVELS
  return fastest(baseline::kernels, avx2::kernels, avx512::kernels);
#else
  return baseline::kernels;
#endif
}

// Samples that share a pass over the weights: as many as keep their sequences within a few megabytes.
int together(const Chain& chain) {
  int units = kPad;
  for (int l = 0; l < chain.num_layers; ++l) units = std::max(units, padded(chain.layers[l].units));
  const long most = (3l << 20) / (4l * units * std::max(chain.num_steps, 1));
  return static_cast<int>(std::min<long>(std::max<long>(most, 1), kTogether));
}

long scratch_bytes(const Chain& chain) {
  long units = kPad, inputs = 0, steps = chain.num_steps, alignment = 64;
  for (int l = 0; l < chain.num_layers; ++l) {
    units = std::max<long>(units, padded(chain.layers[l].units));
    inputs = std::max<long>(inputs, chain.layers[l].inputs);
  }
  const long events = 4 * (2 * (steps + 1) + 2 * (1 + steps) * (inputs + units) + 2 + 4 * kPad), sequences = 4 * 4 * steps * units;
  const long sample = events + sequences + 4 * words_of(steps) * units + 4 * kStates * units;
  return 4 * units + 4 * steps * inputs + 3 * alignment + together(chain) * (sample + 16 * alignment);
}

namespace {

long size_of(int rows, int units) { return static_cast<long>(padded(rows)) * padded(units); }

// out [columns, rows] = in [rows, columns] transposed; 16 rows at a time, as many as the processor reads ahead in.
void transpose(float* out, long out_stride, const float* in, long in_stride, int rows, int columns) {
  typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));
  for (int first = 0; first < rows; first += kPad)
    for (int c = 0; c < columns; c += 4)
      for (int r = first; r < std::min(first + kPad, rows); r += 4) {
        const float* from = in + r * in_stride + c;
        float* to = out + c * out_stride + r;
        if (r + 4 <= rows && c + 4 <= columns) {
          Quad q[4];
          for (int k = 0; k < 4; ++k) q[k] = *reinterpret_cast<const Quad*>(from + k * in_stride);
          for (int k = 0; k < 4; ++k) *reinterpret_cast<Quad*>(to + k * out_stride) = Quad{q[0][k], q[1][k], q[2][k], q[3][k]};
        } else {
          for (int k = 0; k < std::min(4, columns - c); ++k)
            for (int n = 0; n < std::min(4, rows - r); ++n) to[k * out_stride + n] = from[n * in_stride + k];
        }
      }
}

// A block of a matrix [rows, units] from its transpose, [units, rows] as JAX holds it, or back; `unit` is its first.
void copy_block(float* out, const float* in, int rows, int units, int unit) {
  const int width = std::min(kBlock, padded(units) - unit), real = std::min(width, units - unit);
  if (real < width || rows < padded(rows)) std::memset(out, 0, 4l * padded(rows) * width);
  transpose(out, width, in + static_cast<long>(unit) * rows, rows, real, rows);
}

void copy_block_back(float* out, const float* in, int rows, int units, int unit) {
  const int width = std::min(kBlock, padded(units) - unit);
  transpose(out + static_cast<long>(unit) * rows, rows, in, width, rows, std::min(width, units - unit));
}

// A block of a matrix [rows, units] that lies so in JAX too.
void copy_block_straight(float* out, const float* in, int rows, int units, int unit) {
  const int width = std::min(kBlock, padded(units) - unit);
  for (int r = 0; r < padded(rows); ++r)
    for (int n = 0; n < width; ++n)
      out[static_cast<long>(r) * width + n] =
          r < rows && unit + n < units ? in[static_cast<long>(r) * units + unit + n] : 0.0f;
}

// Work on the blocks of several matrices, side by side unless it is done before another thread is awake.
class Blocks {
 public:
  void add(int rows, int units, std::function<void(int)> work) {
    size_ += static_cast<long>(rows) * units;
    for (int unit = 0; unit < padded(units); unit += kBlock) work_.push_back([work, unit] { work(unit); });
  }
  void run(ffi::ThreadPool& pool) {
    if (size_ > kFew) return in_parallel(pool, static_cast<int>(work_.size()), [this](int k) { work_[k](); });
    for (const auto& work : work_) work();
  }

 private:
  static constexpr long kFew = 1 << 16;
  long size_ = 0;
  std::vector<std::function<void()>> work_;
};

using Copy = void (*)(float*, const float*, int, int, int);

Blocked lay_out(Memory& memory, Blocks& blocks, Copy copy, const float* in, int rows, int units) {
  Blocked out{memory.floats(size_of(rows, units)), padded(rows)};
  blocks.add(rows, units, [=](int unit) { copy(out.data + static_cast<long>(unit) * out.rows, in, rows, units, unit); });
  return out;
}

constexpr int kLayerInts = 8, kLayerFloats = 2;

// What does not fit its call, or nothing. Backward, each layer has three arguments more: spikes that were kept, and the
// errors of its output and of the state after it, any of which may be empty. Recorded, it has one result more: its
// current and, for each bit of its rows, a row of its state in each step.
std::string misfit(int64_t num_steps, ffi::Span<const int64_t> ints, ffi::Span<const float> floats,
                   const ffi::RemainingArgs& args, const ffi::RemainingRets& rets, bool backward,
                   const ffi::Span<const int64_t>* rows = nullptr) {
  constexpr auto kFloat = ffi::DataType::F32, kWord = ffi::DataType::U32;
  const int64_t layers = ints.size() / kLayerInts, takes = backward ? 8 : 5,
                gives = backward ? 4 : rows ? 3 : 2;
  if (!counts(num_steps, 1)) return "the number of steps";
  if (!layers || static_cast<int64_t>(ints.size()) != layers * kLayerInts ||
      static_cast<int64_t>(floats.size()) != layers * kLayerFloats ||
      static_cast<int64_t>(args.size()) != 1 + takes * layers || static_cast<int64_t>(rets.size()) != gives * layers)
    return "the number of layers";
  if (rows && static_cast<int64_t>(rows->size()) != layers) return "the rows of the record";
  const auto words = args.get<ffi::AnyBuffer>(0)->dimensions();
  if (words.size() != 3 || !counts(words[0], 0) || !counts(words[2], 0)) return "the input";
  const int64_t batch = words[0], kept = words_of(static_cast<int>(num_steps));
  if (!is(*args.get<ffi::AnyBuffer>(0), kWord, {batch, kept, words[2]})) return "the input";

  int64_t before = words[2];  // units of the layer below
  for (int64_t l = 0; l < layers; ++l) {
    const std::string layer = " of layer " + std::to_string(l + 1);
    const int64_t* facts = ints.begin() + l * kLayerInts;
    const int64_t inputs = facts[0], units = facts[1];
    const bool spiking = facts[2], recurrent = facts[3], last = l + 1 == layers;
    const int64_t frames = facts[7];
    if (inputs != before || !counts(units, 1) || !(spiking || (last && !recurrent)) || facts[6] < 0 || facts[6] > 4 ||
        frames < 0 || (frames ? num_steps % frames != 0 : inputs == 0))
      return "the form" + layer;
    const int64_t wide = padded(static_cast<int>(units));
    before = units;
    const int64_t words_each =
        words_kept({0, 0, 0, spiking, recurrent, false, facts[5] != 0, static_cast<Surrogate>(facts[6])},
                   static_cast<int>(num_steps));
    auto given = [&](int64_t n, ffi::DataType type, std::initializer_list<int64_t> sizes, bool empty = false) {
      const auto buffer = *args.get<ffi::AnyBuffer>(1 + l * takes + n);
      return is(buffer, type, sizes) || (empty && !buffer.element_count());
    };
    auto made = [&](int64_t n, ffi::DataType type, std::initializer_list<int64_t> sizes) {
      return is(**rets.get<ffi::AnyBuffer>(l * gives + n), type, sizes);
    };
    if (!given(0, kFloat, {kConstants, wide})) return "an array of constants" + layer;
    if (!given(1, kFloat, {units, inputs}) || (backward && !made(0, kFloat, {units, inputs})))
      return "the weight" + layer;
    if (frames ? !given(2, kFloat, {batch, frames, units}) || (backward && !made(1, kFloat, {batch, frames, units}))
               : !given(2, kFloat, {wide}) || (backward && !made(1, kFloat, {units})))
      return "the bias" + layer;
    if (recurrent && (!given(3, kFloat, {units, units}) || (backward && !made(2, kFloat, {units, units}))))
      return "the recurrent weight" + layer;
    if (!given(4, kFloat, {batch, kStates, units}) || !made(backward ? 3 : 1, kFloat, {batch, kStates, units}))
      return "the state" + layer;
    if (!backward && !(spiking ? made(0, kWord, {batch, words_each, wide}) : made(0, kFloat, {batch, num_steps, units})))
      return "the output" + layer;
    if (rows) {
      const int64_t bits = rows->begin()[l];
      if (bits < 0 || bits >> kStates ||
          !made(2, kFloat, {num_steps, batch, 1 + __builtin_popcountll(bits), wide}))
        return "the record" + layer;
    }
    if (backward && (!given(5, kWord, {batch, words_each, wide}, !spiking) ||
                     !given(6, kFloat, {batch, num_steps, units}, true) ||
                     !given(7, kFloat, {batch, kStates, units}, true)))
      return "an error" + layer;
  }
  return "";
}

struct Call {
  Chain chain;
  std::vector<Layer> layers;
  std::vector<Trace> traces;
  Memory memory;
};

template <typename T>
const T* argument(const ffi::RemainingArgs& args, int n) {
  auto buffer = args.get<ffi::AnyBuffer>(n);
  return buffer->element_count() ? static_cast<const T*>(buffer->untyped_data()) : nullptr;
}

template <typename T>
T* result(const ffi::RemainingRets& rets, int n) {
  auto buffer = rets.get<ffi::AnyBuffer>(n);
  return static_cast<T*>((*buffer)->untyped_data());
}

// The chain that both directions share; `per_layer` arguments belong to each layer.
void read_chain(Call& call, ffi::ThreadPool& pool, int num_steps, ffi::Span<const int64_t> ints,
                ffi::Span<const float> floats, const ffi::RemainingArgs& args, int per_layer, bool backward) {
  const auto inputs = args.get<ffi::AnyBuffer>(0);
  const int num_layers = static_cast<int>(ints.size()) / kLayerInts;
  call.layers.resize(num_layers);
  call.traces.resize(num_layers);
  Blocks blocks;
  for (int l = 0; l < num_layers; ++l) {
    Layer& layer = call.layers[l];
    const int64_t* facts = ints.begin() + l * kLayerInts;
    layer.inputs = static_cast<int>(facts[0]);
    layer.units = static_cast<int>(facts[1]);
    layer.spiking = facts[2];
    layer.recurrent = facts[3];
    layer.late_reset = facts[4];
    layer.reset_flows = facts[5];
    layer.surrogate = static_cast<Surrogate>(facts[6]);
    layer.frames = static_cast<int>(facts[7]);
    layer.height = floats.begin()[l * kLayerFloats];
    layer.slope = floats.begin()[l * kLayerFloats + 1];
    const int at = 1 + l * per_layer;
    layer.constants = argument<float>(args, at);
    const float* weight = argument<float>(args, at + 1);
    layer.bias = argument<float>(args, at + 2);
    const float* loop = argument<float>(args, at + 3);
    call.traces[l].before = argument<float>(args, at + 4);
    if (!backward || l || !keeps_active(layer))  // or else nothing below needs it
      layer.weight = lay_out(call.memory, blocks, copy_block, weight, layer.inputs, layer.units);
    if (layer.recurrent) layer.loop = lay_out(call.memory, blocks, copy_block, loop, layer.units, layer.units);
    if (backward && l)
      layer.weight_back = lay_out(call.memory, blocks, copy_block_straight, weight, layer.units, layer.inputs);
    if (backward && layer.recurrent)
      layer.loop_back = lay_out(call.memory, blocks, copy_block_straight, loop, layer.units, layer.units);
  }
  blocks.run(pool);
  call.chain = {num_layers, num_steps, static_cast<int>(inputs->dimensions()[0]), call.layers.data(),
                static_cast<const uint32_t*>(inputs->untyped_data())};
}

// Shares the samples among workers: always the same for the same batch and pool, so that sums round in the same way.
template <class Work>
int share(ffi::ThreadPool& pool, const Chain& chain, Work work) {
  const int workers = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(pool.num_threads(), chain.batch)));
  in_parallel(pool, workers, [&](int k) {
    work(k, static_cast<int>(static_cast<long>(chain.batch) * k / workers),
         static_cast<int>(static_cast<long>(chain.batch) * (k + 1) / workers));
  });
  return workers;
}

ffi::Error run(ffi::ThreadPool& pool, Call& call, ffi::RemainingRets& rets,
               const ffi::Span<const int64_t>* rows = nullptr) {
  const int gives = rows ? 3 : 2;
  for (int l = 0; l < call.chain.num_layers; ++l) {
    Trace& trace = call.traces[l];
    if (call.layers[l].spiking)
      trace.spikes = result<uint32_t>(rets, gives * l);
    else
      trace.membrane = result<float>(rets, gives * l);
    trace.after = result<float>(rets, gives * l + 1);
    if (!rows) continue;
    trace.record = result<float>(rets, gives * l + 2);
    trace.rows = static_cast<uint32_t>(rows->begin()[l]);
  }
  share(pool, call.chain, [&](int, int first, int last) {
    Memory memory;
    kernels().forward(call.chain, call.traces.data(), first, last, memory.bytes(scratch_bytes(call.chain)));
  });
  return ffi::Error::Success();
}

ffi::Error forward(ffi::ThreadPool pool, int64_t num_steps, ffi::Span<const int64_t> ints, ffi::Span<const float> floats,
                   ffi::RemainingArgs args, ffi::RemainingRets rets) {
  if (const auto what = misfit(num_steps, ints, floats, args, rets, false); !what.empty()) return refused(what);
  Call call;
  read_chain(call, pool, static_cast<int>(num_steps), ints, floats, args, 5, false);
  return run(pool, call, rets);
}

// The same, and of each layer what each step begins with.
ffi::Error record(ffi::ThreadPool pool, int64_t num_steps, ffi::Span<const int64_t> ints, ffi::Span<const float> floats,
                  ffi::Span<const int64_t> rows, ffi::RemainingArgs args, ffi::RemainingRets rets) {
  if (const auto what = misfit(num_steps, ints, floats, args, rets, false, &rows); !what.empty()) return refused(what);
  Call call;
  read_chain(call, pool, static_cast<int>(num_steps), ints, floats, args, 5, false);
  return run(pool, call, rets, &rows);
}

// The first steps alone of one sample, as many as an argument says: a program for pieces of any length, up to
// num_steps. What is made of later steps is not written to.
ffi::Error stream(ffi::ThreadPool pool, int64_t num_steps, ffi::Span<const int64_t> ints, ffi::Span<const float> floats,
                  ffi::Buffer<ffi::S32> first_steps, ffi::RemainingArgs args, ffi::RemainingRets rets) {
  if (const auto what = misfit(num_steps, ints, floats, args, rets, false); !what.empty()) return refused(what);
  if (first_steps.element_count() != 1 || first_steps.typed_data()[0] < 1 || first_steps.typed_data()[0] > num_steps)
    return refused("the number of steps");
  Call call;
  read_chain(call, pool, static_cast<int>(num_steps), ints, floats, args, 5, false);
  if (call.chain.batch != 1) return refused("the number of samples");
  call.chain.num_steps = first_steps.typed_data()[0];
  call.chain.step_by_step = true;
  for (Layer& layer : call.layers) {
    if (layer.frames && layer.frames != num_steps) return refused("the number of frames");
    if (layer.frames) layer.frames = call.chain.num_steps;
  }
  return run(pool, call, rets);
}

ffi::Error backward(ffi::ThreadPool pool, int64_t num_steps, ffi::Span<const int64_t> ints,
                    ffi::Span<const float> floats, ffi::RemainingArgs args, ffi::RemainingRets rets) {
  if (const auto what = misfit(num_steps, ints, floats, args, rets, true); !what.empty()) return refused(what);
  Call call;
  read_chain(call, pool, static_cast<int>(num_steps), ints, floats, args, 8, true);
  const int num_layers = call.chain.num_layers;
  std::vector<Gradient> whole(num_layers);
  for (int l = 0; l < num_layers; ++l) {
    const int at = 1 + 8 * l;
    if (call.layers[l].spiking) call.traces[l].spikes = const_cast<uint32_t*>(argument<uint32_t>(args, at + 5));
    whole[l].output = argument<float>(args, at + 6);
    whole[l].after = argument<float>(args, at + 7);
    whole[l].before = result<float>(rets, 4 * l + 3);
    whole[l].bias = result<float>(rets, 4 * l + 1);
  }

  // Each worker has gradients of its own; the first worker's become the sum.
  std::vector<std::vector<Gradient>> parts(std::max<int64_t>(1, pool.num_threads()), whole);
  std::mutex mutex;
  const int workers = share(pool, call.chain, [&](int k, int first, int last) {
    char* scratch;
    {
      std::lock_guard<std::mutex> lock(mutex);
      scratch = call.memory.bytes(scratch_bytes(call.chain));
      for (int l = 0; l < num_layers; ++l) {
        const Layer& layer = call.layers[l];
        Gradient& part = parts[k][l];
        part.weight = {call.memory.floats(size_of(layer.inputs, layer.units)), padded(layer.inputs)};
        if (!layer.frames) part.bias = call.memory.floats(padded(layer.units));
        if (layer.recurrent)
          part.loop = {call.memory.floats(size_of(layer.units, layer.units)), padded(layer.units)};
      }
    }
    kernels().backward(call.chain, call.traces.data(), parts[k].data(), first, last, scratch);
  });

  Blocks blocks;
  auto gather = [&](Blocked Gradient::*which, int l, float* out, int rows, int units) {
    blocks.add(rows, units, [=, &parts](int unit) {
      const int width = std::min(kBlock, padded(units) - unit);
      float* sum = (parts[0][l].*which).data + static_cast<long>(unit) * padded(rows);
      for (int k = 1; k < workers; ++k) {
        const float* part = (parts[k][l].*which).data + static_cast<long>(unit) * padded(rows);
        for (long n = 0; n < static_cast<long>(rows) * width; ++n) sum[n] += part[n];
      }
      copy_block_back(out, sum, rows, units, unit);
    });
  };
  for (int l = 0; l < num_layers; ++l) {
    const Layer& layer = call.layers[l];
    gather(&Gradient::weight, l, result<float>(rets, 4 * l), layer.inputs, layer.units);
    if (layer.recurrent) gather(&Gradient::loop, l, result<float>(rets, 4 * l + 2), layer.units, layer.units);
    for (int n = 0; !layer.frames && n < layer.units; ++n) {
      whole[l].bias[n] = 0;
      for (int k = 0; k < workers; ++k) whole[l].bias[n] += parts[k][l].bias[n];
    }
  }
  blocks.run(pool);
  return ffi::Error::Success();
}

// Of both directions.
auto arguments() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Attr<int64_t>("num_steps")
      .Attr<ffi::Span<const int64_t>>("ints")
      .Attr<ffi::Span<const float>>("floats")
      .RemainingArgs()
      .RemainingRets();
}

// Of a call that records.
auto arguments_of_record() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Attr<int64_t>("num_steps")
      .Attr<ffi::Span<const int64_t>>("ints")
      .Attr<ffi::Span<const float>>("floats")
      .Attr<ffi::Span<const int64_t>>("rows")
      .RemainingArgs()
      .RemainingRets();
}

// Of a piece of a stream.
auto arguments_of_piece() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Attr<int64_t>("num_steps")
      .Attr<ffi::Span<const int64_t>>("ints")
      .Attr<ffi::Span<const float>>("floats")
      .Arg<ffi::Buffer<ffi::S32>>()
      .RemainingArgs()
      .RemainingRets();
}

}  // namespace
}  // namespace snnlearn

#define SNNLEARN_PUBLIC extern "C" __attribute__((visibility("default")))
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_forward(XLA_FFI_CallFrame*);
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_stream(XLA_FFI_CallFrame*);
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_record(XLA_FFI_CallFrame*);
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_backward(XLA_FFI_CallFrame*);

XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_forward, snnlearn::forward, snnlearn::arguments());
XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_record, snnlearn::record, snnlearn::arguments_of_record());
XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_stream, snnlearn::stream, snnlearn::arguments_of_piece());
XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_backward, snnlearn::backward, snnlearn::arguments());
