#include "server/core/join_rows.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace attention::server {
namespace {

using kernels::Extents;
using kernels::MutableTensorView;
using kernels::TensorView;

// Long enough to be worth an item, and short enough for a thread to leave in time.
constexpr int64_t kBlockBytes = int64_t{1} << 18;

// Less is copied before another thread is awake.
constexpr int64_t kMinSharedBytes = int64_t{1} << 20;

int64_t RowBytes(const MutableTensorView& rows) {
  return rows.extents[3] * static_cast<int64_t>(kernels::ElementBytes(rows.type));
}

int64_t RowsPerBlock(const MutableTensorView& rows) {
  return std::max<int64_t>(1, kBlockBytes / std::max<int64_t>(1, RowBytes(rows)));
}

int64_t BlocksPerHead(const MutableTensorView& rows) {
  const int64_t block_rows = RowsPerBlock(rows);
  return (rows.extents[2] + block_rows - 1) / block_rows;
}

int64_t BlockCount(const MutableTensorView& rows) {
  return rows.extents[0] * rows.extents[1] * BlocksPerHead(rows);
}

void JoinBlock(const RowsToJoin& join, int64_t index) {
  const Extents& extents = join.rows.extents;
  const int64_t blocks = BlocksPerHead(join.rows);
  const int64_t pair = index / blocks;
  const int64_t begin = index % blocks * RowsPerBlock(join.rows);
  const int64_t end = std::min(extents[2], begin + RowsPerBlock(join.rows));
  const int64_t past_count = join.source.past.extents[2];
  RowRange range = {pair / extents[1], pair % extents[1], begin, std::min(end, past_count)};
  std::byte* const target = kernels::RowAddress(join.rows, range.batch, range.head, begin);
  CopyRows(join.source.past, range, target);
  const int64_t first_added = std::max(begin, past_count);
  range.begin = first_added - past_count;
  range.end = end - past_count;
  CopyRows(join.source.added, range, target + (first_added - begin) * RowBytes(join.rows));
}

}  // namespace

void CopyRows(const TensorView& source, const RowRange& range, std::byte* target) {
  if (range.begin >= range.end) return;
  const auto row_bytes =
      static_cast<size_t>(source.extents[3]) * kernels::ElementBytes(source.type);
  const auto row_count = static_cast<size_t>(range.end - range.begin);
  const std::byte* first = kernels::RowAddress(source, range.batch, range.head, range.begin);
  if (source.strides[2] == source.extents[3]) {
    std::memcpy(target, first, row_count * row_bytes);
    return;
  }
  const auto stride_bytes =
      static_cast<ptrdiff_t>(kernels::ElementBytes(source.type)) * source.strides[2];
  for (size_t row = 0; row < row_count; ++row, first += stride_bytes, target += row_bytes) {
    std::memcpy(target, first, row_bytes);
  }
}

void JoinRows(std::span<const RowsToJoin> joins, const kernels::Execution& execution) {
  int64_t block_count = 0;
  int64_t byte_count = 0;
  for (const RowsToJoin& join : joins) {
    block_count += BlockCount(join.rows);
    byte_count += kernels::ElementCount(join.rows.extents) *
                  static_cast<int64_t>(kernels::ElementBytes(join.rows.type));
  }
  kernels::Execution sharing = execution;
  if (byte_count < kMinSharedBytes) sharing.executor = nullptr;
  kernels::RunItems(sharing, block_count, [&](int64_t block) {
    const RowsToJoin* join = joins.data();
    for (; block >= BlockCount(join->rows); ++join) block -= BlockCount(join->rows);
    JoinBlock(*join, block);
  });
}

}  // namespace attention::server
