#include "client/examples/example.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/array/json_array.h"
#include "client/terminal/labelled_matrix.h"
#include "nlohmann/json.hpp"

namespace attention::client {
namespace {

using nlohmann::json;

constexpr std::pair<std::string_view, Normalization> kNormalizations[] = {
    {"softmax-over-keys", Normalization::kSoftmaxOverKeys},
    {"softmax-over-queries", Normalization::kSoftmaxOverQueries},
    {"none", Normalization::kNone},
};

// Reads the fields of one JSON object, and remembers the first problem and which fields were read.
class Fields {
 public:
  Fields(const json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object_.is_object()) Fail("is not an object");
  }

  void Read(const char* name, std::optional<Array>* array) {
    const json* field = Find(name);
    if (field == nullptr) return;
    absl::StatusOr<Array> parsed = ArrayFromJson(*field);
    if (parsed.ok()) {
      *array = *std::move(parsed);
    } else {
      Fail(absl::StrCat(".", name, ": ", parsed.status().message()));
    }
  }

  void ReadRequired(const char* name, Array* array) {
    std::optional<Array> read;
    Read(name, &read);
    if (read) {
      *array = *std::move(read);
    } else {
      Fail(absl::StrCat(" lacks ", name));
    }
  }

  // Anything that the JSON library converts by itself, where `right_type` says that it can.
  template <typename T>
  void Read(const char* name, bool (*right_type)(const json&), T* value) {
    const json* field = Find(name);
    if (field == nullptr) return;
    if (!right_type(*field)) return Fail(absl::StrCat(".", name, " has the wrong type"));
    *value = field->template get<T>();
  }

  template <typename T, size_t count>
  void ReadWord(const char* name, const std::pair<std::string_view, T> (&words)[count], T* value) {
    const json* field = Find(name);
    for (const auto& [word, meaning] : words) {
      if (field != nullptr && *field == word) {
        *value = meaning;
        return;
      }
    }
    Fail(absl::StrCat(".", name, " is missing or unknown"));
  }

  const json* Find(const char* name) {
    read_.insert(name);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }

  absl::Status Finish() {
    for (const auto& [name, value] : object_.items()) {
      if (!read_.contains(name)) Fail(absl::StrCat(".", name, " is unknown"));
    }
    return status_;
  }

  void Fail(absl::string_view problem) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(path_, problem));
  }

 private:
  const json& object_;
  const std::string path_;
  std::set<std::string> read_;
  absl::Status status_;
};

bool IsString(const json& value) { return value.is_string(); }
bool IsBoolean(const json& value) { return value.is_boolean(); }
bool IsNumber(const json& value) { return value.is_number(); }
bool IsInteger(const json& value) { return value.is_number_integer(); }

template <bool (*is_element)(const json&)>
bool IsListOf(const json& value) {
  if (!value.is_array()) return false;
  for (const json& element : value) {
    if (!is_element(element)) return false;
  }
  return true;
}

absl::Status ReadProjections(const json& object, Example* example) {
  Fields fields(object, "projections");
  fields.Read("query", &example->query_projection);
  fields.Read("key", &example->key_projection);
  fields.Read("value", &example->value_projection);
  return fields.Finish();
}

absl::Status ReadAdditiveScore(const json& object, Example* example) {
  Fields fields(object, "additive_score");
  Example::AdditiveScore& score = example->additive_score.emplace();
  fields.ReadRequired("query_weight", &score.query_weight);
  fields.ReadRequired("key_weight", &score.key_weight);
  fields.ReadRequired("vector", &score.vector);
  return fields.Finish();
}

absl::Status ReadExpected(const json& object, Example* example) {
  Fields fields(object, "expected");
  Example::Expected& expected = example->expected;
  fields.Read("weights", &expected.weights);
  fields.Read("scores", &expected.scores);
  fields.Read("output", &expected.output);
  fields.Read("strongest", IsListOf<IsString>, &expected.strongest);
  fields.Read("top3", IsListOf<IsListOf<IsString>>, &expected.top3);
  if (!expected.weights && !expected.scores && !expected.output) fields.Fail(" holds no numbers");
  return fields.Finish();
}

absl::Status ReadNested(Fields* fields, const char* name,
                        absl::Status (*read)(const json&, Example*), Example* example) {
  const json* object = fields->Find(name);
  return object == nullptr ? absl::OkStatus() : read(*object, example);
}

void ReadInputs(Fields* fields, Example* example) {
  switch (example->method) {
    case Method::kSelf:
    case Method::kMasked:
      return fields->ReadRequired("embeddings", &example->query);
    case Method::kCross:
      fields->ReadRequired("query", &example->query);
      return fields->ReadRequired("memory", &example->key.emplace());
    case Method::kMultiHead:
      fields->ReadRequired("query", &example->query);
      fields->Read("key", &example->key);
      return fields->Read("value", &example->value);
    case Method::kScaledDotProduct:
      fields->ReadRequired("query", &example->query);
      fields->ReadRequired("key", &example->key.emplace());
      return fields->ReadRequired("value", &example->value.emplace());
  }
}

// Absent labels are numbered; present ones must be as many as the rows they name.
absl::Status CompleteLabels(const Array& rows, const std::string& prefix,
                            std::vector<std::string>* labels) {
  if (rows.shape.size() != 2) return absl::InvalidArgumentError(prefix + "inputs are not a matrix");
  const auto count = static_cast<size_t>(rows.shape[0]);
  if (labels->empty()) *labels = NumberedLabels(prefix, count);
  if (labels->size() == count) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(labels->size(), " ", prefix, "labels for ", count, " rows"));
}

// Each query's strongest key, and its three strongest, for all queries or for none.
absl::Status CheckExpectedLabels(const Example& example) {
  const size_t query_count = example.query_labels.size();
  const auto& [weights, scores, output, strongest, top3] = example.expected;
  bool complete = strongest.empty() || strongest.size() == query_count;
  complete = complete && (top3.empty() || top3.size() == query_count);
  for (const std::vector<std::string>& labels : top3) {
    complete = complete && labels.size() == 3 && example.key_labels.size() >= 3;
  }
  return complete ? absl::OkStatus()
                  : absl::InvalidArgumentError("expected.strongest or expected.top3 is incomplete");
}

absl::Status ReadExample(const json& object, Example* example) {
  Fields fields(object, "example");
  fields.Read("name", IsString, &example->name);
  fields.Read("title", IsString, &example->title);
  fields.Read("note", IsString, &example->note);
  fields.ReadWord("method", kMethodWords, &example->method);
  fields.Read("query_labels", IsListOf<IsString>, &example->query_labels);
  fields.Read("key_labels", IsListOf<IsString>, &example->key_labels);
  ReadInputs(&fields, example);
  fields.Read("head_count", IsInteger, &example->head_count);
  double scale = 0;
  fields.Read("scale", IsNumber, &scale);
  if (fields.Find("scale") != nullptr) example->scale = scale;
  fields.ReadWord("normalization", kNormalizations, &example->normalization);
  fields.Read("multiplicative_mask", &example->multiplicative_mask);
  fields.Read("causal", IsBoolean, &example->causal);
  absl::Status status = ReadNested(&fields, "projections", ReadProjections, example);
  status.Update(ReadNested(&fields, "additive_score", ReadAdditiveScore, example));
  if (fields.Find("expected") == nullptr) fields.Fail(" lacks expected");
  status.Update(ReadNested(&fields, "expected", ReadExpected, example));
  status.Update(fields.Finish());
  return status;
}

}  // namespace

absl::StatusOr<Example> ParseExample(std::string_view text) {
  const json object = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) return absl::InvalidArgumentError("the example is not JSON");
  Example example;
  absl::Status status = ReadExample(object, &example);
  if (!status.ok()) return status;
  status.Update(CompleteLabels(example.query, "query ", &example.query_labels));
  status.Update(CompleteLabels(example.key.value_or(example.query), "key ", &example.key_labels));
  status.Update(CheckExpectedLabels(example));
  if (!status.ok()) return status;
  return example;
}

}  // namespace attention::client
