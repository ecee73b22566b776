#include "kernels/fused/segment_ranges.h"

#include <algorithm>

namespace attention::kernels {

void SegmentRanges::Begin(const AttentionProblem& problem) {
  present_ = !problem.query_segments.empty();
  if (!present_) return;
  const int64_t batch_count = problem.query.extents[0];
  const int64_t key_count = problem.key.extents[2];
  query_count_ = problem.query.extents[2];
  contiguous_.resize(static_cast<size_t>(batch_count));
  ranges_.resize(static_cast<size_t>(batch_count * query_count_));
  for (int64_t batch = 0; batch < batch_count; ++batch) {
    const bool contiguous = FindRuns(problem.key_segments.data() + batch * key_count, key_count);
    contiguous_[static_cast<size_t>(batch)] = contiguous ? 1 : 0;
    if (!contiguous) continue;
    const int32_t* segments = problem.query_segments.data() + batch * query_count_;
    KeyRange* ranges = ranges_.data() + batch * query_count_;
    for (int64_t query = 0; query < query_count_; ++query) {
      const bool repeats = query > 0 && segments[query] == segments[query - 1];
      ranges[query] = repeats ? ranges[query - 1] : KeysOf(segments[query]);
    }
  }
}

bool SegmentRanges::FindRuns(const int32_t* segments, int64_t key_count) {
  runs_.clear();
  for (int64_t key = 0; key < key_count; ++key) {
    if (runs_.empty() || runs_.back().segment != segments[key]) {
      runs_.push_back({.segment = segments[key], .keys = {.begin = key, .end = key}});
    }
    runs_.back().keys.end = key + 1;
  }
  const auto before = [](const Run& a, const Run& b) { return a.segment < b.segment; };
  std::sort(runs_.begin(), runs_.end(), before);
  const auto same = [](const Run& a, const Run& b) { return a.segment == b.segment; };
  return std::adjacent_find(runs_.begin(), runs_.end(), same) == runs_.end();
}

KeyRange SegmentRanges::KeysOf(int32_t segment) const {
  const auto found =
      std::lower_bound(runs_.begin(), runs_.end(), segment,
                       [](const Run& run, int32_t wanted) { return run.segment < wanted; });
  return found == runs_.end() || found->segment != segment ? KeyRange() : found->keys;
}

}  // namespace attention::kernels
