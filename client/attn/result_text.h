// Results as text, JSON or .npy bytes.

#ifndef ATTENTION_CLIENT_ATTN_RESULT_TEXT_H_
#define ATTENTION_CLIENT_ATTN_RESULT_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/attn/result_tensor.h"
#include "client/attn/tensor_text.h"
#include "client/results.h"
#include "client/terminal/heat_map.h"

namespace attention::client {

// Of the key that a layer may append after all others, which no file names.
inline constexpr std::string_view kAppendedKeyLabel = "appended";

struct ResultNames {
  std::vector<std::string> query_labels;
  std::vector<std::string> key_labels;

  // Where each sequence of a ragged batch begins among the queries and keys; empty: no such batch.
  std::vector<int64_t> query_starts;
  std::vector<int64_t> key_starts;

  bool output_rows_are_queries = true;  // the rows of LAYOUT_SEQUENCE_FIRST outputs are heads
  MatrixAxes output_axes = kHeadMatrices;
};

struct MatrixStyle {
  int decimals = 6;
  HeatMapStyle heat_map_style = HeatMapStyle::kBlocks;
  ShownCounts shown;
};

// Every tensor as one titled table for each of its matrices, pictures of the weights if asked for,
// statistics, and a line about the execution.
[[nodiscard]] std::string FormatResult(const AttentionResult& result, const ResultNames& names,
                                       bool heat_map, const MatrixStyle& style);

// {"output": [...], "weights": [...], ..., "execution": {...}} on one line.
[[nodiscard]] std::string ResultJson(const AttentionResult& result);

// The bytes of one tensor. INTERNAL if the result lacks it.
[[nodiscard]] absl::StatusOr<std::string> ResultNpy(const AttentionResult& result,
                                                    ResultTensor tensor);

// "computed by NAME in f32 on 2 threads in 0.310 ms, after 0.012 ms in the queue".
[[nodiscard]] std::string ExecutionText(const Execution& execution);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_RESULT_TEXT_H_
