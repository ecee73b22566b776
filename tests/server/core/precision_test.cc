#include "server/core/precision.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace attention::server {
namespace {

TEST(PrecisionTest, EveryOneHasANameOfItsOwnThatIsReadBack) {
  std::set<std::string_view> names;
  for (const kernels::Precision precision : kPrecisions) {
    names.insert(Name(precision));
    EXPECT_EQ(ParsePrecision(Name(precision)), precision) << Name(precision);
  }
  EXPECT_EQ(names.size(), kPrecisions.size());
}

TEST(PrecisionTest, KnowsNoOtherNames) {
  for (const std::string_view name : {"", "F32", "f32 ", "f64", "bf16x6", "unknown"}) {
    EXPECT_EQ(ParsePrecision(name), std::nullopt) << name;
  }
}

TEST(PrecisionTest, WhatCanRunIsReportedByTheNameItWasAskedForBy) {
  for (const kernels::Precision precision : kPrecisions) {
    if (precision == kernels::Precision::kF32GradeFastest) continue;  // a choice between others
    EXPECT_EQ(std::count(kReportedPrecisions.begin(), kReportedPrecisions.end(), Name(precision)),
              1)
        << Name(precision);
  }
}

}  // namespace
}  // namespace attention::server
