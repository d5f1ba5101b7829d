// Vectors of the widest floats that the instruction set has.

#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

#define SNNLEARN_INLINE inline __attribute__((always_inline))

SNNLEARN_INLINE Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
SNNLEARN_INLINE void store(float* p, Vec x) { *reinterpret_cast<Vec*>(p) = x; }
SNNLEARN_INLINE Mask load(const uint32_t* p) { return *reinterpret_cast<const Mask*>(p); }
SNNLEARN_INLINE void store(uint32_t* p, Mask x) { *reinterpret_cast<Mask*>(p) = x; }
SNNLEARN_INLINE Vec all(float x) { return Vec{} + x; }
SNNLEARN_INLINE Vec abs(Vec x) { return x < 0 ? -x : x; }

typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

// In each quad of two vectors: a0 + a2, b0 + b2, a1 + a3, b1 + b3.
SNNLEARN_INLINE Vec paired(Vec a, Vec b) {
#if defined(__AVX512F__)
  return Vec(_mm512_unpacklo_ps(__m512(a), __m512(b))) + Vec(_mm512_unpackhi_ps(__m512(a), __m512(b)));
#elif defined(__AVX2__)
  return Vec(_mm256_unpacklo_ps(__m256(a), __m256(b))) + Vec(_mm256_unpackhi_ps(__m256(a), __m256(b)));
#else
  return Vec{a[0], b[0], a[1], b[1]} + Vec{a[2], b[2], a[3], b[3]};
#endif
}

// The sums of four vectors.
SNNLEARN_INLINE Quad sums(const Vec* x) {
  const Vec quads = paired(paired(x[0], x[2]), paired(x[1], x[3]));
#if defined(__AVX512F__)
  const __m256 pair = _mm256_add_ps(_mm512_castps512_ps256(__m512(quads)), _mm512_extractf32x8_ps(__m512(quads), 1));
  return Quad(_mm_add_ps(_mm256_castps256_ps128(pair), _mm256_extractf128_ps(pair, 1)));
#elif defined(__AVX2__)
  return Quad(_mm_add_ps(_mm256_castps256_ps128(__m256(quads)), _mm256_extractf128_ps(__m256(quads), 1)));
#else
  return quads;
#endif
}

// Where bit `bit` of each word is set.
SNNLEARN_INLINE Mask bit_of(const uint32_t* words, int bit) { return (load(words) & static_cast<int32_t>(1u << bit)) != 0; }

// Writes the places of those of kBits bits that are set, the first of which is `first`, and returns the end of what is
// written; kLanes numbers behind it may be overwritten.
template <int kBits>
SNNLEARN_INLINE uint32_t* put_places(uint32_t* out, uint32_t bits, uint32_t first) {
#if defined(__AVX512F__)
  const __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int k = 0; k < kBits; k += 16) {  // also where no bit is set: a branch is foreseen badly
    const __mmask16 some = bits >> k & 0xffff;
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(some, _mm512_add_epi32(place, _mm512_set1_epi32(first + k))));
    out += __builtin_popcount(some);
  }
#else
  for (; bits; bits &= bits - 1) *out++ = first + __builtin_ctz(bits);
#endif
  return out;
}

// Of kLanes words, in which bit `bit` is set.
SNNLEARN_INLINE uint32_t bits_at(const uint32_t* words, int bit) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask(_mm512_loadu_si512(words), _mm512_set1_epi32(1u << bit));
#elif defined(__AVX2__)
  const __m256i at_the_top = _mm256_slli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)), 31 - bit);
  return _mm256_movemask_ps(_mm256_castsi256_ps(at_the_top));
#else
  uint32_t found = 0;
  for (int n = 0; n < kLanes; ++n) found |= (words[n] >> bit & 1u) << n;
  return found;
#endif
}

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
