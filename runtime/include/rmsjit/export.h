/* SPDX-License-Identifier: Apache-2.0 */
/* Visibility of the C ABI; everything else in the shared library is hidden. */
#ifndef RMSJIT_EXPORT_H_
#define RMSJIT_EXPORT_H_
#define RMSJIT_API __attribute__((visibility("default")))
#endif /* RMSJIT_EXPORT_H_ */
