package dispatch

import (
	"sync/atomic"
	"unsafe"
)

// touch makes the page of b present without changing it.
func touch(b *byte) uint32 {
	return atomic.AddUint32((*uint32)(unsafe.Pointer(b)), 0)
}

func word32(b []byte, offset int) *uint32 { return (*uint32)(unsafe.Pointer(&b[offset])) }
func word64(b []byte, offset int) *uint64 { return (*uint64)(unsafe.Pointer(&b[offset])) }
