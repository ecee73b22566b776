// The flags that say how numbers are shown, and what they come to on a given terminal.

#ifndef ATTENTION_CLIENT_ATTN_DISPLAY_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_DISPLAY_FLAGS_H_

#include <cstdint>
#include <string>

#include "client/terminal/heat_map.h"

namespace CLI {
class App;
}

namespace attention::client {

enum class ColourMode : uint8_t { kAuto, kAlways, kNever };

// Adds --color auto|always|never.
void AddColourFlag(CLI::App* command, ColourMode* mode);

// What the environment says about the terminal; empty where a variable is not set.
struct TerminalEnvironment {
  std::string no_color;
  std::string color_term;
  std::string term;

  // NO_COLOR, COLORTERM and TERM of this process.
  static TerminalEnvironment FromProcess();
};

// kAuto: colours if the output is a terminal that is not dumb and NO_COLOR is not set
// (https://no-color.org). 24 bits if COLORTERM says so, otherwise 256 colours.
[[nodiscard]] HeatMapStyle ChooseHeatMapStyle(ColourMode mode, bool out_is_terminal,
                                              const TerminalEnvironment& environment);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_DISPLAY_FLAGS_H_
