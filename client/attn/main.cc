// attn: the command-line client of the attention server.

#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "client/attn/application.h"

int main(int argc, char** argv) {
  // Beside C's streams, std::cin takes an error of the file for its end.
  std::ios::sync_with_stdio(false);
  const attention::client::Console console = {
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .out_is_terminal = isatty(STDOUT_FILENO) == 1,
  };
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return static_cast<int>(attention::client::RunAttn(arguments, console));
}
