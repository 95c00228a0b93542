package opencl

/*
#include <CL/cl.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Buffer is memory on the device that kernels read and write.
type Buffer struct {
	memory C.cl_mem
	bytes  int
}

// NewBuffer allocates that many bytes.
func (c *Context) NewBuffer(bytes int) (*Buffer, error) {
	var code C.cl_int
	memory := C.clCreateBuffer(c.context, C.CL_MEM_READ_WRITE, C.size_t(bytes), nil, &code)
	if err := check("clCreateBuffer", code); err != nil {
		return nil, err
	}
	return &Buffer{memory: memory, bytes: bytes}, nil
}

// Write copies data to the buffer's beginning and waits until that is done.
func (c *Context) Write(buffer *Buffer, data []byte) error {
	if len(data) == 0 || len(data) > buffer.bytes {
		return fmt.Errorf("write %d bytes to a buffer of %d", len(data), buffer.bytes)
	}
	return check("clEnqueueWriteBuffer", C.clEnqueueWriteBuffer(c.queue, buffer.memory, C.CL_TRUE, 0, C.size_t(len(data)), unsafe.Pointer(&data[0]), 0, nil, nil))
}

// Read waits for what was enqueued, then copies the buffer's beginning into data.
func (c *Context) Read(buffer *Buffer, data []byte) error {
	if len(data) == 0 || len(data) > buffer.bytes {
		return fmt.Errorf("read %d bytes from a buffer of %d", len(data), buffer.bytes)
	}
	return check("clEnqueueReadBuffer", C.clEnqueueReadBuffer(c.queue, buffer.memory, C.CL_TRUE, 0, C.size_t(len(data)), unsafe.Pointer(&data[0]), 0, nil, nil))
}

// Release gives the memory back.
func (b *Buffer) Release() { C.clReleaseMemObject(b.memory) }
