#include "client/attn/attention_request.h"

#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/attn/tensor_files.h"
#include "client/terminal/labelled_matrix.h"

namespace attention::client {
namespace {

// The vector arguments of the service have one axis; a file of one row or column is meant as one.
TensorRef AsVector(const TensorRef& tensor) {
  const bool one_row =
      tensor.shape().size() == 2 && (tensor.shape()[0] == 1 || tensor.shape()[1] == 1);
  return one_row ? TensorRef(tensor.type(), {tensor.shape()[0] * tensor.shape()[1]}, tensor.bytes())
                 : tensor;
}

class RequestLoader {
 public:
  RequestLoader(const AttentionFlags& flags, std::istream& standard_input)
      : flags_(flags), input_(flags.input), files_(flags.input.format, standard_input) {}

  absl::StatusOr<AttentionRequest> Load(Method method) && {
    AttentionRequest loaded{.request = Request(method)};
    if (!files_.status().ok()) return files_.status();
    loaded.added_head_axis = added_head_axis_;
    loaded.query_labels = Labels("query", flags_.result.query_labels, query_count_);
    loaded.key_labels = Labels("key", flags_.result.key_labels, key_count_);
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
    request.layout = input_.layout;
    if (input_.head_count > 0) request.head_count = input_.head_count;
    if (input_.key_value_head_count > 0) request.key_value_head_count = input_.key_value_head_count;
    if (input_.layout == Layout::kPacked && input_.head_count == 0)
      files_.Fail("--layout packed needs --heads");
    request.options = Options();
    return request;
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
    request.head_count = input_.head_count > 0 ? input_.head_count : 1;
    request.options = Options();
    return request;
  }

  std::optional<Projection> ReadProjection(const std::string& name, const ProjectionFiles& paths) {
    if (paths.weight.empty()) return std::nullopt;
    Projection projection{.weight = files_.Read(name + "-weight", paths.weight, input_.type)};
    if (!paths.bias.empty())
      projection.bias = AsVector(files_.Read(name + "-bias", paths.bias, input_.type));
    return projection;
  }

  AttentionOptions Options() {
    const OptionFlags& flags = flags_.options;
    AttentionOptions options;
    options.scale = flags.scale;
    options.normalization = flags.normalization;
    if (!flags.general_score.empty()) {
      options.score =
          GeneralScore{files_.Read("--general-score", flags.general_score, input_.type)};
    } else if (!flags.additive_score_vector.empty()) {
      options.score = AdditiveScore{
          .query_weight = files_.Read("--additive-score-query-weight",
                                      flags.additive_score_query_weight, input_.type),
          .key_weight = files_.Read("--additive-score-key-weight", flags.additive_score_key_weight,
                                    input_.type),
          .vector = AsVector(
              files_.Read("--additive-score-vector", flags.additive_score_vector, input_.type)),
      };
    }
    options.boolean_mask =
        files_.ReadOptional("--boolean-mask", flags.boolean_mask, DataType::kBool);
    options.additive_mask =
        files_.ReadOptional("--additive-mask", flags.additive_mask, input_.type);
    options.multiplicative_mask =
        files_.ReadOptional("--multiplicative-mask", flags.multiplicative_mask, input_.type);
    if (flags.causal_given) options.causal = ParseCausal(flags.causal);
    if (!flags.key_lengths.empty()) options.key_lengths = KeyLengths(flags.key_lengths);
    options.return_weights = flags.return_weights || NeedsWeights();
    options.return_scores = flags.return_scores;
    if (WritesOnly(ResultTensor::kScores) && !options.return_scores)
      options.return_scores = ScoresKind::kMasked;
    options.precision = flags.precision;
    return options;
  }

  Causal ParseCausal(const std::string& text) {
    if (text.empty()) return {.alignment = Causal::Alignment::kEqualCounts};
    if (text == "top-left") return {.alignment = Causal::Alignment::kTopLeft};
    if (text == "bottom-right") return {.alignment = Causal::Alignment::kBottomRight};
    Causal causal{.alignment = Causal::Alignment::kOffset};
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), causal.offset);
    if (error != std::errc() || end != text.data() + text.size()) {
      files_.Fail("--causal: the alignment is none of top-left, bottom-right and a whole number");
    }
    return causal;
  }

  TensorRef KeyLengths(const std::vector<int64_t>& lengths) {
    const TensorRef borrowed(lengths, {std::ssize(lengths)});
    std::string bytes(reinterpret_cast<const char*>(borrowed.bytes().data()),
                      borrowed.bytes().size());
    return files_.Keep(*TensorValue::Create(borrowed.type(), borrowed.shape(), std::move(bytes)));
  }

  [[nodiscard]] bool WritesOnly(ResultTensor tensor) const {
    return flags_.result.format == OutputFormat::kNpy && flags_.result.tensor == tensor;
  }

  [[nodiscard]] bool NeedsWeights() const {
    return flags_.result.heat_map || WritesOnly(ResultTensor::kWeights);
  }

  void CheckThatSomethingMasks() {
    const OptionFlags& flags = flags_.options;
    if (flags.boolean_mask.empty() && flags.additive_mask.empty() &&
        flags.multiplicative_mask.empty() && !flags.causal_given && flags.key_lengths.empty()) {
      files_.Fail(
          "masked needs at least one of --boolean-mask, --additive-mask, --multiplicative-mask, "
          "--causal and "
          "--key-lengths");
    }
  }

  std::vector<std::string> Labels(const std::string& kind, const std::vector<std::string>& own,
                                  int64_t count) {
    const bool is_own = !own.empty();
    const std::vector<std::string>& labels = is_own ? own : flags_.result.labels;
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

// Without the axis at `index`, which has extent 1.
TensorValue WithoutAxis(TensorValue tensor, int index) {
  Shape shape = tensor.shape();
  if (index < std::ssize(shape) && shape[index] == 1) shape.erase(shape.begin() + index);
  return std::move(tensor).Reshaped(std::move(shape));
}

}  // namespace

absl::StatusOr<AttentionRequest> LoadRequest(Method method, const AttentionFlags& flags,
                                             std::istream& standard_input) {
  return RequestLoader(flags, standard_input).Load(method);
}

absl::StatusOr<AttentionResult> Send(const AttentionRequest& request, AttentionClient* client) {
  absl::StatusOr<AttentionResult> result = std::visit(Sender{client}, request.request);
  if (!result.ok() || request.added_head_axis < 0) return result;
  result->output = WithoutAxis(std::move(result->output), request.added_head_axis);
  // Weights and scores have their heads first in every layout.
  if (result->weights) result->weights = WithoutAxis(*std::move(result->weights), 0);
  if (result->scores) result->scores = WithoutAxis(*std::move(result->scores), 0);
  return result;
}

}  // namespace attention::client
