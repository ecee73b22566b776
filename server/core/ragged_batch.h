// Ragged batches: sequences of different lengths one after the other, without padding, in place of
// the batch axis.

#ifndef ATTENTION_SERVER_CORE_RAGGED_BATCH_H_
#define ATTENTION_SERVER_CORE_RAGGED_BATCH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "kernels/attend.h"

namespace attention::server {

// Sequence s has the queries [query_starts[s], query_starts[s + 1]) and its keys likewise. Both
// ascend from 0 to the number of rows and have one element more than there are sequences, of which
// there is at least one.
struct RaggedRows {
  std::vector<int64_t> query_starts;
  std::vector<int64_t> key_starts;

  [[nodiscard]] int64_t sequence_count() const {
    return static_cast<int64_t>(query_starts.size()) - 1;
  }
  [[nodiscard]] int64_t query_count(int64_t sequence) const {
    return Count(query_starts, sequence);
  }
  [[nodiscard]] int64_t key_count(int64_t sequence) const { return Count(key_starts, sequence); }

 private:
  static int64_t Count(const std::vector<int64_t>& starts, int64_t sequence) {
    const auto index = static_cast<size_t>(sequence);
    return starts[index + 1] - starts[index];
  }
};

// One sequence of `whole`, as if it were alone: views of its own rows, and its own of
// query_offsets, key_lengths and prefix_lengths, which have an element for each sequence or none.
// The batch of `whole` is 1, and it has none of the masks and segments that ValidateRagged refuses.
[[nodiscard]] kernels::AttentionProblem SequenceOf(const kernels::AttentionProblem& whole,
                                                   const RaggedRows& rows, int64_t sequence);

// Where that sequence's results go: into its own rows of the output and, of each statistic, into a
// dense array of its own, those of earlier sequences before it.
[[nodiscard]] kernels::AttentionOutputs SequenceOf(const kernels::AttentionOutputs& whole,
                                                   const RaggedRows& rows, int64_t sequence);

// Moves a statistic of `head_count` heads from where SequenceOf puts it to [heads, rows of all
// sequences]. A row is one query's or, of key_mass, one key's, and has `row_bytes` bytes.
void ArrangeByHead(const void* by_sequence, std::span<const int64_t> starts, int64_t head_count,
                   int64_t row_bytes, void* by_head);

// kInvalidArgument, naming the field and both values, for starts, offsets and lengths that do not
// fit the rows; kUnimplemented for masks, segments, weights and scores, whose arrays have no place
// for sequences of different lengths; and what kernels::Validate says about the first sequence.
[[nodiscard]] absl::Status ValidateRagged(const kernels::AttentionProblem& whole,
                                          const RaggedRows& rows,
                                          const kernels::AttentionOptions& options,
                                          const kernels::AttentionOutputs& outputs);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_RAGGED_BATCH_H_
