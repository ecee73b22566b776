#include "server/codec/statistics_codec.h"

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/server/codec/options_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::DecodeOptionsOf;
using test::ExpectRefused;
using test::IsOk;
using test::StatusIs;

v1::AttentionOptions WithScores(v1::ScoresKind kind) {
  v1::AttentionOptions options;
  options.set_return_scores(kind);
  return options;
}

TEST(DecodeReturnsTest, ReturnsNothingUnlessAsked) {
  const auto task = DecodeOptionsOf({});
  ASSERT_THAT(task, IsOk());
  EXPECT_FALSE(task->return_weights);
  EXPECT_EQ(task->options.scores, kernels::ScoresOutput::kNone);
  const Statistics& statistics = task->statistics;
  EXPECT_FALSE(statistics.log_sum_exp || statistics.entropy || statistics.maximum_weight ||
               statistics.key_mass);
  EXPECT_EQ(statistics.top_weight_count, 0);
}

TEST(DecodeReturnsTest, ReadsEveryKindOfScores) {
  const std::pair<v1::ScoresKind, kernels::ScoresOutput> kinds[] = {
      {v1::SCORES_KIND_RAW, kernels::ScoresOutput::kRaw},
      {v1::SCORES_KIND_MASKED, kernels::ScoresOutput::kMasked},
      {v1::SCORES_KIND_CAPPED, kernels::ScoresOutput::kCapped}};
  static_assert(std::size(kinds) == v1::ScoresKind_MAX);
  for (const auto& [wire, kernel] : kinds) {
    const auto task = DecodeOptionsOf(WithScores(wire));
    ASSERT_THAT(task, IsOk());
    EXPECT_EQ(task->options.scores, kernel);
  }
}

// Each field that asks for statistics, its name, and whether they are then returned.
struct StatisticsField {
  std::string path;
  void (*ask)(v1::AttentionOptions&);
  bool (*returned)(const Statistics&);
};
const StatisticsField kFields[] = {
    {"options.return_log_sum_exp", [](v1::AttentionOptions& o) { o.set_return_log_sum_exp(true); },
     [](const Statistics& s) { return s.log_sum_exp; }},
    {"options.return_top_weights", [](v1::AttentionOptions& o) { o.set_return_top_weights(256); },
     [](const Statistics& s) { return s.top_weight_count == 256; }},
    {"options.return_entropy", [](v1::AttentionOptions& o) { o.set_return_entropy(true); },
     [](const Statistics& s) { return s.entropy; }},
    {"options.return_key_mass", [](v1::AttentionOptions& o) { o.set_return_key_mass(true); },
     [](const Statistics& s) { return s.key_mass; }},
    {"options.return_maximum_weight",
     [](v1::AttentionOptions& o) { o.set_return_maximum_weight(true); },
     [](const Statistics& s) { return s.maximum_weight; }},
};

TEST(DecodeReturnsTest, ReturnsTheStatisticThatIsAskedForAndNoOther) {
  for (const StatisticsField& asked : kFields) {
    v1::AttentionOptions options;
    asked.ask(options);
    const auto task = DecodeOptionsOf(options);
    ASSERT_THAT(task, IsOk());
    for (const StatisticsField& field : kFields) {
      EXPECT_EQ(field.returned(task->statistics), &field == &asked) << asked.path << field.path;
    }
  }
}

TEST(DecodeReturnsTest, ReturnsWeightsIfAsked) {
  v1::AttentionOptions options;
  options.set_return_weights(true);
  const auto task = DecodeOptionsOf(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_TRUE(task->return_weights);
}

TEST(DecodeReturnsTest, OffersStatisticsOfTheSoftmaxOverKeysAlone) {
  for (const StatisticsField& field : kFields) {
    for (const auto normalization :
         {v1::NORMALIZATION_NONE, v1::NORMALIZATION_SOFTMAX_OVER_QUERIES}) {
      v1::AttentionOptions options;
      options.set_normalization(normalization);
      field.ask(options);
      EXPECT_THAT(DecodeOptionsOf(options),
                  StatusIs(absl::StatusCode::kUnimplemented,
                           field.path + ": not offered with options.normalization " +
                               v1::Normalization_Name(normalization)));
    }
  }
}

TEST(DecodeReturnsTest, RefusesWhatContradictsTheContract) {
  v1::AttentionOptions too_many;
  too_many.set_return_top_weights(257);
  v1::AttentionOptions too_few;
  too_few.set_return_top_weights(-1);
  ExpectRefused({
      {WithScores(static_cast<v1::ScoresKind>(4)), "options.return_scores: got 4, want 0 to 3"},
      {too_many, "options.return_top_weights: got 257, want <= 256"},
      {too_few, "options.return_top_weights: got -1, want >= 0"},
  });
}

}  // namespace
}  // namespace attention::server
