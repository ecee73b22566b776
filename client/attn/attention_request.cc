#include "client/attn/attention_request.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/attn/load_options.h"
#include "client/attn/tensor_files.h"
#include "client/terminal/labelled_matrix.h"

namespace attention::client {
namespace {

class RequestLoader {
 public:
  RequestLoader(const AttentionFlags& flags, std::istream& standard_input)
      : flags_(flags), input_(flags.input), files_(flags.input.format, standard_input) {}

  absl::StatusOr<AttentionRequest> Load(Method method) && {
    AttentionRequest loaded{.request = Request(method)};
    if (!files_.status().ok()) return files_.status();
    loaded.added_head_axis = added_head_axis_;
    loaded.query_labels = Labels("query", flags_.labels.queries, query_count_);
    loaded.key_labels = Labels("key", flags_.labels.keys, key_count_);
    if (!files_.status().ok()) return files_.status();
    loaded.tensors = std::move(files_).TakeTensors();
    return loaded;
  }

 private:
  AnyRequest Request(Method method) {
    switch (method) {
      case Method::kSelf:
        return Embeddings<SelfAttentionRequest>();
      case Method::kMasked:
        CheckThatSomethingMasks();
        return Embeddings<MaskedAttentionRequest>();
      case Method::kMultiHead:
        return MultiHead();
      case Method::kCross:
        return Cross();
      case Method::kScaledDotProduct:
        break;
    }
    return ScaledDotProduct();
  }

  // A sequence of embeddings, and how many rows it has.
  TensorRef Sequence(const std::string& flag, const std::string& path, int64_t* count) {
    TensorRef tensor = files_.Read(flag, path, input_.type);
    if (!files_.status().ok()) return {};
    const size_t axis_count = tensor.shape().size();
    if (axis_count != 2 && axis_count != 3) {
      files_.Fail(absl::StrCat(flag, ": shape ", ToString(tensor.shape()), " has ", axis_count,
                               " axes, want 2 or 3"));
      return {};
    }
    *count = tensor.shape()[axis_count - 2];
    return tensor;
  }

  template <typename Request>
  AnyRequest Embeddings() {
    Request request;
    request.embeddings = Sequence("--embeddings", input_.query, &query_count_);
    key_count_ = query_count_;
    return Complete(std::move(request));
  }

  AnyRequest MultiHead() {
    MultiHeadAttentionRequest request;
    request.query = Sequence("--query", input_.query, &query_count_);
    key_count_ = query_count_;
    if (!input_.key.empty()) request.key = Sequence("--key", input_.key, &key_count_);
    int64_t value_count = 0;
    if (!input_.value.empty()) request.value = Sequence("--value", input_.value, &value_count);
    if (input_.key_value_head_count > 0) request.key_value_head_count = input_.key_value_head_count;
    return Complete(std::move(request));
  }

  AnyRequest Cross() {
    CrossAttentionRequest request;
    request.query_embeddings = Sequence("--query", input_.query, &query_count_);
    request.memory_embeddings = Sequence("--memory", input_.key, &key_count_);
    return Complete(std::move(request));
  }

  AnyRequest ScaledDotProduct() {
    ScaledDotProductAttentionRequest request;
    request.query = files_.Read("--query", input_.query, input_.type);
    if (input_.layout != Layout::kPacked && request.query.shape().size() == 2) {
      added_head_axis_ = input_.layout == Layout::kHeadsFirst ? 0 : 1;
    }
    request.query = Ready("--query", std::move(request.query), &query_count_);
    request.key = Ready("--key", files_.Read("--key", input_.key, input_.type), &key_count_);
    int64_t value_count = 0;
    request.value =
        Ready("--value", files_.Read("--value", input_.value, input_.type), &value_count);
    LoadPast(&request);
    request.query_starts = files_.KeepCounts(input_.query_starts);
    request.key_starts = files_.KeepCounts(input_.key_starts);
    request.layout = input_.layout;
    if (input_.head_count > 0) request.head_count = input_.head_count;
    if (input_.key_value_head_count > 0) request.key_value_head_count = input_.key_value_head_count;
    if (input_.layout == Layout::kPacked && input_.head_count == 0)
      files_.Fail("--layout packed needs --heads");
    request.options = LoadOptions(flags_, ReadyHeadCount(request.query.shape()), &files_);
    return request;
  }

  // The query heads; 0 if the shape does not tell.
  [[nodiscard]] int64_t ReadyHeadCount(const Shape& shape) const {
    if (input_.layout == Layout::kPacked) return input_.head_count;
    const size_t from_end = input_.layout == Layout::kHeadsFirst ? 3 : 2;
    return shape.size() < from_end ? 0 : shape[shape.size() - from_end];
  }

  void LoadPast(ScaledDotProductAttentionRequest* request) {
    request->return_present = input_.return_present ||
                              flags_.result.Wants(ResultTensor::kPresentKey) ||
                              flags_.result.Wants(ResultTensor::kPresentValue);
    if (input_.past_key.empty()) return;
    request->past_key = Past("--past-key", input_.past_key);
    request->past_value = Past("--past-value", input_.past_value);
    const Shape& shape = request->past_key->shape();
    if (shape.size() >= 2) key_count_ += shape[shape.size() - 2];
  }

  // Past keys and values have their heads first in every layout.
  TensorRef Past(const std::string& flag, const std::string& path) {
    const TensorRef tensor = files_.Read(flag, path, input_.type);
    if (added_head_axis_ < 0 || tensor.shape().size() != 2) return tensor;
    return {tensor.type(), {1, tensor.shape()[0], tensor.shape()[1]}, tensor.bytes()};
  }

  // Ready queries, keys or values in the request's layout, and how many rows they have.
  TensorRef Ready(const std::string& flag, TensorRef tensor, int64_t* count) {
    if (!files_.status().ok()) return {};
    Shape shape = tensor.shape();
    const size_t min_axis_count = input_.layout == Layout::kPacked || added_head_axis_ >= 0 ? 2 : 3;
    const size_t max_axis_count = added_head_axis_ >= 0 ? 2 : min_axis_count + 1;
    if (shape.size() < min_axis_count || shape.size() > max_axis_count) {
      files_.Fail(absl::StrCat(flag, ": shape ", ToString(shape), " has ", shape.size(),
                               " axes, want ", min_axis_count,
                               max_axis_count > min_axis_count ? " or one more" : ""));
      return {};
    }
    if (added_head_axis_ >= 0) shape.insert(shape.begin() + added_head_axis_, 1);
    *count = shape[shape.size() - (input_.layout == Layout::kSequenceFirst ? 3 : 2)];
    return {tensor.type(), std::move(shape), tensor.bytes()};
  }

  template <typename Request>
  Request Complete(Request request) {
    request.projections = {
        .query = ReadProjection("--query", input_.query_projection),
        .key = ReadProjection("--key", input_.key_projection),
        .value = ReadProjection("--value", input_.value_projection),
        .output = ReadProjection("--output", input_.output_projection),
    };
    request.layer = input_.layer;
    if (input_.head_count > 0) request.head_count = input_.head_count;
    request.options = LoadOptions(flags_, input_.head_count, &files_);
    return request;
  }

  std::optional<Projection> ReadProjection(const std::string& name, const ProjectionFiles& paths) {
    if (paths.weight.empty()) return std::nullopt;
    Projection projection{.weight = files_.Read(name + "-weight", paths.weight, input_.type)};
    if (!paths.bias.empty())
      projection.bias = AsVector(files_.Read(name + "-bias", paths.bias, input_.type));
    return projection;
  }

  void CheckThatSomethingMasks() {
    if (flags_.options.mask.Hides()) return;
    files_.Fail(
        "masked needs at least one of --boolean-mask, --additive-mask, --multiplicative-mask, "
        "--block-mask, --causal, --window-left, --window-right, --segments and --key-lengths");
  }

  std::vector<std::string> Labels(const std::string& kind, const std::vector<std::string>& own,
                                  int64_t count) {
    const bool is_own = !own.empty();
    const std::vector<std::string>& labels = is_own ? own : flags_.labels.both;
    if (labels.empty()) return NumberedLabels("", static_cast<size_t>(count));
    if (std::ssize(labels) != count) {
      files_.Fail(absl::StrCat(is_own ? "--" + kind + "-labels" : "--labels", " names ",
                               labels.size(), " of ", count, kind == "key" ? " keys" : " queries"));
    }
    return labels;
  }

  const AttentionFlags& flags_;
  const InputFlags& input_;
  TensorFiles files_;
  int64_t query_count_ = 0;
  int64_t key_count_ = 0;
  int added_head_axis_ = -1;
};

struct Sender {
  AttentionClient* client;

  auto operator()(const SelfAttentionRequest& request) const {
    return client->SelfAttention(request);
  }
  auto operator()(const MaskedAttentionRequest& request) const {
    return client->MaskedAttention(request);
  }
  auto operator()(const MultiHeadAttentionRequest& request) const {
    return client->MultiHeadAttention(request);
  }
  auto operator()(const CrossAttentionRequest& request) const {
    return client->CrossAttention(request);
  }
  auto operator()(const ScaledDotProductAttentionRequest& request) const {
    return client->ScaledDotProductAttention(request);
  }
};

}  // namespace

absl::StatusOr<AttentionRequest> LoadRequest(Method method, const AttentionFlags& flags,
                                             std::istream& standard_input) {
  return RequestLoader(flags, standard_input).Load(method);
}

absl::StatusOr<AttentionResult> Send(const AttentionRequest& request, AttentionClient* client) {
  absl::StatusOr<AttentionResult> result = std::visit(Sender{client}, request.request);
  if (!result.ok() || request.added_head_axis < 0) return result;
  result->output =
      WithoutAxis(std::move(result->output), static_cast<size_t>(request.added_head_axis));
  // All others have their heads first in every layout.
  for (std::optional<TensorValue>* tensor :
       {&result->weights, &result->scores, &result->log_sum_exp, &result->top_weights,
        &result->top_keys, &result->entropy, &result->key_mass, &result->maximum_weight,
        &result->present_key, &result->present_value}) {
    if (*tensor) *tensor = WithoutAxis(*std::move(*tensor), 0);
  }
  return result;
}

}  // namespace attention::client
