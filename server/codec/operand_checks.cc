#include "server/codec/operand_checks.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"

namespace attention::server {
namespace {

std::string NumberText(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return "an infinity";
  return absl::StrCat(number);
}

}  // namespace

std::string ShapePath(absl::string_view path, int axis) {
  return absl::StrCat(path, ".shape[", axis, "]");
}

absl::Status CheckRange(absl::string_view path, int64_t got, int64_t minimum, int64_t maximum) {
  if (got < minimum)
    return FieldError(path, got, minimum == 1 ? "> 0" : absl::StrCat(">= ", minimum));
  if (got > maximum) return FieldError(path, got, absl::StrCat("<= ", maximum));
  return absl::OkStatus();
}

absl::Status CheckFinite(absl::string_view path, double number) {
  if (std::isfinite(number)) return absl::OkStatus();
  return FieldError(path, NumberText(number), "a finite number");
}

absl::Status CheckPositive(absl::string_view path, double number) {
  if (std::isfinite(number) && number > 0) return absl::OkStatus();
  return FieldError(path, NumberText(number), "a finite number > 0");
}

absl::Status CheckSame(absl::string_view path, int64_t got, int64_t want, absl::string_view whose) {
  if (got == want) return absl::OkStatus();
  return FieldError(path, got, absl::StrCat(want, " as in ", whose));
}

absl::Status CheckExtent(const WireTensor& tensor, absl::string_view path, int axis, int64_t want,
                         absl::string_view whose) {
  return CheckSame(ShapePath(path, axis), tensor.shape[static_cast<size_t>(axis)], want, whose);
}

absl::Status CheckSameType(const WireTensor& tensor, absl::string_view path, v1::DataType want,
                           absl::string_view whose) {
  if (tensor.type == want) return absl::OkStatus();
  return FieldError(absl::StrCat(path, ".data_type"), TypeName(tensor.type),
                    absl::StrCat(TypeName(want), " as in ", whose));
}

absl::Status CheckOperand(const WireTensor& tensor, absl::string_view path, int minimum_rank) {
  if (!IsFloatingPoint(tensor.type)) {
    return FieldError(absl::StrCat(path, ".data_type"), TypeName(tensor.type),
                      "DATA_TYPE_F32, F16, BF16 or F64");
  }
  if (tensor.rank != minimum_rank && tensor.rank != minimum_rank + 1) {
    return FieldError(absl::StrCat(path, ".shape"), absl::StrCat("rank ", tensor.rank),
                      absl::StrCat(minimum_rank, " or ", minimum_rank + 1));
  }
  return absl::OkStatus();
}

absl::Status CheckLikeQuery(const OperandShape& other, const OperandShape& query) {
  absl::Status status = CheckSameType(other.tensor, other.path, query.tensor.type, query.path);
  if (!status.ok()) return status;
  if (other.tensor.rank != query.tensor.rank) {
    return FieldError(absl::StrCat(other.path, ".shape"), absl::StrCat("rank ", other.tensor.rank),
                      absl::StrCat(query.tensor.rank, " as in ", query.path));
  }
  return CheckSame(ShapePath(other.path, 0), other.batch, query.batch, query.path);
}

absl::Status CheckHeadWidths(const HeadWidth& query, const HeadWidth& key,
                             const v1::AttentionOptions& options) {
  const bool dot_product = options.score_case() == v1::AttentionOptions::SCORE_NOT_SET;
  if (!dot_product || key.width == query.width) return absl::OkStatus();
  return FieldError(key.path, absl::StrCat(key.width, " per head"),
                    absl::StrCat(query.width, " per head as in ", query.path));
}

absl::Status CheckRank(const WireTensor& tensor, absl::string_view path, int rank) {
  if (tensor.rank == rank) return absl::OkStatus();
  return FieldError(absl::StrCat(path, ".shape"), absl::StrCat("rank ", tensor.rank), rank);
}

}  // namespace attention::server
