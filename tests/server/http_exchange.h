// One exchange over HTTP, byte for byte.

#ifndef ATTENTION_TESTS_SERVER_HTTP_EXCHANGE_H_
#define ATTENTION_TESTS_SERVER_HTTP_EXCHANGE_H_

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace attention::test {

// A socket connected to the loopback address of IPv6 (`address` begins with a bracket) or of IPv4;
// -1 if nobody listens there.
inline int ConnectToLoopback(const std::string& address) {
  const std::string port = address.substr(address.rfind(':') + 1);
  addrinfo* target = nullptr;
  if (getaddrinfo(address.front() == '[' ? "::1" : "127.0.0.1", port.c_str(), nullptr, &target) !=
      0) {
    return -1;
  }
  int connection = socket(target->ai_family, SOCK_STREAM, 0);
  if (connect(connection, target->ai_addr, target->ai_addrlen) != 0) {
    close(connection);
    connection = -1;
  }
  freeaddrinfo(target);
  return connection;
}

// Sends `request` to the loopback address of `address`'s family and returns everything that comes
// back until the server closes the connection; empty if it cannot be reached.
inline std::string ExchangeBytes(const std::string& address, const std::string& request) {
  const int connection = ConnectToLoopback(address);
  if (connection == -1) return "";
  size_t sent = 0;
  while (sent < request.size()) {
    const ssize_t count =
        send(connection, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) break;
    sent += static_cast<size_t>(count);
  }
  std::string response;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = recv(connection, buffer, sizeof(buffer), 0)) > 0) {
    response.append(buffer, static_cast<size_t>(count));
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
