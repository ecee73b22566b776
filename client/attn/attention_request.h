// From flags to a request: reads the files, converts the numbers, and refuses what cannot be right
// before a server is asked.

#ifndef ATTENTION_CLIENT_ATTN_ATTENTION_REQUEST_H_
#define ATTENTION_CLIENT_ATTN_ATTENTION_REQUEST_H_

#include <istream>
#include <list>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "client/attention_client.h"
#include "client/attn/attention_flags.h"

namespace attention::client {

using AnyRequest =
    std::variant<SelfAttentionRequest, MaskedAttentionRequest, MultiHeadAttentionRequest,
                 CrossAttentionRequest, ScaledDotProductAttentionRequest>;

struct AttentionRequest {
  AnyRequest request;  // borrows from `tensors`
  std::list<TensorValue> tensors = {};

  // Names of the rows and columns of the weights, given or numbered.
  std::vector<std::string> query_labels = {};
  std::vector<std::string> key_labels = {};

  // Queries, keys and values were matrices and got an axis for their one head at this index; -1 if
  // not.
  int added_head_axis = -1;
};

// INVALID_ARGUMENT, naming the flag or file, if a file cannot be read, is not what its flag wants
// or has a shape that no request accepts, or if the flags contradict each other.
[[nodiscard]] absl::StatusOr<AttentionRequest> LoadRequest(Method method,
                                                           const AttentionFlags& flags,
                                                           std::istream& standard_input);

// Sends it. The result's tensors have lost the head axis that was added.
[[nodiscard]] absl::StatusOr<AttentionResult> Send(const AttentionRequest& request,
                                                   AttentionClient* client);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_ATTENTION_REQUEST_H_
