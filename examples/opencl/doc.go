// Package opencl is a thin wrapper of the OpenCL C API: what the examples need of it,
// in Go's terms. It links libOpenCL as any OpenCL program does.
//
// Enqueued work runs in order. Objects are not safe for concurrent use.
package opencl
