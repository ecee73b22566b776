#include "server/codec/element_conversion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/convert.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {
namespace {

// Elements that are widened to double at a time, on the stack.
constexpr int64_t kBlockElements = 256;

void ConvertToFloatingPoint(absl::Span<const float> source, kernels::DataType type,
                            void* destination) {
  std::array<double, kBlockElements> block;
  auto* bytes = static_cast<std::byte*>(destination);
  for (size_t begin = 0; begin < source.size(); begin += kBlockElements) {
    const absl::Span<const float> part = source.subspan(begin, kBlockElements);
    std::copy(part.begin(), part.end(), block.begin());
    kernels::StoreElements(type, block.data(), static_cast<int64_t>(part.size()),
                           bytes + begin * kernels::ElementBytes(type));
  }
}

template <typename Integer>
std::optional<int64_t> ConvertToIntegers(absl::Span<const float> source, void* destination) {
  // The first float beyond the type's largest value: a power of two, hence exact.
  const float limit = std::ldexp(1.0F, 8 * sizeof(Integer) - 1);
  auto* integers = static_cast<Integer*>(destination);
  for (size_t i = 0; i < source.size(); ++i) {
    const float number = source[i];
    const bool fits = number >= -limit && number < limit && std::trunc(number) == number;
    if (!fits) return static_cast<int64_t>(i);
    integers[i] = static_cast<Integer>(number);
  }
  return std::nullopt;
}

std::optional<int64_t> ConvertToBooleans(absl::Span<const float> source, void* destination) {
  auto* bytes = static_cast<uint8_t*>(destination);
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != 0.0F && source[i] != 1.0F) return static_cast<int64_t>(i);
    bytes[i] = source[i] == 1.0F ? 1 : 0;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> ConvertFloats(absl::Span<const float> source, v1::DataType type,
                                     void* destination) {
  if (type == v1::DATA_TYPE_BOOL) return ConvertToBooleans(source, destination);
  if (type == v1::DATA_TYPE_INT32) return ConvertToIntegers<int32_t>(source, destination);
  if (type == v1::DATA_TYPE_INT64) return ConvertToIntegers<int64_t>(source, destination);
  ConvertToFloatingPoint(source, *KernelType(type), destination);
  return std::nullopt;
}

void ConvertToFloats(kernels::DataType type, const void* source, int64_t count,
                     float* destination) {
  if (type == kernels::DataType::kF32) {
    if (count > 0) std::memcpy(destination, source, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  std::array<double, kBlockElements> block;
  const auto* bytes = static_cast<const std::byte*>(source);
  for (int64_t begin = 0; begin < count; begin += kBlockElements) {
    const int64_t part = std::min(kBlockElements, count - begin);
    kernels::LoadElements(type, bytes + static_cast<size_t>(begin) * kernels::ElementBytes(type),
                          part, block.data());
    std::transform(block.begin(), block.begin() + part, destination + begin,
                   [](double element) { return static_cast<float>(element); });
  }
}

std::optional<int64_t> FirstNonBoolean(absl::string_view bytes) {
  // One pass that compilers vectorize; the search is for those who are about to be refused.
  unsigned char all_bits = 0;
  for (const char byte : bytes) all_bits |= static_cast<unsigned char>(byte);
  if (all_bits <= 1) return std::nullopt;
  const auto is_other = [](char byte) { return static_cast<unsigned char>(byte) > 1; };
  const auto* const other = std::find_if(bytes.begin(), bytes.end(), is_other);
  return other - bytes.begin();
}

}  // namespace attention::server
