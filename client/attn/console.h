// Where a command reads and writes. Tests put string streams here.

#ifndef ATTENTION_CLIENT_ATTN_CONSOLE_H_
#define ATTENTION_CLIENT_ATTN_CONSOLE_H_

#include <istream>
#include <ostream>

namespace attention::client {

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_CONSOLE_H_
