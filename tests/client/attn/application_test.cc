#include "client/attn/application.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "client/array/npy_array.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/fake_service.h"

namespace attention::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class ApplicationTest : public ::testing::Test {
 protected:
  ApplicationTest() { std::filesystem::create_directories(folder_); }
  ~ApplicationTest() override { std::filesystem::remove_all(folder_); }

  // Runs attn; the output and error texts are in out_ and err_.
  ExitCode Run(std::vector<std::string> arguments, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    const ExitCode code = RunAttn(arguments, {.in = in, .out = out, .err = err, .out_is_terminal = is_terminal_});
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  // The same against the fake service.
  ExitCode Call(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.end(), {"--server", service_.address()});
    return Run(std::move(arguments), input);
  }

  // Expects exit code 2 and one sentence with `text` in it.
  void ExpectUsageError(std::vector<std::string> arguments, const std::string& text, const std::string& input = "") {
    EXPECT_EQ(Call(arguments, input), ExitCode::kUsage) << text;
    EXPECT_THAT(err_, AllOf(StartsWith("attn: "), HasSubstr(text), EndsWith("\n")));
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
    EXPECT_THAT(out_, IsEmpty());
    EXPECT_EQ(service_.call_count(), 0) << "a wrong command line must not reach a server";
  }

  std::string File(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  void AnswerWith(const std::string& text_proto) {
    v1::AttentionResponse response;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text_proto, &response));
    service_.AnswerWith(response);
  }

  FakeService service_;
  bool is_terminal_ = false;
  std::string out_;
  std::string err_;
  const std::string folder_ = ::testing::TempDir() + "attn_application_test";
};

constexpr const char* kTwoByTwo = "[[1,2],[3,4]]";
constexpr const char* kAnswerTwoByTwo = R"(
    output { data_type: DATA_TYPE_F32 shape: [2, 2] floats: [1, 2, 3, 4] }
    weights { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [0.25, 0.75, 1, 0] }
    scores { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [5, 6, 7, -inf] }
    execution { implementation: "fused" precision: "f32" thread_count: 1 compute_ns: 2000000 queue_ns: 1000 })";

TEST_F(ApplicationTest, HelpIsNoError) {
  EXPECT_EQ(Run({"--help"}), ExitCode::kOk);
  EXPECT_THAT(out_, AllOf(HasSubstr("multi-head"), HasSubstr("Examples:"), HasSubstr("Exit codes:")));
  for (const char* command : {"self", "masked", "multi-head", "cross", "sdpa", "example", "info", "health", "version"}) {
    EXPECT_EQ(Run({command, "--help"}), ExitCode::kOk) << command;
    EXPECT_THAT(out_, AllOf(HasSubstr("--server"), HasSubstr("Example"))) << command;
    EXPECT_THAT(err_, IsEmpty());
  }
}

TEST_F(ApplicationTest, WrongCommandLinesAreOneSentenceAndExitCodeTwo) {
  EXPECT_EQ(Run({}), ExitCode::kUsage);
  EXPECT_EQ(Run({"bogus"}), ExitCode::kUsage);
  EXPECT_THAT(err_, HasSubstr("no command is named bogus"));
  ExpectUsageError({"self"}, "--embeddings");
  ExpectUsageError({"self", "--embeddings", "-", "--bogus"}, "--bogus");
  ExpectUsageError({"self", "--embeddings", "-", "--type", "f8"}, "f8");
  ExpectUsageError({"self", "--embeddings", "-", "--heads", "0"}, "--heads");
  ExpectUsageError({"self", "--embeddings", "-", "--heads", "two"}, "--heads");
  ExpectUsageError({"self", "--embeddings", "-", "--scale", "inf"}, "finite");
  ExpectUsageError({"self", "--embeddings", "-", "--scores", "all"}, "all");
  ExpectUsageError({"self", "--embeddings", "-", "--deadline-ms", "0"}, "--deadline-ms");
  ExpectUsageError({"self", "--embeddings", "-", "--precision-digits", "99"}, "--precision-digits");
  ExpectUsageError({"self", "--embeddings", "-", "--query-bias", "-"}, "--query-weight");
  ExpectUsageError({"self", "--embeddings", "-", "--additive-score-vector", "-"}, "--additive-score-query-weight");
  ExpectUsageError({"example"}, "NAME");
  ExpectUsageError({"example", "no-such"}, "no example is named no-such");
}

TEST_F(ApplicationTest, UnreadableInputsAreNamed) {
  ExpectUsageError({"self", "--embeddings", "/no/such/file"}, "--embeddings: /no/such/file");
  ExpectUsageError({"self", "--embeddings", "-"}, "line 1, column 2", "1,x");
  ExpectUsageError({"self", "--embeddings", "-"}, "where the lists before it", "[[1,2],[3]]");
  ExpectUsageError({"self", "--embeddings", "-", "--query-weight", "-"}, "already read for --embeddings", kTwoByTwo);
  ExpectUsageError({"self", "--embeddings", "-", "--format", "npy"}, ".npy", kTwoByTwo);
}

TEST_F(ApplicationTest, ShapesThatCannotBeRightAreRefusedLocally) {
  ExpectUsageError({"self", "--embeddings", "-"}, "shape [2] has 1 axes", "[1,2]");
  ExpectUsageError({"self", "--embeddings", "-"}, "has 4 axes", "[[[[1]]]]");
  ExpectUsageError({"self", "--embeddings", "-", "--labels", "a,b,c"}, "--labels names 3 of 2", kTwoByTwo);
  ExpectUsageError({"self", "--embeddings", "-", "--key-labels", "a"}, "--key-labels names 1 of 2 keys", kTwoByTwo);
  const std::string deep = File("deep.json", "[[[1]]]");
  const std::string flat = File("flat.json", "[[1]]");
  ExpectUsageError({"sdpa", "--query", flat, "--key", deep, "--value", flat}, "--key: shape [1, 1, 1]");
  ExpectUsageError({"sdpa", "--query", flat, "--key", flat, "--value", flat, "--layout", "packed"}, "needs --heads");
}

TEST_F(ApplicationTest, MaskedNeedsAMask) {
  ExpectUsageError({"masked", "--embeddings", "-"}, "needs at least one of", kTwoByTwo);
  ExpectUsageError({"masked", "--embeddings", "-", "--causal", "sideways"}, "--causal", kTwoByTwo);
  ExpectUsageError({"masked", "--embeddings", "-", "--boolean-mask", File("m.csv", "1,2")}, "--boolean-mask",
                   kTwoByTwo);
}

TEST_F(ApplicationTest, AServersErrorIsExitCodeOne) {
  service_.FailNext({{grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "embeddings:\nno"), {}}});
  EXPECT_EQ(Call({"self", "--embeddings", "-"}, kTwoByTwo), ExitCode::kServer);
  EXPECT_EQ(err_, "attn: INVALID_ARGUMENT: embeddings: no\n");
  EXPECT_EQ(Run({"health", "--server", "127.0.0.1:1"}), ExitCode::kServer);
  EXPECT_THAT(err_, HasSubstr("UNAVAILABLE"));
}

TEST_F(ApplicationTest, TablesHaveLabelsAndPictures) {
  AnswerWith(kAnswerTwoByTwo);
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--labels", "나는,I", "--heatmap", "--scores", "masked",
                  "--precision-digits", "2"},
                 kTwoByTwo),
            ExitCode::kOk)
      << err_;
  EXPECT_EQ(out_,
            "output\n        0    1\n나는 1.00 2.00\nI    3.00 4.00\n\n"
            "scores[0]\n     나는    I\n나는 5.00 6.00\nI    7.00 -inf\n\n"
            "weights[0]\n     나는    I\n나는 0.25 0.75\nI    1.00 0.00\n\n"
            "heat map of weights[0]\n     나는    I\n나는 ░░░░░ ▓▓▓▓▓\nI    █████\n0.0000 [  ░░▒▒▓▓██] 1.0000\n\n"
            "computed by fused in f32 on 1 thread in 2.000 ms, after 0.001 ms in the queue\n");
}

TEST_F(ApplicationTest, JsonIsOneLineThatParses) {
  AnswerWith(kAnswerTwoByTwo);
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--output", "json"}, kTwoByTwo), ExitCode::kOk);
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["output"], nlohmann::json::parse(kTwoByTwo));
  EXPECT_EQ(json["scores"][0][1][1], "-Infinity");
  EXPECT_EQ(json["execution"]["implementation"], "fused");
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
}

TEST_F(ApplicationTest, NpyHoldsTheTensorAskedFor) {
  AnswerWith(kAnswerTwoByTwo);
  const std::string path = folder_ + "/weights.npy";
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--output", "npy", "--tensor", "weights", "--output-file", path},
                 kTwoByTwo),
            ExitCode::kOk);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(ParseNpyArray(bytes).value().numbers, ElementsAre(0.25, 0.75, 1, 0));
  EXPECT_TRUE(service_.last_request<v1::SelfAttentionRequest>().options().return_weights());
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--output", "npy", "--tensor", "scores"}, kTwoByTwo), ExitCode::kOk);
  EXPECT_THAT(out_, StartsWith("\x93NUMPY"));
  EXPECT_EQ(service_.last_request<v1::SelfAttentionRequest>().options().return_scores(), v1::SCORES_KIND_MASKED);
}

TEST_F(ApplicationTest, NpyDoesNotGoToATerminal) {
  is_terminal_ = true;
  ExpectUsageError({"self", "--embeddings", "-", "--output", "npy"}, "--output-file", kTwoByTwo);
}

TEST_F(ApplicationTest, EveryOptionReachesTheRequest) {
  const std::string weight = File("w.json", "[[1,0],[0,1]]");
  const std::string bias = File("b.csv", "1,2\n");
  const std::string mask = File("m.json", "[[true,false],[true,true]]");
  const std::string factors = File("f.csv", "1,-inf\n");
  EXPECT_EQ(
      Call({"masked", "--embeddings", "-", "--query-weight", weight, "--query-bias", bias, "--key-weight", weight,
            "--value-weight", weight, "--output-weight", weight, "--output-bias", bias, "--heads", "2", "--scale", "-0.5",
            "--normalization", "none", "--general-score", weight, "--boolean-mask", mask, "--additive-mask", factors,
            "--multiplicative-mask", factors, "--causal=-1", "--key-lengths", "2", "--weights", "--scores", "raw",
            "--type", "f16"},
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
  EXPECT_EQ(options.additive_mask().raw(), std::string("\x00\x3c\x00\xfc", 4)) << "1 and -inf in binary16";
  EXPECT_TRUE(options.has_multiplicative_mask());
  EXPECT_EQ(options.causal().alignment(), v1::CAUSAL_ALIGNMENT_OFFSET);
  EXPECT_EQ(options.causal().offset(), -1);
  EXPECT_THAT(options.key_lengths().shape(), ElementsAre(1));
  EXPECT_TRUE(options.return_weights());
  EXPECT_EQ(options.return_scores(), v1::SCORES_KIND_RAW);
}

TEST_F(ApplicationTest, CausalNeedsNoValue) {
  EXPECT_EQ(Call({"masked", "--causal", "--embeddings", "-"}, kTwoByTwo), ExitCode::kOk) << err_;
  const auto equal = service_.last_request<v1::MaskedAttentionRequest>();
  EXPECT_TRUE(equal.options().has_causal());
  EXPECT_EQ(equal.options().causal().alignment(), v1::CAUSAL_ALIGNMENT_UNSPECIFIED);
  EXPECT_EQ(Call({"masked", "--causal", "bottom-right", "--embeddings", "-"}, kTwoByTwo), ExitCode::kOk);
  EXPECT_EQ(service_.last_request<v1::MaskedAttentionRequest>().options().causal().alignment(),
            v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT);
}

TEST_F(ApplicationTest, AnAdditiveScoreTakesThreeFiles) {
  const std::string weight = File("w.json", kTwoByTwo);
  const std::string vector = File("v.csv", "1\n2\n");
  EXPECT_EQ(Call({"cross", "--query", weight, "--memory", weight, "--additive-score-query-weight", weight,
                  "--additive-score-key-weight", weight, "--additive-score-vector", vector}),
            ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::CrossAttentionRequest>();
  EXPECT_THAT(request.options().additive_score().vector().shape(), ElementsAre(2));
}

TEST_F(ApplicationTest, MatricesForScaledDotProductGetAHeadAndLoseItAgain) {
  AnswerWith(R"(output { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [1, 2, 3, 4] }
                weights { data_type: DATA_TYPE_F32 shape: [1, 2, 2] floats: [1, 0, 0, 1] })");
  const std::string matrix = File("x.json", kTwoByTwo);
  EXPECT_EQ(Call({"sdpa", "--query", matrix, "--key", matrix, "--value", matrix, "--output", "json"}), ExitCode::kOk)
      << err_;
  EXPECT_THAT(service_.last_request<v1::ScaledDotProductAttentionRequest>().query().shape(), ElementsAre(1, 2, 2));
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["output"], nlohmann::json::parse(kTwoByTwo));
  EXPECT_EQ(json["weights"], nlohmann::json::parse("[[1,0],[0,1]]"));
  EXPECT_EQ(Call({"sdpa", "--query", matrix, "--key", matrix, "--value", matrix, "--layout", "sequence-first"}),
            ExitCode::kOk);
  EXPECT_THAT(service_.last_request<v1::ScaledDotProductAttentionRequest>().query().shape(), ElementsAre(2, 1, 2));
}

TEST_F(ApplicationTest, MultiHeadAndPackedHeadCountsReachTheRequest) {
  const std::string matrix = File("x.json", kTwoByTwo);
  EXPECT_EQ(Call({"multi-head", "--query", matrix, "--value", matrix, "--heads", "2", "--kv-heads", "1"}), ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::MultiHeadAttentionRequest>();
  EXPECT_EQ(request.head_count(), 2);
  EXPECT_EQ(request.key_value_head_count(), 1);
  EXPECT_FALSE(request.has_key());
  EXPECT_TRUE(request.has_value());
  EXPECT_EQ(Call({"sdpa", "--query", matrix, "--key", matrix, "--value", matrix, "--layout", "packed", "--heads", "2"}),
            ExitCode::kOk);
  const auto packed = service_.last_request<v1::ScaledDotProductAttentionRequest>();
  EXPECT_EQ(packed.layout(), v1::LAYOUT_PACKED);
  EXPECT_EQ(packed.head_count(), 2);
}

TEST_F(ApplicationTest, ExamplesAreListed) {
  EXPECT_EQ(Run({"examples"}), ExitCode::kOk);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 16);
  EXPECT_THAT(out_, HasSubstr("friends           self        Four friends choose a motorcycle\n"));
}

constexpr const char* kCrossScores = R"(
    output { data_type: DATA_TYPE_F64 shape: [2, 2] floats: [1, 0, 0, 1] }
    weights { data_type: DATA_TYPE_F64 shape: [1, 2, 2] floats: [1, 0, 0, 1] }
    scores { data_type: DATA_TYPE_F64 shape: [1, 2, 2] floats: [1, 0, 0, 1] })";

TEST_F(ApplicationTest, AMatchingExampleIsExplained) {
  AnswerWith(kCrossScores);
  EXPECT_EQ(Call({"example", "cross-scores"}), ExitCode::kOk) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("cross-scores: Question words against answer words\n"),
                          HasSubstr("queries: 너는, 사과를\nkeys: 나는, 먹었다\n"),
                          HasSubstr("너는    strongest: 나는 1.00000000; top 3: "), HasSubstr("heat map\n"),
                          HasSubstr("matches: all 4 expected numbers and words, to within 1e-08\n")));
}

TEST_F(ApplicationTest, ADifferingExampleIsExitCodeThreeWithThePlaceAndBothValues) {
  std::string wrong = kCrossScores;
  wrong.replace(wrong.rfind("0, 1]"), 5, "0, 2]");
  AnswerWith(wrong);
  EXPECT_EQ(Call({"example", "cross-scores"}), ExitCode::kExample);
  EXPECT_THAT(out_, HasSubstr("differs: scores[1][1]: expected 1, got 2\n"));
  EXPECT_EQ(err_,
            "attn: 1 of 1 examples differ by more than 1e-08, first cross-scores: scores[1][1]: expected 1, got 2\n");
}

TEST_F(ApplicationTest, AnAnswerThatIsNoAnswerIsExitCodeOne) {
  EXPECT_EQ(Call({"example", "friends"}), ExitCode::kServer);
  EXPECT_THAT(err_, HasSubstr("friends: "));
}

TEST_F(ApplicationTest, HealthFollowsTheServer) {
  EXPECT_EQ(Call({"health"}), ExitCode::kOk);
  EXPECT_EQ(out_, "SERVING\n");
  EXPECT_EQ(Call({"health", "--service", "attention.v1.AttentionService"}), ExitCode::kOk);
  EXPECT_EQ(Call({"health", "--service", "no.such.Service"}), ExitCode::kServer);
  EXPECT_THAT(err_, HasSubstr("NOT_FOUND"));
  service_.SetServing(false);
  EXPECT_EQ(Call({"health"}), ExitCode::kServer);
  EXPECT_EQ(out_, "NOT_SERVING\n");
  EXPECT_THAT(err_, HasSubstr("is NOT_SERVING"));
}

TEST_F(ApplicationTest, InfoAndVersionTellTheServers) {
  EXPECT_EQ(Call({"info"}), ExitCode::kOk);
  EXPECT_THAT(out_, HasSubstr("implementations   fused, reference\n"));
  EXPECT_EQ(Call({"info", "--output", "json"}), ExitCode::kOk);
  EXPECT_EQ(nlohmann::json::parse(out_)["queue_capacity"], 9);
  EXPECT_EQ(Call({"version"}), ExitCode::kOk);
  EXPECT_THAT(out_, AllOf(StartsWith("attn "), HasSubstr("server 1.2.3\n")));
  EXPECT_EQ(Run({"version"}), ExitCode::kOk);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1) << "no server is asked unless one is named";
}

}  // namespace
}  // namespace attention::client
