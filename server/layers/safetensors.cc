#include "server/layers/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/status_macros.h"
#include "server/layers/strict_json.h"

namespace attention::server {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

constexpr size_t kSizeBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxTensors = 1024;
constexpr size_t kMaxNameBytes = 256;
constexpr size_t kMaxRank = 8;
constexpr char kMetadata[] = "__metadata__";

absl::Status Invalid(const absl::AlphaNum& what, const absl::AlphaNum& got,
                     const absl::AlphaNum& want) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": got ", got, ", want ", want));
}

bool IsTensorName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char letter) {
           return absl::ascii_isalnum(static_cast<unsigned char>(letter)) ||
                  absl::string_view("._/:-").find(letter) != absl::string_view::npos;
         });
}

struct Parts {
  absl::string_view header;  // without the spaces behind it
  std::span<const std::byte> elements;
};

absl::StatusOr<Parts> PartsOf(std::span<const std::byte> file) {
  if (file.size() < kSizeBytes) return Invalid("file", absl::StrCat(file.size(), " bytes"), ">= 8");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), kSizeBytes);
  if (header_bytes > kMaxHeaderBytes) {
    return Invalid("header", absl::StrCat(header_bytes, " bytes"),
                   absl::StrCat("<= ", kMaxHeaderBytes));
  }
  if (header_bytes > file.size() - kSizeBytes) {
    return Invalid("header", absl::StrCat(header_bytes, " bytes"),
                   absl::StrCat("<= the ", file.size() - kSizeBytes, " that follow"));
  }
  absl::string_view text(reinterpret_cast<const char*>(file.data()) + kSizeBytes, header_bytes);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.empty() || text.front() != '{' || text.back() != '}') {
    return Invalid("header", "another beginning or end", "{ ... } and then spaces alone");
  }
  return Parts{.header = text,
               .elements = file.subspan(kSizeBytes + static_cast<size_t>(header_bytes))};
}

absl::Status CheckMetadata(const Json& metadata) {
  const bool texts =
      metadata.is_object() && std::all_of(metadata.begin(), metadata.end(),
                                          [](const Json& value) { return value.is_string(); });
  return texts ? absl::OkStatus() : Invalid(kMetadata, "something else", "an object of texts");
}

// Reads an array of whole numbers.
absl::StatusOr<std::vector<int64_t>> ReadNumbers(const Json& numbers, const std::string& what) {
  std::vector<int64_t> result;
  if (!numbers.is_array()) return Invalid(what, "no array", "an array");
  for (const Json& number : numbers) {
    if (!IsWholeNumber(number)) return Invalid(what, "something else", "whole numbers >= 0");
    result.push_back(number.get<int64_t>());
  }
  return result;
}

// Bytes of the elements; at least one element.
absl::StatusOr<int64_t> ByteCount(const std::vector<int64_t>& shape, kernels::DataType type,
                                  const std::string& what) {
  auto byte_count = static_cast<int64_t>(kernels::ElementBytes(type));
  if (shape.size() > kMaxRank) {
    return Invalid(what, absl::StrCat(shape.size(), " extents"), absl::StrCat("<= ", kMaxRank));
  }
  for (const int64_t extent : shape) {
    if (extent == 0) return Invalid(what, "no elements", "at least one");
    if (__builtin_mul_overflow(byte_count, extent, &byte_count)) {
      return Invalid(what, "2^63 bytes or more", "fewer");
    }
  }
  return byte_count;
}

absl::StatusOr<StoredTensor> ReadTensor(const std::string& name, const Json& entry,
                                        std::span<const std::byte> elements) {
  const std::string what = absl::StrCat("tensor '", name, "'");
  if (!entry.is_object()) return Invalid(what, "no object", "an object");
  for (const char* const field : {"dtype", "shape", "data_offsets"}) {
    if (!entry.contains(field)) return Invalid(what, absl::StrCat("no ", field), "one");
  }
  if (entry.size() != 3) {
    return Invalid(what, absl::StrCat(entry.size(), " fields"), "dtype, shape and data_offsets");
  }
  const std::optional<kernels::DataType> type = StoredType(TextOf(entry["dtype"]));
  if (!type.has_value()) {
    return Invalid(absl::StrCat(what, ": dtype"), "another", "F32, F16, BF16 or F64");
  }
  auto shape = ReadNumbers(entry["shape"], absl::StrCat(what, ": shape"));
  if (!shape.ok()) return shape.status();
  const auto want_bytes = ByteCount(*shape, *type, absl::StrCat(what, ": shape"));
  if (!want_bytes.ok()) return want_bytes.status();
  const std::string where = absl::StrCat(what, ": data_offsets");
  const auto offsets = ReadNumbers(entry["data_offsets"], where);
  if (!offsets.ok()) return offsets.status();
  if (offsets->size() != 2) return Invalid(where, absl::StrCat(offsets->size(), " numbers"), 2);
  const int64_t begin = (*offsets)[0];
  const int64_t end = (*offsets)[1];
  if (begin > end) return Invalid(where, "a beginning behind the end", "one before it");
  if (static_cast<uint64_t>(end) > elements.size()) {
    return Invalid(where, absl::StrCat("the end ", end), absl::StrCat("<= ", elements.size()));
  }
  if (end - begin != *want_bytes) {
    return Invalid(where, absl::StrCat(end - begin, " bytes"),
                   absl::StrCat(*want_bytes, " for its dtype and shape"));
  }
  return StoredTensor{
      .name = name,
      .type = *type,
      .shape = *std::move(shape),
      .bytes = elements.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin))};
}

// That the tensors' elements follow each other and fill the file.
absl::Status CheckTiling(const StoredTensors& tensors, std::span<const std::byte> elements) {
  std::vector<std::span<const std::byte>> ranges;
  ranges.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) ranges.push_back(tensor.bytes);
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.data() < b.data(); });
  const std::byte* end = elements.data();
  for (const std::span<const std::byte>& range : ranges) {
    if (range.data() != end) {
      return Invalid("data_offsets", range.data() < end ? "an overlap" : "a hole",
                     "tensors one after the other");
    }
    end = range.data() + range.size();
  }
  const auto rest = elements.data() + elements.size() - end;
  if (rest == 0) return absl::OkStatus();
  return Invalid("file", absl::StrCat(rest, " bytes behind the last tensor"), "none");
}

}  // namespace

std::optional<kernels::DataType> StoredType(std::string_view name) {
  for (const auto type : {kernels::DataType::kF32, kernels::DataType::kF16,
                          kernels::DataType::kBF16, kernels::DataType::kF64}) {
    if (name == kernels::Name(type)) return type;
  }
  return std::nullopt;
}

absl::StatusOr<StoredTensors> ParseSafetensors(std::span<const std::byte> file) {
  const absl::StatusOr<Parts> parts = PartsOf(file);
  if (!parts.ok()) return parts.status();
  constexpr JsonLimits kLimits = {.max_depth = 3, .max_values = 32 * kMaxTensors};
  const absl::StatusOr<Json> header = ParseStrictJson(parts->header, kLimits);
  if (!header.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("header: ", header.status().message()));
  }
  StoredTensors tensors;
  for (const auto& [name, entry] : header->items()) {
    if (name == kMetadata) {
      ATTENTION_RETURN_IF_ERROR(CheckMetadata(entry));
      continue;
    }
    if (!IsTensorName(name)) {
      return Invalid("header", "another name", "1 to 256 letters, digits and . _ / : - of ASCII");
    }
    auto tensor = ReadTensor(name, entry, parts->elements);
    if (!tensor.ok()) return tensor.status();
    tensors.emplace(name, *std::move(tensor));
  }
  if (tensors.size() > kMaxTensors) {
    return Invalid("header", absl::StrCat(tensors.size(), " tensors"),
                   absl::StrCat("<= ", kMaxTensors));
  }
  ATTENTION_RETURN_IF_ERROR(CheckTiling(tensors, parts->elements));
  return tensors;
}

}  // namespace attention::server
