#include "client/attn/display_flags.h"

#include <cstdlib>

#include "CLI/CLI.hpp"
#include "client/attn/word_flag.h"

namespace attention::client {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

void AddColourFlag(CLI::App* command, ColourMode* mode) {
  AddWordFlag<ColourMode>(
      command, "--color", mode,
      {{"auto", ColourMode::kAuto}, {"always", ColourMode::kAlways}, {"never", ColourMode::kNever}},
      "Colours in heat maps (default auto: on a terminal, unless NO_COLOR is set)")
      ->group("Display");
}

TerminalEnvironment TerminalEnvironment::FromProcess() {
  return {.no_color = Variable("NO_COLOR"),
          .color_term = Variable("COLORTERM"),
          .term = Variable("TERM")};
}

HeatMapStyle ChooseHeatMapStyle(ColourMode mode, bool out_is_terminal,
                                const TerminalEnvironment& environment) {
  const bool wanted = out_is_terminal && environment.no_color.empty() && environment.term != "dumb";
  if (mode == ColourMode::kNever || (mode == ColourMode::kAuto && !wanted))
    return HeatMapStyle::kBlocks;
  const bool true_colour =
      environment.color_term == "truecolor" || environment.color_term == "24bit";
  return true_colour ? HeatMapStyle::kTrueColour : HeatMapStyle::k256Colours;
}

}  // namespace attention::client
