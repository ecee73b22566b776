#include "server/codec/tensor_codec.h"

#include <bit>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "server/codec/element_conversion.h"
#include "server/codec/field_error.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

static_assert(std::endian::native == std::endian::little, "raw contents are read in place");

// What an empty tensor points to.
alignas(64) constexpr std::byte kNoElements[64] = {};

size_t ElementBytes(v1::DataType type) {
  switch (type) {
    case v1::DATA_TYPE_F64:
    case v1::DATA_TYPE_INT64:
      return 8;
    case v1::DATA_TYPE_F16:
    case v1::DATA_TYPE_BF16:
      return 2;
    case v1::DATA_TYPE_BOOL:
      return 1;
    default:
      return 4;
  }
}

// Fills in type, rank, shape and element_count.
absl::Status ReadShape(const v1::Tensor& tensor, absl::string_view path, WireTensor& result) {
  if (!v1::DataType_IsValid(tensor.data_type())) {
    return UnknownEnumerator(absl::StrCat(path, ".data_type"), tensor.data_type(),
                             v1::DataType_MAX);
  }
  if (tensor.data_type() != v1::DATA_TYPE_UNSPECIFIED) result.type = tensor.data_type();
  const int rank = tensor.shape_size();
  if (rank < 1 || rank > kMaxRank) {
    return FieldError(absl::StrCat(path, ".shape"), absl::StrCat("rank ", rank),
                      absl::StrCat("1 to ", kMaxRank));
  }
  result.rank = rank;
  // Extents of 0 do not hide an overflow of the others.
  int64_t nonzero_product = 1;
  bool empty = false;
  bool too_many = false;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t extent = tensor.shape(axis);
    if (extent < 0) return FieldError(absl::StrCat(path, ".shape[", axis, "]"), extent, ">= 0");
    result.shape[axis] = extent;
    empty = empty || extent == 0;
    if (extent > 0 && __builtin_mul_overflow(nonzero_product, extent, &nonzero_product))
      too_many = true;
    too_many = too_many || nonzero_product > kMaxTensorElements;
  }
  if (too_many) {
    return FieldError(absl::StrCat(path, ".shape"), ShapeText(result),
                      absl::StrCat("at most ", kMaxTensorElements, " elements"));
  }
  result.element_count = empty ? 0 : nonzero_product;
  return absl::OkStatus();
}

int64_t ConvertedBytes(const v1::Tensor& tensor) {
  const bool in_place =
      tensor.data_type() == v1::DATA_TYPE_UNSPECIFIED || tensor.data_type() == v1::DATA_TYPE_F32;
  return in_place ? 0
                  : tensor.floats_size() * static_cast<int64_t>(ElementBytes(tensor.data_type()));
}

}  // namespace

int64_t ConvertedBytes(const google::protobuf::Message& message) {
  if (message.GetDescriptor() == v1::Tensor::descriptor()) {
    return ConvertedBytes(static_cast<const v1::Tensor&>(message));
  }
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  int64_t bytes = 0;
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      bytes += ConvertedBytes(reflection.GetMessage(message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      bytes += ConvertedBytes(reflection.GetRepeatedMessage(message, field, i));
    }
  }
  return bytes;
}

absl::StatusOr<WireTensor> TensorReader::Read(const v1::Tensor& tensor, absl::string_view path) {
  WireTensor result;
  ATTENTION_RETURN_IF_ERROR(ReadShape(tensor, path, result));
  const bool has_raw = !tensor.raw().empty();
  const bool has_floats = tensor.floats_size() > 0;
  if (has_raw && has_floats) return FieldError(path, "both raw and floats", "one of them");
  if (has_floats) {
    ATTENTION_RETURN_IF_ERROR(ReadFloats(tensor, path, result));
  } else {
    ATTENTION_RETURN_IF_ERROR(ReadRaw(tensor, path, result));
  }
  if (result.element_count == 0) return result;
  (has_floats ? floats_seen_ : raw_seen_) = true;
  return result;
}

absl::Status TensorReader::ReadRaw(const v1::Tensor& tensor, absl::string_view path,
                                   WireTensor& result) {
  const size_t element_bytes = ElementBytes(result.type);
  const size_t want_bytes = static_cast<size_t>(result.element_count) * element_bytes;
  const std::string& raw = tensor.raw();
  if (raw.size() != want_bytes) {
    return FieldError(
        absl::StrCat(path, ".raw"), absl::StrCat(raw.size(), " bytes"),
        absl::StrCat(want_bytes, " for ", TypeName(result.type), " ", ShapeText(result)));
  }
  if (result.element_count == 0) {
    result.data = kNoElements;
    return absl::OkStatus();
  }
  if (result.type == v1::DATA_TYPE_BOOL) {
    if (const auto index = FirstNonBoolean(raw); index.has_value()) {
      return FieldError(absl::StrCat(path, ".raw"),
                        absl::StrCat("another byte at element ", *index), "0 or 1");
    }
  }
  result.data = AlignedOrCopied(raw.data(), raw.size(), element_bytes, storage_);
  return absl::OkStatus();
}

absl::Status TensorReader::ReadFloats(const v1::Tensor& tensor, absl::string_view path,
                                      WireTensor& result) {
  const auto& floats = tensor.floats();
  if (floats.size() != result.element_count) {
    return FieldError(absl::StrCat(path, ".floats"), absl::StrCat(floats.size(), " numbers"),
                      absl::StrCat(result.element_count, " for ", ShapeText(result)));
  }
  if (result.type == v1::DATA_TYPE_F32) {
    result.data = floats.data();
    return absl::OkStatus();
  }
  Buffer converted(static_cast<size_t>(result.element_count) * ElementBytes(result.type));
  const absl::Span<const float> source(floats.data(), static_cast<size_t>(floats.size()));
  if (const auto index = ConvertFloats(source, result.type, converted.data()); index.has_value()) {
    return FieldError(absl::StrCat(path, ".floats"),
                      absl::StrCat("another number at element ", *index),
                      result.type == v1::DATA_TYPE_BOOL
                          ? "0 or 1"
                          : absl::StrCat("a whole number within ", TypeName(result.type)));
  }
  result.data = converted.data();
  storage_.push_back(std::move(converted));
  return absl::OkStatus();
}

std::optional<kernels::DataType> KernelType(v1::DataType type) {
  switch (type) {
    case v1::DATA_TYPE_UNSPECIFIED:
    case v1::DATA_TYPE_F32:
      return kernels::DataType::kF32;
    case v1::DATA_TYPE_F16:
      return kernels::DataType::kF16;
    case v1::DATA_TYPE_BF16:
      return kernels::DataType::kBF16;
    case v1::DATA_TYPE_F64:
      return kernels::DataType::kF64;
    case v1::DATA_TYPE_BOOL:
      return kernels::DataType::kBool;
    default:
      return std::nullopt;
  }
}

v1::DataType WireType(kernels::DataType type) {
  switch (type) {
    case kernels::DataType::kF32:
      return v1::DATA_TYPE_F32;
    case kernels::DataType::kF16:
      return v1::DATA_TYPE_F16;
    case kernels::DataType::kBF16:
      return v1::DATA_TYPE_BF16;
    case kernels::DataType::kF64:
      return v1::DATA_TYPE_F64;
    case kernels::DataType::kBool:
      return v1::DATA_TYPE_BOOL;
  }
  return v1::DATA_TYPE_UNSPECIFIED;
}

bool IsFloatingPoint(v1::DataType type) {
  return type == v1::DATA_TYPE_F32 || type == v1::DATA_TYPE_F16 || type == v1::DATA_TYPE_BF16 ||
         type == v1::DATA_TYPE_F64;
}

const std::string& TypeName(v1::DataType type) { return v1::DataType_Name(type); }

std::string ShapeText(const WireTensor& tensor) {
  return absl::StrCat(
      "[", absl::StrJoin(absl::MakeConstSpan(tensor.shape.data(), tensor.rank), ", "), "]");
}

const void* AlignedOrCopied(const void* bytes, size_t byte_count, size_t alignment_bytes,
                            std::vector<Buffer>& storage) {
  if (reinterpret_cast<uintptr_t>(bytes) % alignment_bytes == 0) return bytes;
  Buffer copy(byte_count);
  std::memcpy(copy.data(), bytes, byte_count);
  storage.push_back(std::move(copy));
  return storage.back().data();
}

}  // namespace attention::server
