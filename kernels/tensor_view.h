// Element types, and views of strided arrays that somebody else owns.

#ifndef ATTENTION_KERNELS_TENSOR_VIEW_H_
#define ATTENTION_KERNELS_TENSOR_VIEW_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace attention::kernels {

enum class DataType : uint8_t { kF32, kF16, kBF16, kF64, kBool };

// Bytes of one element; kBool is one byte that holds 0 or 1.
[[nodiscard]] constexpr size_t ElementBytes(DataType type) {
  switch (type) {
    case DataType::kF32:
      return 4;
    case DataType::kF16:
    case DataType::kBF16:
      return 2;
    case DataType::kF64:
      return 8;
    case DataType::kBool:
      return 1;
  }
  return 0;
}

// "F32", "F16", "BF16", "F64", "BOOL".
[[nodiscard]] std::string_view Name(DataType type);

// Four extents or strides, outermost first. In elements, never in bytes.
using Extents = std::array<int64_t, 4>;

[[nodiscard]] constexpr int64_t ElementCount(const Extents& extents) {
  return extents[0] * extents[1] * extents[2] * extents[3];
}

// Of counts of at least 0.
[[nodiscard]] constexpr int64_t DivideUp(int64_t count, int64_t divisor) {
  return (count + divisor - 1) / divisor;
}
[[nodiscard]] constexpr int64_t RoundUp(int64_t count, int64_t multiple) {
  return DivideUp(count, multiple) * multiple;
}

// The strides of a dense row-major array.
[[nodiscard]] constexpr Extents DenseStrides(const Extents& extents) {
  return {extents[1] * extents[2] * extents[3], extents[2] * extents[3], extents[3], 1};
}

// A read-only array of rank four. Axes of queries, keys, values and outputs: batch, head, row,
// column. Axes of masks, weights and scores: batch, head, query, key. Data is aligned to its
// element's size.
struct TensorView {
  const void* data = nullptr;
  DataType type = DataType::kF32;
  Extents extents = {0, 0, 0, 0};
  Extents strides = {0, 0, 0, 0};  // the last is 1, but any in a mask, where 0 broadcasts

  [[nodiscard]] bool present() const { return data != nullptr; }
};

// The same, writable.
struct MutableTensorView {
  void* data = nullptr;
  DataType type = DataType::kF32;
  Extents extents = {0, 0, 0, 0};
  Extents strides = {0, 0, 0, 0};

  [[nodiscard]] bool present() const { return data != nullptr; }

  // A view may always lose its right to write. NOLINTNEXTLINE(google-explicit-constructor)
  operator TensorView() const { return {data, type, extents, strides}; }
};

[[nodiscard]] inline TensorView DenseView(const void* data, DataType type, const Extents& extents) {
  return {data, type, extents, DenseStrides(extents)};
}
[[nodiscard]] inline MutableTensorView DenseView(void* data, DataType type,
                                                 const Extents& extents) {
  return {data, type, extents, DenseStrides(extents)};
}

// The address of element (batch, head, row, 0).
[[nodiscard]] inline const std::byte* RowAddress(const TensorView& view, int64_t batch,
                                                 int64_t head, int64_t row) {
  return static_cast<const std::byte*>(view.data) +
         static_cast<ptrdiff_t>(ElementBytes(view.type)) *
             (batch * view.strides[0] + head * view.strides[1] + row * view.strides[2]);
}
[[nodiscard]] inline std::byte* RowAddress(const MutableTensorView& view, int64_t batch,
                                           int64_t head, int64_t row) {
  return const_cast<std::byte*>(RowAddress(static_cast<const TensorView&>(view), batch, head, row));
}

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_TENSOR_VIEW_H_
