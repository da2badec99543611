// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker_protocol.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

namespace rmsjit {
namespace {

Deadline soon(int ms = 10000) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

struct Pair {
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0); }
  ~Pair() {
    for (const int end : ends) {
      if (end >= 0) close(end);
    }
  }
  void close_end(int i) {
    close(ends[i]);
    ends[i] = -1;
  }
  int ends[2];
};

CompileOrder sample_order() {
  return {{"hidden=8", "sm_90", {"-a", "-b=c"}, {{"a.cu", "text\0more"}, {"b.cuh", ""}}}, 1234};
}

CompiledImage sample_image() {
  return {std::string("\0ELF\xff", 5), "13.0", "release 13.0", 40, 1, 2, 3, 4.5};
}

TEST(WorkerProtocol, EveryMessageComesBackAsItWas) {
  const auto search = to_search(to_message(NvrtcSearch{"/a", false, "/b"}));
  ASSERT_TRUE(search.ok()) << search.message();
  EXPECT_EQ(search->chosen, "/a");
  EXPECT_EQ(search->object_folder, "/b");

  const auto order = to_order(to_message(sample_order()));
  ASSERT_TRUE(order.ok()) << order.message();
  EXPECT_EQ(order->deadline_ms, 1234);
  EXPECT_EQ(order->job.kernel, "hidden=8");
  EXPECT_EQ(order->job.target_name, "sm_90");
  EXPECT_EQ(order->job.options, sample_order().job.options);
  ASSERT_EQ(order->job.files.size(), 2u);
  EXPECT_EQ(order->job.files[0].text, sample_order().job.files[0].text);
  EXPECT_EQ(order->job.files[1].name, "b.cuh");

  const auto identity = to_identity(to_message(CompilerIdentity{13, 2, "/lib", {80, 90}}));
  ASSERT_TRUE(identity.ok()) << identity.message();
  EXPECT_EQ(identity->minor, 2);
  EXPECT_EQ(identity->supported_sm, (std::vector<int>{80, 90}));

  const auto image = to_image(to_message(sample_image()));
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_EQ(image->image, sample_image().image);
  EXPECT_EQ(image->nvrtc_build, "release 13.0");
  EXPECT_EQ(image->shared_bytes, 3);
  EXPECT_EQ(image->compile_ms, 4.5);
}

TEST(WorkerProtocol, AnErrorIsReturnedAsTheStatusItHolds) {
  const auto image = to_image(to_message(Status(StatusCode::kCompileFailed, "line\nlog")));
  EXPECT_EQ(image.code(), StatusCode::kCompileFailed);
  EXPECT_EQ(image.message(), "line\nlog");
}

TEST(WorkerProtocol, AnErrorWithANumberThatIsNoCodeIsABadMessage) {
  Message message = to_message(Status(StatusCode::kIo, "x"));
  for (const char code : {0, 99, -1}) {
    message.payload[0] = code;
    message.payload[3] = code < 0 ? -1 : 0;
    EXPECT_EQ(to_image(message).code(), StatusCode::kWorkerFailed) << int{code};
  }
}

TEST(WorkerProtocol, AMessageOfAnotherKindIsAnError) {
  EXPECT_EQ(to_image(to_message(sample_order())).code(), StatusCode::kWorkerFailed);
  EXPECT_EQ(to_order(to_message(sample_image())).code(), StatusCode::kWorkerFailed);
  EXPECT_EQ(to_search(to_message(sample_image())).code(), StatusCode::kWorkerFailed);
  EXPECT_EQ(to_identity(to_message(NvrtcSearch{})).code(), StatusCode::kWorkerFailed);
}

TEST(WorkerProtocol, APayloadCutAnywhereOrLongerIsAnError) {
  const Message whole = to_message(sample_order());
  for (size_t length = 0; length < whole.payload.size(); ++length) {
    EXPECT_FALSE(to_order({whole.kind, whole.payload.substr(0, length)}).ok()) << length;
  }
  EXPECT_FALSE(to_order({whole.kind, whole.payload + "x"}).ok());
}

TEST(WorkerProtocol, RandomPayloadsAreReadWithinBounds) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    Message message = to_message(sample_order());
    for (int flips = 0; flips < 3; ++flips) {
      message.payload[random() % message.payload.size()] = static_cast<char>(random());
    }
    const auto order = to_order(message);
    EXPECT_TRUE(order.ok() || order.code() == StatusCode::kWorkerFailed);
  }
}

TEST(WorkerProtocol, ALargeMessageCrossesASmallSocket) {
  Pair pair;
  Message sent{MessageKind::kImage, std::string(5 << 20, 'x')};
  sent.payload[123456] = 'y';
  std::thread sender([&] { EXPECT_EQ(send_message(pair.ends[0], sent, soon()), Transfer::kDone); });
  Message got;
  EXPECT_EQ(receive_message(pair.ends[1], &got, soon()), Transfer::kDone);
  sender.join();
  EXPECT_EQ(got.kind, MessageKind::kImage);
  EXPECT_TRUE(got.payload == sent.payload);
}

TEST(WorkerProtocol, APeerThatIsGoneIsAResultAndNoSignal) {
  Pair pair;  // SIGPIPE has its default action here: it would end the test
  pair.close_end(1);
  Message message = to_message(sample_image());
  EXPECT_EQ(send_message(pair.ends[0], message, soon()), Transfer::kClosed);
  EXPECT_EQ(receive_message(pair.ends[0], &message, soon()), Transfer::kClosed);
}

TEST(WorkerProtocol, SilenceEndsAtTheDeadline) {
  Pair pair;
  Message message;
  EXPECT_EQ(receive_message(pair.ends[0], &message, soon(20)), Transfer::kTimedOut);
  message = {MessageKind::kImage, std::string(32 << 20, 'x')};  // nobody reads it
  EXPECT_EQ(send_message(pair.ends[0], message, soon(20)), Transfer::kTimedOut);
}

TEST(WorkerProtocol, AnotherVersionOrAnImpossibleLengthIsMalformed) {
  for (const std::string& bytes :
       {std::string("\x02\x04\0\0\0\0", 6), std::string("\x01\x04\xff\xff\xff\xff", 6)}) {
    Pair pair;
    ASSERT_EQ(write(pair.ends[1], bytes.data(), bytes.size()), 6);
    Message message;
    EXPECT_EQ(receive_message(pair.ends[0], &message, soon()), Transfer::kMalformed);
  }
}

}  // namespace
}  // namespace rmsjit
