#include "server/codec/mask_codec.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/codec/protocol_limits.h"
#include "server/codec/status_macros.h"

namespace attention::server {
namespace {

constexpr absl::string_view kAxisNames[] = {"the batch", "the query heads", "the queries",
                                            "the keys"};

kernels::Extents ScoreExtents(const AttentionTask& task) {
  const kernels::Extents& query = task.query.view.extents;
  return {query[0], query[1], query[2], task.key.view.extents[2]};
}

absl::StatusOr<kernels::TensorView> ReadMask(const v1::Tensor& tensor, absl::string_view path,
                                             const AttentionTask& task, TensorReader& reader) {
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor mask, reader.Read(tensor, path));
  const kernels::Extents target = ScoreExtents(task);
  kernels::TensorView view;
  view.data = mask.data;
  view.extents = target;
  int64_t dense_stride = 1;
  for (int axis = mask.rank - 1; axis >= 0; --axis) {
    const int target_axis = axis + kMaxRank - mask.rank;
    const int64_t extent = mask.shape[axis];
    if (extent != 1 && extent != target[target_axis]) {
      return FieldError(
          ShapePath(path, axis), extent,
          absl::StrCat("1 or ", target[target_axis], " as ", kAxisNames[target_axis]));
    }
    view.strides[target_axis] = extent == 1 ? 0 : dense_stride;
    dense_stride *= extent;
  }
  if (const auto type = KernelType(mask.type); type.has_value()) {
    view.type = *type;
    return view;
  }
  return FieldError(absl::StrCat(path, ".data_type"), TypeName(mask.type), "a type of masks");
}

absl::Status DecodeBooleanMask(const v1::Tensor& tensor, TensorReader& reader,
                               AttentionTask& task) {
  constexpr absl::string_view kPath = "options.boolean_mask";
  if (tensor.data_type() != v1::DATA_TYPE_BOOL) {
    return FieldError(absl::StrCat(kPath, ".data_type"), TypeName(tensor.data_type()),
                      "DATA_TYPE_BOOL");
  }
  ATTENTION_ASSIGN_OR_RETURN(task.problem.boolean_mask, ReadMask(tensor, kPath, task, reader));
  return absl::OkStatus();
}

// An additive or multiplicative mask.
absl::StatusOr<kernels::TensorView> ReadNumericMask(const v1::Tensor& tensor,
                                                    absl::string_view path,
                                                    const AttentionTask& task,
                                                    TensorReader& reader) {
  const v1::DataType type =
      tensor.data_type() == v1::DATA_TYPE_UNSPECIFIED ? v1::DATA_TYPE_F32 : tensor.data_type();
  const v1::DataType query_type = WireType(task.type);
  if (type != v1::DATA_TYPE_F32 && type != v1::DATA_TYPE_F64 && type != query_type) {
    const bool listed = query_type == v1::DATA_TYPE_F32 || query_type == v1::DATA_TYPE_F64;
    return FieldError(absl::StrCat(path, ".data_type"), TypeName(type),
                      listed
                          ? "DATA_TYPE_F32 or DATA_TYPE_F64"
                          : absl::StrCat("DATA_TYPE_F32, DATA_TYPE_F64 or ", TypeName(query_type)));
  }
  return ReadMask(tensor, path, task, reader);
}

absl::Status DecodeMultiplicativeMask(const v1::AttentionOptions& options, TensorReader& reader,
                                      AttentionTask& task) {
  if (task.options.normalization != kernels::Normalization::kNone) {
    return FieldError("options.normalization", v1::Normalization_Name(options.normalization()),
                      "NORMALIZATION_NONE with multiplicative_mask");
  }
  ATTENTION_ASSIGN_OR_RETURN(
      task.problem.multiplicative_mask,
      ReadNumericMask(options.multiplicative_mask(), "options.multiplicative_mask", task, reader));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> ReadCausalOffset(const v1::Causal& causal, int64_t query_count,
                                         int64_t key_count) {
  const v1::CausalAlignment alignment = causal.alignment();
  if (!v1::CausalAlignment_IsValid(alignment)) {
    return FieldError("options.causal.alignment", static_cast<int>(alignment),
                      absl::StrCat("0 to ", static_cast<int>(v1::CausalAlignment_MAX)));
  }
  const std::string& name = v1::CausalAlignment_Name(alignment);
  if (alignment == v1::CAUSAL_ALIGNMENT_OFFSET) {
    if (!causal.has_offset()) {
      return FieldError("options.causal.offset", "nothing", absl::StrCat("a number with ", name));
    }
    if (causal.offset() < -kMaxCausalOffset || causal.offset() > kMaxCausalOffset) {
      return FieldError("options.causal.offset", causal.offset(), "-2^31 to 2^31");
    }
    return causal.offset();
  }
  if (causal.has_offset()) {
    return FieldError("options.causal.offset", causal.offset(),
                      absl::StrCat("nothing with ", name));
  }
  if (alignment == v1::CAUSAL_ALIGNMENT_UNSPECIFIED && query_count != key_count) {
    return FieldError("options.causal.alignment", name,
                      absl::StrCat("another, since there are ", query_count, " queries and ",
                                   key_count, " keys"));
  }
  return alignment == v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT ? key_count - query_count : 0;
}

// Element `index` of an INT32 or INT64 tensor.
int64_t LengthAt(const WireTensor& tensor, int64_t index) {
  if (tensor.type == v1::DATA_TYPE_INT64) return static_cast<const int64_t*>(tensor.data)[index];
  return static_cast<const int32_t*>(tensor.data)[index];
}

absl::Status DecodeKeyLengths(const v1::Tensor& tensor, TensorReader& reader, AttentionTask& task) {
  constexpr absl::string_view kPath = "options.key_lengths";
  const kernels::Extents extents = ScoreExtents(task);
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor lengths, reader.Read(tensor, kPath));
  if (lengths.type != v1::DATA_TYPE_INT32 && lengths.type != v1::DATA_TYPE_INT64) {
    return FieldError(absl::StrCat(kPath, ".data_type"), TypeName(lengths.type),
                      "DATA_TYPE_INT32 or DATA_TYPE_INT64");
  }
  ATTENTION_RETURN_IF_ERROR(CheckRank(lengths, kPath, 1));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(kPath, 0), lengths.shape[0], extents[0], "the batch"));
  task.key_lengths.resize(static_cast<size_t>(lengths.element_count));
  for (int64_t i = 0; i < lengths.element_count; ++i) {
    const int64_t length = LengthAt(lengths, i);
    if (length < 0 || length > extents[3]) {
      return FieldError(kPath, absl::StrCat("another length at element ", i),
                        absl::StrCat("0 to ", extents[3]));
    }
    task.key_lengths[static_cast<size_t>(i)] = length;
  }
  task.problem.key_lengths = task.key_lengths;
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeMasks(const v1::AttentionOptions& options, TensorReader& reader,
                         AttentionTask& task) {
  if (options.has_boolean_mask()) {
    ATTENTION_RETURN_IF_ERROR(DecodeBooleanMask(options.boolean_mask(), reader, task));
  }
  if (options.has_additive_mask()) {
    ATTENTION_ASSIGN_OR_RETURN(
        task.problem.additive_mask,
        ReadNumericMask(options.additive_mask(), "options.additive_mask", task, reader));
  }
  if (options.has_multiplicative_mask()) {
    ATTENTION_RETURN_IF_ERROR(DecodeMultiplicativeMask(options, reader, task));
  }
  if (options.has_causal()) {
    const kernels::Extents extents = ScoreExtents(task);
    ATTENTION_ASSIGN_OR_RETURN(task.problem.query_offset,
                               ReadCausalOffset(options.causal(), extents[2], extents[3]));
    task.problem.causal = true;
  }
  if (options.has_key_lengths()) {
    ATTENTION_RETURN_IF_ERROR(DecodeKeyLengths(options.key_lengths(), reader, task));
  }
  return absl::OkStatus();
}

bool HasMask(const v1::AttentionOptions& options) {
  return options.has_boolean_mask() || options.has_additive_mask() ||
         options.has_multiplicative_mask() || options.has_causal() || options.has_key_lengths();
}

}  // namespace attention::server
