# SPDX-License-Identifier: Apache-2.0
"""The CUDA driver and NVRTC through ctypes: what the reference kernels and the checks of a captured
graph need. torch owns the context, the memory and the streams."""

import contextlib
import ctypes
import glob
import os
import site
import sys

PDL_ATTRIBUTE = 6  # CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION


class CudaError(RuntimeError):
    pass


class _AttributeValue(ctypes.Union):
    _fields_ = [("pad", ctypes.c_char * 64), ("programmatic_serialization", ctypes.c_int)]


class _Attribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_char * 4), ("value", _AttributeValue)]


class _Config(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint)
        for name in ("grid_x", "grid_y", "grid_z", "block_x", "block_y", "block_z", "shared")
    ]
    _fields_ += [
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("attribute_count", ctypes.c_uint),
    ]


_driver = None


def driver():
    global _driver
    if _driver is None:
        _driver = ctypes.CDLL("libcuda.so.1")
    return _driver


def check(result, what):
    if result != 0:
        name = ctypes.c_char_p()
        driver().cuGetErrorName(result, ctypes.byref(name))
        raise CudaError(f"{what}: {(name.value or b'unknown').decode()} ({result})")


def graph_nodes(graph):
    """Nodes of a captured CUgraph (an integer): the kernels and copies that its launches cost."""
    count = ctypes.c_size_t()
    check(
        driver().cuGraphGetNodes(ctypes.c_void_p(graph), None, ctypes.byref(count)),
        "cuGraphGetNodes",
    )
    return count.value


class Graph:
    """A captured torch.cuda.CUDAGraph, instantiated, replayed by the driver alone: torch's replay
    may put work of its own before the graph."""

    def __init__(self, captured, stream):
        self.nodes = graph_nodes(captured.raw_cuda_graph())
        captured.instantiate()
        self._captured = captured  # owns the executable and the memory that the capture allocated
        self._executable = ctypes.c_void_p(captured.raw_cuda_graph_exec())
        self._stream = ctypes.c_void_p(stream)

    def replay(self):
        check(driver().cuGraphLaunch(self._executable, self._stream), "cuGraphLaunch")


def clear_error(device):
    """For after an implementation's error. A launch that fails leaves its error in the CUDA
    runtime, where the launch check of whoever comes next finds it; torch's check raises it once and
    takes it away. A broken context stays broken: RuntimeError from the synchronisation."""
    with contextlib.suppress(RuntimeError):
        device.touch()
    device.synchronize()


def device_name():
    """The first device's; makes no context."""
    check(driver().cuInit(0), "cuInit")
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    check(driver().cuDeviceGet(ctypes.byref(device), 0), "cuDeviceGet")
    check(driver().cuDeviceGetName(name, len(name), device), "cuDeviceGetName")
    return name.value.decode()


def driver_version():
    version = ctypes.c_int()
    check(driver().cuDriverGetVersion(ctypes.byref(version)), "cuDriverGetVersion")
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def find_nvrtc(given=None):
    """The given path, or the libnvrtc of the Python wheels, or the toolkit's; None if there is
    none."""
    if given:
        return given
    places = [
        p
        for root in dict.fromkeys(sys.path + site.getsitepackages())
        if root
        for p in sorted(
            glob.glob(os.path.join(root, "nvidia", "*", "lib", "libnvrtc.so.1*")), reverse=True
        )
    ]
    places += sorted(glob.glob("/usr/local/cuda/lib64/libnvrtc.so.1*"), reverse=True)
    return next((p for p in places if "builtins" not in p), None)


class Nvrtc:
    def __init__(self, path):
        self.path = path
        self._library = ctypes.CDLL(path)

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    def compile(self, source, name, options):
        """The cubin. Raises CudaError with the log."""
        nvrtc, program = self._library, ctypes.c_void_p()
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), source.encode(), name.encode(), 0, None, None
        )
        try:
            texts = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
            if nvrtc.nvrtcCompileProgram(program, len(options), texts) != 0:
                raise CudaError(f"{name}: {self._text(program, 'nvrtcGetProgramLog')}")
            size = ctypes.c_size_t()
            nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
            image = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetCUBIN(program, image)
            return image.raw
        finally:
            nvrtc.nvrtcDestroyProgram(ctypes.byref(program))

    def _text(self, program, function):
        size = ctypes.c_size_t()
        getattr(self._library, function + "Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value + 1)
        getattr(self._library, function)(program, text)
        return text.value.decode(errors="replace")


class Module:
    """A loaded cubin; its context is the one that torch made current."""

    def __init__(self, image):
        self._handle = ctypes.c_void_p()
        check(driver().cuModuleLoadData(ctypes.byref(self._handle), image), "cuModuleLoadData")

    def function(self, name):
        handle = ctypes.c_void_p()
        check(
            driver().cuModuleGetFunction(ctypes.byref(handle), self._handle, name.encode()),
            f"cuModuleGetFunction({name})",
        )
        return handle


class Launch:
    """One kernel launch with everything but the stream fixed. `params` is a ctypes structure."""

    def __init__(self, function, grid, block, params=None, pdl=False):
        self._attribute = _Attribute(id=PDL_ATTRIBUTE)
        self._attribute.value.programmatic_serialization = 1
        self._config = _Config(
            grid[0],
            grid[1],
            1,
            block,
            1,
            1,
            0,
            None,
            ctypes.pointer(self._attribute),
            1 if pdl else 0,
        )
        self._function = function
        self._params = params
        self._arguments = None
        if params is not None:
            self._arguments = (ctypes.c_void_p * 1)(
                ctypes.cast(ctypes.pointer(params), ctypes.c_void_p)
            )

    def __call__(self, stream):
        self._config.stream = stream
        check(
            driver().cuLaunchKernelEx(
                ctypes.byref(self._config), self._function, self._arguments, None
            ),
            "cuLaunchKernelEx",
        )
