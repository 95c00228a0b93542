package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"unsafe"
)

func (t *thread) scalar() uint64 {
	if len(t.rest) < 8 {
		t.violate("a frame that ends within its arguments")
		return 0
	}
	v := binary.LittleEndian.Uint64(t.rest)
	t.rest = t.rest[8:]
	return v
}

func (t *thread) handle(k kind) *object {
	h := t.scalar()
	o := t.objects[h]
	if o == nil || o.kind != k {
		t.violate("handle %d is not of kind %d", h, k)
		return &object{}
	}
	if o.failed {
		t.refused = C.CUDA_ERROR_INVALID_HANDLE
	}
	return o
}

func (t *thread) handleOrNo(k kind) *object {
	if len(t.rest) >= 8 && binary.LittleEndian.Uint64(t.rest) == 0 {
		t.rest = t.rest[8:]
		return nil
	}
	return t.handle(k)
}

// current makes the context that is current in the program's thread current here.
func (t *thread) current(k kind) *object {
	o := t.handle(k)
	if t.violation == nil && t.refused == C.CUDA_SUCCESS && o.driver != t.entered {
		t.refused = C.cuCtxSetCurrent(driverContext(o.driver))
		t.entered = o.driver
	}
	return o
}

func (t *thread) created(k kind) *object {
	h := t.scalar()
	o := &object{kind: k, failed: true}
	if h < C.SL_FIRST_HANDLE || t.objects[h] != nil && !t.objects[h].failed {
		t.violate("new handle %d is out of range or in use", h)
		return o
	}
	t.objects[h] = o
	return o
}

func (t *thread) bytes() []byte {
	n := t.scalar()
	if n > uint64(len(t.rest)) || (n+7)&^7 > uint64(len(t.rest)) {
		t.violate("%d bytes in a frame with %d left", n, len(t.rest))
		return nil
	}
	b := t.rest[:n:n]
	t.rest = t.rest[(n+7)&^7:]
	return b
}

// text is bytes of which the last and no other is 0.
func (t *thread) text() []byte {
	b := t.bytes()
	for i, c := range b {
		if (c == 0) != (i == len(b)-1) {
			t.violate("text with a 0 elsewhere than at its end")
		}
	}
	if len(b) == 0 {
		t.violate("text without its end")
	}
	return b
}

func (t *thread) answerBytes() []byte {
	n := t.scalar()
	if n > maxAnswer {
		t.violate("an answer of %d bytes", n)
		return nil
	}
	return make([]byte, n)
}

func (t *thread) address() address { return address{C.CUdeviceptr(t.scalar())} }

// span refuses a call that touches what is not the Lease's.
func (t *thread) span(a address, count, size uint64) {
	if count == 0 {
		return
	}
	for _, has := range t.allocations {
		offset := uint64(a.pointer) - has.first
		if offset < has.size && count <= (has.size-offset)/size {
			return
		}
	}
	t.refused = C.CUDA_ERROR_INVALID_VALUE
}

// parameters lays out a launch's values as the function has them.
func (t *thread) parameters(f *object) *unsafe.Pointer {
	b, length := t.bytes(), C.size_t(0)
	for i, p := range f.parameters {
		t.pointers[i] = unsafe.Pointer(&t.values[p.offset])
		length = p.offset + p.size
	}
	if t.violation != nil || t.refused != C.CUDA_SUCCESS {
		return nil
	}
	if C.size_t(len(b)) != length {
		t.violate("%d bytes of parameters where the function has %d", len(b), length)
		return nil
	}
	copy(t.values[:], b)
	return &t.pointers[0]
}
