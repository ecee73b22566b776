// The commands of attn, by the file that has them. Only for files that already include CLI11.

#ifndef ATTENTION_CLIENT_ATTN_COMMANDS_H_
#define ATTENTION_CLIENT_ATTN_COMMANDS_H_

#include <utility>

#include "CLI/CLI.hpp"
#include "client/attn/console.h"
#include "client/attn/outcome.h"

namespace attention::client {

// Each adds its commands. The one that is on the command line puts what is to be run into
// `*chosen`. `console` and `*chosen` outlive the parsing and the command, `app` what is run.

// `attn self`, `attn masked`, `attn multi-head`, `attn cross` and `attn sdpa`.
void AddAttentionCommands(CLI::App* app, const Console& console, Command* chosen);

// `attn rotary` and `attn merge`: what models do before and after attention.
void AddOperatorCommands(CLI::App* app, const Console& console, Command* chosen);

// `attn examples` and `attn example NAME|all`.
void AddExampleCommands(CLI::App* app, const Console& console, Command* chosen);

// `attn info`, `attn health` and `attn version`.
void AddServerCommands(CLI::App* app, const Console& console, Command* chosen);

// `attn layers`.
void AddLayerCommands(CLI::App* app, const Console& console, Command* chosen);

// Has `run` put into `*chosen` where `command` is on the command line.
inline void OnChosen(CLI::App* command, Command* chosen, Command run) {
  command->callback([chosen, run = std::move(run)] { *chosen = run; });
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_COMMANDS_H_
