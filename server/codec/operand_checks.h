// Checks that several parts of a request share.

#ifndef ATTENTION_SERVER_CODEC_OPERAND_CHECKS_H_
#define ATTENTION_SERVER_CODEC_OPERAND_CHECKS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "attention/v1/options.pb.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {

// "query.shape[1]"
[[nodiscard]] std::string ShapePath(absl::string_view path, int axis);

// An extent that must be at least `minimum` (0 or 1) and at most `maximum`.
[[nodiscard]] absl::Status CheckRange(absl::string_view path, int64_t got, int64_t minimum,
                                      int64_t maximum);

// "options.scale: got NaN, want a finite number"
[[nodiscard]] absl::Status CheckFinite(absl::string_view path, double number);

// "options.softcap: got -1, want a finite number > 0"
[[nodiscard]] absl::Status CheckPositive(absl::string_view path, double number);

// "key.shape[0]: got 3, want 2 as in query"
[[nodiscard]] absl::Status CheckSame(absl::string_view path, int64_t got, int64_t want,
                                     absl::string_view whose);

// The same for one extent of a tensor.
[[nodiscard]] absl::Status CheckExtent(const WireTensor& tensor, absl::string_view path, int axis,
                                       int64_t want, absl::string_view whose);

// "key.data_type: got DATA_TYPE_F16, want DATA_TYPE_F32 as in query"
[[nodiscard]] absl::Status CheckSameType(const WireTensor& tensor, absl::string_view path,
                                         v1::DataType want, absl::string_view whose);

// A query-like operand: of a floating point type, with a rank of `minimum_rank` or one more.
[[nodiscard]] absl::Status CheckOperand(const WireTensor& tensor, absl::string_view path,
                                        int minimum_rank);

// One operand as the others see it.
struct OperandShape {
  absl::string_view path;
  const WireTensor& tensor;
  int64_t batch;
};

// That keys or values have the type, the rank and the batch of the queries.
[[nodiscard]] absl::Status CheckLikeQuery(const OperandShape& other, const OperandShape& query);

// The width of one head, and the field that decides it.
struct HeadWidth {
  int64_t width;
  absl::string_view path;
};

// That queries and keys can be multiplied, unless the weights of another score stand between them.
[[nodiscard]] absl::Status CheckHeadWidths(const HeadWidth& query, const HeadWidth& key,
                                           const v1::AttentionOptions& options);

// "mask.shape: got rank 3, want 2"
[[nodiscard]] absl::Status CheckRank(const WireTensor& tensor, absl::string_view path, int rank);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_OPERAND_CHECKS_H_
