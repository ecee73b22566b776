// Which interval of keys a row of the score matrix sees, masks aside.

#ifndef ATTENTION_KERNELS_FUSED_ROW_VISIBILITY_H_
#define ATTENTION_KERNELS_FUSED_ROW_VISIBILITY_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"
#include "kernels/fused/segment_ranges.h"
#include "kernels/visibility.h"

namespace attention::kernels {

// One row of the score matrix: a query of a head.
struct ScoreRow {
  int64_t head = 0;
  int64_t query = 0;
};

// What causality, prefixes, the window, lengths and contiguous segments say; and rows of a head of
// factor 0 see nothing where their softmax is asked for nowhere. Immutable after Begin; then any
// threads.
class RowVisibility {
 public:
  // The problem outlives the use. Throws std::bad_alloc.
  void Begin(const AttentionProblem& problem, const AttentionOptions& options,
             const AttentionOutputs& outputs);

  [[nodiscard]] KeyRange Keys(int64_t batch, const ScoreRow& row) const {
    return rows_differ_ ? KeysOfRow(batch, row) : Hull(batch);
  }

  // Contains the keys of every row of a batch entry; the same for all heads.
  [[nodiscard]] KeyRange Hull(int64_t batch) const { return hulls_[static_cast<size_t>(batch)]; }

  // Whether segments hide beyond what Keys says.
  [[nodiscard]] bool SegmentsAreMask(int64_t batch) const { return !segments_.Contiguous(batch); }

  // Bytes that there is room for.
  [[nodiscard]] size_t room_bytes() const {
    return hulls_.capacity() * sizeof(KeyRange) + segments_.room_bytes();
  }

 private:
  [[nodiscard]] KeyRange KeysOfRow(int64_t batch, const ScoreRow& row) const;
  [[nodiscard]] KeyRange FindHull(int64_t batch) const;

  const AttentionProblem* problem_ = nullptr;
  bool skips_heads_ = false;
  bool rows_differ_ = false;
  SegmentRanges segments_;
  std::vector<KeyRange> hulls_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_ROW_VISIBILITY_H_
