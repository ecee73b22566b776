// attention_server: attention over gRPC. --help says how to use it.

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "server/lifecycle.h"
#include "server/server_options.h"

int main(int argc, char** argv) {
  namespace server = attention::server;
  server::PrepareFiles();
  server::KeepFreedMemory();
  server::HoldSignals();

  const std::vector<std::string> arguments(argv + 1, argv + argc);
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  const server::ParsedOptions parsed = server::ParseServerOptions(arguments, environment);
  if (parsed.exit_code.has_value()) {
    std::fputs(parsed.text.c_str(), *parsed.exit_code == 0 ? stdout : stderr);
    return *parsed.exit_code;
  }
  return server::ServeUntilTerminated(parsed);
}
