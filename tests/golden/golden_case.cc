#include "tests/golden/golden_case.h"

#include <fstream>
#include <limits>

#include "nlohmann/json.hpp"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Extents;
using kernels::Normalization;
using kernels::ScoreKind;
using nlohmann::json;

std::vector<double> Numbers(const json& values) {
  std::vector<double> numbers;
  for (const json& value : values) {
    numbers.push_back(value.is_string() ? -std::numeric_limits<double>::infinity()
                                        : value.get<double>());
  }
  return numbers;
}

Extents ReadExtents(const json& tensor) { return tensor.at("extents").get<Extents>(); }

void FillFrom(const json& values, TestTensor& tensor) {
  const std::vector<double> numbers = Numbers(values);
  size_t next = 0;
  tensor.Fill([&] { return numbers.at(next++); });
}

// A mask whose axes of extent 1 broadcast to `extents`.
TestTensor ReadMask(const json& stored, DataType type, const Extents& extents) {
  if (stored.is_null()) return {};
  const Extents stored_extents = ReadExtents(stored);
  std::array<bool, 4> broadcast;
  for (size_t axis = 0; axis < 4; ++axis) broadcast[axis] = stored_extents[axis] == 1;
  TestTensor mask = TestTensor::Mask(type, extents, broadcast);
  const std::vector<double> numbers = Numbers(stored.at("values"));
  size_t next = 0;
  for (int64_t b = 0; b < stored_extents[0]; ++b) {
    for (int64_t h = 0; h < stored_extents[1]; ++h) {
      for (int64_t i = 0; i < stored_extents[2]; ++i) {
        for (int64_t j = 0; j < stored_extents[3]; ++j) mask.Set(b, h, i, j, numbers.at(next++));
      }
    }
  }
  return mask;
}

// A matrix, or a vector as a matrix of one row; absent if the case has none.
TestTensor ReadParameter(const json& stored, const char* name, DataType type) {
  if (!stored.contains(name)) return {};
  json rows = stored.at(name);
  if (!rows.at(0).is_array()) rows = json::array({rows});
  TestTensor matrix(
      type, {1, 1, static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.at(0).size())});
  std::vector<double> numbers;
  for (const json& row : rows) {
    for (const json& number : row) numbers.push_back(number.get<double>());
  }
  FillFrom(numbers, matrix);
  return matrix;
}

kernels::AttentionOptions ReadOptions(const json& stored) {
  kernels::AttentionOptions options;
  if (!stored.at("scale").is_null()) options.scale = stored.at("scale").get<double>();
  const std::string score = stored.at("score");
  options.score = score == "dot"       ? ScoreKind::kDotProduct
                  : score == "general" ? ScoreKind::kGeneral
                                       : ScoreKind::kAdditive;
  const std::string normalization = stored.at("normalization");
  options.normalization = normalization == "keys"      ? Normalization::kSoftmaxOverKeys
                          : normalization == "queries" ? Normalization::kSoftmaxOverQueries
                                                       : Normalization::kNone;
  return options;
}

TestProblem ReadProblem(const json& stored, DataType type) {
  const Extents query = ReadExtents(stored.at("query"));
  const Extents key = ReadExtents(stored.at("key"));
  ProblemRecipe recipe;
  recipe.batch = query[0];
  recipe.query_head_count = query[1];
  recipe.key_value_head_count = key[1];
  recipe.query_count = query[2];
  recipe.key_count = key[2];
  recipe.key_width = query[3];
  recipe.value_width = ReadExtents(stored.at("value"))[3];
  recipe.type = type;
  recipe.options = ReadOptions(stored);
  recipe.weights = true;
  if (!stored.at("causal_offset").is_null())
    recipe.causal_offset = stored.at("causal_offset").get<int64_t>();

  TestProblem problem(recipe);
  FillFrom(stored.at("query").at("values"), problem.query);
  FillFrom(stored.at("key").at("values"), problem.key);
  FillFrom(stored.at("value").at("values"), problem.value);
  const Extents scores = {query[0], query[1], query[2], key[2]};
  problem.boolean_mask = ReadMask(stored.at("boolean_mask"), DataType::kBool, scores);
  problem.additive_mask = ReadMask(stored.at("additive_mask"), type, scores);
  problem.multiplicative_mask = ReadMask(stored.at("multiplicative_mask"), type, scores);
  problem.score_first_weight = ReadParameter(stored, "first_weight", type);
  problem.score_second_weight = ReadParameter(stored, "second_weight", type);
  problem.score_vector = ReadParameter(stored, "vector", type);
  if (!stored.at("key_lengths").is_null())
    problem.key_lengths = stored.at("key_lengths").get<std::vector<int64_t>>();
  return problem;
}

}  // namespace

std::vector<GoldenCase> ReadGoldenCases(DataType type) {
  std::vector<GoldenCase> cases;
  for (const char* file : {"softmax.json", "masks.json", "other.json"}) {
    std::ifstream stream(std::string(ATTENTION_GOLDEN_FOLDER) + "/" + file);
    const json document = json::parse(stream);
    for (const json& stored : document.at("cases")) {
      const json& expected = stored.at("expected");
      cases.push_back({.name = stored.at("name"),
                       .problem = ReadProblem(stored, type),
                       .expected = {.output = Numbers(expected.at("output")),
                                    .weights = Numbers(expected.at("weights")),
                                    .raw_scores = Numbers(expected.at("raw_scores")),
                                    .capped_scores = Numbers(expected.at("raw_scores")),
                                    .masked_scores = Numbers(expected.at("masked_scores"))}});
    }
  }
  return cases;
}

}  // namespace attention::test
