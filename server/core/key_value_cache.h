// Keys and values of one caller, kept from step to step of its decoding.

#ifndef ATTENTION_SERVER_CORE_KEY_VALUE_CACHE_H_
#define ATTENTION_SERVER_CORE_KEY_VALUE_CACHE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/tensor_view.h"
#include "server/core/buffer.h"
#include "server/core/byte_budget.h"

namespace attention::server {

// Rows [batch, heads, rows, head width] behind which there is room for more. Thread safety: as any
// value's.
class GrowingRows {
 public:
  // Of all rows, those of a head one after the other. Without data in an object that was not grown.
  [[nodiscard]] const kernels::TensorView& view() const { return view_; }
  [[nodiscard]] int64_t row_count() const { return view_.extents[2]; }

  // What memory for `row_count` rows like these takes; saturates at the largest int64_t.
  [[nodiscard]] static int64_t ByteCount(const kernels::TensorView& rows, int64_t row_count);

  // The same rows in memory for `capacity`, which will be like `rows`. May throw std::bad_alloc.
  [[nodiscard]] GrowingRows Grown(const kernels::TensorView& rows, int64_t capacity) const;

  // There must be room.
  void Append(const kernels::TensorView& rows);

  // There must be at least as many rows.
  void Truncate(int64_t row_count) { view_.extents[2] = row_count; }

 private:
  kernels::TensorView view_;
  Buffer memory_;
};

// Thread safety: as any value's.
class KeyValueCache {
 public:
  // `budget` has the bytes of all caches and must outlive this one.
  explicit KeyValueCache(ByteBudget& budget) : budget_(budget) {}

  // Of what was appended so far. Memory changes with every Append.
  [[nodiscard]] const kernels::TensorView& key() const { return key_.view(); }
  [[nodiscard]] const kernels::TensorView& value() const { return value_.view(); }

  // Whether something has been appended, were it no rows, so that batch, heads, widths and type are
  // settled.
  [[nodiscard]] bool has_begun() const { return capacity_ > 0; }

  // Keys and values of the same number of rows, like those before. Makes room for half as many more
  // if the budget allows. kResourceExhausted if it has no room even for these now, kInvalidArgument
  // if it never has; may throw std::bad_alloc. All change nothing.
  [[nodiscard]] absl::Status Append(const kernels::TensorView& key,
                                    const kernels::TensorView& value);

  // As at first.
  void Clear() {
    key_ = {};
    value_ = {};
    permit_ = {};
    capacity_ = 0;
  }

  // Forgets the rows from number `row_count` on; their memory is kept for others.
  void Truncate(int64_t row_count) {
    key_.Truncate(row_count);
    value_.Truncate(row_count);
  }

 private:
  ByteBudget& budget_;
  ByteBudget::Permit permit_;
  GrowingRows key_;
  GrowingRows value_;
  int64_t capacity_ = 0;  // rows of a head that there is memory for
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_KEY_VALUE_CACHE_H_
