// The scores of a few query rows of one head against a range of keys.

#ifndef ATTENTION_KERNELS_UNFUSED_SCORE_BLOCK_H_
#define ATTENTION_KERNELS_UNFUSED_SCORE_BLOCK_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"
#include "kernels/relative_bias.h"
#include "kernels/unfused/score_function.h"

namespace attention::kernels {

// What every part of one unfused computation reads.
struct UnfusedTask {
  const AttentionProblem& problem;
  const AttentionOptions& options;
  const AttentionOutputs& outputs;
  const Execution& execution;
  const ScoreFunction& score_function;
  const RelativeBias& relative_bias;
};

// A rectangle of the score matrix of one query head.
struct Block {
  int64_t batch;
  int64_t head;
  int64_t first_query;
  int64_t query_count;
  int64_t first_key;
  int64_t key_count;
};

// Each [query_count, key_count].
struct BlockScores {
  std::vector<double> returned;  // raw or capped, whichever options.scores asks for, of all pairs;
                                 // otherwise empty
  std::vector<double> masked;    // of visible pairs; hidden ones hold 0
  std::vector<uint8_t> visible;  // 1 or 0
};

// Fills `scores`. Returns false, with it unusable, if a stop was requested.
[[nodiscard]] bool ComputeScores(const UnfusedTask& task, const Block& block, BlockScores& scores);

// Rows that a block of all keys should have, so that its scores stay within a fixed number of
// bytes.
[[nodiscard]] int64_t QueriesPerBlock(int64_t key_count);

// The head of keys and values that query head `head` reads.
[[nodiscard]] int64_t KeyValueHead(const AttentionProblem& problem, int64_t head);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_SCORE_BLOCK_H_
