// What XLA calls for linear filters: unpacks the arguments and shares the columns among the threads.

#include "filter.hpp"

#include <algorithm>
#include <cstring>

#include "parallel.hpp"

namespace snnlearn {

#define SNNLEARN_DECLARE(isa) \
  namespace isa {             \
  extern const Filters filters; \
  }
SNNLEARN_DECLARE(baseline)
#ifdef SNNLEARN_X86_LEVELS
SNNLEARN_DECLARE(avx2)
SNNLEARN_DECLARE(avx512)
#endif

namespace {

const Filters& filters() {
#ifdef SNNLEARN_X86_LEVELS
  return fastest(baseline::filters, avx2::filters, avx512::filters);
#else
  return baseline::filters;
#endif
}

// coefficients [numbers (numbers + 2) + 1]; inputs and outputs [steps, columns]; before and after [numbers, columns]
ffi::Error filter(ffi::ThreadPool pool, bool reverse, ffi::Buffer<ffi::F32> coefficients, ffi::Buffer<ffi::F32> inputs,
                  ffi::Buffer<ffi::F32> before, ffi::ResultBuffer<ffi::F32> outputs,
                  ffi::ResultBuffer<ffi::F32> after) {
  const auto sizes = inputs.dimensions(), states = before.dimensions();
  if (sizes.size() != 2 || states.size() != 2 || !counts(sizes[0], 0) || states[0] < 1 || states[0] > kMostNumbers)
    return refused("the input of a filter");
  const int64_t steps = sizes[0], columns = sizes[1], numbers = states[0];
  if (!is(coefficients, ffi::DataType::F32, {numbers * (numbers + 2) + 1}) ||
      !is(before, ffi::DataType::F32, {numbers, columns}) || !is(*after, ffi::DataType::F32, {numbers, columns}) ||
      !is(*outputs, ffi::DataType::F32, {steps, columns}))
    return refused("a buffer of a filter");
  std::memcpy(after->typed_data(), before.typed_data(), 4 * numbers * columns);
  const Filter work{static_cast<int>(numbers), static_cast<int>(steps), columns,               reverse,
                    coefficients.typed_data(), inputs.typed_data(),     outputs->typed_data(), after->typed_data()};
  constexpr int64_t kFew = 1 << 16, kLine = 16;  // less is done before another thread is awake
  const int64_t lines = (columns + kLine - 1) / kLine;
  const int64_t workers =
      steps * columns < kFew ? 1 : std::max<int64_t>(1, std::min<int64_t>(pool.num_threads(), lines));
  in_parallel(pool, static_cast<int>(workers), [&](int k) {
    filters().run(work, std::min(columns, lines * k / workers * kLine),
                  std::min(columns, lines * (k + 1) / workers * kLine));
  });
  return ffi::Error::Success();
}

}  // namespace
}  // namespace snnlearn

#define SNNLEARN_PUBLIC extern "C" __attribute__((visibility("default")))
SNNLEARN_PUBLIC XLA_FFI_Error* snnlearn_filter(XLA_FFI_CallFrame*);

XLA_FFI_DEFINE_HANDLER_SYMBOL(snnlearn_filter, snnlearn::filter,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Attr<bool>("reverse")
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::F32>>());
