#include <cmath>
#include <fstream>
#include <vector>

#include "client/array/npy_array.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;

using OperatorCommandsTest = ApplicationFixture;

constexpr const char* kTwoByTwo = "[[1,2],[3,4]]";

std::vector<float> Floats(const v1::Tensor& tensor) {
  std::vector<float> numbers(tensor.raw().size() / sizeof(float));
  std::copy_n(tensor.raw().data(), tensor.raw().size(), reinterpret_cast<char*>(numbers.data()));
  return numbers;
}

TEST_F(OperatorCommandsTest, RotaryMakesTablesOfABaseAndShowsAMatrixAsOne) {
  AnswerWith("output { shape: [1, 1, 2, 2] floats: [5, 6, 7, 8] }");
  EXPECT_EQ(Call({"rotary", "--input", "-", "--output", "json"}, kTwoByTwo), ExitCode::kOk) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["output"], nlohmann::json::parse("[[5,6],[7,8]]"));
  const auto request = service_.last_request<v1::ApplyRotaryEmbeddingRequest>();
  EXPECT_THAT(request.input().shape(), ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(request.cos().shape(), ElementsAre(1, 2, 1));
  EXPECT_THAT(Floats(request.cos()), ElementsAre(1, FloatEq(std::cos(1.0F))));
  EXPECT_THAT(Floats(request.sin()), ElementsAre(0, FloatEq(std::sin(1.0F))));
  EXPECT_FALSE(request.has_position_ids() || request.interleaved());
  EXPECT_EQ(request.rotary_width(), 0);
}

TEST_F(OperatorCommandsTest, RotaryNamesMatricesByTheAxesOfItsInput) {
  AnswerWith("output { shape: [1, 2, 1, 2] floats: [5, 6, 7, 8] }");
  EXPECT_EQ(Call({"rotary", "--input", "-"}, "[[[1,2]],[[3,4]]]"), ExitCode::kOk) << err_;
  EXPECT_THAT(out_, HasSubstr("\noutput, head 1\n"));
  AnswerWith("output { shape: [2, 1, 2] floats: [5, 6, 7, 8] }");
  EXPECT_EQ(Call({"rotary", "--input", "-", "--heads", "1"}, "[[[1,2]],[[3,4]]]"), ExitCode::kOk)
      << err_;
  EXPECT_THAT(out_, HasSubstr("\noutput, sequence 1\n"));
}

TEST_F(OperatorCommandsTest, AnAnswerOfOtherAxesLosesNoNumbers) {
  AnswerWith("output { shape: [1, 2, 1, 2] floats: [5, 6, 7, 8] }");
  EXPECT_EQ(Call({"rotary", "--input", "-", "--output", "json"}, "[[1,2]]"), ExitCode::kOk) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["output"], nlohmann::json::parse("[[[5,6]],[[7,8]]]"));
}

TEST_F(OperatorCommandsTest, RotaryTablesHaveTheRowsOfThePositionsAlone) {
  AnswerWith("output { shape: [1, 1, 3, 2] floats: [5, 6, 7, 8, 9, 10] }");
  EXPECT_EQ(Call({"rotary", "--input", "-", "--position-ids", "2000000000,3,2000000000"},
                 "[[1,2],[3,4],[5,6]]"),
            ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::ApplyRotaryEmbeddingRequest>();
  EXPECT_THAT(request.position_ids().shape(), ElementsAre(1, 3));
  EXPECT_EQ(request.position_ids().raw(), std::string("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0"
                                                      "\0\0\0\0",
                                                      24));
  EXPECT_THAT(request.cos().shape(), ElementsAre(2, 1));
  EXPECT_THAT(Floats(request.cos()),
              ElementsAre(FloatEq(std::cos(3.0)), FloatEq(std::cos(2000000000.0))));
}

TEST_F(OperatorCommandsTest, RotaryTakesTablesAndPackedHeads) {
  const std::string table = File("t.json", "[[1],[2]]");
  EXPECT_EQ(Call({"rotary", "--input", "-", "--heads", "2", "--cos", table, "--sin", table,
                  "--rotary-width", "2", "--interleaved"},
                 "[[[1,2,3,4],[5,6,7,8]]]"),
            ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::ApplyRotaryEmbeddingRequest>();
  EXPECT_THAT(request.input().shape(), ElementsAre(1, 2, 4));
  EXPECT_EQ(request.head_count(), 2);
  EXPECT_THAT(request.cos().shape(), ElementsAre(1, 2, 1));
  EXPECT_EQ(request.rotary_width(), 2);
  EXPECT_TRUE(request.interleaved());
}

TEST_F(OperatorCommandsTest, TablesThatWouldBeHugeAreRefused) {
  ExpectUsageError({"rotary", "--input", "-", "--position-ids", "1,-1"},
                   "--position-ids: got -1, want >= 0", kTwoByTwo);
  const std::string no_heads =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 0, 1048576, 1), }";
  ExpectUsageError(
      {"rotary", "--input", "-", "--rotary-width", "2"}, "would have 68719476736 numbers each",
      std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(no_heads.size()) + '\0' + no_heads);
  ExpectUsageError({"rotary", "--input", "-"}, "--input: shape [1] has 1 axes", "[1]");
  ExpectUsageError({"rotary", "--input", "-", "--sin", "-"}, "--cos", kTwoByTwo);
}

TEST_F(OperatorCommandsTest, MergeSendsEveryState) {
  AnswerWith(R"(output { shape: [1, 2, 2] floats: [5, 6, 7, 8] }
                log_sum_exp { shape: [1, 2] floats: [9, 10] })");
  const std::string output = File("o.json", kTwoByTwo);
  const std::string log_sum_exp = File("l.json", "[3,4]");
  const std::string saved = folder_ + "/merged.npy";
  EXPECT_EQ(
      Call({"merge", "--state", output + "," + log_sum_exp, "--state", output + "," + log_sum_exp,
            "--output", "json", "--save", "log-sum-exp=" + saved}),
      ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::MergeAttentionStatesRequest>();
  ASSERT_EQ(request.states_size(), 2);
  EXPECT_THAT(request.states(1).output().shape(), ElementsAre(1, 2, 2));
  EXPECT_THAT(request.states(1).log_sum_exp().shape(), ElementsAre(1, 2));
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["output"], nlohmann::json::parse("[[5,6],[7,8]]"));
  EXPECT_EQ(json["log_sum_exp"], nlohmann::json::parse("[9,10]"));
  std::ifstream file(saved, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(ParseNpyArray(bytes).value().numbers, ElementsAre(9, 10));
}

TEST_F(OperatorCommandsTest, AStateIsTwoFiles) {
  ExpectUsageError({"merge", "--state", File("o.json", kTwoByTwo)}, "want OUTPUT,LSE, two files");
  ExpectUsageError({"merge"}, "--state");
}

}  // namespace
}  // namespace attention::client
