#include "server/core/key_value_cache.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/join_rows.h"
#include "server/core/protocol_limits.h"
#include "server/core/saturating.h"

namespace attention::server {
namespace {

using kernels::Extents;
using kernels::TensorView;

// Growing for less is not worth while: rows, or bytes if that many rows have more.
constexpr int64_t kFewRows = 64;
constexpr int64_t kFewBytes = int64_t{1} << 20;

// Of as many rows of both.
int64_t ByteCount(const TensorView& key, const TensorView& value, int64_t row_count) {
  return SaturatingSum(
      {GrowingRows::ByteCount(key, row_count), GrowingRows::ByteCount(value, row_count)});
}

absl::Status NoRoom(int64_t byte_count, const ByteBudget& budget) {
  constexpr absl::string_view kWhat = "keys and values of the stream";
  const int64_t capacity = budget.capacity_bytes();
  if (byte_count > capacity) {
    return absl::InvalidArgumentError(absl::StrCat(
        kWhat, ": got ", byte_count, " bytes, want <= ", capacity, " (--max-cache-bytes)"));
  }
  const int64_t free = std::max<int64_t>(capacity - budget.used_bytes(), 0);
  return absl::ResourceExhaustedError(absl::StrCat(kWhat, ": got ", byte_count, " bytes, and ",
                                                   free, " of ", capacity, " are free for them"));
}

}  // namespace

int64_t GrowingRows::ByteCount(const TensorView& rows, int64_t row_count) {
  return SaturatingProduct({rows.extents[0], rows.extents[1], row_count, rows.extents[3],
                            static_cast<int64_t>(kernels::ElementBytes(rows.type))});
}

GrowingRows GrowingRows::Grown(const TensorView& rows, int64_t capacity) const {
  const Extents whole = {rows.extents[0], rows.extents[1], capacity, rows.extents[3]};
  GrowingRows grown;
  grown.memory_ = Buffer(static_cast<size_t>(ByteCount(rows, capacity)));
  grown.view_ = kernels::DenseView(grown.memory_.data(), rows.type, whole);
  grown.view_.extents[2] = 0;
  if (row_count() > 0) grown.Append(view_);  // without memory if the batch is empty
  return grown;
}

void GrowingRows::Append(const TensorView& rows) {
  const kernels::MutableTensorView target = {memory_.data(), view_.type, view_.extents,
                                             view_.strides};
  for (int64_t batch = 0; batch < rows.extents[0]; ++batch) {
    for (int64_t head = 0; head < rows.extents[1]; ++head) {
      CopyRows(rows, {.batch = batch, .head = head, .begin = 0, .end = rows.extents[2]},
               kernels::RowAddress(target, batch, head, row_count()));
    }
  }
  view_.extents[2] += rows.extents[2];
}

absl::Status KeyValueCache::Append(const TensorView& key, const TensorView& value) {
  const int64_t needed = key_.row_count() + key.extents[2];
  if (needed > capacity_ || !has_begun()) {
    const int64_t few =
        std::min(kFewRows, kFewBytes / std::max<int64_t>(ByteCount(key, value, 1), 1));
    int64_t capacity = 0;
    ByteBudget::Permit permit;
    for (const int64_t more : {std::max(needed / 2, few), needed / 16, few, int64_t{0}}) {
      capacity = std::clamp(needed + more, int64_t{1}, kMaxSequence);
      permit = budget_.TryAcquire(ByteCount(key, value, capacity));
      if (permit) break;
    }
    if (!permit) return NoRoom(ByteCount(key, value, needed), budget_);
    GrowingRows grown_key = key_.Grown(key, capacity);
    value_ = value_.Grown(value, capacity);
    key_ = std::move(grown_key);
    permit_ = std::move(permit);
    capacity_ = capacity;
  }
  key_.Append(key);
  value_.Append(value);
  return absl::OkStatus();
}

}  // namespace attention::server
