package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"sort"
	"strings"
	"unsafe"

	"sluice/vdev/wire"
)

// svmAllocationsMax bounds the allocations of shared virtual memory of one Session.
const svmAllocationsMax = 1 << 16

// svmForwarded is what a device can be asked for. A program's other memory is not
// the worker's, so that none has fine-grained memory of the system.
const svmForwarded = C.CL_DEVICE_SVM_COARSE_GRAIN_BUFFER | C.CL_DEVICE_SVM_FINE_GRAIN_BUFFER | C.CL_DEVICE_SVM_ATOMICS

// address is a place in shared virtual memory.
type address struct {
	pointer unsafe.Pointer // nil where the program gave NULL
	room    uint64         // bytes from there to its allocation's end
}

// allocation is one of shared virtual memory, counted of the memory of devices.
type allocation struct {
	extent
	devices deviceSet
}

// sharesAddresses says whether a kernel may be given any address of the worker's
// memory: the arena's pages are the program's too, and the driver did not allocate
// them. Devices with fine-grained memory of the system promise that; PoCL's CPU
// devices have it without the promise.
func sharesAddresses(platform C.cl_platform_id, device C.cl_device_id) bool {
	capabilities, ok := ask(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetDeviceInfo(device, C.CL_DEVICE_SVM_CAPABILITIES, size, value, sizeRet)
	})
	if !ok || len(capabilities) != 8 {
		return false
	}
	has := binary.LittleEndian.Uint64(capabilities)
	if has&C.CL_DEVICE_SVM_FINE_GRAIN_SYSTEM != 0 {
		return true
	}
	var kind C.cl_device_type
	C.clGetDeviceInfo(device, C.CL_DEVICE_TYPE, C.size_t(unsafe.Sizeof(kind)), unsafe.Pointer(&kind), nil)
	name, _ := ask(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetPlatformInfo(platform, C.CL_PLATFORM_NAME, size, value, sizeRet)
	})
	pocl := strings.TrimRight(string(name), "\x00") == "Portable Computing Language"
	return pocl && kind&C.CL_DEVICE_TYPE_CPU != 0 && has&C.CL_DEVICE_SVM_FINE_GRAIN_BUFFER != 0
}

// svmFact is a device's capabilities of shared virtual memory.
func (l *Lease) svmFact(value []byte) []byte {
	if !l.svm || len(value) != 8 {
		return make([]byte, len(value))
	}
	return binary.LittleEndian.AppendUint64(nil, binary.LittleEndian.Uint64(value)&svmForwarded)
}

// svmIndex is the place in the list of the last allocation at or before offset.
func (s *Session) svmIndex(offset uint64) int {
	return sort.Search(len(s.svm), func(i int) bool { return s.svm[i].offset > offset }) - 1
}

// svmAt finds an address in the Session's allocations.
func (s *Session) svmAt(a uint64) (address, bool) {
	offset := a - uint64(uintptr(unsafe.Pointer(&s.arenaShared.bytes[0])))
	i := s.svmIndex(offset)
	if i < 0 || offset-s.svm[i].offset >= s.svm[i].size {
		return address{}, false
	}
	return address{unsafe.Pointer(&s.arenaShared.bytes[offset]), s.svm[i].offset + s.svm[i].size - offset}, true
}

// giveSVM gives the bytes of all allocations back.
func (s *Session) giveSVM() {
	for _, a := range s.svm {
		s.lease.give(a.devices, a.size)
	}
}

// clSVMAlloc answers with the offset of memory that is the program's and the
// device's at one address, filled with pages.
func (t *thread) clSVMAlloc(a argsClSVMAlloc) C.cl_int {
	s, size := t.session, uint64(a.size)
	if !s.lease.svm || size == 0 {
		return C.CL_INVALID_OPERATION
	}
	if !s.credit.covers(a.context.devices, size) || len(s.svm) == svmAllocationsMax {
		return C.CL_MEM_OBJECT_ALLOCATION_FAILURE
	}
	s.reclaim()
	place, ok := s.places.take(size)
	if !ok {
		return C.CL_MEM_OBJECT_ALLOCATION_FAILURE
	}
	s.credit.spend(a.context.devices, size)
	from := place.offset / pageBytes * pageBytes
	populate(s.arenaShared.bytes[from:roundUp(place.offset+place.size, pageBytes)])
	i := s.svmIndex(place.offset) + 1
	s.svm = append(s.svm, allocation{})
	copy(s.svm[i+1:], s.svm[i:])
	s.svm[i] = allocation{extent{place.offset, size}, a.context.devices}
	t.reply = binary.LittleEndian.AppendUint64(t.reply, place.offset)
	return C.CL_SUCCESS
}

// clSVMFree gives an allocation back. The program has seen to it that no command
// uses it any more, or it spoils memory that is its own.
func (t *thread) clSVMFree(a argsClSVMFree) C.cl_int {
	s := t.session
	if a.svmPointer.pointer == nil {
		return C.CL_INVALID_VALUE
	}
	offset := uint64(uintptr(a.svmPointer.pointer) - uintptr(unsafe.Pointer(&s.arenaShared.bytes[0])))
	i := s.svmIndex(offset)
	freed := s.svm[i]
	if freed.offset != offset {
		return C.CL_INVALID_VALUE
	}
	s.svm = append(s.svm[:i], s.svm[i+1:]...)
	s.places.give(extent{freed.offset, roundUp(freed.size, granule(freed.size))})
	s.lease.give(freed.devices, freed.size)
	return C.CL_SUCCESS
}

// reaches refuses a range that does not lie in one allocation.
func (a address) reaches(size C.size_t) bool { return a.pointer != nil && uint64(size) <= a.room }

func (t *thread) clEnqueueSVMMemcpy(a argsClEnqueueSVMMemcpy) C.cl_int {
	status := C.cl_int(C.CL_INVALID_VALUE)
	if a.dstPtr.reaches(a.size) && a.srcPtr.reaches(a.size) {
		status = C.clEnqueueSVMMemcpy(driverQueue(a.commandQueue.driver), C.CL_FALSE, a.dstPtr.pointer, a.srcPtr.pointer, a.size, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	}
	return t.transferred(a.commandQueue, a.event, a.blocking, 0, status)
}

func (t *thread) clEnqueueSVMMap(a argsClEnqueueSVMMap) C.cl_int {
	status := C.cl_int(C.CL_INVALID_VALUE)
	if a.svmPtr.reaches(a.size) {
		status = C.clEnqueueSVMMap(driverQueue(a.commandQueue.driver), C.CL_FALSE, a.flags, a.svmPtr.pointer, a.size, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	}
	return t.transferred(a.commandQueue, a.event, a.blocking, 0, status)
}

func (t *thread) clEnqueueSVMMemFill(a argsClEnqueueSVMMemFill) C.cl_int {
	status := C.cl_int(C.CL_INVALID_VALUE)
	if a.svmPtr.reaches(a.size) {
		status = C.clEnqueueSVMMemFill(driverQueue(a.commandQueue.driver), a.svmPtr.pointer, pointer(a.pattern), C.size_t(len(a.pattern)), a.size, a.eventWaitList.count, listEvent(a.eventWaitList), t.eventOut(a.event))
	}
	t.keepEvent(a.event, status)
	return t.enqueued(a.commandQueue, status)
}

// clEnqueueSVMMigrateMem moves nothing to which the program has no right: each
// pointer must be of an allocation, and each size, 0 for all of it, within.
func (t *thread) clEnqueueSVMMigrateMem(a argsClEnqueueSVMMigrateMem) C.cl_int {
	count := len(a.svmPointers) / 8
	if count == 0 || count > wire.ListMax || len(a.svmPointers)%8 != 0 || len(a.sizes) != 0 && len(a.sizes) != len(a.svmPointers) {
		t.violate("%d bytes of sizes for %d of addresses", len(a.sizes), len(a.svmPointers))
		return C.CL_SUCCESS
	}
	status := C.cl_int(C.CL_SUCCESS)
	space := C.calloc(C.size_t(count), 16)
	defer C.free(space)
	pointers, sizes := unsafe.Slice((*unsafe.Pointer)(space), count), unsafe.Slice((*C.size_t)(unsafe.Add(space, 8*count)), count)
	for i := range count {
		if len(a.sizes) != 0 {
			sizes[i] = C.size_t(binary.LittleEndian.Uint64(a.sizes[8*i:]))
		}
		found, _ := t.session.svmAt(binary.LittleEndian.Uint64(a.svmPointers[8*i:]))
		if !found.reaches(sizes[i]) {
			status = C.CL_INVALID_VALUE
		}
		pointers[i] = found.pointer
	}
	if status == C.CL_SUCCESS {
		queue, waits := driverQueue(a.commandQueue.driver), listEvent(a.eventWaitList)
		status = C.clEnqueueSVMMigrateMem(queue, C.cl_uint(count), &pointers[0], &sizes[0], a.flags, a.eventWaitList.count, waits, t.eventOut(a.event))
		if status == C.CL_INVALID_VALUE {
			// The driver migrates what it has allocated alone, and of what lies in the host's memory nothing is to be moved.
			status = C.clEnqueueMarkerWithWaitList(queue, a.eventWaitList.count, waits, t.eventOut(a.event))
		}
	}
	t.keepEvent(a.event, status)
	return t.enqueued(a.commandQueue, status)
}

func (t *thread) clSetKernelArgSVMPointer(a argsClSetKernelArgSVMPointer) C.cl_int {
	if uint64(a.argIndex) >= uint64(len(a.kernel.arguments)) || a.kernel.arguments[a.argIndex] != wire.ArgumentBuffer {
		t.violate("an address for argument %d of a kernel with %d", uint32(a.argIndex), len(a.kernel.arguments))
		return C.CL_SUCCESS
	}
	return C.clSetKernelArgSVMPointer(driverKernel(a.kernel.driver), a.argIndex, a.argValue.pointer)
}

// clSetKernelExecInfo tells the driver which memory a kernel reaches by addresses
// that it finds in memory.
func (t *thread) clSetKernelExecInfo(a argsClSetKernelExecInfo) C.cl_int {
	count := len(a.pointers) / 8
	if count > wire.ListMax || len(a.pointers)%8 != 0 {
		t.violate("%d bytes of addresses", len(a.pointers))
		return C.CL_SUCCESS
	}
	if count == 0 {
		return C.clSetKernelExecInfo(driverKernel(a.kernel.driver), C.CL_KERNEL_EXEC_INFO_SVM_PTRS, 0, nil)
	}
	space := C.calloc(C.size_t(count), 8)
	defer C.free(space)
	pointers := unsafe.Slice((*unsafe.Pointer)(space), count)
	for i := range count {
		found, ok := t.session.svmAt(binary.LittleEndian.Uint64(a.pointers[8*i:]))
		if !ok {
			return C.CL_INVALID_VALUE
		}
		pointers[i] = found.pointer
	}
	status := C.clSetKernelExecInfo(driverKernel(a.kernel.driver), C.CL_KERNEL_EXEC_INFO_SVM_PTRS, C.size_t(8*count), space)
	if status == C.CL_INVALID_VALUE {
		// The driver takes what it has allocated alone; its kernels reach the rest of the host's memory without being told.
		return C.CL_SUCCESS
	}
	return status
}

// overlay makes a buffer of a part of an allocation.
func (t *thread) overlay(a argsOverlay) C.cl_int {
	if !a.hostPtr.reaches(a.size) || a.size == 0 {
		return t.keep(a.created, nil, C.CL_INVALID_HOST_PTR)
	}
	var status C.cl_int
	flags := a.flags&^hostFlags | C.CL_MEM_USE_HOST_PTR
	mem := C.clCreateBuffer(driverContext(a.context.driver), flags, a.size, a.hostPtr.pointer, &status)
	offset := uint64(uintptr(a.hostPtr.pointer) - uintptr(unsafe.Pointer(&t.session.arenaShared.bytes[0])))
	a.created.buffer = &buffer{place: extent{offset, uint64(a.size)}, size: uint64(a.size), populated: true}
	return t.keep(a.created, unsafe.Pointer(mem), status)
}
