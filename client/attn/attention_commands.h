// `attn self`, `attn masked`, `attn multi-head`, `attn cross` and `attn sdpa`.

#ifndef ATTENTION_CLIENT_ATTN_ATTENTION_COMMANDS_H_
#define ATTENTION_CLIENT_ATTN_ATTENTION_COMMANDS_H_

#include "client/attn/console.h"
#include "client/attn/outcome.h"

namespace CLI {
class App;
}

namespace attention::client {

// Adds the commands. The one that is on the command line puts what is to be run into `*chosen`.
// `console` and `*chosen` outlive the parsing and the command.
void AddAttentionCommands(CLI::App* app, const Console& console, Command* chosen);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_ATTENTION_COMMANDS_H_
