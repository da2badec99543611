// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker_protocol.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/compiler_errors.h"

namespace rmsjit {
namespace {

constexpr size_t kHeaderBytes = 6;
static_assert(std::endian::native == std::endian::little, "frames are written in host order");

class Writer {
 public:
  template <class T>
  Writer& number(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Writer& text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    out_.append(value);
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// After the first read past the end everything reads as zero and done() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  T number() {
    T value{};
    if (rest_.size() < sizeof value) return fail(), value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const uint32_t length = number<uint32_t>();
    if (rest_.size() < length) return fail(), std::string();
    std::string value(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return value;
  }
  // A count of things that take at least four bytes each.
  uint32_t count() {
    const uint32_t value = number<uint32_t>();
    if (value > rest_.size() / 4) return fail(), 0;
    return value;
  }
  bool done() const { return good_ && rest_.empty(); }

 private:
  void fail() {
    good_ = false;
    rest_ = {};
  }
  std::string_view rest_;
  bool good_ = true;
};

Status expect(const Message& message, MessageKind kind) {
  if (message.kind == kind) return {};
  if (message.kind != MessageKind::kError) {
    return bad_message("unexpected kind", static_cast<uint64_t>(message.kind));
  }
  Reader in(message.payload);
  const int32_t code = in.number<int32_t>();
  std::string text = in.text();
  if (!in.done() || code <= 0 || code > static_cast<int32_t>(StatusCode::kInternal)) {
    return bad_message("an error with code", static_cast<uint64_t>(code));
  }
  return Status(static_cast<StatusCode>(code), std::move(text));
}

template <class T>
Result<T> finished(const Reader& in, const Message& message, T value) {
  if (!in.done()) return bad_message("its length does not fit:", message.payload.size());
  return value;
}

// Waits until the socket can be used. False at the deadline.
bool wait_for(int socket, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto wait_ms = std::clamp<int64_t>(left.count(), 0, INT32_MAX);
    pollfd entry{socket, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(wait_ms));
    if (ready > 0) return true;
    if (ready == 0 && left.count() <= 0) return false;
    if (ready < 0 && errno != EINTR) return true;  // the transfer itself will say what is wrong
  }
}

bool try_again(ssize_t moved) {
  return moved < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK);
}

Transfer send_all(int socket, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (!wait_for(socket, POLLOUT, deadline)) return Transfer::kTimedOut;
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
    if (sent < 0 && !try_again(sent)) return Transfer::kClosed;
  }
  return Transfer::kDone;
}

Transfer receive_all(int socket, char* out, size_t bytes, Deadline deadline) {
  while (bytes > 0) {
    if (!wait_for(socket, POLLIN, deadline)) return Transfer::kTimedOut;
    const ssize_t got = recv(socket, out, bytes, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && !try_again(got))) return Transfer::kClosed;
    if (got < 0) continue;
    out += got;
    bytes -= static_cast<size_t>(got);
  }
  return Transfer::kDone;
}

}  // namespace

Message to_message(const NvrtcSearch& search) {
  return {MessageKind::kOpen, Writer().text(search.chosen).text(search.object_folder).take()};
}

Result<NvrtcSearch> to_search(const Message& message) {
  RMSJIT_RETURN_IF_ERROR(expect(message, MessageKind::kOpen));
  Reader in(message.payload);
  NvrtcSearch search;
  search.chosen = in.text();
  search.object_folder = in.text();
  return finished(in, message, std::move(search));
}

Message to_message(const CompileOrder& order) {
  Writer out;
  out.number(order.deadline_ms).text(order.job.kernel).text(order.job.target_name);
  out.number(static_cast<uint32_t>(order.job.options.size()));
  for (const std::string& option : order.job.options) out.text(option);
  out.number(static_cast<uint32_t>(order.job.files.size()));
  for (const SourceFile& file : order.job.files) out.text(file.name).text(file.text);
  return {MessageKind::kCompile, out.take()};
}

Result<CompileOrder> to_order(const Message& message) {
  RMSJIT_RETURN_IF_ERROR(expect(message, MessageKind::kCompile));
  Reader in(message.payload);
  CompileOrder order;
  order.deadline_ms = in.number<int32_t>();
  order.job.kernel = in.text();
  order.job.target_name = in.text();
  order.job.options.resize(in.count());
  for (std::string& option : order.job.options) option = in.text();
  order.job.files.resize(in.count());
  for (SourceFile& file : order.job.files) {
    file.name = in.text();
    file.text = in.text();
  }
  return finished(in, message, std::move(order));
}

Message to_message(const CompilerIdentity& identity) {
  Writer out;
  out.number<int32_t>(identity.major).number<int32_t>(identity.minor).text(identity.path);
  out.number(static_cast<uint32_t>(identity.supported_sm.size()));
  for (const int sm : identity.supported_sm) out.number<int32_t>(sm);
  return {MessageKind::kIdentity, out.take()};
}

Result<CompilerIdentity> to_identity(const Message& message) {
  RMSJIT_RETURN_IF_ERROR(expect(message, MessageKind::kIdentity));
  Reader in(message.payload);
  CompilerIdentity identity;
  identity.major = in.number<int32_t>();
  identity.minor = in.number<int32_t>();
  identity.path = in.text();
  identity.supported_sm.resize(in.count());
  for (int& sm : identity.supported_sm) sm = in.number<int32_t>();
  return finished(in, message, std::move(identity));
}

Message to_message(const CompiledImage& image) {
  Writer out;
  out.text(image.image).text(image.nvrtc_version).text(image.nvrtc_build);
  out.number(image.registers).number(image.spill_bytes).number(image.stack_bytes);
  out.number(image.shared_bytes).number(image.compile_ms);
  return {MessageKind::kImage, out.take()};
}

Result<CompiledImage> to_image(const Message& message) {
  RMSJIT_RETURN_IF_ERROR(expect(message, MessageKind::kImage));
  Reader in(message.payload);
  CompiledImage image;
  image.image = in.text();
  image.nvrtc_version = in.text();
  image.nvrtc_build = in.text();
  image.registers = in.number<int32_t>();
  image.spill_bytes = in.number<int32_t>();
  image.stack_bytes = in.number<int32_t>();
  image.shared_bytes = in.number<int32_t>();
  image.compile_ms = in.number<double>();
  return finished(in, message, std::move(image));
}

Message to_message(const Status& error) {
  Writer out;
  return {MessageKind::kError,
          out.number(static_cast<int32_t>(error.code())).text(error.message()).take()};
}

Transfer send_message(int socket, const Message& message, Deadline deadline) {
  if (message.payload.size() > kMaxPayloadBytes) return Transfer::kMalformed;
  Writer header;
  header.number(kWorkerProtocol).number(static_cast<uint8_t>(message.kind));
  header.number(static_cast<uint32_t>(message.payload.size()));
  const Transfer sent = send_all(socket, header.take(), deadline);
  return sent == Transfer::kDone ? send_all(socket, message.payload, deadline) : sent;
}

Transfer receive_message(int socket, Message* message, Deadline deadline) {
  char header[kHeaderBytes];
  Transfer got = receive_all(socket, header, sizeof header, deadline);
  if (got != Transfer::kDone) return got;
  Reader in(std::string_view(header, sizeof header));
  const uint8_t version = in.number<uint8_t>();
  message->kind = static_cast<MessageKind>(in.number<uint8_t>());
  const uint32_t length = in.number<uint32_t>();
  if (version != kWorkerProtocol || length > kMaxPayloadBytes) return Transfer::kMalformed;
  message->payload.resize(length);
  return receive_all(socket, message->payload.data(), length, deadline);
}

}  // namespace rmsjit
