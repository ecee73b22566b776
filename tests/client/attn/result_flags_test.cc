#include "client/attn/result_flags.h"

#include <fstream>
#include <string>

#include "client/array/npy_array.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kTwoByTwo = "[[1,2],[3,4]]";

// Every tensor that sdpa can answer with, its one number telling which it is.
constexpr const char* kEveryTensor = R"(
    output { shape: [1, 1, 1] floats: [1] } weights { shape: [1, 1, 1] floats: [2] }
    scores { shape: [1, 1, 1] floats: [3] } log_sum_exp { shape: [1, 1] floats: [4] }
    top_weights { shape: [1, 1, 1] floats: [5] }
    top_keys { data_type: DATA_TYPE_INT32 shape: [1, 1, 1] floats: [0] }
    entropy { shape: [1, 1] floats: [7] } key_mass { shape: [1, 1] floats: [8] }
    maximum_weight { shape: [1, 1] floats: [9] } present_key { shape: [1, 1, 1] floats: [10] }
    present_value { shape: [1, 1, 1] floats: [11] })";

class ResultFlagsTest : public ApplicationFixture {
 protected:
  ResultFlagsTest() { AnswerWith(kEveryTensor); }

  ExitCode CallReady(std::vector<std::string> more) {
    const std::string one = File("one.json", "[[1]]");
    std::vector<std::string> arguments = {"sdpa", "--query", one, "--key", one, "--value", one};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Call(std::move(arguments));
  }

  static std::string FileContent(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(ResultFlagsTest, EveryTensorCanBeWrittenAlone) {
  const std::vector<double> numbers = {1, 2, 3, 4, 5, 0, 7, 8, 9, 10, 11};
  for (size_t i = 0; i < kResultTensors.size(); ++i) {
    const std::string word(kResultTensors[i].word);
    EXPECT_EQ(CallReady({"--output", "npy", "--tensor", word}), ExitCode::kOk) << err_;
    EXPECT_THAT(ParseNpyArray(out_).value().numbers, ElementsAre(numbers[i])) << word;
  }
}

TEST_F(ResultFlagsTest, WhatIsWrittenIsAskedFor) {
  const auto asked = [&](const std::string& word) {
    EXPECT_EQ(CallReady({"--save", word + "=" + folder_ + "/t.npy"}), ExitCode::kOk) << err_;
    return service_.last_request<v1::ScaledDotProductAttentionRequest>();
  };
  EXPECT_TRUE(asked("weights").options().return_weights());
  EXPECT_EQ(asked("scores").options().return_scores(), v1::SCORES_KIND_MASKED);
  EXPECT_TRUE(asked("log-sum-exp").options().return_log_sum_exp());
  EXPECT_EQ(asked("top-keys").options().return_top_weights(), 1);
  EXPECT_EQ(asked("top-weights").options().return_top_weights(), 1);
  EXPECT_TRUE(asked("entropy").options().return_entropy());
  EXPECT_TRUE(asked("key-mass").options().return_key_mass());
  EXPECT_TRUE(asked("maximum-weight").options().return_maximum_weight());
  EXPECT_TRUE(asked("present-key").return_present());
  EXPECT_TRUE(asked("present-value").return_present());
  const auto plain = asked("output");
  EXPECT_FALSE(plain.return_present() || plain.options().return_weights() ||
               plain.options().return_entropy() || plain.options().return_log_sum_exp());
}

TEST_F(ResultFlagsTest, SavedTensorsStandBesideWhatIsPrinted) {
  const std::string first = folder_ + "/1.npy";
  const std::string second = folder_ + "/2.npy";
  EXPECT_EQ(
      CallReady({"--save", "entropy=" + first, "--save", "output=" + second, "--output", "json"}),
      ExitCode::kOk)
      << err_;
  EXPECT_THAT(ParseNpyArray(FileContent(first)).value().shape, ElementsAre(1));
  EXPECT_THAT(ParseNpyArray(FileContent(second)).value().shape, ElementsAre(1, 1));
  const auto json = nlohmann::json::parse(out_);
  for (const NamedResultTensor& named : kResultTensors)
    EXPECT_TRUE(json.contains(std::string(named.field_name))) << named.field_name;
}

TEST_F(ResultFlagsTest, NumbersOfKeysAreWholeInJson) {
  EXPECT_EQ(CallReady({"--output", "json"}), ExitCode::kOk) << err_;
  EXPECT_THAT(out_, HasSubstr("\"top_keys\":[[0]]"));
  EXPECT_THAT(out_, HasSubstr("\"output\":[[1.0]]"));
}

TEST_F(ResultFlagsTest, TablesShowEveryTensor) {
  EXPECT_EQ(CallReady({"--precision-digits", "0"}), ExitCode::kOk) << err_;
  for (const char* text :
       {"output\n", "scores\n", "weights\n", "present keys\n", "present values\n",
        "strongest keys\n0  0 5\n", "each key\n  mass\n", "entropy maximum weight log-sum-exp\n"}) {
    EXPECT_THAT(out_, HasSubstr(text));
  }
}

TEST_F(ResultFlagsTest, ASavedTensorNeedsANameAndAFile) {
  for (const char* text : {"weights", "weights=", "=w.npy", "wait=w.npy", "present-key=p.npy"}) {
    ExpectUsageError({"self", "--embeddings", "-", "--save", text}, "--save", kTwoByTwo);
  }
  EXPECT_EQ(CallReady({"--save", "weights=/no/such/folder/w.npy"}), ExitCode::kUsage);
  EXPECT_THAT(err_, HasSubstr("/no/such/folder/w.npy: it cannot be opened for writing"));
}

TEST_F(ResultFlagsTest, AFullDiskIsNoWrongUsage) {
  for (const char* flags : {"--save=weights=/dev/full", "--output-file=/dev/full"}) {
    EXPECT_EQ(CallReady({flags}), ExitCode::kServer) << flags;
    EXPECT_EQ(err_, "attn: /dev/full: it cannot be written\n");
  }
}

TEST_F(ResultFlagsTest, FlagsOfAnotherFormAreRefused) {
  for (const char* tensor : {"weights", "output"}) {
    ExpectUsageError({"self", "--embeddings", "-", "--tensor", tensor},
                     "--tensor needs --output npy", kTwoByTwo);
    ExpectUsageError({"self", "--embeddings", "-", "--tensor", tensor, "--output", "json"},
                     "--tensor needs --output npy", kTwoByTwo);
  }
  for (const char* format : {"json", "npy"}) {
    ExpectUsageError({"self", "--embeddings", "-", "--heatmap", "--output", format},
                     "--heatmap needs --output table", kTwoByTwo);
    ExpectUsageError({"self", "--embeddings", "-", "--full", "--output", format},
                     "--full needs --output table", kTwoByTwo);
    ExpectUsageError({"rotary", "--input", "-", "--precision-digits", "6", "--output", format},
                     "--precision-digits needs --output table", kTwoByTwo);
  }
  ExpectUsageError({"rotary", "--input", "-", "--tensor", "output"}, "--tensor needs --output npy",
                   kTwoByTwo);
}

TEST_F(ResultFlagsTest, HelpSavesATensorThatTheCommandHas) {
  for (const char* command : {"self", "sdpa", "rotary", "merge"}) {
    EXPECT_EQ(Run({command, "--help"}), ExitCode::kOk);
    EXPECT_THAT(out_, HasSubstr("output=output.npy")) << command;
    EXPECT_THAT(out_, Not(HasSubstr("weights=w.npy"))) << command;
  }
}

TEST_F(ResultFlagsTest, WhatIsCutTellsItsShapeAndHowToSeeAll) {
  std::string shape = "shape: [1, 21, 13] ";
  for (int i = 0; i < 21 * 13; ++i) shape += "floats: 0 ";
  AnswerWith("output { shape: [1, 1] floats: [1] } weights { " + shape + "}");
  const std::vector<std::string> command = {"self", "--embeddings", "-", "--heatmap"};
  EXPECT_EQ(Call(command, kTwoByTwo), ExitCode::kOk) << err_;
  const std::string note = "21 x 13; --full shows all\n\n";
  const size_t table = out_.find(note);
  ASSERT_NE(table, std::string::npos) << out_;
  EXPECT_LT(table, out_.find("heat map of weights"));
  EXPECT_NE(out_.find(note, table + 1), std::string::npos) << "of the heat map";
  EXPECT_EQ(out_.find("--full"), table + 9) << "not of the output";
  std::vector<std::string> full = command;
  full.emplace_back("--full");
  EXPECT_EQ(Call(full, kTwoByTwo), ExitCode::kOk) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("--full")));
}

TEST_F(ResultFlagsTest, PastKeysAndRaggedBatchesReachTheRequest) {
  const std::string past = File("past.json", "[[1],[2]]");
  EXPECT_EQ(
      CallReady({"--past-key", past, "--past-value", past, "--present", "--key-labels", "a,b,c"}),
      ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::ScaledDotProductAttentionRequest>();
  EXPECT_THAT(request.past_key().shape(), ElementsAre(1, 2, 1));
  EXPECT_THAT(request.past_value().shape(), ElementsAre(1, 2, 1));
  EXPECT_TRUE(request.return_present());
  EXPECT_EQ(
      CallReady({"--layout", "sequence-first", "--query-starts", "0,1", "--key-starts", "0,1"}),
      ExitCode::kOk)
      << err_;
  const auto ragged = service_.last_request<v1::ScaledDotProductAttentionRequest>();
  EXPECT_THAT(ragged.query_starts().shape(), ElementsAre(2));
  EXPECT_EQ(ragged.key_starts().data_type(), v1::DATA_TYPE_INT64);
  EXPECT_EQ(CallReady({"--past-key", past}), ExitCode::kUsage);
  EXPECT_EQ(CallReady({"--query-starts", "0,1"}), ExitCode::kUsage);
}

}  // namespace
}  // namespace attention::client
