#include "client/examples/example_run.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attention::client {
namespace {

constexpr int64_t kFloat64Digits = 17;  // tell any two doubles apart

// Tensors made from an example's arrays, alive as long as the requests that borrow them.
class Tensors {
 public:
  explicit Tensors(DataType type) : type_(type) {}

  TensorRef Make(const Array& array, Shape shape) {
    // The shapes come from parsed arrays and the type holds every number, so this cannot fail.
    tensors_.push_back(*TensorValue::FromDoubles(type_, std::move(shape), array.numbers));
    return tensors_.back().ref();
  }
  TensorRef Make(const Array& array) { return Make(array, array.shape); }

  std::optional<TensorRef> Make(const std::optional<Array>& array) {
    return array ? std::optional<TensorRef>(Make(*array)) : std::nullopt;
  }

  std::optional<Projection> MakeProjection(const std::optional<Array>& weight) {
    if (!weight) return std::nullopt;
    return Projection{.weight = Make(*weight)};
  }

  // With an axis for the one head before all others.
  TensorRef MakeWithHeadAxis(const Array& array) {
    Shape shape = array.shape;
    shape.insert(shape.begin(), 1);
    return Make(array, std::move(shape));
  }

 private:
  const DataType type_;
  std::list<TensorValue> tensors_;
};

AttentionOptions MakeOptions(const Example& example, Tensors* tensors) {
  AttentionOptions options;
  options.scale = example.scale;
  options.normalization = example.normalization;
  options.multiplicative_mask = tensors->Make(example.multiplicative_mask);
  if (example.causal) options.causal = Causal{};
  if (example.additive_score) {
    options.score = AdditiveScore{
        .query_weight = tensors->Make(example.additive_score->query_weight),
        .key_weight = tensors->Make(example.additive_score->key_weight),
        .vector = tensors->Make(example.additive_score->vector),
    };
  }
  options.return_weights = true;
  options.return_scores = ScoresKind::kMasked;
  return options;
}

absl::StatusOr<AttentionResult> Call(const Example& example, Tensors* tensors,
                                     AttentionClient* client) {
  const AttentionOptions options = MakeOptions(example, tensors);
  Projections projections;
  projections.query = tensors->MakeProjection(example.query_projection);
  projections.key = tensors->MakeProjection(example.key_projection);
  projections.value = tensors->MakeProjection(example.value_projection);
  switch (example.method) {
    case Method::kSelf:
      return client->SelfAttention({.embeddings = tensors->Make(example.query),
                                    .projections = projections,
                                    .head_count = example.head_count,
                                    .options = options});
    case Method::kMasked:
      return client->MaskedAttention({.embeddings = tensors->Make(example.query),
                                      .projections = projections,
                                      .head_count = example.head_count,
                                      .options = options});
    case Method::kMultiHead:
      return client->MultiHeadAttention({.query = tensors->Make(example.query),
                                         .key = tensors->Make(example.key),
                                         .value = tensors->Make(example.value),
                                         .projections = projections,
                                         .head_count = example.head_count,
                                         .options = options});
    case Method::kCross:
      return client->CrossAttention({.query_embeddings = tensors->Make(example.query),
                                     .memory_embeddings = tensors->Make(*example.key),
                                     .projections = projections,
                                     .head_count = example.head_count,
                                     .options = options});
    case Method::kScaledDotProduct:
      break;
  }
  return client->ScaledDotProductAttention({.query = tensors->MakeWithHeadAxis(example.query),
                                            .key = tensors->MakeWithHeadAxis(*example.key),
                                            .value = tensors->MakeWithHeadAxis(*example.value),
                                            .layout = Layout::kHeadsFirst,
                                            .head_count = std::nullopt,
                                            .options = options});
}

Array ToArray(const TensorValue& tensor) {
  return {.shape = tensor.shape(), .numbers = tensor.ToDoubles()};
}

Array WithoutLeadingOne(Array array, size_t axis_count) {
  if (array.shape.size() == axis_count + 1 && array.shape[0] == 1)
    array.shape.erase(array.shape.begin());
  return array;
}

absl::Status WrongShape(absl::string_view name, const Array& got, const std::string& want) {
  return absl::InternalError(
      absl::StrCat("the server's ", name, " has shape ", ToString(got.shape), ", want ", want));
}

// "weights[0][2]" for the element at `index`.
std::string Place(std::string_view name, const Shape& shape, size_t index) {
  std::string place;
  for (size_t axis = shape.size(); axis-- > 0;) {
    const auto extent = static_cast<size_t>(shape[axis]);
    place = absl::StrCat("[", index % extent, "]", place);
    index /= extent;
  }
  return std::string(name) + place;
}

void CompareArray(std::string_view name, const std::optional<Array>& expected, const Array& answer,
                  double tolerance, Comparison* comparison) {
  if (!expected) return;
  const Array actual = WithoutLeadingOne(answer, expected->shape.size());
  if (actual.shape != expected->shape) {
    comparison->differences.push_back({.place = std::string(name) + " shape",
                                       .expected = ToString(expected->shape),
                                       .actual = ToString(actual.shape)});
    return;
  }
  const auto text = [](double number) { return absl::StrFormat("%.*g", kFloat64Digits, number); };
  for (size_t i = 0; i < expected->numbers.size(); ++i) {
    ++comparison->compared_count;
    if (std::abs(actual.numbers[i] - expected->numbers[i]) <= tolerance) continue;
    comparison->differences.push_back({.place = Place(name, expected->shape, i),
                                       .expected = text(expected->numbers[i]),
                                       .actual = text(actual.numbers[i])});
  }
}

void CompareLabel(std::string place, const std::string& expected, const std::string& actual,
                  Comparison* comparison) {
  ++comparison->compared_count;
  if (expected == actual) return;
  comparison->differences.push_back(
      {.place = std::move(place), .expected = expected, .actual = actual});
}

}  // namespace

absl::StatusOr<ExampleAnswer> RunExample(const Example& example, DataType type,
                                         AttentionClient* client) {
  Tensors tensors(type);
  const absl::StatusOr<AttentionResult> result = Call(example, &tensors, client);
  if (!result.ok()) return result.status();
  if (!result->weights || !result->scores) {
    return absl::InternalError(
        "the server answered without the weights or scores it was asked for");
  }
  ExampleAnswer answer = {
      .weights = ToArray(*result->weights),
      .scores = ToArray(*result->scores),
      .output = WithoutLeadingOne(ToArray(result->output), 2),
      .execution = result->execution,
  };
  const int64_t query_count = std::ssize(example.query_labels);
  const Shape wanted = {example.head_count, query_count, std::ssize(example.key_labels)};
  if (answer.weights.shape != wanted)
    return WrongShape("weights", answer.weights, ToString(wanted));
  if (answer.scores.shape != wanted) return WrongShape("scores", answer.scores, ToString(wanted));
  if (answer.output.shape.size() != 2 || answer.output.shape[0] != query_count)
    return WrongShape("output", answer.output, absl::StrCat("[", query_count, ", width]"));
  return answer;
}

std::vector<size_t> StrongestKeys(const ExampleAnswer& answer, size_t head, size_t query,
                                  size_t count) {
  const auto key_count = static_cast<size_t>(answer.weights.shape[2]);
  const double* weights = answer.weights.numbers.data() +
                          (head * static_cast<size_t>(answer.weights.shape[1]) + query) * key_count;
  std::vector<size_t> keys(key_count);
  std::iota(keys.begin(), keys.end(), size_t{0});
  std::ranges::stable_sort(keys, std::greater(), [&](size_t key) { return weights[key]; });
  keys.resize(std::min(count, key_count));
  return keys;
}

Comparison CompareExample(const Example& example, const ExampleAnswer& answer, double tolerance) {
  const Example::Expected& expected = example.expected;
  Comparison comparison;
  CompareArray("weights", expected.weights, answer.weights, tolerance, &comparison);
  CompareArray("scores", expected.scores, answer.scores, tolerance, &comparison);
  CompareArray("output", expected.output, answer.output, tolerance, &comparison);
  for (size_t query = 0; query < expected.strongest.size(); ++query) {
    CompareLabel(absl::StrCat("strongest[", query, "]"), expected.strongest[query],
                 example.key_labels[StrongestKeys(answer, 0, query, 1)[0]], &comparison);
  }
  for (size_t query = 0; query < expected.top3.size(); ++query) {
    const std::vector<size_t> strongest =
        StrongestKeys(answer, 0, query, expected.top3[query].size());
    for (size_t place = 0; place < strongest.size(); ++place) {
      CompareLabel(absl::StrCat("top3[", query, "][", place, "]"), expected.top3[query][place],
                   example.key_labels[strongest[place]], &comparison);
    }
  }
  return comparison;
}

}  // namespace attention::client
