// What XLA calls for products of spikes: unpacks the arguments and shares the samples among the threads.

#include "spikes.hpp"

#include <algorithm>
#include <cstring>

#include "chain.hpp"
#include "parallel.hpp"

namespace snnlearn {

#define SNNLEARN_DECLARE(isa) \
  namespace isa {             \
  extern const SpikeProducts spike_products; \
  }
SNNLEARN_DECLARE(baseline)
#ifdef SNNLEARN_X86_LEVELS
SNNLEARN_DECLARE(avx2)
SNNLEARN_DECLARE(avx512)
#endif

namespace {

const SpikeProducts& products() {
#ifdef SNNLEARN_X86_LEVELS
  return fastest(baseline::spike_products, avx2::spike_products, avx512::spike_products);
#else
  return baseline::spike_products;
#endif
}

using ffi::DataType;

// Whether x are spikes, and `many` a number for each step, sample and unit, and `matrix` for each block, input and unit.
template <class Many, class Matrix>
bool fit(const ffi::AnyBuffer& x, int64_t num_steps, const Many& many, const Matrix& matrix) {
  const auto sizes = x.dimensions(), blocks = matrix.dimensions();
  if (sizes.size() != 3 || blocks.size() != 3 || !counts(num_steps, 0)) return false;
  for (int64_t size : {sizes[1], sizes[2], blocks[0] * blocks[2]})
    if (!counts(size, 0)) return false;
  const bool packed = x.element_type() == DataType::U32;
  const int64_t rows = packed ? words_of(static_cast<int>(num_steps)) : num_steps;
  return is(x, packed ? DataType::U32 : DataType::F32, {rows, sizes[1], sizes[2]}) &&
         is(many, DataType::F32, {num_steps, sizes[1], blocks[0] * blocks[2]}) && blocks[1] == sizes[2] &&
         blocks[2] % kPad == 0 && blocks[2] > 0 && blocks[2] <= kBlock;
}

Spikes read(const ffi::AnyBuffer& x, int64_t num_steps) {
  const auto sizes = x.dimensions();
  const bool packed = x.element_type() == ffi::DataType::U32;
  return {static_cast<int>(num_steps), static_cast<int>(sizes[1]), static_cast<int>(sizes[2]),
          packed ? static_cast<const uint32_t*>(x.untyped_data()) : nullptr,
          packed ? nullptr : static_cast<const float*>(x.untyped_data())};
}

// Calls work(k, first, last, scratch) for each of some workers: always the same for the same batch and pool, so that
// sums round in the same way.
template <class Function>
int share(ffi::ThreadPool& pool, const Spikes& spikes, Function work) {
  const int workers = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(pool.num_threads(), spikes.samples)));
  in_parallel(pool, workers, [&](int k) {
    Memory memory;
    work(k, static_cast<int>(static_cast<long>(spikes.samples) * k / workers),
         static_cast<int>(static_cast<long>(spikes.samples) * (k + 1) / workers),
         memory.bytes(spike_scratch_bytes(spikes)));
  });
  return workers;
}

// weight [blocks, inputs, width]; out [steps, samples, blocks * width]
ffi::Error currents(ffi::ThreadPool pool, int64_t num_steps, ffi::AnyBuffer x, ffi::Buffer<ffi::F32> weight,
                    ffi::ResultBuffer<ffi::F32> out) {
  if (!fit(x, num_steps, *out, weight)) return refused("a buffer of currents");
  const Spikes spikes = read(x, num_steps);
  const Sizes sizes{static_cast<int>(weight.dimensions()[0]), static_cast<int>(weight.dimensions()[2])};
  share(pool, spikes, [&](int, int first, int last, char* scratch) {
    products().currents(spikes, sizes, weight.typed_data(), out->typed_data(), first, last, scratch);
  });
  return ffi::Error::Success();
}

// errors [steps, samples, blocks * width]; sum [blocks, inputs, width]
ffi::Error outer(ffi::ThreadPool pool, int64_t num_steps, ffi::AnyBuffer x, ffi::Buffer<ffi::F32> errors,
                 ffi::ResultBuffer<ffi::F32> sum) {
  if (!fit(x, num_steps, errors, *sum) || x.element_type() != DataType::U32) return refused("a buffer of outer");
  const Spikes spikes = read(x, num_steps);
  const auto shape = sum->dimensions();
  const Sizes sizes{static_cast<int>(shape[0]), static_cast<int>(shape[2])};
  const long size = static_cast<long>(sizes.blocks) * spikes.inputs * sizes.width;
  float* out = sum->typed_data();
  std::vector<float*> parts(std::max<int64_t>(1, pool.num_threads()), out);
  Memory memory;
  for (size_t k = 1; k < parts.size(); ++k) parts[k] = memory.floats(size);
  const int workers = share(pool, spikes, [&](int k, int first, int last, char* scratch) {
    std::memset(parts[k], 0, 4 * size);
    products().outer(spikes, sizes, errors.typed_data(), parts[k], first, last, scratch);
  });
  if (workers > 1)
    in_parallel(pool, sizes.blocks, [&](int b) {
      const long block = size / sizes.blocks;
      for (int k = 1; k < workers; ++k)
        for (long n = b * block; n < (b + 1) * block; ++n) out[n] += parts[k][n];
    });
  return ffi::Error::Success();
}

// Of both calls.
auto arguments() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Attr<int64_t>("num_steps")
      .Arg<ffi::AnyBuffer>()
      .Arg<ffi::Buffer<ffi::F32>>()
      .Ret<ffi::Buffer<ffi::F32>>();
}

}  // namespace
}  // namespace snnlearn

#define SNNLEARN_PUBLIC extern "C" __attribute__((visibility("default")))
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_currents(XLA_FFI_CallFrame*);
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_outer(XLA_FFI_CallFrame*);

XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_currents, snnlearn::currents, snnlearn::arguments());
XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_outer, snnlearn::outer, snnlearn::arguments());
