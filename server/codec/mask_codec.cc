#include "server/codec/mask_codec.h"

#include <algorithm>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/codec/positions_codec.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// The extents that a mask is aligned with.
struct MaskTarget {
  kernels::Extents extents;
  absl::string_view axis_names[kMaxRank];
};

MaskTarget ScoresOf(const OptionsDecoding& decoding) {
  return {{decoding.batch(), decoding.query_heads(), decoding.query_count(), decoding.key_count()},
          {"the batch", "the query heads", "the queries", "the keys"}};
}

// Aligns a mask, of a type that masks may have, at the right. Its last extent may be less than the
// keys if `short_keys` is not null, and is then written there.
absl::StatusOr<kernels::TensorView> AlignMask(const WireTensor& mask, absl::string_view path,
                                              const MaskTarget& target, int64_t* short_keys) {
  kernels::TensorView view;
  view.data = mask.data;
  view.extents = target.extents;
  int64_t dense_stride = 1;
  for (int axis = mask.rank - 1; axis >= 0; --axis) {
    const int target_axis = axis + kMaxRank - mask.rank;
    const int64_t extent = mask.shape[axis];
    const int64_t want = target.extents[target_axis];
    const bool is_short = short_keys != nullptr && axis == mask.rank - 1 && extent < want;
    if (is_short) *short_keys = extent;
    if (extent != 1 && extent != want && !is_short) {
      return FieldError(ShapePath(path, axis), extent,
                        absl::StrCat(want == 1 ? "1 as " : absl::StrCat("1 or ", want, " as "),
                                     target.axis_names[target_axis]));
    }
    view.strides[target_axis] = extent == 1 && !is_short ? 0 : dense_stride;
    dense_stride *= extent;
  }
  view.type = *KernelType(mask.type);
  return view;
}

// Hides keys at and after `count`. The kernels do not read masks there.
void LimitKeys(int64_t count, const OptionsDecoding& decoding) {
  kernels::AttentionProblem& problem = decoding.task.problem;
  const std::span<int64_t> limited = decoding.reader.NewNumbers<int64_t>(decoding.batch());
  for (size_t entry = 0; entry < limited.size(); ++entry) {
    const bool has_length = !problem.key_lengths.empty();
    limited[entry] = has_length ? std::min(count, problem.key_lengths[entry]) : count;
  }
  problem.key_lengths = limited;
}

absl::StatusOr<kernels::TensorView> ReadMask(const v1::Tensor& tensor, absl::string_view path,
                                             const OptionsDecoding& decoding) {
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor mask, decoding.reader.Read(tensor, path));
  int64_t reached_keys = decoding.key_count();
  ATTENTION_ASSIGN_OR_RETURN(const kernels::TensorView view,
                             AlignMask(mask, path, ScoresOf(decoding),
                                       decoding.options.short_masks() ? &reached_keys : nullptr));
  if (reached_keys < decoding.key_count()) LimitKeys(reached_keys, decoding);
  return view;
}

absl::Status CheckBoolean(const v1::Tensor& tensor, absl::string_view path) {
  if (tensor.data_type() == v1::DATA_TYPE_BOOL) return absl::OkStatus();
  return FieldError(absl::StrCat(path, ".data_type"), TypeName(tensor.data_type()),
                    "DATA_TYPE_BOOL");
}

// An additive or multiplicative mask.
absl::StatusOr<kernels::TensorView> ReadNumericMask(const v1::Tensor& tensor,
                                                    absl::string_view path,
                                                    const OptionsDecoding& decoding) {
  const v1::DataType type =
      tensor.data_type() == v1::DATA_TYPE_UNSPECIFIED ? v1::DATA_TYPE_F32 : tensor.data_type();
  const v1::DataType query_type = WireType(decoding.task.type);
  if (type != v1::DATA_TYPE_F32 && type != v1::DATA_TYPE_F64 && type != query_type) {
    const bool listed = query_type == v1::DATA_TYPE_F32 || query_type == v1::DATA_TYPE_F64;
    return FieldError(absl::StrCat(path, ".data_type"), TypeName(type),
                      listed
                          ? "DATA_TYPE_F32 or DATA_TYPE_F64"
                          : absl::StrCat("DATA_TYPE_F32, DATA_TYPE_F64 or ", TypeName(query_type)));
  }
  return ReadMask(tensor, path, decoding);
}

absl::Status DecodeMultiplicativeMask(const OptionsDecoding& decoding) {
  const v1::AttentionOptions& options = decoding.options;
  if (decoding.task.options.normalization != kernels::Normalization::kNone) {
    return FieldError("options.normalization", v1::Normalization_Name(options.normalization()),
                      "NORMALIZATION_NONE with multiplicative_mask");
  }
  ATTENTION_ASSIGN_OR_RETURN(
      decoding.task.problem.multiplicative_mask,
      ReadNumericMask(options.multiplicative_mask(), "options.multiplicative_mask", decoding));
  return absl::OkStatus();
}

int64_t BlockCount(int64_t count, int64_t block_size) {
  return (count + block_size - 1) / block_size;
}

absl::Status DecodeBlockMask(const OptionsDecoding& decoding) {
  constexpr absl::string_view kPath = "options.block_mask.mask";
  const v1::BlockMask& blocks = decoding.options.block_mask();
  if (!blocks.has_mask()) return MissingField(kPath);
  ATTENTION_RETURN_IF_ERROR(CheckRange("options.block_mask.query_block_size",
                                       blocks.query_block_size(), 1, kMaxBlockSize));
  ATTENTION_RETURN_IF_ERROR(
      CheckRange("options.block_mask.key_block_size", blocks.key_block_size(), 1, kMaxBlockSize));
  ATTENTION_RETURN_IF_ERROR(CheckBoolean(blocks.mask(), kPath));
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor mask, decoding.reader.Read(blocks.mask(), kPath));
  const MaskTarget target = {{decoding.batch(), decoding.query_heads(),
                              BlockCount(decoding.query_count(), blocks.query_block_size()),
                              BlockCount(decoding.key_count(), blocks.key_block_size())},
                             {"the batch", "the query heads", "the blocks that cover the queries",
                              "the blocks that cover the keys"}};
  kernels::BlockMask& result = decoding.task.problem.block_mask;
  ATTENTION_ASSIGN_OR_RETURN(result.mask, AlignMask(mask, kPath, target, nullptr));
  result.query_block_size = blocks.query_block_size();
  result.key_block_size = blocks.key_block_size();
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeMasks(const OptionsDecoding& decoding) {
  const v1::AttentionOptions& options = decoding.options;
  kernels::AttentionProblem& problem = decoding.task.problem;
  if (options.has_boolean_mask()) {
    constexpr absl::string_view kPath = "options.boolean_mask";
    ATTENTION_RETURN_IF_ERROR(CheckBoolean(options.boolean_mask(), kPath));
    ATTENTION_ASSIGN_OR_RETURN(problem.boolean_mask,
                               ReadMask(options.boolean_mask(), kPath, decoding));
  }
  if (options.has_additive_mask()) {
    ATTENTION_ASSIGN_OR_RETURN(
        problem.additive_mask,
        ReadNumericMask(options.additive_mask(), "options.additive_mask", decoding));
  }
  if (options.has_multiplicative_mask()) {
    ATTENTION_RETURN_IF_ERROR(DecodeMultiplicativeMask(decoding));
  }
  if (options.has_block_mask()) ATTENTION_RETURN_IF_ERROR(DecodeBlockMask(decoding));
  if (options.short_masks() && !options.has_boolean_mask() && !options.has_additive_mask() &&
      !options.has_multiplicative_mask()) {
    return FieldError("options.short_masks", "true",
                      "a boolean_mask, additive_mask or multiplicative_mask with it");
  }
  return absl::OkStatus();
}

bool HidesKeys(const v1::AttentionOptions& options) {
  return options.has_boolean_mask() || options.has_additive_mask() ||
         options.has_multiplicative_mask() || options.has_block_mask() || options.has_causal() ||
         HasWindow(options) || options.has_query_segments() || options.has_key_lengths();
}

}  // namespace attention::server
