// `attn rotary` and `attn merge`: what models do before and after attention.

#ifndef ATTENTION_CLIENT_ATTN_OPERATOR_COMMANDS_H_
#define ATTENTION_CLIENT_ATTN_OPERATOR_COMMANDS_H_

#include "client/attn/console.h"
#include "client/attn/outcome.h"

namespace CLI {
class App;
}

namespace attention::client {

// As AddAttentionCommands.
void AddOperatorCommands(CLI::App* app, const Console& console, Command* chosen);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_OPERATOR_COMMANDS_H_
