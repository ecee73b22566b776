// Tensors into messages.

#ifndef ATTENTION_CLIENT_MESSAGE_FILLER_H_
#define ATTENTION_CLIENT_MESSAGE_FILLER_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "attention/v1/options.pb.h"
#include "attention/v1/tensor.pb.h"
#include "client/attention_options.h"
#include "client/request_bytes.h"
#include "client/tensor.h"

namespace attention::client {

[[nodiscard]] v1::DataType ToMessage(DataType type);

// Fills the messages of one request and remembers the first tensor that contradicts itself
// (INVALID_ARGUMENT) or with which there are more bytes than a request can have
// (RESOURCE_EXHAUSTED). It is not copied, nor is anything after it.
class MessageFiller {
 public:
  // The elements of tensors of 64 KiB and more, but for those within repeated fields, are added to
  // `large` and left out of the messages; null: none are.
  explicit MessageFiller(std::vector<LargeTensor>* large = nullptr) : large_(large) {}

  // `field` is the tensor's path from the request on.
  void Fill(const TensorRef& tensor, std::string_view field, v1::Tensor* message);

  // Field by field: all that is given.
  void Fill(const AttentionOptions& options, v1::AttentionOptions* message);

  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  void FillScore(const AttentionOptions& options, v1::AttentionOptions* message);
  void FillMasks(const AttentionOptions& options, v1::AttentionOptions* message);
  void FillVisibility(const AttentionOptions& options, v1::AttentionOptions* message);
  void FillBiases(const AttentionOptions& options, v1::AttentionOptions* message);
  void FillHeads(const AttentionOptions& options, v1::AttentionOptions* message);

  std::vector<LargeTensor>* large_;
  absl::Status status_;
  size_t tensor_bytes_ = 0;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_MESSAGE_FILLER_H_
