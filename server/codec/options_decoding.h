// What the decoders of options share.

#ifndef ATTENTION_SERVER_CODEC_OPTIONS_DECODING_H_
#define ATTENTION_SERVER_CODEC_OPTIONS_DECODING_H_

#include "attention/v1/options.pb.h"
#include "server/codec/tensor_codec.h"
#include "server/core/attention_task.h"

namespace attention::server {

// Options on their way into a task, whose type and extents are there already. Everything referred
// to outlives it.
struct OptionsDecoding {
  const v1::AttentionOptions& options;
  bool has_batch;  // whether the request's tensors have a batch axis
  TensorReader& reader;
  AttentionTask& task;

  [[nodiscard]] int64_t batch() const { return task.query.view.extents[0]; }
  [[nodiscard]] int64_t query_heads() const { return task.query.view.extents[1]; }
  [[nodiscard]] int64_t query_count() const { return task.query.view.extents[2]; }
  [[nodiscard]] int64_t key_count() const { return task.key.view.extents[2]; }

  // The entries that have counts, lengths and positions of their own: the sequences of a ragged
  // batch, those of the batch axis otherwise.
  [[nodiscard]] bool ragged() const { return task.ragged.has_value(); }
  [[nodiscard]] int64_t entry_count() const {
    return ragged() ? task.ragged->sequence_count() : batch();
  }
  [[nodiscard]] int64_t query_count(int64_t entry) const {
    return ragged() ? task.ragged->query_count(entry) : query_count();
  }
  [[nodiscard]] int64_t key_count(int64_t entry) const {
    return ragged() ? task.ragged->key_count(entry) : key_count();
  }
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_OPTIONS_DECODING_H_
