#include "client/tensor.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/small_float.h"

namespace attention::client {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// Calls `visit` with a zero of the C++ type of `type`'s elements.
template <typename Visitor>
auto VisitElementType(DataType type, Visitor visit) {
  switch (type) {
    case DataType::kF32:
      return visit(float{});
    case DataType::kF16:
      return visit(Float16{});
    case DataType::kBF16:
      return visit(BFloat16{});
    case DataType::kF64:
      return visit(double{});
    case DataType::kBool:
      return visit(bool{});
    case DataType::kInt32:
      return visit(int32_t{});
    case DataType::kInt64:
      break;
  }
  return visit(int64_t{});
}

double Widen(Float16 value) { return WidenF16(value); }
double Widen(BFloat16 value) { return WidenBF16(value); }
template <typename T>
requires std::is_arithmetic_v<T>
double Widen(T value) { return static_cast<double>(value); }

// Whether `number` can become a T; every number can become a floating point one.
template <Element T>
bool Fits(double number) {
  if constexpr (std::is_same_v<T, bool>) {
    return number == 0 || number == 1;
  } else if constexpr (std::is_integral_v<T>) {
    // -2^(bits-1) is exact in a double; the upper bound 2^(bits-1) is the first that does not fit.
    const auto lowest = static_cast<double>(std::numeric_limits<T>::min());
    return number >= lowest && number < -lowest && number == std::trunc(number);
  } else {
    return true;
  }
}

template <Element T>
T Narrow(double number) {
  if constexpr (std::is_same_v<T, Float16>) {
    return RoundToF16(number);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return RoundToBF16(number);
  } else {
    return static_cast<T>(number);
  }
}

absl::Status CheckBytes(DataType type, const Shape& shape, std::span<const std::byte> bytes) {
  const absl::StatusOr<int64_t> element_count = ElementCount(shape);
  if (!element_count.ok()) return element_count.status();
  if (bytes.size() % ElementBytes(type) != 0 ||
      bytes.size() / ElementBytes(type) != static_cast<size_t>(*element_count)) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape ", ToString(shape), " has ", *element_count, " elements of ",
                     ElementBytes(type), " bytes, but ", bytes.size(), " bytes were given"));
  }
  if (type != DataType::kBool) return absl::OkStatus();
  const auto wrong =
      std::ranges::find_if(bytes, [](std::byte byte) { return byte > std::byte{1}; });
  if (wrong == bytes.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("element ", wrong - bytes.begin(),
                                                 " of a BOOL is ", static_cast<int>(*wrong),
                                                 ", want 0 or 1"));
}

}  // namespace

size_t ElementBytes(DataType type) {
  return VisitElementType(type, [](auto zero) { return sizeof(zero); });
}

std::string_view Name(DataType type) {
  switch (type) {
    case DataType::kF32:
      return "F32";
    case DataType::kF16:
      return "F16";
    case DataType::kBF16:
      return "BF16";
    case DataType::kF64:
      return "F64";
    case DataType::kBool:
      return "BOOL";
    case DataType::kInt32:
      return "INT32";
    case DataType::kInt64:
      break;
  }
  return "INT64";
}

std::string ToString(const Shape& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<int64_t> ElementCount(const Shape& shape) {
  bool has_zero = false;
  for (const int64_t extent : shape) {
    if (extent < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", ToString(shape), " has a negative extent"));
    }
    has_zero = has_zero || extent == 0;
  }
  if (has_zero) return 0;
  int64_t count = 1;
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(count, extent, &count)) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", ToString(shape), " has too many elements to count"));
    }
  }
  return count;
}

absl::Status TensorRef::Validate() const { return CheckBytes(type_, shape_, bytes_); }

absl::StatusOr<TensorValue> TensorValue::Create(DataType type, Shape shape, std::string bytes) {
  absl::Status status = CheckBytes(type, shape, std::as_bytes(std::span(bytes)));
  if (!status.ok()) return status;
  return TensorValue(type, std::move(shape), std::move(bytes));
}

absl::StatusOr<TensorValue> TensorValue::FromDoubles(DataType type, Shape shape,
                                                     std::span<const double> numbers) {
  const absl::StatusOr<int64_t> element_count = ElementCount(shape);
  if (!element_count.ok()) return element_count.status();
  if (static_cast<size_t>(*element_count) != numbers.size()) {
    return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(shape), " has ",
                                                   *element_count, " elements, but ",
                                                   numbers.size(), " numbers were given"));
  }
  std::string bytes(numbers.size() * ElementBytes(type), '\0');
  absl::Status status = VisitElementType(type, [&]<typename T>(T) -> absl::Status {
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (!Fits<T>(numbers[i])) {
        return absl::InvalidArgumentError(absl::StrCat(
            "element ", i, " is ", numbers[i], ", which ", View(Name(type)), " cannot hold"));
      }
      const T narrowed = Narrow<T>(numbers[i]);
      std::memcpy(&bytes[i * sizeof(T)], &narrowed, sizeof(T));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return TensorValue(type, std::move(shape), std::move(bytes));
}

std::vector<double> TensorValue::ToDoubles() const {
  std::vector<double> numbers(bytes_.size() / ElementBytes(type_));
  VisitElementType(type_, [&]<typename T>(T) {
    for (size_t i = 0; i < numbers.size(); ++i) {
      T element;
      std::memcpy(&element, &bytes_[i * sizeof(T)], sizeof(T));
      numbers[i] = Widen(element);
    }
  });
  return numbers;
}

TensorValue TensorValue::Reshaped(Shape shape) && {
  assert(ElementCount(shape).value_or(-1) == ElementCount(shape_).value_or(-2));
  return TensorValue(type_, std::move(shape), std::move(bytes_));
}

absl::Status TensorValue::WrongElementType(DataType wanted) const {
  return absl::InvalidArgumentError(
      absl::StrCat("the elements are ", View(Name(type_)), ", not ", View(Name(wanted))));
}

}  // namespace attention::client
