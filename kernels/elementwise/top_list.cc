#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/attend.h"
#include "kernels/elementwise/elementwise.h"

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/top_list.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#define VQSORT_ONLY_STATIC 1  // the sort is compiled here, not linked
#include "hwy/contrib/sort/vqsort-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<FloatTag>;

// Candidates that are gathered before they are sorted.
constexpr int64_t kMaxCandidates = 256;

// With more than these it pays to look for a bound.
constexpr int64_t kFewCandidates = 15;

// Vectors of maxima that bound the list from below.
constexpr int64_t kMaximaVectors = 4;

// A number that is greater for what stands earlier in a list. No two keys have the same, so that
// sorting has one outcome.
HWY_INLINE uint64_t Packed(float weight, int32_t key) {
  return uint64_t{std::bit_cast<uint32_t>(weight)} << 32 | ~static_cast<uint32_t>(key);
}

HWY_INLINE float WeightOf(uint64_t packed) {
  return std::bit_cast<float>(static_cast<uint32_t>(packed >> 32));
}

// The one kind of sort here: each takes the compiler long.
HWY_INLINE void SortDescending(uint64_t* packed, int64_t count) {
  hn::VQSortStatic(packed, static_cast<size_t>(count), hwy::SortDescending());
}

// Candidates have room behind them for the list.
HWY_INLINE void Merge(uint64_t* candidates, int64_t count, TopList& list) {
  for (int64_t i = 0; i < list.count; ++i) {
    candidates[count + i] = Packed(list.weights[i], list.keys[i]);
  }
  const int64_t all = count + list.count;
  SortDescending(candidates, all);
  list.count = std::min(all, list.capacity);
  for (int64_t i = 0; i < list.count; ++i) {
    list.weights[i] = WeightOf(candidates[i]);
    list.keys[i] = static_cast<int32_t>(~static_cast<uint32_t>(candidates[i]));
  }
}

// At least `rank` of the weights are as great as this: of the greatest ones of some parts it is the
// one of that rank. 0 if there are too few parts.
HWY_INLINE float LowerBoundOfTop(const float* weights, int64_t count, int64_t rank) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (rank > kMaximaVectors * lanes) return 0.0f;
  FloatVector maxima[kMaximaVectors];
  for (auto& maximum : maxima) maximum = hn::Zero(d);
  for (int64_t i = 0; i + kMaximaVectors * lanes <= count; i += kMaximaVectors * lanes) {
    for (int64_t v = 0; v < kMaximaVectors; ++v) {
      // Keeps the second operand beside a NaN.
      maxima[v] = hn::Max(hn::LoadU(d, weights + i + v * lanes), maxima[v]);
    }
  }
  alignas(64) float parts[kMaximaVectors * hn::MaxLanes(d)];
  for (int64_t v = 0; v < kMaximaVectors; ++v) hn::Store(maxima[v], d, parts + v * lanes);
  uint64_t sorted[kMaximaVectors * hn::MaxLanes(d)];
  for (int64_t i = 0; i < kMaximaVectors * lanes; ++i) sorted[i] = Packed(parts[i], 0);
  SortDescending(sorted, kMaximaVectors * lanes);
  return WeightOf(sorted[rank - 1]);
}

void TakeIntoTopHere(const float* weights, int64_t count, int64_t first_key, TopList& list) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  uint64_t candidates[kMaxCandidates + kMaxTopWeights];
  int64_t candidate_count = 0;
  const bool full = list.count == list.capacity;
  // What is not greater is left out.
  float least = full ? list.weights[list.capacity - 1] : 0.0f;
  bool bounded = false;
  for (int64_t i = 0; i < count; i += lanes) {
    if (!bounded && (!full || candidate_count > kFewCandidates)) {
      bounded = true;
      const float bound = LowerBoundOfTop(weights, count, list.capacity);
      if (bound > least) {
        least = std::nextafter(bound, 0.0f);
        candidate_count = 0;  // anew
        i = 0;
      }
    }
    if (candidate_count + lanes > kMaxCandidates) {
      Merge(candidates, candidate_count, list);
      candidate_count = 0;
    }
    const size_t rest = static_cast<size_t>(std::min(lanes, count - i));
    uint64_t bits = 0;
    hn::StoreMaskBits(d, hn::Gt(hn::LoadN(d, weights + i, rest), hn::Set(d, least)),
                      reinterpret_cast<uint8_t*>(&bits));
    for (; bits != 0; bits &= bits - 1) {
      const int64_t column = i + std::countr_zero(bits);
      candidates[candidate_count++] =
          Packed(weights[column], static_cast<int32_t>(first_key + column));
    }
  }
  if (candidate_count > 0) Merge(candidates, candidate_count, list);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(TakeIntoTopHere);

void TakeIntoTop(const float* weights, int64_t count, int64_t first_key, TopList& list) {
  HWY_DYNAMIC_DISPATCH(TakeIntoTopHere)(weights, count, first_key, list);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
