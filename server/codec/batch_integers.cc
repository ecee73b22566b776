#include "server/codec/batch_integers.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// INT32 [batch, count], or [count] where the request has no batch axis.
absl::StatusOr<std::span<const int32_t>> ReadTokenSegments(const v1::Tensor& tensor,
                                                           absl::string_view path, int64_t count,
                                                           absl::string_view whose,
                                                           const OptionsDecoding& decoding) {
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor segments, decoding.reader.Read(tensor, path));
  if (segments.type != v1::DATA_TYPE_INT32) {
    return FieldError(absl::StrCat(path, ".data_type"), TypeName(segments.type), "DATA_TYPE_INT32");
  }
  const int rank = decoding.has_batch ? 2 : 1;
  ATTENTION_RETURN_IF_ERROR(CheckRank(segments, path, rank));
  if (decoding.has_batch) {
    ATTENTION_RETURN_IF_ERROR(CheckExtent(segments, path, 0, decoding.batch(), "the batch"));
  }
  ATTENTION_RETURN_IF_ERROR(CheckExtent(segments, path, rank - 1, count, whose));
  return std::span<const int32_t>(static_cast<const int32_t*>(segments.data),
                                  static_cast<size_t>(segments.element_count));
}

}  // namespace

absl::Status CheckIntegerType(const WireTensor& tensor, absl::string_view path) {
  if (tensor.type == v1::DATA_TYPE_INT32 || tensor.type == v1::DATA_TYPE_INT64) {
    return absl::OkStatus();
  }
  return FieldError(absl::StrCat(path, ".data_type"), TypeName(tensor.type),
                    "DATA_TYPE_INT32 or DATA_TYPE_INT64");
}

int64_t IntegerAt(const WireTensor& tensor, int64_t index) {
  if (tensor.type == v1::DATA_TYPE_INT64) return static_cast<const int64_t*>(tensor.data)[index];
  return static_cast<const int32_t*>(tensor.data)[index];
}

absl::StatusOr<std::span<int64_t>> ReadLengths(const v1::Tensor& tensor, absl::string_view path,
                                               const OptionsDecoding& decoding) {
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor lengths, decoding.reader.Read(tensor, path));
  ATTENTION_RETURN_IF_ERROR(CheckIntegerType(lengths, path));
  ATTENTION_RETURN_IF_ERROR(CheckRank(lengths, path, 1));
  ATTENTION_RETURN_IF_ERROR(CheckExtent(lengths, path, 0, decoding.entry_count(),
                                        decoding.ragged() ? "the sequences" : "the batch"));
  const std::span<int64_t> result = decoding.reader.NewNumbers<int64_t>(lengths.element_count);
  for (int64_t i = 0; i < lengths.element_count; ++i) {
    const int64_t length = IntegerAt(lengths, i);
    if (length < 0 || length > decoding.key_count(i)) {
      return FieldError(path, absl::StrCat("another length at element ", i),
                        absl::StrCat("0 to ", decoding.key_count(i)));
    }
    result[static_cast<size_t>(i)] = length;
  }
  return result;
}

absl::Status DecodeKeyLengths(const OptionsDecoding& decoding) {
  if (!decoding.options.has_key_lengths()) return absl::OkStatus();
  ATTENTION_ASSIGN_OR_RETURN(
      decoding.task.problem.key_lengths,
      ReadLengths(decoding.options.key_lengths(), "options.key_lengths", decoding));
  return absl::OkStatus();
}

absl::Status DecodeSegments(const OptionsDecoding& decoding) {
  constexpr absl::string_view kQueryPath = "options.query_segments";
  constexpr absl::string_view kKeyPath = "options.key_segments";
  const v1::AttentionOptions& options = decoding.options;
  kernels::AttentionProblem& problem = decoding.task.problem;
  if (!options.has_query_segments()) {
    if (!options.has_key_segments()) return absl::OkStatus();
    return FieldError(kQueryPath, "nothing", absl::StrCat("a tensor with ", kKeyPath));
  }
  ATTENTION_ASSIGN_OR_RETURN(problem.query_segments,
                             ReadTokenSegments(options.query_segments(), kQueryPath,
                                               decoding.query_count(), "the queries", decoding));
  if (options.has_key_segments()) {
    ATTENTION_ASSIGN_OR_RETURN(problem.key_segments,
                               ReadTokenSegments(options.key_segments(), kKeyPath,
                                                 decoding.key_count(), "the keys", decoding));
    return absl::OkStatus();
  }
  if (decoding.query_count() != decoding.key_count()) {
    return FieldError(kKeyPath, "nothing",
                      absl::StrCat("a tensor, since there are ", decoding.query_count(),
                                   " queries and ", decoding.key_count(), " keys"));
  }
  problem.key_segments = problem.query_segments;
  return absl::OkStatus();
}

}  // namespace attention::server
