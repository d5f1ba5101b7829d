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

// sums[k] = row `row` of x times row rows[k] of y, over units [first, last).
template <int kRows>
SNNLEARN_INLINE void dots(float* sums, const Blocked& x, int row, const Blocked& y, const int* rows, int first,
                          int last, int units) {
  Vec parts[kRows] = {};
  for (int unit = first; unit < last; unit += kBlock) {
    const int width = width_at(unit, units);
    const float* one = block(x, unit) + long(row) * width;
    const float* other[kRows];
    for (int k = 0; k < kRows; ++k) other[k] = block(y, unit) + long(rows[k]) * width;
    for (int n = 0; n < width; n += kLanes) {
      const Vec common = load(one + n);
      for (int k = 0; k < kRows; ++k) parts[k] += common * load(other[k] + n);
    }
  }
  for (int k = 0; k < kRows; ++k) sums[k] = sum(parts[k]);
}

constexpr int kDots = 4;       // dot products at a time
constexpr int kPanel = 256;    // units of one pass: 32 steps of their errors fit into the first-level cache

// What a layer's errors [steps, units] make of each unit below, in all steps: out [steps, below] += errors weightᵀ.
static void errors_below(const Blocked& out, int below, const Blocked& errors, int units, const Blocked& weight_back) {
  for (int b = 0; b < below; b += kBlock) {
    const int out_width = width_at(b, below);
    for (int u = 0; u < units; u += kBlock) {
      const int width = width_at(u, units);
      add_product(block(out, b), out_width, block(errors, u), width, out.rows, width,
                  block(weight_back, b) + long(u) * out_width, out_width);
    }
  }
}

// The same where bits of `active` [words, below] are set, and nothing elsewhere.
static void errors_below_where(const uint32_t* active, const Blocked& out, int below, const Blocked& errors, int units,
                               const Blocked& weight) {
  for (int first = 0; first < units; first += kPanel) {
    const int last = first + kPanel < units ? first + kPanel : units;
    for (int start = 0; start < out.rows; start += 32)
      for (int n = 0; n < below; ++n) {
        const int b = n / kBlock * kBlock, width = width_at(b, below);
        float* at = block(out, b) + (n - b);
        uint32_t word = active[long(start / 32) * below + n];
        int steps[kDots];
        float sums[kDots];
        while (word) {
          int count = 0;
          for (; word && count < kDots; word &= word - 1) steps[count++] = start + __builtin_ctz(word);
          if (count == kDots)
            dots<kDots>(sums, weight, n, errors, steps, first, last, units);
          else
            for (int k = 0; k < count; ++k) dots<1>(sums + k, weight, n, errors, steps + k, first, last, units);
          for (int k = 0; k < count; ++k) at[long(steps[k]) * width] += sums[k];
        }
      }
  }
}

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
