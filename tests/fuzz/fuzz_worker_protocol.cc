// SPDX-License-Identifier: Apache-2.0
// What a compile worker and its owner may hear: any bytes on the socket are a message, an end or
// malformed, and any payload is a value or a typed error. The first byte chooses the reader.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "runtime/worker_protocol.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace rmsjit;

void hear(std::string_view bytes) {
  int ends[2];
  fuzz::require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a socket pair");
  const ssize_t sent = send(ends[0], bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  close(ends[0]);
  const Deadline soon = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  Message message;
  const Transfer got = receive_message(ends[1], &message, soon);
  close(ends[1]);
  fuzz::require(got != Transfer::kTimedOut, "a closed socket never times out");
  fuzz::require(got != Transfer::kDone || message.payload.size() + 6 <= static_cast<size_t>(sent),
                "no byte that was not sent");
}

template <class Value>
void read(const Result<Value>& value, const Message& from) {
  if (!value.ok()) return fuzz::require(!value.message().empty(), "an error says what is wrong");
  fuzz::require(to_message(*value).payload == from.payload, "a value has one payload");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest = fuzz::text_of(data + 1, size - 1);
  const Message message{static_cast<MessageKind>(data[0]), std::string(rest)};
  switch (message.kind) {
    case MessageKind::kOpen:
      read(to_search(message), message);
      break;
    case MessageKind::kCompile:
      read(to_order(message), message);
      break;
    case MessageKind::kIdentity:
      read(to_identity(message), message);
      break;
    case MessageKind::kImage:
      read(to_image(message), message);
      break;
    case MessageKind::kError:
      fuzz::require(!to_image(message).ok(), "an error is no image");
      break;
    default:
      hear(rest);
      break;
  }
  return 0;
}
