#include "server/layers/tensor_copier.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/convert.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// One row at a time, at an address that the kernels can read.
class RowConverter {
 public:
  RowConverter(kernels::DataType from, kernels::DataType to, int64_t count)
      : from_(from), to_(to), count_(count) {
    const auto size = static_cast<size_t>(count);
    stored_.resize(size);
    if (from != to) {
      numbers_.resize(size);
      converted_.resize(size);
    }
  }

  // The row in the new type, valid until the next one; null if a finite number does not fit.
  const std::byte* Convert(const std::byte* row) {
    std::memcpy(stored_.data(), row, static_cast<size_t>(count_) * kernels::ElementBytes(from_));
    if (from_ == to_) return reinterpret_cast<const std::byte*>(stored_.data());
    kernels::LoadElements(from_, stored_.data(), count_, numbers_.data());
    kernels::StoreElements(to_, numbers_.data(), count_, converted_.data());
    const auto* const bytes = reinterpret_cast<const std::byte*>(converted_.data());
    for (int64_t i = 0; i < count_; ++i) {
      const auto offset = static_cast<size_t>(i) * kernels::ElementBytes(to_);
      if (std::isfinite(numbers_[static_cast<size_t>(i)]) &&
          !std::isfinite(kernels::LoadElement(to_, bytes + offset))) {
        return nullptr;
      }
    }
    return bytes;
  }

 private:
  const kernels::DataType from_;
  const kernels::DataType to_;
  const int64_t count_;
  // Doubles for their size and alignment, which no type exceeds.
  std::vector<double> stored_;
  std::vector<double> numbers_;
  std::vector<double> converted_;
};

}  // namespace

StoredMatrix StoredMatrix::Rows(int64_t first, int64_t count) const {
  const size_t row_bytes = static_cast<size_t>(column_count) * kernels::ElementBytes(type);
  StoredMatrix rows = *this;
  rows.row_count = count;
  rows.bytes =
      bytes.subspan(static_cast<size_t>(first) * row_bytes, static_cast<size_t>(count) * row_bytes);
  return rows;
}

StoredMatrix StoredMatrix::Columns(int64_t first, int64_t count) const {
  const size_t element_bytes = kernels::ElementBytes(type);
  StoredMatrix columns = *this;
  columns.column_count = count;
  columns.bytes = bytes.subspan(static_cast<size_t>(first) * element_bytes,
                                static_cast<size_t>(count) * element_bytes);
  return columns;
}

StoredMatrix MatrixOf(const StoredTensor& tensor) {
  const int64_t row_count = tensor.shape.empty() ? 1 : tensor.shape.front();
  return {.name = tensor.name,
          .type = tensor.type,
          .row_count = row_count,
          .column_count = tensor.element_count() / row_count,
          .bytes = tensor.bytes};
}

absl::StatusOr<const void*> TensorCopier::Copy(const StoredMatrix& matrix) {
  const auto row_count = static_cast<size_t>(matrix.row_count);
  const auto column_count = static_cast<size_t>(matrix.column_count);
  const size_t element_bytes = kernels::ElementBytes(type_);
  const size_t stored_row_bytes = column_count * kernels::ElementBytes(matrix.type);
  Buffer buffer(row_count * column_count * element_bytes);
  auto* const target = static_cast<std::byte*>(buffer.data());
  RowConverter converter(matrix.type, type_, matrix.column_count);
  for (size_t row = 0; row < row_count; ++row) {
    const std::byte* const numbers =
        converter.Convert(matrix.bytes.data() + row * stored_row_bytes);
    if (numbers == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor '", matrix.name,
                       "': got a finite number beyond what the data_type asked for can hold"));
    }
    if (!matrix.transposed) {
      std::memcpy(target + row * column_count * element_bytes, numbers,
                  column_count * element_bytes);
      continue;
    }
    for (size_t column = 0; column < column_count; ++column) {
      std::memcpy(target + (column * row_count + row) * element_bytes,
                  numbers + column * element_bytes, element_bytes);
    }
  }
  storage_.push_back(std::move(buffer));
  return storage_.back().data();
}

}  // namespace attention::server
