// The command line as a function.

#ifndef ATTENTION_CLIENT_ATTN_APPLICATION_H_
#define ATTENTION_CLIENT_ATTN_APPLICATION_H_

#include <string>
#include <vector>

#include "client/attn/console.h"
#include "client/attn/outcome.h"

namespace attention::client {

// Runs `attn` with these arguments, the program's name not among them. Results go to console.out,
// which is flushed; whatever went wrong, with that too, is one sentence on console.err.
[[nodiscard]] ExitCode RunAttn(const std::vector<std::string>& arguments, const Console& console);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_APPLICATION_H_
