// SPDX-License-Identifier: Apache-2.0
// worker_protocol: what a compile worker and its owner say to each other over a stream socket.
//   frame = u8 version | u8 kind | u32 length | payload     (little-endian)
// The owner sends kOpen, then any number of kCompile; each is answered by one frame. Decoding
// accepts any bytes at all. Nothing here raises SIGPIPE or blocks past its deadline.
#ifndef RMSJIT_WORKER_PROTOCOL_H_
#define RMSJIT_WORKER_PROTOCOL_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "rmsjit/status.h"
#include "runtime/compile_job.h"
#include "runtime/compiler.h"
#include "runtime/nvrtc_search.h"

namespace rmsjit {

inline constexpr uint8_t kWorkerProtocol = 1;
inline constexpr uint32_t kMaxPayloadBytes = uint32_t{64} << 20;

enum class MessageKind : uint8_t {
  kOpen = 1,      // owner: NvrtcSearch; answered by kIdentity or kError
  kCompile = 2,   // owner: CompileOrder; answered by kImage or kError
  kIdentity = 3,  // CompilerIdentity
  kImage = 4,     // CompiledImage
  kError = 5,     // Status
};

struct Message {
  MessageKind kind = MessageKind::kError;
  std::string payload;
};

struct CompileOrder {
  CompileJob job;
  int32_t deadline_ms = 0;  // after which the worker ends itself
};

Message to_message(const NvrtcSearch& search);
Message to_message(const CompileOrder& order);
Message to_message(const CompilerIdentity& identity);
Message to_message(const CompiledImage& image);
Message to_message(const Status& error);

// Errors: kWorkerFailed, for a message of another kind or with a damaged payload. A kError message
// is returned as the Status it holds.
Result<NvrtcSearch> to_search(const Message& message);
Result<CompileOrder> to_order(const Message& message);
Result<CompilerIdentity> to_identity(const Message& message);
Result<CompiledImage> to_image(const Message& message);

using Deadline = std::chrono::steady_clock::time_point;

enum class Transfer { kDone, kClosed, kTimedOut, kMalformed };
Transfer send_message(int socket, const Message& message, Deadline deadline);
Transfer receive_message(int socket, Message* message, Deadline deadline);

}  // namespace rmsjit

#endif  // RMSJIT_WORKER_PROTOCOL_H_
