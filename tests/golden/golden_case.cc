#include "tests/golden/golden_case.h"

#include <fstream>
#include <limits>
#include <optional>

#include "nlohmann/json.hpp"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Extents;
using kernels::Normalization;
using kernels::ScoreKind;
using nlohmann::json;

double Number(const json& value) {
  if (!value.is_string()) return value.get<double>();
  return value == "nan" ? std::numeric_limits<double>::quiet_NaN()
                        : -std::numeric_limits<double>::infinity();
}

std::vector<double> Numbers(const json& values) {
  std::vector<double> numbers;
  for (const json& value : values) numbers.push_back(Number(value));
  return numbers;
}

// Those of a field that a case need not have.
template <typename T>
std::vector<T> OptionalNumbers(const json& stored, const char* name) {
  return stored.contains(name) ? stored.at(name).get<std::vector<T>>() : std::vector<T>();
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

std::optional<int64_t> OptionalNumber(const json& stored, const char* name) {
  if (!stored.contains(name) || stored.at(name).is_null()) return std::nullopt;
  return stored.at(name).get<int64_t>();
}

std::optional<kernels::RotaryEmbedding> ReadRotary(const json& stored) {
  if (!stored.contains("rotary")) return std::nullopt;
  const json& rotary = stored.at("rotary");
  return kernels::RotaryEmbedding{.width = rotary.at("width"),
                                  .base = rotary.at("base"),
                                  .position_scale = rotary.at("position_scale"),
                                  .interleaved = rotary.at("interleaved")};
}

// What the recipe says of positions and biases, whose numbers are read afterwards.
void ReadRecipeOptions(const json& stored, ProblemRecipe& recipe) {
  recipe.causal_offset = OptionalNumber(stored, "causal_offset");
  recipe.query_offset = OptionalNumber(stored, "query_offset").value_or(0);
  recipe.left_window = OptionalNumber(stored, "left_window");
  recipe.right_window = OptionalNumber(stored, "right_window");
  recipe.symmetric_alibi = stored.contains("symmetric_alibi");
  recipe.rotary = ReadRotary(stored);
  if (stored.contains("block_mask")) {
    const json& blocks = stored.at("block_mask");
    recipe.block_mask = BlockMaskRecipe{.query_block_size = blocks.at("query_block_size"),
                                        .key_block_size = blocks.at("key_block_size")};
  }
  if (stored.contains("bucketed_bias")) {
    const json& bias = stored.at("bucketed_bias");
    recipe.bucketed_bias =
        BucketedBiasRecipe{.bucket_count = static_cast<int64_t>(bias.at("table").size()),
                           .maximum_distance = bias.at("maximum_distance"),
                           .bidirectional = bias.at("bidirectional")};
  }
}

void ReadProblemOptions(const json& stored, TestProblem& problem) {
  problem.query_offsets = OptionalNumbers<int64_t>(stored, "query_offsets");
  problem.prefix_lengths = OptionalNumbers<int64_t>(stored, "prefix_lengths");
  problem.query_segments = OptionalNumbers<int32_t>(stored, "query_segments");
  problem.key_segments = OptionalNumbers<int32_t>(stored, "key_segments");
  problem.sinks = OptionalNumbers<double>(stored, "sinks");
  problem.temperatures = OptionalNumbers<double>(stored, "temperatures");
  problem.head_factors = OptionalNumbers<double>(stored, "head_factors");
  problem.alibi_slopes = OptionalNumbers<double>(stored, "alibi_slopes");
  if (problem.recipe.bucketed_bias.has_value()) {
    problem.bias_table.clear();
    for (const json& bucket : stored.at("bucketed_bias").at("table")) {
      for (const json& number : bucket) problem.bias_table.push_back(number.get<double>());
    }
  }
  if (problem.recipe.block_mask.has_value()) {
    problem.block_mask =
        ReadMask(stored.at("block_mask"), DataType::kBool, problem.block_mask.extents());
  }
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
  if (stored.contains("softcap")) options.softcap = stored.at("softcap").get<double>();
  if (stored.contains("fully_masked")) {
    options.fully_masked = stored.at("fully_masked") == "nan"       ? kernels::FullyMasked::kNan
                           : stored.at("fully_masked") == "uniform" ? kernels::FullyMasked::kUniform
                                                                    : kernels::FullyMasked::kZeros;
  }
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
  ReadRecipeOptions(stored, recipe);

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
  ReadProblemOptions(stored, problem);
  return problem;
}

kernels::ReferenceResult ReadExpected(const json& expected) {
  const auto numbers = [&](const char* name, const char* otherwise) {
    if (expected.contains(name)) return Numbers(expected.at(name));
    return expected.contains(otherwise) ? Numbers(expected.at(otherwise)) : std::vector<double>();
  };
  kernels::ReferenceResult result = {.output = Numbers(expected.at("output")),
                                     .weights = Numbers(expected.at("weights")),
                                     .raw_scores = Numbers(expected.at("raw_scores")),
                                     .capped_scores = numbers("capped_scores", "raw_scores"),
                                     .masked_scores = Numbers(expected.at("masked_scores"))};
  if (!expected.contains("log_sum_exp")) return result;
  result.softmax = numbers("softmax", "weights");
  result.log_sum_exp = Numbers(expected.at("log_sum_exp"));
  result.entropy = Numbers(expected.at("entropy"));
  result.maximum_weight = Numbers(expected.at("maximum_weight"));
  result.key_mass = Numbers(expected.at("key_mass"));
  return result;
}

}  // namespace

std::vector<GoldenCase> ReadGoldenCases(DataType type) {
  std::vector<GoldenCase> cases;
  for (const char* file : {"softmax.json", "masks.json", "other.json", "options.json"}) {
    std::ifstream stream(std::string(ATTENTION_GOLDEN_FOLDER) + "/" + file);
    const json document = json::parse(stream);
    for (const json& stored : document.at("cases")) {
      if (stored.contains("rotary") && type != DataType::kF64) continue;
      cases.push_back({.name = stored.at("name"),
                       .problem = ReadProblem(stored, type),
                       .expected = ReadExpected(stored.at("expected"))});
    }
  }
  return cases;
}

}  // namespace attention::test
