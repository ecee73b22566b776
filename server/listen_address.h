// Addresses to listen on.

#ifndef ATTENTION_SERVER_LISTEN_ADDRESS_H_
#define ATTENTION_SERVER_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attention::server {

struct ListenAddress {
  std::string host;  // a numeric IPv4 address, or a numeric IPv6 address in brackets
  int port = 0;      // 0: any free one
};

// "127.0.0.1:8001", "0.0.0.0:0", "[::1]:8001". Anything else is kInvalidArgument; names are not
// looked up, since what they mean can change after start-up.
[[nodiscard]] absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

// Whether it means every address of the machine: 0.0.0.0 or [::].
[[nodiscard]] bool IsWildcard(const ListenAddress& address);

[[nodiscard]] std::string ToString(const ListenAddress& address);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LISTEN_ADDRESS_H_
