// Matrices as comma-separated text: one row a line, shape [rows, columns].
//
// Fields are separated by commas; blanks around them and empty lines count for nothing. A line that
// starts with '#' is a comment. Numbers are decimal, "nan", "inf", "infinity" (with a sign, in any
// case), "true" and "false". There are no quotes and no header line: what is not a number is
// refused, with its line and column and what is wanted.

#ifndef ATTENTION_CLIENT_ARRAY_CSV_ARRAY_H_
#define ATTENTION_CLIENT_ARRAY_CSV_ARRAY_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "client/array/array.h"

namespace attention::client {

// INVALID_ARGUMENT if a field is not a number, a row is not as long as the first, or there is no
// row.
[[nodiscard]] absl::StatusOr<Array> ParseCsvArray(std::string_view text);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ARRAY_CSV_ARRAY_H_
