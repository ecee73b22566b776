// The flags that say what the elements of input files are.

#ifndef ATTENTION_CLIENT_ATTN_ELEMENT_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_ELEMENT_FLAGS_H_

#include "client/array/array_file.h"
#include "client/tensor.h"

namespace CLI {
class App;
}

namespace attention::client {

// Adds --format and --type.
void AddElementFlags(CLI::App* command, ArrayFormat* format, DataType* type);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_ELEMENT_FLAGS_H_
