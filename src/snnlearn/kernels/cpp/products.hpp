// Products of errors with weights: for all units below, or for those alone whose pseudo-derivative is not zero.

#pragma once

#include "events.hpp"

namespace snnlearn {
namespace SNNLEARN_ISA {

// out[r, :] += sum over n of a[r, n] weight[n, :], for a tile of rows and columns that stays in registers.
template <int kVectors, int kRows>
SNNLEARN_INLINE void tile(float* out, long out_stride, const float* a, long a_stride, int inner, const float* weight,
                          int width) {
  Vec sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int k = 0; k < kVectors; ++k) sums[r][k] = load(out + r * out_stride + k * kLanes);
  for (int n = 0; n < inner; ++n)
    for (int r = 0; r < kRows; ++r)
      for (int k = 0; k < kVectors; ++k) sums[r][k] += a[r * a_stride + n] * load(weight + long(n) * width + k * kLanes);
  for (int r = 0; r < kRows; ++r)
    for (int k = 0; k < kVectors; ++k) store(out + r * out_stride + k * kLanes, sums[r][k]);
}

template <int kVectors>
SNNLEARN_INLINE void tiles(float* out, long out_stride, const float* a, long a_stride, int rows, int inner,
                           const float* weight, int width) {
  int r = 0;
  for (; r + kTileRows <= rows; r += kTileRows)
    tile<kVectors, kTileRows>(out + r * out_stride, out_stride, a + r * a_stride, a_stride, inner, weight, width);
  for (; r < rows; ++r)
    tile<kVectors, 1>(out + r * out_stride, out_stride, a + r * a_stride, a_stride, inner, weight, width);
}

// The same for any number of rows, and a block of columns.
static void add_product(float* out, long out_stride, const float* a, long a_stride, int rows, int inner,
                        const float* weight, int width) {
  int column = 0;
  for (; column + kTileVectors * kLanes <= width; column += kTileVectors * kLanes)
    tiles<kTileVectors>(out + column, out_stride, a, a_stride, rows, inner, weight + column, width);
  for (; column < width; column += kLanes)
    tiles<1>(out + column, out_stride, a, a_stride, rows, inner, weight + column, width);
}

// Row `row` of x times four rows of y.
SNNLEARN_INLINE Quad dots(const Blocked& x, int row, const Blocked& y, const int* rows, int units) {
  Vec parts[4] = {};
  for (int unit = 0; unit < units; unit += kBlock) {
    const int width = width_at(unit, units);
    const float* one = block(x, unit) + long(row) * width;
    const float* other[4];
    for (int k = 0; k < 4; ++k) other[k] = block(y, unit) + long(rows[k]) * width;
    for (int n = 0; n < width; n += kLanes) {
      const Vec common = load(one + n);
      for (int k = 0; k < 4; ++k) parts[k] += common * load(other[k] + n);
    }
  }
  return sums(parts);
}

// What a layer's errors [steps, units] make of each unit below, in all steps: out [steps, below] += errors weightᵀ.
static void errors_below(const Blocked& out, int below, const Blocked& errors, int units, const Blocked& weight_back) {
  for (int b = 0; b < below; b += kBlock) {
    const int out_width = width_at(b, below);
    for (int u = 0; u < units; u += kBlock)
      add_product(block(out, b), out_width, block(errors, u), width_at(u, padded(units)), out.rows, width_at(u, units),
                  block(weight_back, b) + long(u) * out_width, out_width);
  }
}

// In kSteps steps: errors times weights, for kBlocks blocks of units above.
template <int kBlocks, int kVectors, int kSteps>
SNNLEARN_INLINE Quad found_in(const int* steps, const float* const* errors, const Vec (&weight)[kBlocks][kVectors]) {
  Vec parts[4] = {};
  for (int b = 0; b < kBlocks; ++b)
    for (int k = 0; k < kVectors; ++k)
      for (int s = 0; s < kSteps; ++s)
        parts[s] += weight[b][k] * load(errors[b] + steps[s] * kVectors * kLanes + k * kLanes);
  return sums(parts);
}

// Of one unit below, whose weights to kBlocks blocks of units above stay in registers, in at most 32 steps: those whose
// bits are set in `word`. errors[b] and out point to the first step.
template <int kBlocks, int kVectors>
SNNLEARN_INLINE void errors_of_unit(uint32_t word, float* out, int out_width, const float* const* errors,
                                    const float* const* weight) {
  Vec held[kBlocks][kVectors];
  for (int b = 0; b < kBlocks; ++b)
    for (int k = 0; k < kVectors; ++k) held[b][k] = load(weight[b] + k * kLanes);
  while (word) {
    int steps[4], count = 0;
    for (; count < 4 && word; word &= word - 1) steps[count++] = __builtin_ctz(word);
    Quad found;
    switch (count) {
      case 1: found = found_in<kBlocks, kVectors, 1>(steps, errors, held); break;
      case 2: found = found_in<kBlocks, kVectors, 2>(steps, errors, held); break;
      case 3: found = found_in<kBlocks, kVectors, 3>(steps, errors, held); break;
      default: found = found_in<kBlocks, kVectors, 4>(steps, errors, held);
    }
    for (int k = 0; k < count; ++k) out[steps[k] * out_width] += found[k];
  }
}

// The same where bits of `active` [words, below] are set, and nothing elsewhere, for a block of units below.
template <int kBlocks, int kVectors>
static void errors_below_where(const uint32_t* active, const Blocked& out, int first, int below, const Blocked& errors,
                               int unit, const Blocked& weight) {
  constexpr int kWidth = kVectors * kLanes;
  const int out_width = width_at(first, below);
  for (int start = 0; start < out.rows; start += 32) {
    const float* at[kBlocks];
    for (int b = 0; b < kBlocks; ++b) at[b] = block(errors, unit + b * kBlock) + long(start) * kWidth;
    const uint32_t* words = active + long(start / 32) * below + first;
    for (int n = 0; n < out_width; ++n) {
      const uint32_t word = words[n];
      if (!word) continue;
      const float* rows[kBlocks];
      for (int b = 0; b < kBlocks; ++b) rows[b] = block(weight, unit + b * kBlock) + long(first + n) * kWidth;
      errors_of_unit<kBlocks, kVectors>(word, block(out, first) + long(start) * out_width + n, out_width, at, rows);
    }
  }
}

template <int kVectors>
static void errors_of_block(const uint32_t* active, const Blocked& out, int first, int below, const Blocked& errors,
                            int unit, const Blocked& weight) {
  errors_below_where<1, kVectors>(active, out, first, below, errors, unit, weight);
}

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
