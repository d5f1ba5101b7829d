// Vectors of the widest floats that the instruction set has.

#pragma once

#include <cstdint>

namespace snnlearn {
namespace SNNLEARN_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kTileVectors = 4, kTileRows = 6, kHeldBlocks = 4;
#elif defined(__AVX__)
constexpr int kLanes = 8, kTileVectors = 2, kTileRows = 6, kHeldBlocks = 1;
#else
constexpr int kLanes = 4, kTileVectors = 2, kTileRows = 4, kHeldBlocks = 1;
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

typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

// The sums of four vectors.
SNNLEARN_INLINE Quad sums(const Vec* x) {
  Quad parts[4];
  for (int k = 0; k < 4; ++k) {
    const Quad* quads = reinterpret_cast<const Quad*>(x + k);
    parts[k] = quads[0];
    for (int n = 1; n < kLanes / 4; ++n) parts[k] += quads[n];
  }
  Quad pairs[2];
  for (int k = 0; k < 2; ++k) {
    const Quad p = parts[2 * k], q = parts[2 * k + 1];
    pairs[k] = Quad{p[0], q[0], p[1], q[1]} + Quad{p[2], q[2], p[3], q[3]};
  }
  const Quad p = pairs[0], q = pairs[1];
  return Quad{p[0], p[1], q[0], q[1]} + Quad{p[2], p[3], q[2], q[3]};
}

// Where bit `bit` of each word is set.
SNNLEARN_INLINE Mask bit_of(const uint32_t* words, int bit) { return (load(words) & static_cast<int32_t>(1u << bit)) != 0; }

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
