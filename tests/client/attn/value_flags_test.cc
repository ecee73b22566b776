#include "client/attn/value_flags.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::HasSubstr;

class ValueFlagsTest : public ApplicationFixture {
 protected:
  // Expects that `attn COMMAND` with an input refuses these further arguments.
  void ExpectRefused(const std::string& flag, const std::string& value, const std::string& text) {
    ExpectUsageError({"self", "--embeddings", "-", flag, value}, text, "[[1,2],[3,4]]");
  }
};

TEST_F(ValueFlagsTest, AnEmptyTextIsNoFileNoNameAndNoNumbers) {
  for (const char* flag :
       {"--boolean-mask",    "--additive-mask", "--query-weight", "--general-score",
        "--relative-bias",   "--sinks",         "--temperature",  "--alibi",
        "--segments",        "--layer",         "--output-file",  "--key-lengths",
        "--query-alignment", "--scale",         "--heads",        "--causal",
        "--labels",          "--save",          "--type",         "--output"}) {
    ExpectRefused(flag, "", std::string(flag) + ": got nothing, want ");
  }
  ExpectUsageError({"self", "--embeddings", ""}, "--embeddings: got nothing, want FILE");
  ExpectUsageError({"layers", ""}, "got nothing, want NAME");
  ExpectUsageError({"health", "--service", ""}, "--service: got nothing, want NAME");
  ExpectUsageError({"rotary", "--input", "-", "--position-ids", ""},
                   "--position-ids: got nothing, want N,N|FILE", "[[1,2]]");
  ExpectUsageError({"merge", "--state", ""}, "--state: got nothing, want OUTPUT,LSE");
  ExpectUsageError({"example", ""}, "got nothing, want NAME");
}

TEST_F(ValueFlagsTest, PartsBetweenCommasAreNotEmpty) {
  for (const char* text : {"a,,b,c", "a,", ",a", ","}) {
    ExpectRefused("--labels", text,
                  std::string("--labels: got ") + text + ", want names with commas between them");
  }
  for (const char* text : {"x.json,", ",x.json", ","})
    ExpectUsageError({"merge", "--state", text}, std::string("--state: got ") + text + ", want");
}

TEST_F(ValueFlagsTest, NamesThatAreSentAreUtf8) {
  const std::string text = ", want NAME in UTF-8";
  ExpectRefused("--layer", "\xff", "--layer: got \uFFFD" + text);
  ExpectUsageError({"layers", "a\xc0\x80"}, "name: got a\uFFFD\uFFFD" + text);
  ExpectUsageError({"health", "--service", "\xff"}, "--service: got \uFFFD" + text);
  EXPECT_EQ(Call({"layers", "\uFFFD층"}), ExitCode::kOk) << err_;
}

TEST_F(ValueFlagsTest, NumbersThatTheirTypeCannotHoldAreRefused) {
  const auto refused = [&](const std::string& type, const std::string& input,
                           const std::string& text) {
    ExpectUsageError({"self", "--embeddings", "-", "--type", type}, text, input);
  };
  refused("f32", "[[1e39,0],[0,1]]", "--embeddings: element 0 is 1e+39, which F32 cannot hold");
  refused("f16", "[[1,2],[3,-70000]]", "element 3 is -70000, which F16 cannot hold");
  refused("f16", "[[65520]]", "element 0 is 65520, which F16 cannot hold");
  refused("bf16", "[[1,3.4e38]]", "element 1 is 3.4e+38, which BF16 cannot hold");
  ExpectRefused("--sinks", "0,1e39", "--sinks: element 1 is 1e+39, which F32 cannot hold");
  for (const char* text : {"1e400", "0,-1e400"})
    ExpectRefused("--sinks", text, "--sinks: a number is beyond those of float64");
  for (const char* largest : {"[[65519]]", "[[\"Infinity\"]]", "[[\"NaN\"]]"}) {
    EXPECT_EQ(Call({"self", "--embeddings", "-", "--type", "f16"}, largest), ExitCode::kOk) << err_;
  }
}

TEST_F(ValueFlagsTest, CountsAreWholeNumbersWithCommasBetweenThem) {
  for (const char* text : {"2,", ",2", "1,,2", "a", "1.5", "1 ,2", "99999999999999999999"})
    ExpectRefused("--key-lengths", text, std::string("--key-lengths: got ") + text);
  ExpectRefused("--block-size", "1,2,3", "--block-size");
  EXPECT_EQ(Call({"masked", "--embeddings", "-", "--key-lengths", "010"}, "[[1,2],[3,4]]"),
            ExitCode::kOk)
      << err_;
  const auto lengths = service_.last_request<v1::MaskedAttentionRequest>().options().key_lengths();
  EXPECT_EQ(lengths.raw(), std::string("\x0a\0\0\0\0\0\0\0", 8));
}

TEST_F(ValueFlagsTest, WholeNumbersAreDecimalAndWithinTheirRange) {
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--heads", "010"}, "[[1,2],[3,4]]"), ExitCode::kOk)
      << err_;
  EXPECT_EQ(service_.last_request<v1::SelfAttentionRequest>().head_count(), 10);
}

TEST_F(ValueFlagsTest, WholeNumbersOutsideTheirRangeAreRefused) {
  for (const char* text :
       {"0", "1025", "-1", "two", "0x10", "1.0", "1_0", "99999999999999999999"}) {
    ExpectRefused("--heads", text,
                  std::string("--heads: got ") + text + ", want a whole number from 1 to 1024");
  }
}

TEST_F(ValueFlagsTest, FiniteNumbersMayHaveToBePositive) {
  ExpectRefused("--scale", "nan", "--scale: got nan, want a finite number");
  ExpectRefused("--softcap", "0", "--softcap: got 0, want a finite number greater than 0");
  for (const char* base : {"nan", "inf", "0", "-1"}) {
    ExpectUsageError({"rotary", "--input", "-", "--base", base},
                     std::string("--base: got ") + base + ", want a finite number greater than 0",
                     "[[1,2]]");
  }
}

TEST_F(ValueFlagsTest, WhatIsNeitherNumbersNorAFileSaysSo) {
  ExpectRefused("--sinks", "0, 1", "--sinks: 0, 1: it cannot be opened, and is no list of numbers");
  ExpectRefused("--sinks", "1.5x", "and is no list of numbers with commas between them");
}

}  // namespace
}  // namespace attention::client
