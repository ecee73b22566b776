// attn: the command-line client of the attention server.

#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "client/attn/application.h"

int main(int argc, char** argv) {
  const attention::client::Console console = {
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .out_is_terminal = isatty(STDOUT_FILENO) == 1,
  };
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return static_cast<int>(attention::client::RunAttn(arguments, console));
}
