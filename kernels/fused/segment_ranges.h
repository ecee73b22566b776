// Segments as ranges of keys: documents that are packed one after the other hide by intervals, as a
// window does, and cost no mask.

#ifndef ATTENTION_KERNELS_FUSED_SEGMENT_RANGES_H_
#define ATTENTION_KERNELS_FUSED_SEGMENT_RANGES_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"
#include "kernels/visibility.h"

namespace attention::kernels {

// Immutable after Begin; then any threads.
class SegmentRanges {
 public:
  // Its memory serves the next call. Throws std::bad_alloc.
  void Begin(const AttentionProblem& problem);

  // Whether each segment of a batch entry is one range of keys; so it is where there are no
  // segments.
  [[nodiscard]] bool Contiguous(int64_t batch) const {
    return !present_ || contiguous_[static_cast<size_t>(batch)] != 0;
  }

  // `keys` as far as they are of the query's segment; all of them if the segments of the batch
  // entry are not contiguous.
  [[nodiscard]] KeyRange Intersect(int64_t batch, int64_t query, const KeyRange& keys) const {
    if (!present_ || !Contiguous(batch)) return keys;
    const KeyRange& own = ranges_[static_cast<size_t>(batch * query_count_ + query)];
    KeyRange seen = {.begin = std::max(keys.begin, own.begin), .end = std::min(keys.end, own.end)};
    seen.begin = std::min(seen.begin, seen.end);
    return seen;
  }

  // Bytes that there is room for.
  [[nodiscard]] size_t room_bytes() const {
    return ranges_.capacity() * sizeof(KeyRange) + runs_.capacity() * sizeof(Run);
  }

 private:
  struct Run {
    int32_t segment;
    KeyRange keys;
  };

  // Finds the runs of equal segments; false if one comes twice.
  bool FindRuns(const int32_t* segments, int64_t key_count);
  [[nodiscard]] KeyRange KeysOf(int32_t segment) const;

  bool present_ = false;
  int64_t query_count_ = 0;
  std::vector<Run> runs_;            // of one batch entry, ordered by segment
  std::vector<uint8_t> contiguous_;  // [batch]
  std::vector<KeyRange> ranges_;     // [batch, queries]
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_SEGMENT_RANGES_H_
