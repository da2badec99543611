// SPDX-License-Identifier: Apache-2.0
#include "runtime/nvrtc_library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "runtime/nvrtc_search.h"
#include "tests/runtime/compiler_fixture.h"

namespace rmsjit {
namespace {

using ::testing::TempDir;

std::string fresh_folder() {
  std::string path = TempDir() + "rmsjit_nvrtc_XXXXXX";
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path;
}

size_t position(const std::vector<std::string>& places, const std::string& place) {
  const auto found = std::find(places.begin(), places.end(), place);
  EXPECT_NE(found, places.end()) << place;
  return static_cast<size_t>(found - places.begin());
}

TEST(NvrtcSearch, AChosenLibraryIsTheOnlyPlace) {
  EXPECT_EQ(nvrtc_places({"/x/libnvrtc.so", true, "/a/b"}),
            std::vector<std::string>{"/x/libnvrtc.so"});
}

TEST(NvrtcSearch, AChosenFolderMeansTheLibrariesInIt) {
  const std::string folder = fresh_folder();
  EXPECT_EQ(nvrtc_places({folder, true, "/a/b"}),
            (std::vector<std::string>{folder + "/libnvrtc.so.13", folder + "/libnvrtc.so.12"}));
}

TEST(NvrtcSearch, WheelsComeBeforeSonamesAndSonamesBeforeTheToolkit) {
  const auto places = nvrtc_places({"", false, "/site-packages/rmsjit/lib"});
  const size_t wheel = position(places, "/site-packages/nvidia/cu13/lib/libnvrtc.so.13");
  position(places, "/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
  EXPECT_LT(wheel, position(places, "libnvrtc.so.13"));
  EXPECT_LT(position(places, "libnvrtc.so.13"), position(places, "libnvrtc.so.12"));
  EXPECT_LT(position(places, "libnvrtc.so.12"),
            position(places, "/usr/local/cuda/lib64/libnvrtc.so.13"));
}

TEST(NvrtcSearch, ABuildTreeFindsItsUnpackedWheels) {
  for (const char* folder : {"/p/build/release/bin", "/p/build/release/lib"}) {
    position(nvrtc_places({"", false, folder}), "/p/build/nvrtc/nvidia/cu13/lib/libnvrtc.so.13");
  }
}

TEST(NvrtcSearch, TheWorkerIsFoundBesideTheLibraryAndNeverOnThePath) {
  EXPECT_EQ(worker_places("", "/opt/lib"),
            (std::vector<std::string>{"/opt/libexec/rmsjit/rmsjit-worker", "/opt/lib/rmsjit-worker",
                                      "/opt/bin/rmsjit-worker"}));
  EXPECT_EQ(worker_places("/x/w", "/opt/lib"), std::vector<std::string>{"/x/w"});
  EXPECT_TRUE(worker_places("", "").empty());
}

TEST(NvrtcSearch, TheOwnFolderIsThatOfThisExecutable) {
  EXPECT_EQ(own_object_folder(),
            std::filesystem::canonical("/proc/self/exe").parent_path().string());
}

TEST(NvrtcLibrary, NoneFoundNamesEveryPlaceAndTheReason) {
  const std::string folder = fresh_folder();
  const std::string not_elf = folder + "/libnvrtc.so.12";
  std::ofstream(not_elf) << "no library";
  const auto library = NvrtcLibrary::open({folder, false, ""});
  ASSERT_EQ(library.code(), StatusCode::kCompilerUnavailable);
  EXPECT_NE(library.message().find(folder + "/libnvrtc.so.13: no such file"), std::string::npos)
      << library.message();
  EXPECT_NE(library.message().find(not_elf + ": "), std::string::npos) << library.message();
  EXPECT_NE(library.message().find("RMSJIT_NVRTC"), std::string::npos);
}

TEST(NvrtcLibrary, ATooOldOneIsRefusedWithItsVersion) {
  const auto library = NvrtcLibrary::open({RMSJIT_TEST_FAKE_NVRTC_12_3, false, ""});
  ASSERT_EQ(library.code(), StatusCode::kCompilerUnavailable);
  EXPECT_NE(library.message().find("is NVRTC 12.3, but 12.4 to 13.x is needed"), std::string::npos)
      << library.message();
}

TEST(NvrtcLibrary, ALibraryThatIsNoNvrtcIsRefusedByItsMissingFunction) {
  const auto library = NvrtcLibrary::open({"/proc/self/exe", false, ""});
  ASSERT_EQ(library.code(), StatusCode::kCompilerUnavailable);
}

TEST(NvrtcLibrary, AnOldVersionIsGivenTheOptionsItKnows) {
  const std::vector<std::string> all = {"--std=c++17", "--no-cache", "-minimal"};
  EXPECT_EQ(options_for_version(all, 12, 8), (std::vector<std::string>{"--std=c++17", "-minimal"}));
  EXPECT_EQ(options_for_version(all, 12, 9), all);
  EXPECT_EQ(options_for_version(all, 13, 0), all);

  CompilerOptions options = fake_options();
  options.nvrtc = RMSJIT_TEST_FAKE_NVRTC_12_4;
  const auto image = make_inprocess_compiler(options)->compile(fake_request());
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_EQ(told(image->image, "options"), "--std=c++17 ");
  EXPECT_EQ(image->nvrtc_version, "12.4");
}

TEST(NvrtcLibrary, ATargetItDoesNotKnowNamesThoseItKnows) {
  CompileRequest request = fake_request();
  request.target_name = "compute_120";
  const auto image = make_inprocess_compiler(fake_options())->compile(request);
  ASSERT_EQ(image.code(), StatusCode::kUnsupported);
  EXPECT_NE(image.message().find("target=compute_120"), std::string::npos) << image.message();
  EXPECT_NE(image.message().find("80, 90"), std::string::npos) << image.message();
}

TEST(NvrtcLibrary, ACompileErrorBeginsWithKernelTargetAndVersionAndHoldsTheLog) {
  const auto image = make_inprocess_compiler(fake_options())->compile(fake_request("error"));
  ASSERT_EQ(image.code(), StatusCode::kCompileFailed);
  const std::string first = image.message().substr(0, image.message().find('\n'));
  for (const char* part : {"hidden=8,x=bf16", "compute_90", "13.0"}) {
    EXPECT_NE(first.find(part), std::string::npos) << first;
  }
  EXPECT_NE(image.message().find("\nspec.cuh(1): error: as asked"), std::string::npos);
}

TEST(NvrtcLibrary, ItIsFoundLaterWhenItAppearsLater) {
  const std::string path = fresh_folder() + "/libnvrtc.so.13";
  CompilerOptions options = fake_options();
  options.nvrtc = path;
  const auto compiler = make_inprocess_compiler(options);
  EXPECT_EQ(compiler->identity().code(), StatusCode::kCompilerUnavailable);
  std::filesystem::copy_file(RMSJIT_TEST_FAKE_NVRTC, path);
  EXPECT_TRUE(compiler->identity().ok());
}

}  // namespace
}  // namespace rmsjit
