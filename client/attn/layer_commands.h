// `attn layers`.

#ifndef ATTENTION_CLIENT_ATTN_LAYER_COMMANDS_H_
#define ATTENTION_CLIENT_ATTN_LAYER_COMMANDS_H_

#include "client/attn/console.h"
#include "client/attn/outcome.h"

namespace CLI {
class App;
}

namespace attention::client {

// As AddAttentionCommands.
void AddLayerCommands(CLI::App* app, const Console& console, Command* chosen);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_LAYER_COMMANDS_H_
