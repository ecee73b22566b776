#include "client/attn/tensor_files.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/channel.h"

namespace attention::client {
namespace {

// None if the text is anything else than numbers with commas between them; OUT_OF_RANGE if it is
// that but float64 cannot hold one of them.
absl::StatusOr<std::vector<double>> ParseNumbers(const std::string& text) {
  std::vector<double> numbers;
  bool all_fit = true;
  const char* position = text.data();
  const char* const end = position + text.size();
  while (true) {
    double number = 0;
    const auto [next, error] = std::from_chars(position, end, number);
    if (error == std::errc::invalid_argument) return std::vector<double>();
    all_fit = all_fit && error == std::errc();
    numbers.push_back(number);
    if (next == end) break;
    if (*next != ',') return std::vector<double>();
    position = next + 1;
  }
  if (all_fit) return numbers;
  return absl::OutOfRangeError("a number is beyond those of float64");
}

// As TensorValue::FromDoubles(), but refuses a finite number that would become an infinite one. To
// the library that is rounding; from a file it is a wrong --type.
absl::StatusOr<TensorValue> Converted(DataType type, const Shape& shape,
                                      std::span<const double> numbers) {
  absl::StatusOr<TensorValue> tensor = TensorValue::FromDoubles(type, shape, numbers);
  if (!tensor.ok() || numbers.empty()) return tensor;
  // Rounding keeps the order: if any becomes infinite, the largest does.
  const auto largest = std::ranges::max_element(
      numbers, {}, [](double number) { return std::isfinite(number) ? std::abs(number) : 0.0; });
  const auto rounded = TensorValue::FromDoubles(type, {1}, std::span(&*largest, 1));
  if (!std::isfinite(*largest) || std::isfinite(rounded->ToDoubles()[0])) return tensor;
  return absl::InvalidArgumentError(absl::StrCat("element ", largest - numbers.begin(), " is ",
                                                 *largest, ", which ", std::string(Name(type)),
                                                 " cannot hold"));
}

}  // namespace

int64_t MaxElements(DataType type) {
  return ChannelOptions{}.max_message_bytes / static_cast<int64_t>(ElementBytes(type));
}

TensorRef AsVector(const TensorRef& tensor) {
  const bool one_row =
      tensor.shape().size() == 2 && (tensor.shape()[0] == 1 || tensor.shape()[1] == 1);
  return one_row ? TensorRef(tensor.type(), {tensor.shape()[0] * tensor.shape()[1]}, tensor.bytes())
                 : tensor;
}

TensorValue WithoutAxis(TensorValue tensor, size_t index) {
  Shape shape = tensor.shape();
  if (index >= shape.size() || shape[index] != 1) return tensor;
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(index));
  return std::move(tensor).Reshaped(std::move(shape));
}

TensorRef TensorFiles::Read(const std::string& flag, const std::string& path, DataType type,
                            const std::string& not_found_note) {
  if (!status_.ok()) return {};
  if (path == "-" && !standard_input_flag_.empty()) {
    Fail(absl::StrCat(flag, ": standard input was already read for ", standard_input_flag_));
    return {};
  }
  if (path == "-") standard_input_flag_ = flag;
  // More than a message holds is refused before it is converted, which takes several copies.
  const absl::StatusOr<Array> array = ReadArray(path, format_, standard_input_, MaxElements(type));
  if (!array.ok()) {
    Fail(absl::StrCat(flag, ": ", array.status().message(),
                      absl::IsNotFound(array.status()) ? not_found_note : ""));
    return {};
  }
  if (std::ranges::any_of(array->shape, [](int64_t extent) { return extent > kMaxExtent; })) {
    Fail(
        absl::StrCat(flag, ": shape ", ToString(array->shape), " has an extent over ", kMaxExtent));
    return {};
  }
  absl::StatusOr<TensorValue> tensor = Converted(type, array->shape, array->numbers);
  if (!tensor.ok()) {
    Fail(absl::StrCat(flag, ": ", tensor.status().message()));
    return {};
  }
  return Keep(*std::move(tensor));
}

std::optional<TensorRef> TensorFiles::ReadOptional(const std::string& flag, const std::string& path,
                                                   DataType type) {
  return path.empty() ? std::nullopt : std::optional<TensorRef>(Read(flag, path, type));
}

std::optional<TensorRef> TensorFiles::ReadNumbers(const std::string& flag, const std::string& text,
                                                  DataType type) {
  if (text.empty()) return std::nullopt;
  const absl::StatusOr<std::vector<double>> numbers = ParseNumbers(text);
  // A matrix of one row may be meant as one: sequences without a batch have vectors of numbers.
  if (numbers.ok() && numbers->empty()) {
    return AsVector(Read(flag, text, type, ", and is no list of numbers with commas between them"));
  }
  absl::StatusOr<TensorValue> tensor =
      numbers.ok() ? Converted(type, {std::ssize(*numbers)}, *numbers) : numbers.status();
  if (tensor.ok()) return Keep(*std::move(tensor));
  Fail(absl::StrCat(flag, ": ", tensor.status().message()));
  return std::nullopt;
}

std::optional<TensorRef> TensorFiles::KeepCounts(const std::vector<int64_t>& counts) {
  if (counts.empty()) return std::nullopt;
  const TensorRef borrowed(counts, {std::ssize(counts)});
  return Keep(
      *TensorValue::Create(borrowed.type(), borrowed.shape(), std::string(borrowed.chars())));
}

TensorRef TensorFiles::Keep(TensorValue tensor) {
  tensors_.push_back(std::move(tensor));
  return tensors_.back().ref();
}

void TensorFiles::Fail(const std::string& problem) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(problem);
}

}  // namespace attention::client
