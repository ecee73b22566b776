#include <fstream>
#include <utility>

#include "client/array/npy_array.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using AttentionCommandsTest = ApplicationFixture;

constexpr const char* kTwoByTwo = "[[1,2],[3,4]]";

constexpr const char* kAnswerTwoByTwo = R"(
    output { data_type: DATA_TYPE_F32 shape: [2, 2] floats: [1, 2, 3, 4] }
    weights { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [0.25, 0.75, 1, 0] }
    scores { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [5, 6, 7, -inf] }
    execution { implementation: "fused" precision: "f32" thread_count: 1
                compute_ns: 2000000 queue_ns: 1000 })";

TEST_F(AttentionCommandsTest, TablesHaveLabelsAndPictures) {
  AnswerWith(kAnswerTwoByTwo);
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--labels", "나는,I", "--heatmap", "--scores",
                  "masked", "--precision-digits", "2"},
                 kTwoByTwo),
            ExitCode::kOk)
      << err_;
  EXPECT_EQ(out_,
            "output\n        0    1\n나는 1.00 2.00\nI    3.00 4.00\n\n"
            "scores\n     나는    I\n나는 5.00 6.00\nI    7.00 -inf\n\n"
            "weights\n     나는    I\n나는 0.25 0.75\nI    1.00 0.00\n\n"
            "heat map of weights\n     나는    I\n나는 ░░░░░ ▓▓▓▓▓\nI    █████\n0.0000 [  "
            "░░▒▒▓▓██] 1.0000\n\n"
            "computed by fused in f32 on 1 thread in 2.000 ms, after 0.001 ms in the queue\n");
}

TEST_F(AttentionCommandsTest, MatricesOfABatchAreNamedBySequenceAndHead) {
  AnswerWith(R"(output { shape: [2, 1, 1] floats: [1, 2] }
                weights { shape: [2, 2, 1, 1] floats: [1, 1, 1, 1] }
                entropy { shape: [2, 2, 1] floats: [0, 0, 0, 0] })");
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--heatmap"}, "[[[1]],[[2]]]"), ExitCode::kOk);
  for (const char* title :
       {"output, sequence 1\n", "\nweights, sequence 0, head 1\n",
        "\nheat map of weights, sequence 1, head 0\n", "\neach query, sequence 1, head 1\n"}) {
    EXPECT_THAT(out_, HasSubstr(title));
  }
}

TEST_F(AttentionCommandsTest, OutputsOfReadyQueriesAreNamedByTheirLayout) {
  AnswerWith("output { shape: [1, 2, 2, 1] floats: [1, 2, 3, 4] }");
  const std::string ready = File("x.json", "[[[[1],[2]],[[3],[4]]]]");
  std::vector<std::string> command = {"sdpa", "--query", ready, "--key", ready, "--value", ready};
  EXPECT_EQ(Call(command), ExitCode::kOk) << err_;
  EXPECT_THAT(out_, StartsWith("output, head 0\n"));
  command.insert(command.end(), {"--layout", "sequence-first"});
  EXPECT_EQ(Call(command), ExitCode::kOk) << err_;
  EXPECT_THAT(out_, StartsWith("output, query 0\n")) << "its rows are heads";
}

TEST_F(AttentionCommandsTest, PackedOutputsHaveSequencesAlone) {
  AnswerWith("output { shape: [2, 1, 2] floats: [1, 2, 3, 4] }");
  const std::string packed = File("x.json", "[[[1,2]],[[3,4]]]");
  EXPECT_EQ(Call({"sdpa", "--query", packed, "--key", packed, "--value", packed, "--layout",
                  "packed", "--heads", "2"}),
            ExitCode::kOk)
      << err_;
  EXPECT_THAT(out_, HasSubstr("\noutput, sequence 1\n"));
}

TEST_F(AttentionCommandsTest, AWrongAnswerIsExitCodeOneOrShownAsItIs) {
  const std::string output = "output { shape: [1, 1] floats: 1 } ";
  const auto self = [&] { return Call({"self", "--embeddings", "-"}, "[[1]]"); };
  AnswerWith(output + "entropy { shape: 1 floats: 1 } log_sum_exp { shape: 2 floats: [1, 2] }");
  EXPECT_EQ(self(), ExitCode::kServer);
  EXPECT_THAT(err_, HasSubstr("entropy: shape [1], but log_sum_exp has [2]"));
  AnswerWith(output + "entropy { floats: 4 } weights { shape: [1048576, 0] }");
  EXPECT_EQ(self(), ExitCode::kOk);
  EXPECT_THAT(out_, HasSubstr("weights is empty: shape [1048576, 0]\n"));
  EXPECT_THAT(out_, HasSubstr("each query\n   entropy\n0 4.000000\n"));
}

TEST_F(AttentionCommandsTest, JsonIsOneLineThatParses) {
  AnswerWith(kAnswerTwoByTwo);
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--output", "json"}, kTwoByTwo), ExitCode::kOk);
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["output"], nlohmann::json::parse(kTwoByTwo));
  EXPECT_EQ(json["scores"][0][1][1], "-Infinity");
  EXPECT_EQ(json["execution"]["implementation"], "fused");
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
}

TEST_F(AttentionCommandsTest, NpyHoldsTheTensorAskedFor) {
  AnswerWith(kAnswerTwoByTwo);
  const std::string path = folder_ + "/weights.npy";
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--output", "npy", "--tensor", "weights",
                  "--output-file", path},
                 kTwoByTwo),
            ExitCode::kOk);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(ParseNpyArray(bytes).value().numbers, ElementsAre(0.25, 0.75, 1, 0));
  EXPECT_TRUE(service_.last_request<v1::SelfAttentionRequest>().options().return_weights());
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--output", "npy", "--tensor", "scores"}, kTwoByTwo),
            ExitCode::kOk);
  EXPECT_THAT(out_, StartsWith("\x93NUMPY"));
  EXPECT_EQ(service_.last_request<v1::SelfAttentionRequest>().options().return_scores(),
            v1::SCORES_KIND_MASKED);
}

TEST_F(AttentionCommandsTest, NpyDoesNotGoToATerminal) {
  is_terminal_ = true;
  ExpectUsageError({"self", "--embeddings", "-", "--output", "npy"}, "--output-file", kTwoByTwo);
}

TEST_F(AttentionCommandsTest, EveryOptionReachesTheRequest) {
  const std::string weight = File("w.json", "[[1,0],[0,1]]");
  const std::string bias = File("b.csv", "1,2\n");
  const std::string mask = File("m.json", "[[true,false],[true,true]]");
  const std::string factors = File("f.csv", "1,-inf\n");
  EXPECT_EQ(Call({"masked",
                  "--embeddings",
                  "-",
                  "--query-weight",
                  weight,
                  "--query-bias",
                  bias,
                  "--key-weight",
                  weight,
                  "--value-weight",
                  weight,
                  "--output-weight",
                  weight,
                  "--output-bias",
                  bias,
                  "--heads",
                  "2",
                  "--scale",
                  "-0.5",
                  "--normalization",
                  "none",
                  "--general-score",
                  weight,
                  "--boolean-mask",
                  mask,
                  "--additive-mask",
                  factors,
                  "--multiplicative-mask",
                  factors,
                  "--causal=-1",
                  "--key-lengths",
                  "2",
                  "--weights",
                  "--scores",
                  "raw",
                  "--type",
                  "f16"},
                 kTwoByTwo),
            ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::MaskedAttentionRequest>();
  EXPECT_EQ(request.embeddings().data_type(), v1::DATA_TYPE_F16);
  EXPECT_EQ(request.head_count(), 2);
  EXPECT_THAT(request.projections().query().weight().shape(), ElementsAre(2, 2));
  EXPECT_THAT(request.projections().query().bias().shape(), ElementsAre(2));
  EXPECT_TRUE(request.projections().has_key());
  EXPECT_TRUE(request.projections().has_value());
  EXPECT_THAT(request.projections().output().bias().shape(), ElementsAre(2));
  const v1::AttentionOptions& options = request.options();
  EXPECT_EQ(options.scale(), -0.5);
  EXPECT_EQ(options.normalization(), v1::NORMALIZATION_NONE);
  EXPECT_THAT(options.general_score().weight().shape(), ElementsAre(2, 2));
  EXPECT_EQ(options.boolean_mask().raw(), std::string("\1\0\1\1", 4));
  EXPECT_EQ(options.additive_mask().raw(), std::string("\x00\x3c\x00\xfc", 4))
      << "1 and -inf in binary16";
  EXPECT_TRUE(options.has_multiplicative_mask());
  EXPECT_EQ(options.causal().alignment(), v1::CAUSAL_ALIGNMENT_OFFSET);
  EXPECT_EQ(options.causal().offset(), -1);
  EXPECT_THAT(options.key_lengths().shape(), ElementsAre(1));
  EXPECT_TRUE(options.return_weights());
  EXPECT_EQ(options.return_scores(), v1::SCORES_KIND_RAW);
}

TEST_F(AttentionCommandsTest, APrecisionIsSentIfItIsGiven) {
  EXPECT_EQ(Call({"self", "--embeddings", "-"}, kTwoByTwo), ExitCode::kOk) << err_;
  EXPECT_EQ(service_.last_request<v1::SelfAttentionRequest>().options().precision(),
            v1::PRECISION_UNSPECIFIED);
  const std::pair<const char*, v1::Precision> words[] = {
      {"f32", v1::PRECISION_F32},
      {"bf16_x6", v1::PRECISION_BF16_X6},
      {"bf16_x3", v1::PRECISION_BF16_X3},
      {"bf16", v1::PRECISION_BF16},
      {"f32_grade_fastest", v1::PRECISION_F32_GRADE_FASTEST},
  };
  for (const auto& [word, precision] : words) {
    EXPECT_EQ(Call({"self", "--embeddings", "-", "--precision", word}, kTwoByTwo), ExitCode::kOk)
        << err_;
    EXPECT_EQ(service_.last_request<v1::SelfAttentionRequest>().options().precision(), precision);
  }
}

TEST_F(AttentionCommandsTest, AnUnknownPrecisionIsAUsageError) {
  ExpectUsageError({"self", "--embeddings", "-", "--precision", "f8"}, "--precision", kTwoByTwo);
}

TEST_F(AttentionCommandsTest, CausalNeedsNoValue) {
  EXPECT_EQ(Call({"masked", "--causal", "--embeddings", "-"}, kTwoByTwo), ExitCode::kOk) << err_;
  const auto equal = service_.last_request<v1::MaskedAttentionRequest>();
  EXPECT_TRUE(equal.options().has_causal());
  EXPECT_EQ(equal.options().causal().alignment(), v1::CAUSAL_ALIGNMENT_UNSPECIFIED);
  EXPECT_EQ(Call({"masked", "--causal", "bottom-right", "--embeddings", "-"}, kTwoByTwo),
            ExitCode::kOk);
  EXPECT_EQ(service_.last_request<v1::MaskedAttentionRequest>().options().causal().alignment(),
            v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT);
}

TEST_F(AttentionCommandsTest, AnAdditiveScoreTakesThreeFiles) {
  const std::string weight = File("w.json", kTwoByTwo);
  const std::string vector = File("v.csv", "1\n2\n");
  EXPECT_EQ(
      Call({"cross", "--query", weight, "--memory", weight, "--additive-score-query-weight", weight,
            "--additive-score-key-weight", weight, "--additive-score-vector", vector}),
      ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::CrossAttentionRequest>();
  EXPECT_THAT(request.options().additive_score().vector().shape(), ElementsAre(2));
}

TEST_F(AttentionCommandsTest, MatricesForScaledDotProductGetAHeadAndLoseItAgain) {
  AnswerWith(R"(output { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [1, 2, 3, 4] }
                weights { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [1, 0, 0, 1] })");
  const std::string matrix = File("x.json", kTwoByTwo);
  EXPECT_EQ(
      Call({"sdpa", "--query", matrix, "--key", matrix, "--value", matrix, "--output", "json"}),
      ExitCode::kOk)
      << err_;
  EXPECT_THAT(service_.last_request<v1::ScaledDotProductAttentionRequest>().query().shape(),
              ElementsAre(1, 2, 2));
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["output"], nlohmann::json::parse(kTwoByTwo));
  EXPECT_EQ(json["weights"], nlohmann::json::parse("[[1,0],[0,1]]"));
  EXPECT_EQ(Call({"sdpa", "--query", matrix, "--key", matrix, "--value", matrix, "--layout",
                  "sequence-first"}),
            ExitCode::kOk);
  EXPECT_THAT(service_.last_request<v1::ScaledDotProductAttentionRequest>().query().shape(),
              ElementsAre(2, 1, 2));
}

TEST_F(AttentionCommandsTest, MultiHeadAndPackedHeadCountsReachTheRequest) {
  const std::string matrix = File("x.json", kTwoByTwo);
  EXPECT_EQ(
      Call({"multi-head", "--query", matrix, "--value", matrix, "--heads", "2", "--kv-heads", "1"}),
      ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::MultiHeadAttentionRequest>();
  EXPECT_EQ(request.head_count(), 2);
  EXPECT_EQ(request.key_value_head_count(), 1);
  EXPECT_FALSE(request.has_key());
  EXPECT_TRUE(request.has_value());
  EXPECT_EQ(Call({"sdpa", "--query", matrix, "--key", matrix, "--value", matrix, "--layout",
                  "packed", "--heads", "2"}),
            ExitCode::kOk);
  const auto packed = service_.last_request<v1::ScaledDotProductAttentionRequest>();
  EXPECT_EQ(packed.layout(), v1::LAYOUT_PACKED);
  EXPECT_EQ(packed.head_count(), 2);
}

}  // namespace
}  // namespace attention::client
