// One exchange over HTTP, byte for byte.

#ifndef ATTENTION_TESTS_SERVER_HTTP_EXCHANGE_H_
#define ATTENTION_TESTS_SERVER_HTTP_EXCHANGE_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace attention::test {

// Sends `request` to 127.0.0.1 and returns everything that comes back until the server closes the
// connection; empty if it cannot be reached.
inline std::string ExchangeBytes(const std::string& address, const std::string& request) {
  const int port = std::stoi(address.substr(address.rfind(':') + 1));
  sockaddr_in target = {};
  target.sin_family = AF_INET;
  target.sin_port = htons(static_cast<uint16_t>(port));
  target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  std::string response;
  if (connect(connection, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) == 0) {
    size_t sent = 0;
    while (sent < request.size()) {
      const ssize_t count =
          send(connection, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<size_t>(count);
    }
    char buffer[4096];
    ssize_t count = 0;
    while ((count = recv(connection, buffer, sizeof(buffer), 0)) > 0) {
      response.append(buffer, static_cast<size_t>(count));
    }
  }
  close(connection);
  return response;
}

inline std::string HttpGet(const std::string& address, const std::string& path,
                           const std::string& method = "GET") {
  return ExchangeBytes(address, method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_HTTP_EXCHANGE_H_
