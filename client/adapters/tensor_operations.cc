#include "client/adapters/tensor_operations.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attention::client {
namespace {

// Of elements that are right by construction.
TensorValue Make(DataType type, Shape shape, std::string bytes) {
  absl::StatusOr<TensorValue> tensor =
      TensorValue::Create(type, std::move(shape), std::move(bytes));
  assert(tensor.ok());
  return *std::move(tensor);
}

absl::StatusOr<Shape> Broadcast(const Shape& first, const Shape& second) {
  const size_t axis_count = std::max(first.size(), second.size());
  Shape shape(axis_count, 1);
  for (size_t i = 1; i <= axis_count; ++i) {  // from the right
    const int64_t one = i <= first.size() ? first[first.size() - i] : 1;
    const int64_t other = i <= second.size() ? second[second.size() - i] : 1;
    if (one != other && one != 1 && other != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes ", ToString(first), " and ", ToString(second), " do not broadcast"));
    }
    shape[axis_count - i] = one == 1 ? other : one;
  }
  return shape;
}

// Where the element of a broadcast `shape` at `index` lies in a tensor of shape `own`.
size_t OwnIndex(const Shape& shape, const Shape& own, size_t index) {
  size_t result = 0;
  size_t stride = 1;
  for (size_t i = 1; i <= own.size(); ++i) {
    const auto extent = static_cast<size_t>(shape[shape.size() - i]);
    const auto own_extent = static_cast<size_t>(own[own.size() - i]);
    if (own_extent != 1) result += index % extent * stride;
    index /= extent;
    stride *= own_extent;
  }
  return result;
}

template <typename Operation>
absl::StatusOr<TensorValue> Combined(const TensorRef& first, const TensorRef& second,
                                     Operation operation) {
  const absl::StatusOr<Shape> shape = Broadcast(first.shape(), second.shape());
  if (!shape.ok()) return shape.status();
  const absl::StatusOr<int64_t> count = ElementCount(*shape);
  if (!count.ok()) return count.status();
  const std::vector<double> ones = ToDoubles(first);
  const std::vector<double> others = ToDoubles(second);
  std::vector<double> numbers(static_cast<size_t>(*count));
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = operation(ones[OwnIndex(*shape, first.shape(), i)],
                           others[OwnIndex(*shape, second.shape(), i)]);
  }
  return TensorValue::FromDoubles(first.type(), *shape, numbers);
}

}  // namespace

TensorRef Reshaped(const TensorRef& tensor, Shape shape) {
  return {tensor.type(), std::move(shape), tensor.bytes()};
}

TensorRef Slice(const TensorRef& tensor, int64_t first, int64_t count) {
  Shape shape = tensor.shape();
  assert(first >= 0 && count >= 0 && first + count <= shape[0]);
  const size_t entry_bytes =
      shape[0] == 0 ? 0 : tensor.bytes().size() / static_cast<size_t>(shape[0]);
  shape[0] = count;
  return {tensor.type(), std::move(shape),
          tensor.bytes().subspan(static_cast<size_t>(first) * entry_bytes,
                                 static_cast<size_t>(count) * entry_bytes)};
}

TensorValue Transposed(const TensorRef& tensor) {
  Shape shape = tensor.shape();
  const auto rows = static_cast<size_t>(shape[0]);
  const auto columns = static_cast<size_t>(shape[1]);
  std::swap(shape[0], shape[1]);
  const std::string_view from = tensor.chars();
  std::string to(from.size(), '\0');
  const size_t entry_bytes = rows * columns == 0 ? 0 : from.size() / (rows * columns);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      std::copy_n(&from[(row * columns + column) * entry_bytes], entry_bytes,
                  &to[(column * rows + row) * entry_bytes]);
    }
  }
  return Make(tensor.type(), std::move(shape), std::move(to));
}

TensorValue WithOneMoreColumn(const TensorRef& tensor) {
  Shape shape = tensor.shape();
  const size_t element_bytes = ElementBytes(tensor.type());
  const size_t row_bytes = static_cast<size_t>(shape.back()) * element_bytes;
  const std::string_view from = tensor.chars();
  // Of the other axes: rows without elements become ones with one.
  const auto row_count =
      static_cast<size_t>(ElementCount(Shape(shape.begin(), shape.end() - 1)).value_or(0));
  std::string to;
  to.reserve(from.size() + row_count * element_bytes);
  for (size_t row = 0; row < row_count; ++row) {
    to.append(from, row * row_bytes, row_bytes);
    to.append(element_bytes, '\0');
  }
  ++shape.back();
  return Make(tensor.type(), std::move(shape), std::move(to));
}

TensorValue Inverted(const TensorRef& tensor) {
  assert(tensor.type() == DataType::kBool);
  std::string bytes(tensor.chars());
  for (char& byte : bytes) byte = byte == 0 ? '\1' : '\0';
  return Make(tensor.type(), tensor.shape(), std::move(bytes));
}

TensorValue InfiniteWhere(const TensorRef& hidden, DataType type) {
  std::vector<double> numbers = ToDoubles(hidden);
  for (double& number : numbers)
    number = number == 0 ? 0.0 : -std::numeric_limits<double>::infinity();
  return *TensorValue::FromDoubles(type, hidden.shape(), numbers);
}

absl::StatusOr<TensorValue> And(const TensorRef& first, const TensorRef& second) {
  return Combined(first, second, [](double one, double other) { return one * other; });
}

absl::StatusOr<TensorValue> Sum(const TensorRef& first, const TensorRef& second) {
  return Combined(first, second, [](double one, double other) { return one + other; });
}

TensorValue ZeroedRows(const TensorRef& tensor, const TensorRef& kept) {
  std::string bytes(tensor.chars());
  const size_t row_count = kept.bytes().size();
  const size_t row_bytes = row_count == 0 ? 0 : bytes.size() / row_count;
  for (size_t row = 0; row < row_count; ++row) {
    if (kept.bytes()[row] == std::byte{0}) std::fill_n(&bytes[row * row_bytes], row_bytes, '\0');
  }
  return Make(tensor.type(), tensor.shape(), std::move(bytes));
}

std::vector<double> ToDoubles(const TensorRef& tensor) {
  return Make(tensor.type(), tensor.shape(), std::string(tensor.chars())).ToDoubles();
}

}  // namespace attention::client
