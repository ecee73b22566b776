// Masks and biases applied to rows of scores.

#ifndef ATTENTION_KERNELS_FUSED_MASK_ROWS_H_
#define ATTENTION_KERNELS_FUSED_MASK_ROWS_H_

#include <algorithm>
#include <compare>
#include <cstdint>
#include <vector>

#include "kernels/attend.h"
#include "kernels/fused/fused_call.h"
#include "kernels/visibility.h"

namespace attention::kernels {

// Keys [first, first + count).
struct KeySpan {
  int64_t first = 0;
  int64_t count = 0;

  [[nodiscard]] int64_t end() const { return first + count; }
  auto operator<=>(const KeySpan&) const = default;
};

// Columns [begin, end) of a span of keys.
struct Columns {
  int64_t begin = 0;
  int64_t end = 0;

  [[nodiscard]] int64_t count() const { return end - begin; }
};

// Those of the span that are in the range.
[[nodiscard]] inline Columns ColumnsOf(const KeyRange& keys, const KeySpan& span) {
  const int64_t begin = std::clamp<int64_t>(keys.begin - span.first, 0, span.count);
  return {.begin = begin, .end = std::clamp<int64_t>(keys.end - span.first, begin, span.count)};
}

// Where masks and biases can be applied.
enum class MaskPlace : uint8_t {
  kNowhere,   // there are no masks; the softmax can apply what else there is
  kAdditive,  // in the softmax, which reads AdditiveRow
  kVisible,   // in the softmax, which reads VisibleRow
  kSegments,  // in the softmax, which compares segments
  kScores,    // only by Apply
};

// A row of mask elements. Unless it lasts as long as the problem, the next one overwrites it.
template <class T>
struct MaskRow {
  const T* elements = nullptr;
  bool lasts = false;
};

// Reads the masks of one batch entry row by row, whatever their kinds, types and strides. One
// thread's; its memory is kept for the next use.
class MaskRows {
 public:
  void Begin(const FusedCall& call, int64_t batch);

  // Whether any mask hides keys.
  [[nodiscard]] bool hides() const { return hides_; }

  [[nodiscard]] MaskPlace place() const { return place_; }

  // Whether Apply does anything.
  [[nodiscard]] bool transforms() const { return hides_ || call_->form.transforms(); }

  // What the softmax reads of `keys`, in the place of their products.
  void Apply(const ScoreRow& row, const KeySpan& keys, float* scores);

  // Of the additive mask. No elements if there is none.
  MaskRow<float> AdditiveRow(const ScoreRow& row, const KeySpan& keys);

  // Of all other masks, 1 = visible. No elements if there are none.
  MaskRow<uint8_t> VisibleRow(const ScoreRow& row, const KeySpan& keys);

  // Whether the masks let the row see one of the keys.
  [[nodiscard]] bool AnyVisible(const ScoreRow& row, const KeySpan& keys);

  // Whether both rows surely see the same keys, since they read the same elements of the masks.
  [[nodiscard]] bool SameMasks(const ScoreRow& a, const ScoreRow& b) const;

  // Whether the masks let the row see `key`.
  [[nodiscard]] bool Visible(const ScoreRow& row, int64_t key) const;

 private:
  // A row of bytes, 1 = visible, that was made for `keys` from what `source` and `value` say.
  struct MadeRow {
    const void* source = nullptr;
    int64_t value = 0;
    KeySpan keys;
    std::vector<uint8_t> visible;

    // Whether it is made already; if not, it is taken to be from now on.
    bool ClaimFor(const void* new_source, int64_t new_value, const KeySpan& new_keys);
  };

  [[nodiscard]] const AttentionProblem& problem() const { return call_->problem; }
  [[nodiscard]] MaskPlace FindPlace() const;
  [[nodiscard]] int32_t SegmentOf(int64_t query) const;
  // Of the blocks of keys; there is a block mask.
  [[nodiscard]] const uint8_t* BlocksOf(const ScoreRow& row) const;
  [[nodiscard]] bool AnyBlockVisible(const ScoreRow& row, const KeySpan& keys) const;
  // Null where nothing of the kind hides.
  const uint8_t* BooleanRow(const ScoreRow& row, const KeySpan& keys);
  const uint8_t* BlockRow(const ScoreRow& row, const KeySpan& keys);
  const uint8_t* SegmentRow(const ScoreRow& row, const KeySpan& keys);

  const FusedCall* call_ = nullptr;
  int64_t batch_ = 0;
  bool hides_ = false;
  bool segments_hide_ = false;
  MaskPlace place_ = MaskPlace::kNowhere;
  std::vector<uint64_t> gathered_;  // elements of the additive mask, of any type
  std::vector<float> additive_;
  std::vector<uint8_t> boolean_;
  std::vector<uint8_t> combined_;
  MadeRow blocks_;
  MadeRow segments_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_MASK_ROWS_H_
