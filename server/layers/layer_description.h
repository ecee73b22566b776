// layer.json: what the tensors of a layer mean.

#ifndef ATTENTION_SERVER_LAYERS_LAYER_DESCRIPTION_H_
#define ATTENTION_SERVER_LAYERS_LAYER_DESCRIPTION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/tensor_view.h"

namespace attention::server {

// Who named and laid out the tensors.
enum class LayerFormat : uint8_t {
  kPyTorch,  // torch.nn.MultiheadAttention
  kKeras,    // keras.layers.MultiHeadAttention and GroupQueryAttention
  kPlain,    // query.weight, query.bias, key.weight ... output.bias
};
[[nodiscard]] absl::string_view Name(LayerFormat format);  // "pytorch" ...

struct LayerDescription {
  LayerFormat format = LayerFormat::kPlain;

  // Keras files say them themselves. Without key_value_head_count: head_count.
  std::optional<int64_t> head_count = {};
  std::optional<int64_t> key_value_head_count = {};

  std::optional<kernels::DataType> type = {};  // what the numbers are rounded to; absent: as stored
  std::optional<double> scale = {};  // of the scores; absent: the request's, or its default
  bool add_zero_attn = false;        // PyTorch alone
  bool transposed = false;           // plain alone: weights are [out, in], as Linear's of PyTorch

  // The tensor called X above is `names`[X] in the file or, not named there, `prefix` + X.
  std::string prefix = {};
  std::map<std::string, std::string, std::less<>> names = {};

  [[nodiscard]] std::string StoredName(absl::string_view name) const;
};

// Reads the text of a layer.json: one object with the fields below and no other.
//   "format"                 "pytorch", "keras" or "plain"; required
//   "head_count"             1 to 1,024; required unless the format is "keras"
//   "key_value_head_count"   1 to 1,024, a divisor of head_count; not with "pytorch"
//   "data_type"              "F32", "F16", "BF16" or "F64"
//   "scale"                  a finite number
//   "add_zero_attn"          true or false; only with "pytorch"
//   "transposed"             true or false; only with "plain"
//   "prefix"                 a text
//   "names"                  an object of texts
// Errors: kInvalidArgument, as part of a sentence that begins with the file's name.
[[nodiscard]] absl::StatusOr<LayerDescription> ParseLayerDescription(absl::string_view text);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_LAYER_DESCRIPTION_H_
