// What XLA calls for convolutions: unpacks the arguments, lays out the weights, and shares the batch among the threads.

#include <cstring>
#include <mutex>
#include <vector>

#include "convolution.hpp"
#include "parallel.hpp"

namespace snnlearn {

#define SNNLEARN_DECLARE(isa)               \
  namespace isa {                           \
  extern const ImageKernels image_kernels;  \
  }
SNNLEARN_DECLARE(baseline)
#ifdef SNNLEARN_X86_LEVELS
SNNLEARN_DECLARE(avx2)
SNNLEARN_DECLARE(avx512)
#endif

namespace {

const ImageKernels& image_kernels() {
#ifdef SNNLEARN_X86_LEVELS
  return fastest(baseline::image_kernels, avx2::image_kernels, avx512::image_kernels);
#else
  return baseline::image_kernels;
#endif
}

constexpr int kInts = 18, kFloats = 2;
constexpr auto kFloat = ffi::DataType::F32, kWord = ffi::DataType::U32;

struct Call {
  Images images;
  std::vector<Convolution> layers;
  std::vector<ImageTrace> traces;
  Memory memory;
};

template <typename T>
T* data(const ffi::AnyBuffer& buffer) {
  return buffer.element_count() ? static_cast<T*>(buffer.untyped_data()) : nullptr;
}

constexpr int kMost = 1 << 24;  // of any one size, so that sums of a few do not overflow

// Whether the sizes of a layer are sizes, and fit each other and what arrives: from a layer, or null for the input.
bool fits(const Convolution& layer, const Convolution* below) {
  for (int size : {layer.channels, layer.height, layer.width, layer.window, layer.kernel_height, layer.kernel_width,
                   layer.stride, layer.units, layer.out_height, layer.out_width})
    if (size < 1 || size > kMost) return false;
  auto area = [](int64_t height, int64_t width, int64_t channels) {
    return counts(width * channels, 1) && counts(height * (width * channels), 1);
  };
  if (layer.padding > kMost || layer.window > layer.height || layer.window > layer.width ||
      !area(layer.height, layer.width, padded(layer.channels)) ||
      !area(layer.out_height, layer.out_width, layer.units) ||
      !area(layer.kernel_height, layer.kernel_width, int64_t{padded(layer.channels)}) ||
      !area(layer.kernel_height, layer.kernel_width, int64_t{layer.units}))
    return false;
  auto out = [&](int size, int kernel) { return (size + 2 * layer.padding - kernel) / layer.stride + 1; };
  return layer.units % kPad == 0 &&
         layer.kernel_height <= layer.pooled_height() + 2 * layer.padding &&
         layer.kernel_width <= layer.pooled_width() + 2 * layer.padding &&
         layer.out_height == out(layer.pooled_height(), layer.kernel_height) &&
         layer.out_width == out(layer.pooled_width(), layer.kernel_width) && (layer.joins || layer.states > 0) &&
         layer.states < (1 << kStates) &&
         (!below || (below->neuron.spiking && !below->joins && below->units == layer.channels &&
                     below->out_height == layer.height && below->out_width == layer.width));
}

// Reads the layers that both directions share, of which `takes` arguments belong to each; says what does not fit.
std::string read(Call& call, int64_t num_steps, ffi::Span<const int64_t> ints, ffi::Span<const float> floats,
                 const ffi::RemainingArgs& args, const ffi::RemainingRets& rets, bool backward) {
  const int64_t num_layers = ints.size() / kInts, takes = backward ? 8 : 4, gives = 3;
  if (!counts(num_steps, 1)) return "the number of steps";
  if (!num_layers || static_cast<int64_t>(ints.size()) != num_layers * kInts ||
      static_cast<int64_t>(floats.size()) != num_layers * kFloats ||
      static_cast<int64_t>(args.size()) != 1 + takes * num_layers ||
      static_cast<int64_t>(rets.size()) != backward + gives * num_layers)
    return "the number of layers";
  for (int64_t fact : ints)
    if (fact < 0 || !counts(fact, 0)) return "a size";
  call.layers.resize(num_layers);
  call.traces.resize(num_layers);
  const auto inputs = *args.get<ffi::AnyBuffer>(0);
  if (inputs.dimensions().size() != 5 || !counts(inputs.dimensions()[0], 0)) return "the input";
  const int64_t batch = inputs.dimensions()[0], words = words_of(static_cast<int>(num_steps));
  for (int64_t l = 0; l < num_layers; ++l) {
    const std::string named = " of layer " + std::to_string(l + 1);
    const int64_t* fact = ints.begin() + l * kInts;
    auto next = [&fact] { return static_cast<int>(*fact++); };
    Convolution& layer = call.layers[l];
    layer = {};
    layer.channels = next(), layer.height = next(), layer.width = next();
    layer.window = next(), layer.kernel_height = next(), layer.kernel_width = next();
    layer.stride = next(), layer.padding = next();
    layer.units = next(), layer.out_height = next(), layer.out_width = next();
    layer.states = next();
    layer.neuron.spiking = next(), layer.neuron.late_reset = next(), layer.neuron.reset_flows = next();
    const int surrogate = next();
    layer.source = next() - 1, layer.joins = next();
    layer.neuron.surrogate = static_cast<Surrogate>(surrogate);
    layer.neuron.height = floats.begin()[l * kFloats];
    layer.neuron.slope = floats.begin()[l * kFloats + 1];
    const Convolution* before = l ? &call.layers[l - 1] : nullptr;
    if (layer.source >= l || !fits(layer, layer.source < 0 ? nullptr : &call.layers[layer.source]) || surrogate > 4 ||
        (!layer.joins && !layer.neuron.spiking && l + 1 < num_layers) ||
        (layer.joins && (layer.neuron.spiking || l + 1 == num_layers)) ||
        (before && before->joins &&
         !(before->units == layer.units && before->out_height == layer.out_height &&
           before->out_width == layer.out_width)) ||
        (backward && (layer.joins || layer.source != l - 1)))
      return "the form" + named;
    if (layer.source < 0 && !is(inputs, kFloat, {batch, num_steps, layer.height, layer.width, layer.channels}))
      return "the input";

    const int64_t rows = static_cast<int64_t>(layer.kernel_height) * layer.kernel_width * layer.channels;
    const int64_t size = layer.size(), states = layer.num_states();
    auto given = [&](int64_t n) { return *args.get<ffi::AnyBuffer>(1 + l * takes + n); };
    auto made = [&](int64_t n) { return **rets.get<ffi::AnyBuffer>(backward + l * gives + n); };
    ImageTrace& trace = call.traces[l];
    trace = {};
    if (!counts(rows, 1) || !counts(size, 1)) return "the form" + named;
    layer.same_constants = is(given(0), kFloat, {1, kConstants, layer.row()});
    if (!layer.joins && !layer.same_constants && !is(given(0), kFloat, {layer.out_height, kConstants, layer.row()}))
      return "an array of constants" + named;
    if (!is(given(1), kFloat, {rows, layer.units}) || (backward && !is(made(0), kFloat, {rows, layer.units})))
      return "the weight" + named;
    if (!is(given(2), kFloat, {layer.units}) || (backward && !is(made(1), kFloat, {layer.units})))
      return "the bias" + named;
    layer.bias = data<float>(given(2));
    if (layer.joins) continue;
    if (!is(given(3), kFloat, {batch, states, size}) || !is(made(2), kFloat, {batch, states, size}))
      return "the state" + named;
    layer.constants = data<float>(given(0));
    trace.before = data<float>(given(3));
    const auto spikes = backward ? given(4) : made(0);
    if (layer.neuron.spiking) {
      if (!is(spikes, kWord, {batch, words, size})) return "the spikes" + named;
      trace.spikes = data<uint32_t>(spikes);
    } else if (!backward) {
      if (!is(spikes, kFloat, {batch, num_steps, size})) return "the output" + named;
      trace.membrane = data<float>(spikes);
    }
    const auto currents = backward ? given(5) : made(1);
    layer.keeps_currents = currents.element_count() > 0;
    if (layer.keeps_currents && !is(currents, kFloat, {batch, layer.out_height, num_steps, layer.row()}))
      return "the currents" + named;
    trace.currents = data<float>(currents);
    if (!backward) {
      trace.after = data<float>(made(2));
    } else if ((given(6).element_count() && !is(given(6), kFloat, {batch, num_steps, size})) ||
               (given(7).element_count() && !is(given(7), kFloat, {batch, states, size}))) {
      return "an error" + named;
    }
  }
  call.images = {static_cast<int>(num_layers), static_cast<int>(num_steps), static_cast<int>(batch), call.layers.data(),
                 static_cast<const float*>(inputs.untyped_data())};
  return "";
}

// Calls work(unit, width) for the blocks of a matrix.
template <class Work>
void by_blocks(int units, Work work) {
  for (int unit = 0; unit < units; unit += kBlock) work(unit, std::min(kBlock, units - unit));
}

// The weights of a layer in blocks.
Blocked lay_out(Memory& memory, const float* weight, int rows, int units) {
  if (units <= kBlock) return {const_cast<float*>(weight), rows};
  Blocked out{memory.floats(static_cast<long>(rows) * units), rows};
  by_blocks(units, [&](int unit, int width) {
    for (long r = 0; r < rows; ++r)
      std::memcpy(out.data + static_cast<long>(unit) * rows + r * width, weight + r * units + unit, 4l * width);
  });
  return out;
}

// The same of the transposed convolution: kernel reversed, from units to channels.
Blocked lay_out_back(Memory& memory, ffi::ThreadPool& pool, const float* weight, const Convolution& layer) {
  const int taps = layer.kernel_height * layer.kernel_width, wide = padded(layer.channels);
  const int rows = taps * layer.units;
  const Blocked out{memory.floats(static_cast<long>(rows) * wide), rows};
  in_parallel(pool, taps, [&](int tap) {
    const float* from = weight + static_cast<long>(taps - 1 - tap) * layer.channels * layer.units;
    by_blocks(wide, [&](int channel, int width) {
      float* to = out.data + static_cast<long>(channel) * rows + static_cast<long>(tap) * layer.units * width;
      for (int n = 0; n < width; ++n)
        for (int u = 0; u < layer.units; ++u)
          to[static_cast<long>(u) * width + n] =
              channel + n < layer.channels ? from[static_cast<long>(channel + n) * layer.units + u] : 0.0f;
    });
  });
  return out;
}

// Shares the samples among workers: always the same for the same batch and pool, so that sums round in the same way.
template <class Work>
int share(ffi::ThreadPool& pool, int batch, Work work) {
  const int workers = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(pool.num_threads(), batch)));
  in_parallel(pool, workers, [&](int k) {
    work(k, static_cast<int>(static_cast<long>(batch) * k / workers),
         static_cast<int>(static_cast<long>(batch) * (k + 1) / workers));
  });
  return workers;
}

ffi::Error forward(ffi::ThreadPool pool, int64_t num_steps, ffi::Span<const int64_t> ints, ffi::Span<const float> floats,
                   ffi::RemainingArgs args, ffi::RemainingRets rets) {
  Call call;
  if (const auto what = read(call, num_steps, ints, floats, args, rets, false); !what.empty()) return refused(what);
  for (size_t l = 0; l < call.layers.size(); ++l) {
    Convolution& layer = call.layers[l];
    const float* weight = data<float>(*args.get<ffi::AnyBuffer>(2 + 4 * l));
    layer.weight = lay_out(call.memory, weight, layer.kernel_height * layer.kernel_width * layer.channels, layer.units);
  }
  const ImageKernels& kernels = image_kernels();
  share(pool, call.images.batch, [&](int, int first, int last) {
    Memory memory;
    kernels.forward(call.images, call.traces.data(), first, last, memory.bytes(kernels.scratch_bytes(call.images)));
  });
  return ffi::Error::Success();
}

ffi::Error backward(ffi::ThreadPool pool, int64_t num_steps, ffi::Span<const int64_t> ints,
                    ffi::Span<const float> floats, ffi::RemainingArgs args, ffi::RemainingRets rets) {
  Call call;
  if (const auto what = read(call, num_steps, ints, floats, args, rets, true); !what.empty()) return refused(what);
  const auto by_input = **rets.get<ffi::AnyBuffer>(0);
  const auto inputs = args.get<ffi::AnyBuffer>(0)->dimensions();
  if (by_input.element_count() &&
      !is(by_input, kFloat, {inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]}))
    return refused("the gradient by the input");
  float* to_input = data<float>(by_input);

  const size_t num_layers = call.layers.size();
  std::vector<ImageGradient> whole(num_layers);
  auto rows = [&](size_t l) {
    const Convolution& layer = call.layers[l];
    return layer.kernel_height * layer.kernel_width * layer.channels;
  };
  for (size_t l = 0; l < num_layers; ++l) {
    Convolution& layer = call.layers[l];
    auto given = [&](int n) { return data<float>(*args.get<ffi::AnyBuffer>(1 + 8 * l + n)); };
    layer.weight = lay_out(call.memory, given(1), rows(l), layer.units);
    if (l || to_input) layer.back = lay_out_back(call.memory, pool, given(1), layer);
    whole[l].output = given(6);
    whole[l].after = given(7);
    whole[l].before = data<float>(**rets.get<ffi::AnyBuffer>(1 + 3 * l + 2));
  }

  // Each worker has gradients of its own; they are added up in the order of workers.
  const ImageKernels& kernels = image_kernels();
  std::vector<std::vector<ImageGradient>> parts(std::max<int64_t>(1, pool.num_threads()), whole);
  std::mutex mutex;
  const int workers = share(pool, call.images.batch, [&](int k, int first, int last) {
    char* scratch;
    {
      std::lock_guard<std::mutex> lock(mutex);
      scratch = call.memory.bytes(kernels.scratch_bytes(call.images));
      for (size_t l = 0; l < num_layers; ++l) {
        parts[k][l].weight = {call.memory.floats(static_cast<long>(rows(l)) * call.layers[l].units), rows(l)};
        parts[k][l].bias = call.memory.floats(call.layers[l].units);
      }
    }
    for (size_t l = 0; l < num_layers; ++l) {
      std::memset(parts[k][l].weight.data, 0, 4l * rows(l) * call.layers[l].units);
      std::memset(parts[k][l].bias, 0, 4l * call.layers[l].units);
    }
    kernels.backward(call.images, call.traces.data(), parts[k].data(), to_input, first, last, scratch);
  });

  for (size_t l = 0; l < num_layers; ++l) {
    const int units = call.layers[l].units;
    float* weight = data<float>(**rets.get<ffi::AnyBuffer>(1 + 3 * l));
    float* bias = data<float>(**rets.get<ffi::AnyBuffer>(1 + 3 * l + 1));
    by_blocks(units, [&](int unit, int width) {
      for (long r = 0; r < rows(l); ++r)
        for (int n = 0; n < width; ++n) {
          float sum = 0;
          for (int k = 0; k < workers; ++k)
            sum += parts[k][l].weight.data[static_cast<long>(unit) * rows(l) + r * width + n];
          weight[r * units + unit + n] = sum;
        }
    });
    for (int n = 0; n < units; ++n) {
      bias[n] = 0;
      for (int k = 0; k < workers; ++k) bias[n] += parts[k][l].bias[n];
    }
  }
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

}  // namespace
}  // namespace snnlearn

#define SNNLEARN_PUBLIC extern "C" __attribute__((visibility("default")))
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_images_forward(XLA_FFI_CallFrame*);
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_images_backward(XLA_FFI_CallFrame*);

XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_images_forward, snnlearn::forward, snnlearn::arguments());
XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_images_backward, snnlearn::backward, snnlearn::arguments());
