// Tensors as the client library takes and returns them: an element type, a shape and dense
// row-major bytes.
//
// TensorRef borrows its elements and must not outlive them; TensorValue owns them. Neither has an
// opinion about the other end: whether a shape fits a request is the server's to say, whether the
// bytes fit the shape is checked when the request is built. Both are values: copies are
// independent, and threads may read one at once.

#ifndef ATTENTION_CLIENT_TENSOR_H_
#define ATTENTION_CLIENT_TENSOR_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attention::client {

static_assert(std::endian::native == std::endian::little,
              "elements are sent as they lie in memory, and the wire is little-endian");

enum class DataType : uint8_t { kF32, kF16, kBF16, kF64, kBool, kInt32, kInt64 };

// Bytes of one element; kBool is one byte that holds 0 or 1.
[[nodiscard]] size_t ElementBytes(DataType type);

// "F32", "F16", "BF16", "F64", "BOOL", "INT32", "INT64".
[[nodiscard]] std::string_view Name(DataType type);

// The bits of an IEEE 754 binary16, and of the upper half of a binary32. See small_float.h for
// conversions.
struct Float16 {
  uint16_t bits = 0;
  bool operator==(const Float16&) const = default;
};
struct BFloat16 {
  uint16_t bits = 0;
  bool operator==(const BFloat16&) const = default;
};

// The data type of each C++ type that can be an element.
template <DataType type>
struct ElementTypeIs {
  static constexpr DataType kType = type;
};
template <typename T>
struct ElementType;
template <>
struct ElementType<float> : ElementTypeIs<DataType::kF32> {};
template <>
struct ElementType<Float16> : ElementTypeIs<DataType::kF16> {};
template <>
struct ElementType<BFloat16> : ElementTypeIs<DataType::kBF16> {};
template <>
struct ElementType<double> : ElementTypeIs<DataType::kF64> {};
template <>
struct ElementType<bool> : ElementTypeIs<DataType::kBool> {};
template <>
struct ElementType<int32_t> : ElementTypeIs<DataType::kInt32> {};
template <>
struct ElementType<int64_t> : ElementTypeIs<DataType::kInt64> {};

template <typename T>
concept Element = requires { ElementType<T>::kType; };

// Extents, outermost first.
using Shape = std::vector<int64_t>;

// "[2, 3]".
[[nodiscard]] std::string ToString(const Shape& shape);

// The product of the extents, or INVALID_ARGUMENT if one is negative or the product exceeds 2^63
// - 1.
[[nodiscard]] absl::StatusOr<int64_t> ElementCount(const Shape& shape);

// A borrowed tensor.
class TensorRef {
 public:
  // A tensor without elements or axes, which no request accepts.
  TensorRef() = default;

  // Any contiguous range of elements: a vector, an array, a span.
  template <std::ranges::contiguous_range Range>
    requires Element<std::ranges::range_value_t<Range>>
  TensorRef(const Range& elements, Shape shape)
      : type_(ElementType<std::ranges::range_value_t<Range>>::kType),
        shape_(std::move(shape)),
        bytes_(std::as_bytes(std::span(std::ranges::data(elements), std::ranges::size(elements)))) {
  }

  // Elements whose type is known only at run time.
  TensorRef(DataType type, Shape shape, std::span<const std::byte> bytes)
      : type_(type), shape_(std::move(shape)), bytes_(bytes) {}

  [[nodiscard]] DataType type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  // The bytes as strings hold them.
  [[nodiscard]] std::string_view chars() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

  // INVALID_ARGUMENT if the number of bytes is not the one that type and shape ask for, or one of a
  // kBool is neither 0 nor 1.
  [[nodiscard]] absl::Status Validate() const;

 private:
  DataType type_ = DataType::kF32;
  Shape shape_;
  std::span<const std::byte> bytes_;
};

// An owned tensor.
class TensorValue {
 public:
  TensorValue() = default;

  // INVALID_ARGUMENT as TensorRef::Validate().
  [[nodiscard]] static absl::StatusOr<TensorValue> Create(DataType type, Shape shape,
                                                          std::string bytes);

  // Each number rounded to nearest, ties to even. INVALID_ARGUMENT if the count does not fit the
  // shape, or a number is not 0 or 1 (kBool) or not a whole number of the type's range (kInt32,
  // kInt64).
  [[nodiscard]] static absl::StatusOr<TensorValue> FromDoubles(DataType type, Shape shape,
                                                               std::span<const double> numbers);

  [[nodiscard]] DataType type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::as_bytes(std::span(bytes_));
  }
  [[nodiscard]] TensorRef ref() const { return {type_, shape_, bytes()}; }

  // The elements in place, valid while this value is neither changed, moved nor destroyed.
  // INVALID_ARGUMENT if T is not their type.
  template <Element T>
  [[nodiscard]] absl::StatusOr<std::span<const T>> As() const {
    if (ElementType<T>::kType != type_) return WrongElementType(ElementType<T>::kType);
    return std::span<const T>(reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T));
  }

  // The elements widened; exact for all types but kInt64 beyond 2^53.
  [[nodiscard]] std::vector<double> ToDoubles() const;

  // The same elements under another shape. Requires equal element counts.
  [[nodiscard]] TensorValue Reshaped(Shape shape) &&;

 private:
  TensorValue(DataType type, Shape shape, std::string bytes)
      : type_(type), shape_(std::move(shape)), bytes_(std::move(bytes)) {}

  [[nodiscard]] absl::Status WrongElementType(DataType wanted) const;

  DataType type_ = DataType::kF32;
  Shape shape_;
  std::string bytes_;  // a string, because that is what a parsed message gives away without a copy
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_TENSOR_H_
