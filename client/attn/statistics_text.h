// What a result tells about each query and each key, as a learner wants to read it.

#ifndef ATTENTION_CLIENT_ATTN_STATISTICS_TEXT_H_
#define ATTENTION_CLIENT_ATTN_STATISTICS_TEXT_H_

#include <string>

#include "client/attn/result_text.h"
#include "client/results.h"

namespace attention::client {

// For each head, of what the result has: a line with the strongest keys of each query, by name; a
// table with a row for each query and a column for each of entropy, maximum weight and log-sum-exp;
// a table of the mass of each key. Empty if it has none.
[[nodiscard]] std::string FormatStatistics(const AttentionResult& result, const ResultNames& names,
                                           const MatrixStyle& style);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_STATISTICS_TEXT_H_
