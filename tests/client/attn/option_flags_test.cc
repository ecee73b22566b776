#include "client/attn/option_flags.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using OptionFlagsTest = ApplicationFixture;

constexpr const char* kTwoByTwo = "[[1,2],[3,4]]";

template <typename T>
std::vector<T> Elements(const v1::Tensor& tensor) {
  std::vector<T> elements(tensor.raw().size() / sizeof(T));
  std::copy_n(tensor.raw().data(), tensor.raw().size(), reinterpret_cast<char*>(elements.data()));
  return elements;
}

// The flags that reach each field of the options, all at once.
std::vector<std::string> EveryFlag(const std::string& matrix) {
  return {"masked",
          "--embeddings=-",
          "--scale=0.5",
          "--softcap=30",
          "--normalization=none",
          "--softmax-type=f64",
          "--precision=bf16",
          "--general-score=" + matrix,
          "--boolean-mask=" + matrix,
          "--additive-mask=" + matrix,
          "--multiplicative-mask=" + matrix,
          "--short-masks",
          "--block-mask=" + matrix,
          "--block-size=64,32",
          "--causal=-1",
          "--prefix-lengths=1",
          "--window-left=0",
          "--window-right=2",
          "--key-lengths=2",
          "--segments=0,1",
          "--key-segments=1,0",
          "--fully-masked=uniform",
          "--query-alignment=key-lengths",
          "--alibi=0.5,-0.25",
          "--alibi-symmetric",
          "--relative-bias=" + matrix,
          "--relative-bias-distance=64",
          "--relative-bias-bidirectional",
          "--rotary=interleaved",
          "--rotary-base=500",
          "--rotary-scale=0.5",
          "--rotary-width=2",
          "--sinks=0,-inf",
          "--head-mask=1,0",
          "--temperature=2",
          "--weights",
          "--scores=capped",
          "--top=3",
          "--entropy",
          "--key-mass",
          "--maximum-weight",
          "--log-sum-exp"};
}

class EveryOptionFlagTest : public OptionFlagsTest {
 protected:
  EveryOptionFlagTest() {
    const std::string matrix = File("m.json", "[[1,0],[1,1]]");
    EXPECT_EQ(Call(EveryFlag(matrix), kTwoByTwo), ExitCode::kOk) << err_;
    options_ = service_.last_request<v1::MaskedAttentionRequest>().options();
  }

  v1::AttentionOptions options_;
};

// An option without a flag is one that the command line's users cannot have.
TEST_F(EveryOptionFlagTest, NoFieldOfTheOptionsIsForgotten) {
  const auto* descriptor = v1::AttentionOptions::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->number() == v1::AttentionOptions::kAdditiveScoreFieldNumber) continue;  // the other
    EXPECT_TRUE(options_.GetReflection()->HasField(options_, field)) << field->name();
  }
}

TEST_F(EveryOptionFlagTest, WhatHidesKeysReachesTheRequest) {
  EXPECT_TRUE(options_.short_masks());
  EXPECT_EQ(options_.block_mask().mask().data_type(), v1::DATA_TYPE_BOOL);
  EXPECT_EQ(options_.block_mask().query_block_size(), 64);
  EXPECT_EQ(options_.block_mask().key_block_size(), 32);
  EXPECT_EQ(options_.causal().offset(), -1);
  EXPECT_THAT(Elements<int64_t>(options_.prefix_lengths()), ElementsAre(1));
  EXPECT_TRUE(options_.window().has_left());
  EXPECT_EQ(options_.window().left(), 0);
  EXPECT_EQ(options_.window().right(), 2);
  EXPECT_THAT(Elements<int32_t>(options_.query_segments()), ElementsAre(0, 1));
  EXPECT_THAT(Elements<int32_t>(options_.key_segments()), ElementsAre(1, 0));
  EXPECT_EQ(options_.fully_masked(), v1::FULLY_MASKED_POLICY_UNIFORM);
}

TEST_F(EveryOptionFlagTest, WhatDependsOnPositionsReachesTheRequest) {
  EXPECT_EQ(options_.query_positions().alignment(), v1::CAUSAL_ALIGNMENT_KEY_LENGTHS);
  EXPECT_THAT(Elements<float>(options_.alibi().slopes()), ElementsAre(0.5F, -0.25F));
  EXPECT_TRUE(options_.alibi().symmetric());
  EXPECT_THAT(options_.relative_position_bias().table().shape(), ElementsAre(2, 2));
  EXPECT_EQ(options_.relative_position_bias().maximum_distance(), 64);
  EXPECT_TRUE(options_.relative_position_bias().bidirectional());
  EXPECT_EQ(options_.rotary_embedding().base(), 500);
  EXPECT_EQ(options_.rotary_embedding().position_scale(), 0.5);
  EXPECT_EQ(options_.rotary_embedding().width(), 2);
  EXPECT_TRUE(options_.rotary_embedding().interleaved());
}

TEST_F(EveryOptionFlagTest, WhatEachHeadHasAndWhatIsReturnedReachTheRequest) {
  EXPECT_EQ(options_.softcap(), 30);
  EXPECT_EQ(options_.softmax_type(), v1::DATA_TYPE_F64);
  EXPECT_THAT(Elements<float>(options_.sinks()),
              ElementsAre(0, -std::numeric_limits<float>::infinity()));
  EXPECT_THAT(Elements<float>(options_.head_mask()), ElementsAre(1, 0));
  EXPECT_THAT(Elements<float>(options_.temperature()), ElementsAre(2));
  EXPECT_EQ(options_.return_scores(), v1::SCORES_KIND_CAPPED);
  EXPECT_EQ(options_.return_top_weights(), 3);
  EXPECT_TRUE(options_.return_entropy() && options_.return_key_mass() &&
              options_.return_maximum_weight() && options_.return_log_sum_exp());
}

TEST_F(OptionFlagsTest, NumbersOfHeadsMayStandInAFile) {
  const std::string file = File("sinks.csv", "1\n2\n");
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--sinks", file, "--type", "f64"}, kTwoByTwo),
            ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::SelfAttentionRequest>();
  EXPECT_THAT(request.options().sinks().shape(), ElementsAre(2));
  EXPECT_THAT(Elements<double>(request.options().sinks()), ElementsAre(1, 2));
  const std::string batch = File("segments.json", "[[0,0],[0,1]]");
  EXPECT_EQ(Call({"masked", "--embeddings", "-", "--segments", batch}, "[[[1],[2]],[[3],[4]]]"),
            ExitCode::kOk)
      << err_;
  EXPECT_THAT(
      service_.last_request<v1::MaskedAttentionRequest>().options().query_segments().shape(),
      ElementsAre(2, 2));
}

TEST_F(OptionFlagsTest, OneNumberIsForAllHeads) {
  EXPECT_EQ(
      Call({"self", "--embeddings", "-", "--heads", "2", "--temperature", "0.5", "--sinks", "1,2"},
           kTwoByTwo),
      ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::SelfAttentionRequest>();
  EXPECT_THAT(Elements<float>(request.options().temperature()), ElementsAre(0.5F, 0.5F));
  EXPECT_THAT(Elements<float>(request.options().sinks()), ElementsAre(1, 2));
  const std::string heads = File("heads.json", "[[[1]],[[2]],[[3]]]");
  const auto sinks_of = [&](const std::string& layout, const std::string& file) {
    EXPECT_EQ(Call({"sdpa", "--query", file, "--key", file, "--value", file, "--layout", layout,
                    "--sinks", "4"}),
              ExitCode::kOk)
        << err_;
    return Elements<float>(
        service_.last_request<v1::ScaledDotProductAttentionRequest>().options().sinks());
  };
  EXPECT_THAT(sinks_of("heads-first", heads), ElementsAre(4, 4, 4));
  EXPECT_THAT(sinks_of("sequence-first", heads), ElementsAre(4));
}

TEST_F(OptionFlagsTest, OneBlockSizeServesQueriesAndKeys) {
  const std::string mask = File("m.json", "[[1]]");
  EXPECT_EQ(
      Call({"masked", "--embeddings", "-", "--block-mask", mask, "--block-size", "2"}, kTwoByTwo),
      ExitCode::kOk)
      << err_;
  const auto request = service_.last_request<v1::MaskedAttentionRequest>();
  EXPECT_EQ(request.options().block_mask().query_block_size(), 2);
  EXPECT_EQ(request.options().block_mask().key_block_size(), 2);
}

TEST_F(OptionFlagsTest, EachKindOfHidingMakesARequestMasked) {
  const std::string mask = File("m.json", "[[1]]");
  const std::vector<std::vector<std::string>> kinds = {
      {"--window-left", "1"}, {"--window-right", "1"},
      {"--segments", "0,0"},  {"--block-mask", mask, "--block-size", "2"},
      {"--causal"},           {"--key-lengths", "1"},
  };
  for (const std::vector<std::string>& kind : kinds) {
    std::vector<std::string> arguments = {"masked", "--embeddings=-"};
    arguments.insert(arguments.end(), kind.begin(), kind.end());
    EXPECT_EQ(Call(arguments, kTwoByTwo), ExitCode::kOk) << kind[0] << ": " << err_;
  }
}

TEST_F(OptionFlagsTest, WhatCannotBeRightIsRefusedWithTheFlagsName) {
  const auto refuse = [&](std::vector<std::string> arguments, const std::string& text) {
    arguments.insert(arguments.begin(), {"self", "--embeddings", "-"});
    ExpectUsageError(std::move(arguments), text, kTwoByTwo);
  };
  refuse({"--softcap", "0"}, "--softcap");
  refuse({"--softcap", "inf"}, "finite");
  refuse({"--rotary-base", "5"}, "--rotary");
  refuse({"--rotary", "sideways"}, "--rotary");
  refuse({"--rotary", "halves", "--rotary-base=-1"}, "greater than 0");
  refuse({"--window-left=-1"}, "--window-left");
  refuse({"--top", "0"}, "--top");
  refuse({"--top", "257"}, "--top");
  refuse({"--fully-masked", "ones"}, "--fully-masked");
  refuse({"--alibi-symmetric"}, "--alibi");
  refuse({"--key-segments", "0,0"}, "--segments");
  refuse({"--segments", "0,0.5"}, "--segments: element 1 is 0.5");
  refuse({"--sinks", "1,,2"}, "--sinks: 1,,2");
  refuse({"--prefix-lengths", "1"}, "--causal");
  refuse({"--query-alignment", "left"}, "--query-alignment: the alignment is none of");
  refuse({"--block-mask", File("m.json", "[[1]]")}, "--block-size");
  refuse({"--block-mask", File("m.json", "[[1]]"), "--block-size", "0"}, "--block-size");
}

TEST_F(OptionFlagsTest, HelpGroupsTheOptionsByWhatTheyAreFor) {
  EXPECT_EQ(Run({"sdpa", "--help"}), ExitCode::kOk);
  size_t position = 0;
  for (const char* group : {"Inputs:", "Masks:", "Score and softmax:", "Positions:",
                            "One number for each head:", "Results:", "Display:", "Server:"}) {
    const size_t found = out_.find(group);
    ASSERT_NE(found, std::string::npos) << group;
    EXPECT_GT(found, position) << group << " comes too early";
    position = found;
  }
}

}  // namespace
}  // namespace attention::client
