// Linear filters along time. Compiled once for each instruction set, as chain.cpp is.

#include "filter.hpp"

namespace snnlearn {
namespace SNNLEARN_ISA {
namespace {

// Step by step through all columns, whose states stay in the cache, while inputs and outputs stream through it.
template <int kNumbers>
void run(const Filter& filter, long first, long last) {
  const long count = last - first;
  const float *matrix = filter.coefficients, *gain_in = matrix + kNumbers * kNumbers, *gain_out = gain_in + kNumbers;
  const float direct = gain_out[kNumbers];
  float* const state = filter.state + first;
  for (int k = 0; k < filter.steps; ++k) {
    const long at = long(filter.reverse ? filter.steps - 1 - k : k) * filter.columns + first;
    const float* const x = filter.inputs + at;
    float* const y = filter.outputs + at;
#pragma GCC ivdep
    for (long n = 0; n < count; ++n) {
      float before[kNumbers], out = direct * x[n];
      for (int q = 0; q < kNumbers; ++q) {
        before[q] = state[q * filter.columns + n];
        out += gain_out[q] * before[q];
      }
      for (int r = 0; r < kNumbers; ++r) {
        float after = gain_in[r] * x[n];
        for (int q = 0; q < kNumbers; ++q) after += matrix[r * kNumbers + q] * before[q];
        state[r * filter.columns + n] = after;
      }
      y[n] = out;
    }
  }
}

}  // namespace

extern const Filters filters;
const Filters filters = {[](const Filter& filter, long first, long last) {
  filter.numbers == 1 ? run<1>(filter, first, last) : run<2>(filter, first, last);
}};

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
