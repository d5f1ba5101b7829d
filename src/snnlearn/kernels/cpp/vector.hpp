// Vectors of the widest floats that the instruction set has.

#pragma once

#include <cstdint>

namespace snnlearn {
namespace SNNLEARN_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kTileVectors = 4, kTileRows = 6;
#elif defined(__AVX__)
constexpr int kLanes = 8, kTileVectors = 2, kTileRows = 6;
#else
constexpr int kLanes = 4, kTileVectors = 2, kTileRows = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t Mask __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

#define SNNLEARN_INLINE static inline __attribute__((always_inline))

SNNLEARN_INLINE Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
SNNLEARN_INLINE void store(float* p, Vec x) { *reinterpret_cast<Vec*>(p) = x; }
SNNLEARN_INLINE Mask load(const uint32_t* p) { return *reinterpret_cast<const Mask*>(p); }
SNNLEARN_INLINE void store(uint32_t* p, Mask x) { *reinterpret_cast<Mask*>(p) = x; }
SNNLEARN_INLINE Vec all(float x) { return Vec{} + x; }
SNNLEARN_INLINE Vec abs(Vec x) { return x < 0 ? -x : x; }

SNNLEARN_INLINE float sum(Vec x) {
  float total = 0;
  for (int n = 0; n < kLanes; ++n) total += x[n];
  return total;
}

// Where bit `bit` of each word is set.
SNNLEARN_INLINE Mask bit_of(const uint32_t* words, int bit) { return (load(words) & static_cast<int32_t>(1u << bit)) != 0; }

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
