// SPDX-License-Identifier: Apache-2.0
// A libnvrtc of a few lines, opened at run time like the real one. It "compiles" to PTX whose
// comments tell about the process it ran in, after doing what the source's header spec.cuh says,
// one command a line, so that tests can make a compile crash, hang or meddle at once.
// RMSJIT_FAKE_NVRTC_MEDDLES makes each compile meddle.
#include <dirent.h>
#include <fenv.h>
#include <langinfo.h>
#include <locale.h>
#include <nvrtc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#ifndef FAKE_MAJOR
#define FAKE_MAJOR 13
#define FAKE_MINOR 0
#endif

struct _nvrtcProgram {
  std::string commands, options, log, ptx;
};

namespace {

void leave(int) { exit(4); }

// What NVRTC does to a process during its front end, only for good.
void meddle() {
  struct sigaction action {};
  action.sa_handler = leave;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_STACK, &limit);
}

void say(const char* text, size_t bytes) {
  if (send(0, text, bytes, MSG_NOSIGNAL) < 0) abort();
}

// As a container's limit does it to a library that does not expect it.
void exhaust_memory() {
  const rlimit limit{256u << 20, 256u << 20};
  setrlimit(RLIMIT_AS, &limit);
  for (;;) memset(operator new(1u << 20), 1, 1u << 20);
}

void obey(const std::string& command, nvrtcProgram program) {
  std::istringstream in(command);
  std::string verb;
  int number = 0;
  in >> verb >> number;
  if (verb == "crash") raise(SIGSEGV);
  if (verb == "killed") raise(SIGKILL);
  if (verb == "exit") _exit(number);
  if (verb == "sleep") usleep(static_cast<useconds_t>(number) * 1000);
  if (verb == "hang") {
    for (;;) pause();
  }
  if (verb == "stop") raise(SIGSTOP);
  if (verb == "meddle") meddle();
  if (verb == "memory") exhaust_memory();
  if (verb == "garbage") say("these are no frames at all", 26);
  if (verb == "frame") say("\x01\x03\x00\x00\x00\x00", 6);
  if (verb == "cut") {
    say("\x01\x04\xff\x00\x00\x00half", 10);
    _exit(0);
  }
  if (verb == "error") program->log = "spec.cuh(1): error: as asked";
}

std::string about_this_process() {
  std::ostringstream out;
  out << "//pid=" << getpid() << "\n//group=" << getpgrp() << "\n";
  {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("Sig", 0) == 0) out << "//" << line << "\n";
    }
  }
  if (DIR* folder = opendir("/proc/self/fd")) {
    while (const dirent* entry = readdir(folder)) {
      if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder)) {
        out << "//fd=" << entry->d_name << "\n";
      }
    }
    closedir(folder);
  }
  for (char** entry = environ; *entry != nullptr; ++entry) out << "//env " << *entry << "\n";
  char folder[4096];
  out << "//cwd=" << (getcwd(folder, sizeof folder) ? folder : "?") << "\n";
  out << "//decimal=" << localeconv()->decimal_point << "\n";
  out << "//codeset=" << nl_langinfo(CODESET) << "\n";
  out << "//rounding=" << fegetround() << "\n";
  std::ifstream thread("/proc/thread-self/status");
  for (std::string line; std::getline(thread, line);) {
    if (line.rfind("SigBlk:\t", 0) == 0) out << "//blocked=" << line.substr(8) << "\n";
  }
  return out.str();
}

nvrtcResult size_of(const std::string& text, size_t* bytes) {
  *bytes = text.size() + 1;
  return NVRTC_SUCCESS;
}
nvrtcResult copy_of(const std::string& text, char* out) {
  memcpy(out, text.c_str(), text.size() + 1);
  return NVRTC_SUCCESS;
}

}  // namespace

#define FAKE extern "C" __attribute__((visibility("default")))

FAKE nvrtcResult nvrtcVersion(int* major, int* minor) {
  *major = FAKE_MAJOR;
  *minor = FAKE_MINOR;
  return NVRTC_SUCCESS;
}
FAKE nvrtcResult nvrtcGetNumSupportedArchs(int* count) {
  *count = 2;
  return NVRTC_SUCCESS;
}
FAKE nvrtcResult nvrtcGetSupportedArchs(int* archs) {
  archs[0] = 80;
  archs[1] = 90;
  return NVRTC_SUCCESS;
}
FAKE const char* nvrtcGetErrorString(nvrtcResult result) {
  return result == NVRTC_ERROR_COMPILATION ? "NVRTC_ERROR_COMPILATION" : "some other error";
}
FAKE nvrtcResult nvrtcCreateProgram(nvrtcProgram* out, const char*, const char*, int headers,
                                    const char* const* texts, const char* const* names) {
  *out = new _nvrtcProgram;
  for (int i = 0; i < headers; ++i) {
    if (strcmp(names[i], "spec.cuh") == 0) (*out)->commands = texts[i];
  }
  return NVRTC_SUCCESS;
}
FAKE nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}
FAKE nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count, const char* const* options) {
  for (int i = 0; i < count; ++i) program->options += std::string(options[i]) + " ";
  if (getenv("RMSJIT_FAKE_NVRTC_MEDDLES") != nullptr) meddle();
  std::istringstream in(program->commands);
  for (std::string line; std::getline(in, line);) obey(line, program);
  if (!program->log.empty()) return NVRTC_ERROR_COMPILATION;
  program->ptx = about_this_process() + "//options=" + program->options + "\n.target sm_90\n";
  return NVRTC_SUCCESS;
}
FAKE nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t* bytes) {
  return size_of(program->log, bytes);
}
FAKE nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* out) {
  return copy_of(program->log, out);
}
FAKE nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, size_t* bytes) {
  return size_of(program->ptx, bytes);
}
FAKE nvrtcResult nvrtcGetPTX(nvrtcProgram program, char* out) { return copy_of(program->ptx, out); }
FAKE nvrtcResult nvrtcGetCUBINSize(nvrtcProgram, size_t*) { return NVRTC_ERROR_INVALID_PROGRAM; }
FAKE nvrtcResult nvrtcGetCUBIN(nvrtcProgram, char*) { return NVRTC_ERROR_INVALID_PROGRAM; }
