// `attn examples` and `attn example NAME|all`.

#ifndef ATTENTION_CLIENT_ATTN_EXAMPLE_COMMANDS_H_
#define ATTENTION_CLIENT_ATTN_EXAMPLE_COMMANDS_H_

#include "client/attn/console.h"
#include "client/attn/outcome.h"

namespace CLI {
class App;
}

namespace attention::client {

// As AddAttentionCommands.
void AddExampleCommands(CLI::App* app, const Console& console, Command* chosen);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_EXAMPLE_COMMANDS_H_
