/* SPDX-License-Identifier: Apache-2.0 */
/* torch's exchange table with CPU tensors passed off as CUDA's on the legacy stream, so that a call
 * can be profiled on a machine without a device: host_profile.py. */
#include <dlpack/dlpack.h>

static const DLPackExchangeAPI* torch;
static DLPackExchangeAPI ours;

static int tensor_from(void* object, DLTensor* tensor) {
  const int failed = torch->dltensor_from_py_object_no_sync(object, tensor);
  tensor->device.device_type = kDLCUDA;
  tensor->device.device_id = 0;
  return failed;
}

static int work_stream(DLDeviceType type, int32_t device, void** stream) {
  (void)type, (void)device;
  *stream = 0;
  return 0;
}

void* as_cuda(const void* table) {
  torch = table;
  ours = *torch;
  ours.dltensor_from_py_object_no_sync = tensor_from;
  ours.current_work_stream = work_stream;
  return &ours;
}
