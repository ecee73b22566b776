#include "client/attn/display_flags.h"

#include "gtest/gtest.h"

namespace attention::client {
namespace {

const TerminalEnvironment kTerminal = {
    .no_color = "", .color_term = "truecolor", .term = "xterm-256color"};

TEST(ChooseHeatMapStyleTest, ColoursNeedATerminal) {
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kAuto, true, kTerminal), HeatMapStyle::kTrueColour);
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kAuto, false, kTerminal), HeatMapStyle::kBlocks);
}

TEST(ChooseHeatMapStyleTest, NoColorAndDumbTerminalsAreHonoured) {
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kAuto, true, {"1", "truecolor", "xterm"}),
            HeatMapStyle::kBlocks);
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kAuto, true, {"", "", "dumb"}), HeatMapStyle::kBlocks);
}

TEST(ChooseHeatMapStyleTest, AFlagBeatsTheEnvironment) {
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kAlways, false, {"1", "", ""}),
            HeatMapStyle::k256Colours);
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kNever, true, kTerminal), HeatMapStyle::kBlocks);
}

TEST(ChooseHeatMapStyleTest, TwentyFourBitsOnlyWhereTheTerminalSaysSo) {
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kAuto, true, {"", "24bit", "xterm"}),
            HeatMapStyle::kTrueColour);
  EXPECT_EQ(ChooseHeatMapStyle(ColourMode::kAuto, true, {"", "", "xterm"}),
            HeatMapStyle::k256Colours);
}

}  // namespace
}  // namespace attention::client
